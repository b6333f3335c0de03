"""What the headers of a reply say of a credential's quota, in every dialect that is known.

Pure. One grammar reads them all: a prefix names the dialect, one word the figure, the rest the
window. What cannot be a figure is not known, and so is what is said twice and differently. What
becomes of a snapshot is ``core.quota``'s business.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Final, NamedTuple, TypeAlias

from multidict import MultiMapping

from gatewayctl.core.quota import LONGEST, MOST_WINDOWS, Figure, Snapshot, Source, Window
from gatewayctl.upstream.times import http_date, number, reset, since_1970

SKEW: Final = 120.0, 86_400.0
"""Seconds: from and up to which a clock that differs from a reply's ``Date`` is taken to be wrong.

Below it the reply was slow. Beyond it the date is.
"""

_NAME = r"[a-z0-9][a-z0-9_.-]{0,39}"
_UNIFIED = re.compile(
    rf"anthropic-ratelimit-unified-(?:({_NAME})-)?(status|reset|utilization|limit|remaining)"
)
_DIMENSION = re.compile(rf"anthropic-ratelimit-({_NAME})-(limit|remaining|reset)")
_COMMON = re.compile(
    rf"(?:x-(ratelimit|ratelimitbysize|tokenlimit)|(ratelimitbysize))-"
    rf"(limit|remaining|reset)(?:-({_NAME}))?"
)
_OF_ALL: Final = {
    "anthropic-ratelimit-unified-status": "status",
    "anthropic-ratelimit-unified-reset": "resets_at",
    "anthropic-ratelimit-unified-fallback": "fallback",
    "anthropic-ratelimit-unified-representative-claim": "representative",
    "anthropic-ratelimit-unified-overage-disabled-reason": "overage_reason",
}
"""What is said of the credential as a whole."""

_FIELDS: Final = {"reset": "resets_at"}
_BY_SIZE: Final = {"ratelimitbysize": "tokens", "tokenlimit": "tokens"}
"""Mistral's and Together's names for limits of tokens; all others are of requests."""

_OVERAGE: Final = "overage"
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FRACTION = re.compile(r"[0-9](?:\.[0-9]{1,20})?(?:e-[0-9]{1,2})?")
_TOO_MUCH: Final = 2.0  # a utilization from here on is a percentage, or nothing

_Value: TypeAlias = Figure | str | None


class _Place(NamedTuple):
    """Where a figure belongs: the window, empty for the credential as a whole; and the field."""

    window: str
    field: str
    unified: bool = False


def read(headers: MultiMapping[str], at: float) -> Snapshot | None:
    """Return what a reply's headers say, None where they say nothing of a quota.

    ``at`` is when the reply came, in seconds since 1970. Times of day are corrected by the reply's
    own ``Date`` where that shows this machine's clock to be wrong by more than ``SKEW``.
    """
    found = [(place, value) for name, value in headers.items() if (place := _place(name))]
    return _snapshot(found, at, _skew(headers, at)) if found else None


def _snapshot(found: Iterable[tuple[_Place, str]], at: float, skew: float) -> Snapshot | None:
    """Return the figures sorted into windows."""
    said: dict[tuple[str, str], tuple[str, _Value]] = {}
    for place, text in found:
        key = (place.window, place.field)
        before = said.get(key)
        if before is None:
            said[key] = (text, _value(place, text, at, skew))
        elif before[0] != text:
            said[key] = (before[0], None)
    whole: dict[str, _Value] = {}
    windows: dict[str, dict[str, _Value]] = {}
    for (window, field), (_, value) in said.items():
        if value is not None:
            (windows.setdefault(window, {}) if window else whole)[field] = value
    if not windows and not whole:
        return None
    if _OVERAGE in windows:
        whole[_OVERAGE] = windows[_OVERAGE].get("status")
    kept = tuple(
        Window(name=name, **fields)  # type: ignore[arg-type] # _value gives each field its type
        for name, fields in list(windows.items())[:MOST_WINDOWS]
    )
    return Snapshot(at=at, source=Source.HEADERS, windows=kept, **whole)  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def _place(name: str) -> _Place | None:
    """Return what a header is about; names recur with every reply."""
    name = name.lower()
    if "limit" not in name:
        return None
    if (field := _OF_ALL.get(name)) is not None:
        return _Place("", field, unified=True)
    if name.startswith("anthropic-"):
        return _anthropic(name)
    if (found := _COMMON.fullmatch(name)) is None:
        return None
    prefix, field, dimension = found[1] or found[2], found[3], found[4] or ""
    if dimension == "req" or dimension.startswith("req-"):  # Mistral's
        dimension = f"requests{dimension[3:]}"
    if (unit := _BY_SIZE.get(prefix)) is not None:
        dimension = f"{unit}-{dimension}" if dimension else unit
    return _Place(dimension or "requests", _FIELDS.get(field, field))


def _anthropic(name: str) -> _Place | None:
    if (found := _UNIFIED.fullmatch(name)) is not None:
        field = found[2]
        return _Place(found[1], _FIELDS.get(field, field), unified=True) if found[1] else None
    if (found := _DIMENSION.fullmatch(name)) is None:
        return None
    return _Place(found[1], _FIELDS.get(found[2], found[2]))


def _value(place: _Place, text: str, at: float, skew: float) -> _Value:
    """Return what a header's text says, None where it says nothing that can be."""
    text = text.strip()
    match place.field:
        case "resets_at":
            return _time(text, at, skew, unified=place.unified)
        case "limit" | "remaining":
            return _figure(text)
        case "utilization":
            return _utilization(text)
        case _:
            word = text.lower()
            return word if _WORD.fullmatch(word) else None


def _figure(text: str) -> Figure | None:
    value = number(text)
    return int(value) if value is not None and value.is_integer() else value


def _utilization(text: str) -> float | None:
    """Return a part of 1; what is a little more than the whole is the whole."""
    if _FRACTION.fullmatch(text.lower()) is None:
        return None
    value = float(text)
    return min(value, 1.0) if value < _TOO_MUCH else None


def _time(text: str, at: float, skew: float, *, unified: bool) -> float | None:
    """Return a time as seconds since 1970, None for one that no reset has."""
    if unified:
        told = number(text)
        when: timedelta | datetime | None = None if told is None else since_1970(told)
    else:
        when = reset(text)
    match when:
        case timedelta() as length:
            seconds = at + length.total_seconds()
        case datetime(tzinfo=zone) if zone is not None:
            seconds = _seconds(when) + skew
        case _:
            return None
    return seconds if isfinite(seconds) and abs(seconds - at) <= LONGEST else None


def _skew(headers: MultiMapping[str], at: float) -> float:
    """Return by how many seconds this machine's clock is ahead of the upstream's, 0.0 if little."""
    date = http_date(headers.get("Date", ""))
    if date is None:
        return 0.0
    ahead = at - _seconds(date if date.tzinfo is not None else date.replace(tzinfo=UTC))
    least, most = SKEW
    return ahead if least < abs(ahead) <= most else 0.0


def _seconds(when: datetime) -> float:
    try:
        return when.timestamp()
    except (OverflowError, ValueError, OSError):
        return float("inf")
