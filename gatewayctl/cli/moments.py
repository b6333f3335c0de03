"""Times as people give them to an option: how long, since when, or until when. Days are of UTC.

What cannot be read is a ``BadParameter`` that names the option and what it takes.
"""

import math
import re
from datetime import UTC, date, datetime, timedelta

import typer

from gatewayctl.cli import render
from gatewayctl.config.figures import Duration
from gatewayctl.config.problems import Wrong
from gatewayctl.core import periods

_DAYS = re.compile("([0-9]+)d")
_LENGTH = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d)")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DURATIONS = "a duration like 30m, 12h or 90d"
_TIMES = f"{_DURATIONS}, or a day like 2026-12-31"
_LAST = 253_402_300_800
"""The year 10000, in seconds since 1970."""
_DIGITS = 9
"""More digits of days than any duration may have."""


def duration(text: str, option: str, *, wanted: str = _DURATIONS) -> float:
    """Return seconds from ``90s``, ``12h``, ``30d``, as given to an option."""
    days = _DAYS.fullmatch(text)
    try:
        return Duration().read(f"{int(days[1][:_DIGITS]) * 24}h" if days else text)
    except Wrong as error:
        why = f"cannot be: {error.message}" if _LENGTH.fullmatch(text) else f"is not {wanted}"
        raise _refused(text, why, option) from error


def ahead(text: str, now: float, option: str) -> float:
    """Return a time to come in seconds since 1970, from a date, a time or a duration.

    A date is its beginning, a time without an offset is UTC.
    """
    try:
        moment = _time(text)
    except (ValueError, OverflowError) as error:
        moment = now + _length(text, option, error)
    if not math.isfinite(moment) or moment <= now:
        begins = ": it is the beginning of that day, in UTC" if _DATE.fullmatch(text) else ""
        raise _refused(text, f"is over already{begins}", option)
    return moment


def past(text: str, now: float, option: str, *, end: bool = False) -> float:
    """Return a time in seconds since 1970, from a day, a time, or how long ago it was.

    A day (a date, ``today``, ``yesterday``) is its beginning, or where it is the ``end`` of what is
    looked at the beginning of the next; a time without an offset is UTC.
    """
    try:
        if (day := _day(text, now)) is not None:
            return datetime.combine(day + timedelta(days=end), datetime.min.time(), UTC).timestamp()
        return _time(text)
    except (ValueError, OverflowError) as error:
        return now - _length(text, option, error)


def _time(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _length(text: str, option: str, error: Exception) -> float:
    """Read what is no time as a duration; what looks like a date is neither."""
    if _DATE.match(text):
        raise _refused(text, "is no time of any calendar", option) from error
    return duration(text, option, wanted=_TIMES)


def _refused(text: str, why: str, option: str) -> typer.BadParameter:
    return typer.BadParameter(f'"{render.printable(text)}" {why}', param_hint=f"'{option}'")


def _day(text: str, now: float) -> date | None:
    today = datetime.fromtimestamp(now, UTC).date()
    words = {"today": today, "yesterday": today - timedelta(days=1)}
    if text in words:
        return words[text]
    return date.fromisoformat(text) if len(text) == len("2026-11-01") else None


def written(moment: float) -> str:
    """Return a time as it is shown: ``2027-01-31 12:00 UTC``."""
    try:
        return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time beyond all calendars"


def iso(moment: float | None) -> str | None:
    """Return a time in ISO 8601, to the second, in UTC; None for none and for what has no date."""
    return None if moment is None or not 0 <= moment < _LAST else periods.iso(moment)
