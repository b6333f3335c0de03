"""How upstreams write numbers, durations and times of day in their headers. Pure, without a clock.

What a time means, and from when it counts, is the business of whoever reads the header.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)ms)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:us|µs|μs))?(?:([0-9]{1,9})ns)?"
)
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001, 1e-6, 1e-9)
_EPOCH = 10**9  # seconds; a larger number is a time of day …
_EPOCH_MS = 10**11  # … and one this large a time of day in milliseconds

_LONGEST_DATE = 100  # characters


def number(value: str | None) -> float | None:
    """Return a number in plain decimal digits, which is never negative; None for anything else."""
    if value is None or not _NUMBER.fullmatch(value.strip()):
        return None
    return float(value)


def duration(value: str) -> float | None:
    """Return the seconds of a duration such as ``6m0s``, ``1h2m3.5s`` or ``17ms``."""
    found = _DURATION.fullmatch(value)
    if found is None or not value:
        return None
    parts = zip(found.groups(), _UNITS, strict=True)
    return sum(float(part) * unit for part, unit in parts if part is not None)


def http_date(value: str) -> datetime | None:
    """Return the time that a Date header, or one of its form, tells."""
    if len(value) > _LONGEST_DATE:
        return None
    try:
        return parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def rfc3339(value: str) -> datetime | None:
    """Return the time that a value such as ``2026-11-21T12:00:00Z`` tells."""
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def since_1970(seconds: float) -> datetime | None:
    """Return the time of a number of seconds, or milliseconds where it is too large for those."""
    try:
        return datetime.fromtimestamp(seconds if seconds < _EPOCH_MS else seconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def reset(value: str) -> timedelta | datetime | None:
    """Return when something begins anew: after a time, or at one; None for what says neither.

    A small number is of seconds, a large one a time in seconds or milliseconds since 1970.
    """
    value = value.strip()
    told = number(value)
    if told is not None:
        return timedelta(seconds=told) if told < _EPOCH else since_1970(told)
    length = duration(value)
    return rfc3339(value) if length is None else timedelta(seconds=length)
