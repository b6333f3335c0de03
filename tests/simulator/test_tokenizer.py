import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.simulator.tokenizer import WINDOW, count, count_all, split

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("ab z09 \n\t.,;({é\u0434\u65e5\U0001f600\x7f"), st.characters()
    )
).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" \n\t ", 0),
        ("hello there", 2),
        ("implementation", 2),
        ("extraordinarily", 2),
        ("abcdefgh", 1),
        ("12", 1),
        ("123", 1),
        ("1234", 2),
        ("a1b2", 4),
        ("Hi, you!", 4),
        ("日本語", 3),
        ("naïve Привет", 2),
        ("😀😀", 2),
    ],
)
def test_counts_by_the_written_rule(text: str, tokens: int) -> None:
    """Words in pieces of eight, numbers in threes, one for each other visible character."""
    assert count(text) == tokens


@given(TEXTS)
def test_the_count_is_the_number_of_tokens(text: str) -> None:
    """The fast count and the split never disagree, and no character is lost in the split."""
    pieces = split(text)
    assert count(text) == len(pieces)
    assert text.startswith("".join(pieces))


@given(TEXTS)
def test_never_more_tokens_than_bytes(text: str) -> None:
    """Every token covers at least one byte, as with a byte-level vocabulary."""
    assert count(text) <= len(text.encode())


async def test_counting_gives_way_to_the_loop() -> None:
    """A megabyte is counted in windows, between which other tasks get their turn."""
    turns = 0
    counting = asyncio.ensure_future(count_all(["ab " * (4 * WINDOW)]))
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 10
    assert 4 * WINDOW <= await counting <= 4 * WINDOW + 12
