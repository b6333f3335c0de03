"""How long an upstream asks to wait: from the headers of its reply, and from what its error says.

Pure, and without a clock: times of day are taken relative to the reply's own ``Date``. What
follows from a wait is the attempt loop's and the breakers' business; how times are written,
``times``'.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from multidict import CIMultiDict, MultiMapping

from gatewayctl.core.errors import FailureKind
from gatewayctl.protocols.told import Told
from gatewayctl.upstream.times import http_date, number, reset

LONGEST_WAIT = 86_400.0
"""Seconds; a longer wait is taken for a day."""

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
            return _seconds(value) is not None or http_date(value) is not None
        case "retry-after-ms":
            return number(value) is not None
        case _:
            return True


def _with_date(inner: Mapping[str, str], outer: MultiMapping[str]) -> CIMultiDict[str]:
    headers = CIMultiDict(inner)
    if "date" in outer:
        headers["date"] = outer["date"]
    return headers


def _retry_after(headers: MultiMapping[str]) -> float | None:
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _seconds(value)
    return _since(headers, http_date(value)) if seconds is None else seconds


def _seconds(value: str) -> float | None:
    return number(value.strip().removesuffix("s"))


def _resets(headers: MultiMapping[str]) -> Iterator[float]:
    """Yield for each limit of which nothing remains the seconds until some does."""
    if headers.get("anthropic-ratelimit-unified-status", "").strip().lower() == "rejected":
        wait = _until(headers, headers.get("anthropic-ratelimit-unified-reset"))
        if wait is not None:
            yield wait
    for name, value in headers.items():
        found = _REMAINING.fullmatch(name)
        if found is None or number(value) != 0:
            continue
        wait = _until(headers, headers.get(f"{found[1]}-reset{found[2] or ''}"))
        if wait is not None:
            yield wait


def _until(headers: MultiMapping[str], value: str | None) -> float | None:
    """Return the seconds to a reset: a number, a duration such as ``6m0s``, or a time of day."""
    if value is None:
        return None
    match reset(value):
        case timedelta() as length:
            return length.total_seconds()
        case time:
            return _since(headers, time)


def _since(headers: MultiMapping[str], time: datetime | None) -> float | None:
    start = http_date(headers.get("date", ""))
    if time is None or start is None:
        return None
    try:
        return (time - start).total_seconds()
    except (TypeError, OverflowError):  # one of them names no time zone
        return None
