"""Times as people write them, and as they are shown."""

import math

import pytest
import typer

from gatewayctl.cli.moments import ahead, duration, iso, written

_NOW = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43_200), ("90d", 7_776_000)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """Like the config's, and in days besides."""
    assert duration(text, "--x") == seconds
    assert ahead(text, _NOW, "--x") == _NOW + seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21", 1_795_219_200.0),
        ("2026-11-21T12:30", 1_795_264_200.0),
        ("2026-11-21T12:30+02:00", 1_795_257_000.0),
        ("2026-11-21T12:30:00Z", 1_795_264_200.0),
    ],
)
def test_a_time_to_come_is_read(text: str, moment: float) -> None:
    """A date is its beginning; what names no offset is UTC."""
    assert ahead(text, _NOW, "--x") == moment


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2001-01-01", "is over already: it is the beginning of that day"),
        ("2026-02-30", "is no time of any calendar"),
        ("tomorrow", "is not a duration like 30m, 12h or 90d, or a day like 2026-12-31"),
        ("2w", "is not a duration like"),
        ("", "is not a duration like"),
        ("-5d", "is not a duration like"),
        ("0s", "cannot be: a duration must be longer than 0"),
        ("0d", "cannot be: a duration must be longer than 0"),
        ("99999d", "cannot be: a duration must be at most"),
        ("9" * 30 + "d", "cannot be: a duration must be at most"),
    ],
)
def test_what_is_over_or_no_time_is_refused(text: str, why: str) -> None:
    """An option says what it takes, instead of taking something else."""
    with pytest.raises(typer.BadParameter, match=why) as refused:
        ahead(text, _NOW, "--x")
    assert refused.value.param_hint == "'--x'"


def test_times_are_shown_in_utc_to_people_and_programs() -> None:
    """Times beyond all calendars are no reason to fail."""
    assert (written(_NOW), iso(_NOW)) == ("2026-11-18 11:06 UTC", "2026-11-18T11:06:40Z")
    for moment in (1e18, math.inf, math.nan):
        assert (written(moment), iso(moment)) == ("a time beyond all calendars", None)
