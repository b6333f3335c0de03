"""Times as people give them to an option: how long, since when, or until when. Days are of UTC."""

import math
import re
from datetime import UTC, date, datetime, timedelta

import typer

from gatewayctl.config.figures import Duration
from gatewayctl.config.problems import Wrong

_DAYS = re.compile("([0-9]{1,5})d")


def duration(text: str, wanted: str = "no duration like 30m, 2h or 7d") -> float:
    """Return seconds from ``90s``, ``12h``, ``30d``; ``BadParameter`` says what it is not."""
    days = _DAYS.fullmatch(text)
    try:
        return Duration().read(f"{int(days[1]) * 24}h" if days else text)
    except Wrong as error:
        raise typer.BadParameter(f'"{text}" is {wanted}') from error


def ahead(text: str, now: float) -> float:
    """Return a time to come in seconds since 1970, from a date, a time or a duration.

    A date is its beginning, a time without an offset is UTC. Raises ``BadParameter``.
    """
    try:
        at = datetime.fromisoformat(text)
        moment = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        moment = now + duration(text)
    if not math.isfinite(moment) or moment <= now:
        raise typer.BadParameter(f'"{text}" is over already')
    return moment


def past(text: str, now: float, *, end: bool = False) -> float:
    """Return a time in seconds since 1970, from a day, a time, or how long ago it was.

    A day (a date, ``today``, ``yesterday``) is its beginning, or where it is the ``end`` of what is
    looked at the beginning of the next; a time without an offset is UTC. Raises ``BadParameter``.
    """
    try:
        if (day := _day(text, now)) is not None:
            return datetime.combine(day + timedelta(days=end), datetime.min.time(), UTC).timestamp()
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return now - duration(text, "no duration like 30m, 2h or 7d, and no day like 2026-11-01")


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


def iso(moment: float) -> str | None:
    """Return a time in ISO 8601, to the second, in UTC; None where no calendar has it."""
    try:
        return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
