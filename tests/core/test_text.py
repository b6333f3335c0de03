"""Counting what the bytes of a text say."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core import text as counting
from gatewayctl.core.shape import TextStats
from gatewayctl.core.text import TextCounter

ANY = st.text(st.characters(exclude_categories=[]), max_size=60) | st.text("aB7+ é\n", max_size=200)


def counted(*texts: str) -> TextStats:
    """Count texts and return what was found."""
    counter = TextCounter()
    for text in texts:
        counter.add(text)
    return counter.done()


def slowly(text: str) -> dict[str, int]:
    """Count a short text byte by byte, as ``TextStats`` says it, the weight left out."""
    data = text.encode(errors="surrogatepass")
    kinds = "".join(kind(byte) for byte in data)
    found = dict.fromkeys(TextStats.__struct_fields__, 0) | {"chars": len(text)}
    for place, here in enumerate(kinds):
        back = kinds[:place][::-1]
        run = len(back) - len(back.lstrip(here)) if here in "ad" else 0
        before = back[:1] or "^"
        found["letters"] += here == "a"
        found["words"] += here in "adp" and before not in "adp"
        found["runs"] += here == "a" != before
        found["long_letters"] += here == "a" and run >= 4
        found["digit_runs"] += here == "d" != before
        found["long_digits"] += here == "d" and run >= 3
        found["lines"] += here == "n" != before
        found["marked_lines"] += here == "n" and before == "p"
        found["gaps"] += (here == "d" and before == " ") or (
            here == before == " " and back[1:2] != " "
        )
    return found


def kind(byte: int) -> str:
    """Name a byte's class by one character."""
    char = chr(byte)
    if byte > 127 or char.isalpha():
        return "a"
    if char in "\r\n":
        return "n"
    return " " if char.isspace() else "d" if char.isdigit() else "p"


@given(ANY)
def test_windows_of_lanes_count_what_a_loop_would(text: str) -> None:
    """Every count is exact, half surrogate pairs included."""
    found = msgspec.structs.asdict(counted(text))
    expected = slowly(text)
    assert {**found, "weight": 0} == expected


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("", 0),
        ("--", 6),
        ("-" * 50, 6),
        ("e e", 2 * counting._WEIGHT_TABLE[ord("e")]),
        ("----\n----", 12),
    ],
)
def test_repeated_punctuation_weighs_nothing(text: str, weight: int) -> None:
    """A ruled line is one token or two, however long it is."""
    assert counted(text).weight == weight


@given(st.lists(ANY, max_size=5))
def test_texts_are_counted_apart(texts: list[str]) -> None:
    """Where one text ends and the next begins, nothing is joined and nothing is added."""
    apart = sum((counted(text) for text in texts), TextStats())
    assert counted(*texts) == apart


@pytest.mark.parametrize("unit", ["one two ", "x = 12345\n", "漢字かな ", '{"a": [1, 22]}, '])
def test_a_large_text_counts_as_many_small_ones(unit: str) -> None:
    """Windows, sums of windows and samples of the far part lose next to nothing."""
    times = 3 * counting._WHOLE // len(unit)
    whole, one = counted(unit * times), counted(unit)
    assert whole.chars == one.chars * times
    for name in ("words", "letters", "runs", "digit_runs", "lines", "weight"):
        expected = getattr(one, name) * times
        assert abs(getattr(whole, name) - expected) <= expected * 0.01 + 12


def test_what_is_not_at_hand_counts_by_its_length() -> None:
    """Encrypted text costs about a token for three bytes."""
    counter = TextCounter()
    counter.add_opaque(300)
    assert counter.done() == TextStats(chars=300, weight=1800)
