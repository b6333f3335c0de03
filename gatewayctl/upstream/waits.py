"""How long an upstream asks to wait: from the headers of its reply, and from what its error says.

Pure, and without a clock: times of day are taken relative to the reply's own ``Date``. What
follows from a wait is the attempt loop's and the breakers' business.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from multidict import CIMultiDict, MultiMapping

from gatewayctl.core.errors import FailureKind
from gatewayctl.protocols.told import Told

LONGEST_WAIT = 86_400.0
"""Seconds; a longer wait is taken for a day."""

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)ms)?"
)
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_EPOCH = 10**9  # seconds; a larger number is a time of day …
_EPOCH_MS = 10**11  # … and one this large a time of day in milliseconds

_LONGEST_DATE = 100  # characters

_LIMITED = frozenset({FailureKind.RATE_LIMITED, FailureKind.QUOTA_EXHAUSTED})
_REMAINING = re.compile(r"(?i)(anthropic-ratelimit-.+|x-ratelimit)-remaining(-.+)?")


def wait_of(kind: FailureKind, headers: MultiMapping[str], told: Told) -> float | None:
    """Return the seconds to wait, None where nothing is said of it that can be relied on.

    ``retry-after`` counts in all its forms, then what the error says, then, where a limit was hit,
    the latest reset among the limits of which nothing remains.
    """
    given = _retry_after(headers)
    if given is None:
        given = told.wait
    if given is None and told.headers:
        given = _retry_after(_with_date(told.headers, headers))
    if given is None and kind in _LIMITED:
        resets = [*_resets(headers), *_resets(_with_date(told.headers, headers))]
        given = max(resets, default=None)
    return None if given is None else min(max(given, 0.0), LONGEST_WAIT)


def is_readable(name: str, value: str) -> bool:
    """Tell whether a header is free to travel: one that asks for a wait has to say how long.

    A client that reads ``-5``, ``nan`` or words would wait for as long as its language makes of
    them. ``name`` is in lower case.
    """
    match name:
        case "retry-after":
            return _seconds(value) is not None or _http_date(value) is not None
        case "retry-after-ms":
            return _number(value) is not None
        case _:
            return True


def _with_date(inner: Mapping[str, str], outer: MultiMapping[str]) -> CIMultiDict[str]:
    headers = CIMultiDict(inner)
    if "date" in outer:
        headers["date"] = outer["date"]
    return headers


def _retry_after(headers: MultiMapping[str]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _seconds(value)
    return _since(headers, _http_date(value)) if seconds is None else seconds


def _seconds(value: str) -> float | None:
    return _number(value.strip().removesuffix("s"))


def _resets(headers: MultiMapping[str]) -> Iterator[float]:
    """Yield for each limit of which nothing remains the seconds until some does."""
    if headers.get("anthropic-ratelimit-unified-status", "").strip().lower() == "rejected":
        wait = _until(headers, headers.get("anthropic-ratelimit-unified-reset"))
        if wait is not None:
            yield wait
    for name, value in headers.items():
        found = _REMAINING.fullmatch(name)
        if found is None or _number(value) != 0:
            continue
        wait = _until(headers, headers.get(f"{found[1]}-reset{found[2] or ''}"))
        if wait is not None:
            yield wait


def _until(headers: MultiMapping[str], value: str | None) -> float | None:
    """Return the seconds to a reset: a number, a duration such as ``6m0s``, or a time of day."""
    if value is None:
        return None
    value = value.strip()
    number = _number(value)
    if number is None:
        duration = _duration(value)
        return _since(headers, _rfc3339(value)) if duration is None else duration
    if number < _EPOCH:
        return number
    seconds = number if number < _EPOCH_MS else number / 1000
    try:
        return _since(headers, datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return None


def _since(headers: MultiMapping[str], time: datetime | None) -> float | None:
    start = _http_date(headers.get("date", ""))
    if time is None or start is None:
        return None
    try:
        return (time - start).total_seconds()
    except (TypeError, OverflowError):  # one of them names no time zone
        return None


def _number(value: str | None) -> float | None:
    if value is None or not _NUMBER.fullmatch(value.strip()):
        return None
    return float(value)


def _duration(value: str) -> float | None:
    found = _DURATION.fullmatch(value)
    if found is None or not value:
        return None
    parts = zip(found.groups(), _UNITS, strict=True)
    return sum(float(part) * unit for part, unit in parts if part is not None)


def _http_date(value: str) -> datetime | None:
    if len(value) > _LONGEST_DATE:
        return None
    try:
        return parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _rfc3339(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
