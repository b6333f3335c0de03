"""Times as people give them to an option: how long, or until when."""

import math
import re
from datetime import UTC, datetime

import typer

from gatewayctl.config.figures import Duration
from gatewayctl.config.problems import Wrong

_DAYS = re.compile("([0-9]{1,5})d")


def duration(text: str) -> float:
    """Return seconds from ``90s``, ``12h``, ``30d``; ``BadParameter`` for what is none."""
    days = _DAYS.fullmatch(text)
    try:
        return Duration().read(f"{int(days[1]) * 24}h" if days else text)
    except Wrong as error:
        raise typer.BadParameter(f'"{text}" is no duration like 30m, 2h or 7d') from error


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
