"""Logged requests a line each: aligned, cut to the terminal, never steering it."""

import re
import sys
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.logged import CAME, LIMITED, PAID, attempt, failed, request

from gatewayctl.cli.listing import Listing
from gatewayctl.core.events import Usage
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.records import Metered, Outcome

GUESS = Metered(
    usage=Usage(input=304, input_cache_read=900, output=345), estimated=True, cost=2_119_000_000
)
FREE = replace(PAID, cost=0)
MANY = (
    request(attempt(first_token=0.424), name="1"),
    request(attempt(**LIMITED), attempt(2, "up/two", 0.4, metered=GUESS), name="2"),
    failed(name="3"),
    request(outcome=Outcome.REFUSED, status=413, error="too_large", name="4", duration=0.012),
    request(
        attempt(outcome=Outcome.BROKEN, failure="bad_response", said="no terminal frame"),
        outcome=Outcome.BROKEN,
        name="5",
    ),
    request(attempt(), outcome=Outcome.ABANDONED, status=None, name="6"),
    request(attempt(), outcome=Outcome.INTERRUPTED, status=None, duration=None, name="7"),
    request(attempt(outcome=None), outcome=None, status=None, duration=None, name="8"),
)


def lines(*found: LoggedRequest, following: bool = False) -> list[str]:
    """Return the lines of some requests, the titles first."""
    return list(Listing(following=following).lines(found))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make standard output a terminal without colour; its width is COLUMNS."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    return monkeypatch


def test_a_line_says_what_was_asked_who_answered_and_what_it_took() -> None:
    """With the sum of the tokens, marked where it is a guess."""
    _, first, second, *_ = lines(*MANY)
    assert (
        first.split()[-12:]
        == [
            *("messages", "200", "1", "1.2K", "345", "$0.0082", "424", "ms", "2.1", "s"),
            *("coding", "→", "up/one"),
        ][-12:]
    )
    assert second.split()[4:10] == ["messages", "200", "2", "~1.2K", "~345", "~$0.0021"]
    assert second.endswith("coding → up/two")


def test_what_was_not_answered_says_why() -> None:
    """In one line: the outcome, the first cause, and whose it was."""
    tails = [line.partition("coding ")[2] for line in lines(*MANY)[3:]]
    assert tails == [
        "failed: rate_limited: HTTP 429: slow down (up/one)",
        "refused: too_large",
        "→ up/one broken: bad_response: no terminal frame",
        "→ up/one abandoned by the client",
        "→ up/one interrupted: the daemon died",
        "→ up/one under way",
    ]


def test_a_broken_stream_is_told_by_what_broke_it() -> None:
    """Not by what had failed before it, which the fallback made good."""
    broken = attempt(2, "up/two", outcome=Outcome.BROKEN, failure="network", said="it broke off")
    (line,) = lines(request(attempt(**LIMITED), broken, outcome=Outcome.BROKEN))[1:]
    assert line.endswith("coding → up/two broken: network: it broke off")


def test_a_model_asked_for_by_its_name_is_named_once() -> None:
    """No arrow leads from a model to itself."""
    answered, refused = lines(
        request(attempt(), asked="up/one"), failed(asked="up/one", route=None)
    )[1:]
    assert answered.endswith("  up/one")
    assert refused.endswith("up/one failed: rate_limited: HTTP 429: slow down")


def test_columns_are_aligned() -> None:
    """Names begin below their title, figures end below theirs."""
    titles, *rows = lines(*MANY)
    at = titles.index("request")
    assert all(row[at:].startswith("coding") for row in rows)
    assert {row[: titles.index("http") + 4][-3:].strip() for row in rows} == {
        *("200", "429", "413", "-"),
    }


@pytest.mark.parametrize("columns", [40, 50, 72, 80, 100, 120, 160])
def test_no_line_is_wider_than_the_terminal(terminal: pytest.MonkeyPatch, columns: int) -> None:
    """Columns that can be spared go first, then words are cut; the outcome's sign always stays."""
    terminal.setenv("COLUMNS", str(columns))
    long = failed(attempt(**{**LIMITED, "said": "many words " * 40}), asked="a-name" * 4)
    told = lines(*MANY, long)
    assert max(map(len, told[1:])) <= columns
    assert ("protocol" in told[0]) == (columns >= 120)
    assert ("http" in told[0]) == (columns >= 72)
    assert [row[0] for row in told[1:]] == list("✓✓✗✗✗~!…✗")


def test_why_it_failed_goes_before_where(terminal: pytest.MonkeyPatch) -> None:
    """On a narrow terminal the model is left out, so that the reason has room."""
    terminal.setenv("COLUMNS", "80")
    assert "coding broken: bad_res" in lines(*MANY)[5]


def test_the_name_of_a_key_leaves_room_for_the_rest(terminal: pytest.MonkeyPatch) -> None:
    """A long one is cut on a terminal; a narrow one has no room for any."""
    keyed = request(attempt(), client="a-team-with-a-name-of-many-letters")
    terminal.setenv("COLUMNS", "120")
    titles, line, other = lines(keyed, request(attempt()))
    at = titles.index("key ")
    assert (line[at:].split()[0], other[at:].split()[0]) == ("a-team-with-a-n…", "-")
    assert other.index("coding") == line.index("coding") == titles.index("request")
    terminal.setenv("COLUMNS", "60")
    assert "key" not in lines(keyed)[0]


def test_without_a_terminal_nothing_is_cut() -> None:
    """A pipe has no width."""
    said = "many words " * 40
    assert lines(failed(attempt(**{**LIMITED, "said": said})))[1].count("many words") == 40


def test_foreign_words_cannot_steer_the_terminal() -> None:
    """Names come from clients, reasons from providers."""
    text = "".join(lines(failed(attempt(**{**LIMITED, "said": "\x1b[31m"}), asked="a\x07\nb")))
    assert not {"\x1b", "\x07", "\n"} & set(text)


def test_what_follows_stays_below_its_titles() -> None:
    """Widths are kept free for what is to come, and the titles are said once."""
    listing = Listing(following=True)
    titles, first = listing.lines(MANY[:1])
    (later,) = listing.lines(MANY[1:2])
    assert titles.index("request") == first.index("coding") == later.index("coding")
    assert list(listing.lines(())) == []


def test_what_outgrows_its_column_is_cut_to_the_terminal_too(terminal: pytest.MonkeyPatch) -> None:
    """A figure that is wider than what was kept free for it takes the room of the words."""
    terminal.setenv("COLUMNS", "80")
    listing = Listing(following=True)
    list(listing.lines(MANY[:1]))
    large = Metered(usage=Usage(input=123_456_789_000, output=123_456_789_000), estimated=True)
    (later,) = listing.lines([failed(attempt(**{**LIMITED, "metered": large}))])
    assert len(later) == 80


def test_todays_requests_have_a_time_and_others_a_day_too() -> None:
    """What is read most is short."""
    now = datetime.now().astimezone().timestamp()
    today, other = lines(request(attempt(), at=now), request(attempt(), at=CAME))[1:]
    assert today.split()[1].count(":") == 2
    assert other.split()[1].count("-") == 1


def _at(minute: int, second: int) -> float:
    today = datetime.now().astimezone()
    return today.replace(hour=9, minute=minute, second=second, microsecond=0).timestamp()


CHAT = {"protocol": "chat_completions"}
LOCAL, HAIKU, GPT = "local/qwen3.5-35b", "anthropic/claude-haiku-4-5", "openai/gpt-5.4"
PICTURED = (
    request(
        attempt(1, LOCAL, first_token=0.424, at=_at(14, 2), metered=FREE),
        name="6b86b273",
        at=_at(14, 2),
        **CHAT,
    ),
    request(
        attempt(1, GPT, **LIMITED),
        attempt(2, GPT, **LIMITED),
        attempt(3, HAIKU, metered=GUESS, first_token=0.9, at=_at(14, 31) + 2.7),
        name="d4735e3a",
        at=_at(14, 31),
        duration=4.2,
    ),
    failed(
        attempt(1, GPT, **LIMITED),
        asked=GPT,
        name="4e074085",
        at=_at(15, 10),
        duration=0.4,
        **CHAT,
    ),
    request(
        name="4b227777",
        at=_at(16, 45),
        outcome=Outcome.REFUSED,
        status=413,
        error="too_large",
        duration=0.012,
        **CHAT,
    ),
)


def test_an_answer_to_a_truncated_request_says_so() -> None:
    """It was answered, but not what was asked."""
    usage = Metered(usage=Usage(input=4096))
    cut = request(attempt(estimate_low=9000, metered=usage, truncated=True))
    assert lines(cut)[1].endswith("the upstream counted 4,096 of at least 9,000: truncated")
    assert "truncated" not in "".join(lines(*MANY))


@pytest.mark.parametrize(("page", "rows"), [("README.md", 3), ("docs/attempts.md", 4)])
def test_pictures_show_what_the_program_prints(page: str, rows: int) -> None:
    """Line by line."""
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    found = re.search(r"\$ gatewayctl log\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert found[1].splitlines() == lines(*PICTURED[:rows])
