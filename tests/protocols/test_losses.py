"""What a translation leaves out is told once each, in order, and never without bounds."""

from gatewayctl.protocols.losses import Loss, Losses, item, tool


def test_each_word_is_told_once_in_the_order_in_which_it_came() -> None:
    """A request may lose the same thing in every message: one word says it."""
    losses = Losses(("logit_bias",))
    losses.add(Loss.CACHE, tool("web_search"), Loss.CACHE)
    losses.add(item("input", "web_search_call"))
    assert losses.found() == (
        "logit_bias",
        "cache_control",
        "tools[web_search]",
        "input[web_search_call]",
    )


def test_names_that_may_be_anything_are_not_told() -> None:
    """A field's name is the client's text, and what is recorded stands in headers and in logs."""
    losses = Losses(("a" * (Losses.LONGEST + 1), "line\nend", "Grüße", "fine"))
    assert losses.found() == (Losses.OTHER, "fine")


def test_there_is_a_limit_to_how_many_are_told() -> None:
    """A body of thousands of unknown fields makes no header of thousands of words."""
    losses = Losses(f"field{number}" for number in range(1000))
    assert len(losses.found()) == Losses.MOST + 1
    assert losses.found()[-1] == Losses.OTHER
