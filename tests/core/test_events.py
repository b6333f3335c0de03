"""What a reply's events amount to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Choice,
    Ended,
    Event,
    Finished,
    Metered,
    RefusalDelta,
    Reply,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    TokenProbability,
    Usage,
    fold,
)

SEAL = Seal(form="messages.signature", data="c2ln")
OTHER = Seal(form="messages.redacted", data="aGlkZGVu")


def parts(*events: Event) -> tuple[object, ...]:
    """Return the parts of the one choice that the events tell."""
    (choice,) = fold(events).choices
    return choice.parts


def test_nothing_is_an_empty_reply() -> None:
    """No event, no answer, and none is made up."""
    assert fold(()) == Reply()
    assert fold((Begun(id="a"), Ended())) == Reply(id="a")


def test_a_whole_reply_is_told() -> None:
    """Who answers, what is said, why it ends and what it cost."""
    usage = Usage(input=3, output=2)
    reply = fold(
        [
            Begun(id="msg_1", model="small", created=7),
            Metered(usage=Usage(input=3)),
            ThoughtDelta(text="Hm"),
            ThoughtDelta(text="m."),
            ThoughtEnded(seal=SEAL, id="rs_1"),
            TextDelta(text="He"),
            TextDelta(text="llo"),
            CallBegun(call=0, id="call_1", name="look"),
            CallDelta(call=0, arguments='{"a"'),
            CallDelta(call=0, arguments=":1}"),
            Finished(stop=Stop.SEQUENCE, sequence="END"),
            Metered(usage=usage, tier="standard"),
            Ended(),
        ]
    )
    said = (
        Thought(text="Hmm.", seal=SEAL, id="rs_1"),
        Text(text="Hello"),
        Call(id="call_1", name="look", arguments='{"a":1}'),
    )
    assert reply == Reply(
        id="msg_1",
        model="small",
        created=7,
        choices=(Choice(parts=said, stop=Stop.SEQUENCE, sequence="END"),),
        usage=usage,
        tier="standard",
    )


def test_parts_keep_their_order_and_kinds_never_mix() -> None:
    """Text between two thoughts parts them; a refusal is no text."""
    assert parts(
        ThoughtDelta(text="one"),
        TextDelta(text="A"),
        ThoughtDelta(text="two"),
        RefusalDelta(text="No"),
        RefusalDelta(text="."),
        TextDelta(text="B"),
    ) == (
        Thought(text="one"),
        Text(text="A"),
        Thought(text="two"),
        Refusal(text="No."),
        Text(text="B"),
    )


def test_an_empty_piece_opens_no_part() -> None:
    """An upstream that begins with nothing says the same as one that does not."""
    assert parts(ThoughtDelta(text=""), TextDelta(text=""), TextDelta(text="A")) == (
        Text(text="A"),
    )
    assert parts(ThoughtDelta(text="one"), TextDelta(text=""), ThoughtDelta(text="two")) == (
        Thought(text="onetwo"),
    )


def test_thoughts_in_a_row_are_told_apart_by_their_ends() -> None:
    """Two thoughts with a seal each, and one that is hidden, stay three."""
    assert parts(
        ThoughtDelta(text="one"),
        ThoughtEnded(seal=SEAL),
        ThoughtDelta(text="two"),
        ThoughtEnded(id="rs_2"),
        ThoughtEnded(seal=OTHER),
        ThoughtEnded(seal=OTHER),
        TextDelta(text="A"),
        ThoughtEnded(seal=SEAL),
    ) == (
        Thought(text="one", seal=SEAL),
        Thought(text="two", id="rs_2"),
        Thought(seal=OTHER),
        Thought(seal=OTHER),
        Text(text="A"),
        Thought(seal=SEAL),
    )


def test_calls_told_side_by_side_get_their_own_arguments() -> None:
    """Each piece goes to its call, whatever stands between; a call without any has no arguments."""
    assert parts(
        CallBegun(call=0, id="a", name="look"),
        CallBegun(call=1, id="b", name="look", seal=SEAL),
        CallDelta(call=1, arguments="[1"),
        TextDelta(text="meanwhile"),
        CallDelta(call=0, arguments="{"),
        CallDelta(call=1, arguments="]"),
        CallBegun(call=2, id="", name="now"),
    ) == (
        Call(id="a", name="look", arguments="{"),
        Call(id="b", name="look", arguments="[1]", seal=SEAL),
        Text(text="meanwhile"),
        Call(id="", name="now", arguments="{}"),
    )


def test_choices_are_told_apart_and_in_order() -> None:
    """Whatever comes first, each answer has its own words, end and probabilities."""
    token = TokenProbability(token="B", logprob=-0.5)
    reply = fold(
        [
            TextDelta(text="B", choice=1, logprobs=(token,)),
            TextDelta(text="A"),
            Finished(stop=Stop.BUDGET, choice=1),
            CallBegun(call=0, id="a", name="look"),
            Finished(stop=Stop.CALLS),
        ]
    )
    assert reply.choices == (
        Choice(parts=(Text(text="A"), Call(id="a", name="look", arguments="{}")), stop=Stop.CALLS),
        Choice(parts=(Text(text="B"),), stop=Stop.BUDGET, logprobs=(token,)),
    )


def test_probabilities_of_an_empty_piece_are_kept() -> None:
    """A token may be a part of a character, whose text comes with the next one."""
    half, rest = (TokenProbability(token=t, logprob=-1.0) for t in ("a", "b"))
    reply = fold([TextDelta(text="", logprobs=(half,)), TextDelta(text="é", logprobs=(rest,))])
    assert reply.choices == (Choice(parts=(Text(text="é"),), logprobs=(half, rest)),)


@pytest.mark.parametrize("kind", [TextDelta, ThoughtDelta, RefusalDelta])
@given(pieces=st.lists(st.text(max_size=5), max_size=5))
def test_pieces_amount_to_the_whole(
    kind: type[TextDelta | ThoughtDelta | RefusalDelta], pieces: list[str]
) -> None:
    """Wherever a text is cut, it is the same reply."""
    whole = "".join(pieces)
    cut = [kind(text=piece) for piece in pieces]
    assert fold([*cut, Finished(stop=Stop.END)]) == fold(
        [kind(text=whole), Finished(stop=Stop.END)]
    )
