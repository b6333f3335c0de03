"""Counting what the bytes of a text say."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core import characters
from gatewayctl.core.shape import TextStats
from gatewayctl.core.text import TextCounter

ANY = st.text(st.characters(exclude_categories=[]), max_size=60) | st.text("aB7+ é\n", max_size=200)


def counted(*texts: str) -> TextStats:
    """Count texts and return what was found."""
    counter = TextCounter()
    for text in texts:
        counter.add(text)
    return counter.done()


WEIGHED = {"weight": 0, "beyond": 0, "repeated": 0, "repeated_beyond": 0}


def slowly(text: str) -> dict[str, int]:
    """Count a short text byte by byte, as ``TextStats`` says it, what is weighed left out."""
    data = text.encode(errors="surrogatepass")
    kinds = "".join(kind(byte) for byte in data)
    found = dict.fromkeys(TextStats.__struct_fields__, 0) | {"chars": len(text)}
    for place, here in enumerate(kinds):
        back = kinds[:place][::-1]
        run = len(back) - len(back.lstrip(here)) if here in "ad" else 0
        before = back[:1] or "^"
        found["letters"] += here == "a"
        found["words"] += here in "abdp" and before not in "abdp"
        found["runs"] += here in "ab" and before not in "ab"
        found["foreign"] += here == "b" and before not in "ab"
        found["digits"] += here == "d"
        found["blanks"] += here == " "
        found["mark_runs"] += here == "p" != before
        found["long_letters"] += here == "a" and run >= 4
        found["digit_runs"] += here == "d" != before
        found["long_digits"] += here == "d" and run >= 3
        found["lines"] += here == "n" != before
        found["marked_lines"] += here == "n" and before == "p"
        found["gaps"] += (here == "d" and before == " ") or (
            here == before == " " and back[1:2] != " "
        )
    beyond = [char for char in text if ord(char) > 127]
    coded = [char.encode(errors="surrogatepass") for char in beyond]
    found["extra"] = sum(len(char) - 1 for char in coded)
    found["kana"] = sum(char[0] == 0xE3 for char in coded)
    found["hangul"] = sum(0xEA <= char[0] <= 0xED for char in coded)
    return found


def kind(byte: int) -> str:
    """Name a byte's class by one character."""
    char = chr(byte)
    if byte > 127:
        return "b"
    if char.isalpha():
        return "a"
    if char in "\r\n":
        return "n"
    return " " if char.isspace() else "d" if char.isdigit() else "p"


@given(ANY)
def test_windows_of_lanes_count_what_a_loop_would(text: str) -> None:
    """Every count is exact, half surrogate pairs included."""
    found = msgspec.structs.asdict(counted(text))
    expected = slowly(text)
    assert found | WEIGHED == expected


@pytest.mark.parametrize("mark", "-=*#._/+~!")
def test_a_ruled_line_weighs_no_more_than_two_of_its_marks(mark: str) -> None:
    """It is one token or two, however long it is."""
    assert counted(mark * 50) == counted(mark * 2) + TextStats(chars=48)
    assert counted(f"{mark * 9}\n{mark * 9}").weight >= 2 * counted(mark * 2).weight


def test_other_marks_weigh_each_time_but_may_come_to_nothing() -> None:
    """Closing braces are half a token each; a hundred quotes may be two, so it is told apart."""
    found = counted(")" * 50)
    assert found.weight == 50 * counted(")").weight
    assert found.repeated == 48 * counted(")").weight


def test_characters_beyond_ascii_cost_what_their_script_and_their_frequency_say() -> None:
    """A frequent Chinese character is part of a token, a rare one is two or three."""
    frequent, rare, cyrillic = (counted(char).beyond for char in "人饕и")
    assert cyrillic < frequent < characters.UNITS < 2 * characters.UNITS < rare
    assert counted("\U000e0041").beyond == 4 * characters.UNITS
    assert counted("a人b 饕\n").beyond == frequent + rare


@pytest.mark.parametrize("char", ["─", "é", "哈", "🙂"])
@pytest.mark.parametrize("times", [20, 2_000])
def test_a_run_of_one_character_is_told_apart(char: str, times: int) -> None:
    """It costs what it costs, and nearly all of that may be next to nothing."""
    found = counted(char * times)
    assert found.beyond == counted(char).beyond * times
    assert found.beyond * 0.35 <= found.repeated_beyond <= found.beyond


@given(st.lists(ANY, max_size=5))
def test_texts_are_counted_apart(texts: list[str]) -> None:
    """Where one text ends and the next begins, nothing is joined and nothing is added."""
    apart = sum((counted(text) for text in texts), TextStats())
    assert counted(*texts) == apart


@pytest.mark.parametrize("unit", ["one two ", "x = 12345\n", "漢字かな ", '{"a": [1, 22]}, '])
def test_a_large_text_counts_as_many_small_ones(unit: str) -> None:
    """Windows and sums of windows lose next to nothing, and none is left out."""
    times = 400_000 // len(unit)
    whole, one = counted(unit * times), counted(unit)
    assert whole.chars == one.chars * times
    for name in ("words", "letters", "runs", "digit_runs", "lines", "weight", "beyond"):
        expected = getattr(one, name) * times
        assert abs(getattr(whole, name) - expected) <= expected * 0.001 + 12


def test_what_is_not_at_hand_counts_by_its_length() -> None:
    """Encrypted text costs about a token for three bytes."""
    counter = TextCounter()
    counter.add_opaque(300)
    assert counter.done() == TextStats(chars=300, weight=1800)


def test_a_dense_part_is_seen_wherever_it_stands() -> None:
    """A megabyte of words hides no page of rare characters among them."""
    words, rare = "the quick brown fox " * 25_000, "饕餮" * 500
    for parts in ((rare, words), (words, rare), (words, rare, words)):
        assert counted("".join(parts)).beyond == counted(rare).beyond
