"""How fresh each source is, by its last attempt's outcome and age, and when it is due again.

Pure; used by whoever shows it and by whoever refreshes.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from gatewayctl.config.settings import SourceSettings
from gatewayctl.core.periods import iso
from gatewayctl.registry.cache import Attempt, Outcome
from gatewayctl.registry.table import Table

_SKEW = 300
"""Seconds by which clocks of machines that share a folder may differ."""

_BACKOFF = 60.0
"""Seconds after a first failure; doubled with each one more."""

_MOST_DOUBLED = 20


class Freshness(StrEnum):
    """The state of one source."""

    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    NEVER = "never"
    NO_KEY = "no_key"
    """It is not asked, for want of a key."""
    PERSONAL = "personal"
    """It is not asked: a login, or a client's own credential, serves clients' requests alone."""
    OFF = "off"


UNASKED = frozenset({Freshness.NO_KEY, Freshness.PERSONAL, Freshness.OFF})


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One source as it is shown.

    ``fetched_at`` is its last success, ``attempted_at`` its last attempt (ISO 8601 UTC), both None
    while only the packaged table speaks for it; ``models`` counts those of the table in use.
    ``provider`` is whose own listing it is, None for a public table; ``next_at`` is when it is due
    to be asked by a daemon, None where none asks it.
    """

    name: str
    status: Freshness
    fetched_at: str | None
    attempted_at: str | None
    models: int
    error: str | None
    provider: str | None = None
    next_at: str | None = None


def due_at(source: SourceSettings, attempt: Attempt | None, now: float) -> float:
    """Return when a source is to be asked, in seconds since 1970, by what is on record.

    0 is at once: nothing is on record, or nothing that holds.
    """
    if attempt is None or (source.provider is not None and attempt.url != source.place):
        return 0.0
    tried = datetime.fromisoformat(attempt.attempted_at).timestamp()
    if tried > now + _SKEW:  # the clock was put back
        return 0.0
    if attempt.outcome is Outcome.FETCHED:
        return tried + source.ttl
    return tried + backoff(attempt.failures, source.ttl)


def backoff(failures: int, ttl: float) -> float:
    """Return the seconds until a source is asked again that has failed so many times in a row."""
    doubled = min(max(failures - 1, 0), _MOST_DOUBLED)
    return min(ttl, _BACKOFF * 2.0**doubled)


def age(since: str, now: datetime) -> float:
    """Return seconds since an ISO 8601 time, 0 when it lies ahead."""
    return max(0.0, (now - datetime.fromisoformat(since)).total_seconds())


def statuses(
    sources: Mapping[str, SourceSettings],
    attempts: Mapping[str, Attempt],
    table: Table,
    now: datetime,
    unasked: Mapping[str, Freshness] = MappingProxyType({}),
    *,
    background: bool = True,
) -> tuple[SourceStatus, ...]:
    """Return the status of every source; ``now`` is aware.

    ``unasked`` says of sources that are not asked why that is; ``background``: a daemon asks the
    others when they are due.
    """
    counts = {
        source.name: source.models
        for source in table.sources
        if source.provider is None or _is_of(source.url, sources.get(source.name))
    }
    told = _Told(table.lost, unasked, now, background)
    return tuple(
        _status(name, settings, _attempt(attempts, name, settings), counts.get(name, 0), told)
        for name, settings in sources.items()
    )


LOST = "what was fetched cannot be read any more"


class _Told(NamedTuple):
    """What a status depends on besides the source itself."""

    lost: Collection[str]
    unasked: Mapping[str, Freshness]
    now: datetime
    background: bool


def _is_of(url: str, settings: SourceSettings | None) -> bool:
    return settings is not None and settings.place == url


def _attempt(
    attempts: Mapping[str, Attempt], name: str, settings: SourceSettings
) -> Attempt | None:
    """Return a source's last attempt; one at another server of the same name is none."""
    attempt = attempts.get(name)
    if attempt is None or settings.provider is None or attempt.url == settings.place:
        return attempt
    return None


def _status(
    name: str, settings: SourceSettings, attempt: Attempt | None, models: int, told: _Told
) -> SourceStatus:
    lost = name in told.lost
    if not settings.url:
        status = Freshness.OFF
    elif name in told.unasked:
        status = told.unasked[name]
    elif lost:  # nothing that was fetched is in use
        status = Freshness.FAILED
    else:
        status = _freshness(attempt, settings.ttl, told.now)
    shown = attempt if settings.url else None
    asked = status not in UNASKED
    return SourceStatus(
        name=name,
        status=status,
        fetched_at=shown.fetched_at if shown and not lost else None,
        attempted_at=shown.attempted_at if shown else None,
        models=models if settings.url else 0,
        error=LOST if lost and settings.url else shown.error if shown else None,
        provider=settings.provider,
        next_at=_next_at(settings, attempt, told.now) if told.background and asked else None,
    )


def _next_at(settings: SourceSettings, attempt: Attempt | None, now: datetime) -> str:
    at = now.timestamp()
    return iso(max(at, due_at(settings, attempt, at)))


def _freshness(attempt: Attempt | None, ttl: float, now: datetime) -> Freshness:
    if attempt is None:
        return Freshness.NEVER
    if attempt.outcome is Outcome.FAILED:
        return Freshness.FAILED
    if attempt.outcome is Outcome.QUARANTINED:
        return Freshness.QUARANTINED
    if attempt.fetched_at is None:
        return Freshness.STALE
    seconds = (now - datetime.fromisoformat(attempt.fetched_at)).total_seconds()
    # a time ahead of the clock says nothing about how old the table is
    return Freshness.FRESH if -_SKEW <= seconds <= ttl else Freshness.STALE
