"""Sizes, ages and tables as people read them."""

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.cli import render


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (4096, "4.1K"),
        (200_000, "200K"),
        (262_144, "262K"),
        (999_499, "999K"),
        (999_500, "1M"),
        (1_048_576, "1.05M"),
        (10_000_000, "10M"),
        (999_499_999, "999M"),
        (999_500_000, "1B"),
        (1_000_000_000, "1B"),
        (2_500_000_000_000, "2,500B"),
    ],
)
def test_sizes_are_decimal_and_short(tokens: int | None, text: str) -> None:
    """262144 is shown as 262K, never as a 256K that could be taken for 256,000."""
    assert render.size(tokens) == text


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("\x1b[1mabc\x1b[0m", 3), ("日本", 4), ("e\u0301", 1), ("✓", 1)],
)
def test_what_a_line_takes_is_counted_in_columns(text: str, columns: int) -> None:
    """Wide characters take two, accents of their own and colour none."""
    assert render.width(text) == columns


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (59, "now"), (60, "1 min"), (7199, "1 h"), (86_400, "1 d"), (9e6, "104 d")],
)
def test_ages_are_in_their_largest_unit(seconds: float, text: str) -> None:
    """An age is read at a glance."""
    assert render.ago(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 0, "free"),
        ("0.08", "0.16", "$0.08\N{EN DASH}0.16"),
        ("0.0000213", "0.0042", "$0.000021\N{EN DASH}0.0042"),
        ("0", "1234.5", "$0\N{EN DASH}1,234.50"),
        (0.5, 0.5, "$0.50"),
    ],
)
def test_prices_are_short_and_never_rounded_to_nothing(
    low: str | float, high: str | float, text: str
) -> None:
    """Two digits that mean something, whatever the size; floats as they come out of JSON."""
    cheap, dear = (Decimal(it) if isinstance(it, str) else it for it in (low, high))
    assert render.usd(cheap, dear) == text


@given(st.text())
def test_foreign_text_cannot_steer_a_terminal(text: str) -> None:
    """Escape sequences in an id from a public table are made harmless."""
    shown = render.printable(text)
    assert len(shown) == len(text)
    assert all(char.isprintable() or char == "\t" for char in shown)


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Names to the left, figures to the right, nothing trailing."""
    render.table(("name", "size"), [("a", "1"), ("longer", "10000")], right=(1,))
    assert capsys.readouterr().out.splitlines() == [
        "name     size",
        "a           1",
        "longer  10000",
    ]


def test_colour_is_for_terminals_that_want_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Captured output is no terminal, so styles leave the text alone."""
    assert render.styled("x", "red", bold=True) == "x"
    render.table(("a",), [(render.fit("unfit"),)])
    assert capsys.readouterr().out == "a\nunfit\n"


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("\x1b[1mabc\x1b[0m", 2, "\x1b[1ma…\x1b[0m"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_what_has_no_room_ends_in_an_ellipsis(text: str, room: int, shown: str) -> None:
    """Never wider than it may be, and with its colours ended."""
    assert render.shortened(text, room) == shown


def test_names_that_need_not_be_whole_keep_lines_within_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wide characters too; where there is no terminal nothing is cut."""
    rows = [("日本語" * 20, "1"), ("x" * 160, "2"), ("short", "3")]
    render.table(("session", "requests"), rows, right=(1,), whole=False)
    assert "x" * 160 in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    render.table(("session", "requests"), rows, right=(1,), whole=False)
    lines = capsys.readouterr().out.splitlines()
    assert {render.width(line) for line in lines} == {40}
    assert [line[-1] for line in lines] == ["s", "1", "2", "3"]
    monkeypatch.setenv("COLUMNS", "42")
    spread = [(*row, "source") for row in rows]
    assert render.table(("session", "requests", "source"), spread, spare=1, whole=False) == ()
    assert max(map(render.width, capsys.readouterr().out.splitlines())) == 42


def test_a_narrow_terminal_gets_fewer_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spare columns go first; one long name among many does not spread the column for all."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [(f"name{number:02}", "1", "source", "3 d") for number in range(20)]
    rows[5] = ("a-name-longer-than-the-terminal", "1", "source", "3 d")
    for columns, shown in ((80, 4), (30, 4), (24, 3), (20, 3), (14, 2)):
        monkeypatch.setenv("COLUMNS", str(columns))
        render.table(("model", "size", "source", "age"), rows, right=(1,), spare=2)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines[0].split()) == shown
        short = [line for line in lines if "longer" not in line]
        assert all(len(line) <= columns for line in short)


def test_where_no_columns_have_room_each_cell_has_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below its row's name, with its title; nothing is left out but what is empty."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    rows = [("research", "no end", "$1,500/hour", "1"), ("", "", "$20,000/month", "2")]
    titles = ("key", "until", "budget", "calls")
    assert render.table(titles, rows, spare=1, whole=False) == ()
    assert capsys.readouterr().out.splitlines() == [
        "research",
        "  until   no end",
        "  budget  $1,500/hour",
        "  calls   1",
        "  budget  $20,000/month",
        "  calls   2",
    ]
