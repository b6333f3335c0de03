"""How fresh each source is: its last attempt's outcome and, if that succeeded, its age.

Pure; used by whoever shows it. When to refresh is not decided here.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from gatewayctl.config.settings import SourceSettings
from gatewayctl.registry.cache import Attempt, Outcome
from gatewayctl.registry.table import Table

_SKEW = 300
"""Seconds by which clocks of machines that share a folder may differ."""


class Freshness(StrEnum):
    """The state of one source."""

    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    NEVER = "never"
    NO_KEY = "no_key"
    """It is not asked, for want of a credential that may be used for it."""
    OFF = "off"


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One source as it is shown.

    ``fetched_at`` is its last success, ``attempted_at`` its last attempt (ISO 8601 UTC), both None
    while only the packaged table speaks for it; ``models`` counts those of the table in use.
    ``provider`` is whose own listing it is, None for a public table.
    """

    name: str
    status: Freshness
    fetched_at: str | None
    attempted_at: str | None
    models: int
    error: str | None
    provider: str | None = None


def age(since: str, now: datetime) -> float:
    """Return seconds since an ISO 8601 time, 0 when it lies ahead."""
    return max(0.0, (now - datetime.fromisoformat(since)).total_seconds())


def statuses(
    sources: Mapping[str, SourceSettings],
    attempts: Mapping[str, Attempt],
    table: Table,
    now: datetime,
    no_key: Collection[str] = (),
) -> tuple[SourceStatus, ...]:
    """Return the status of every source; ``now`` is aware.

    ``no_key`` names the sources that are not asked for want of a credential.
    """
    counts = {
        source.name: source.models
        for source in table.sources
        if source.provider is None or _is_of(source.url, sources.get(source.name))
    }
    told = _Told(table.lost, no_key, now)
    return tuple(
        _status(name, settings, _attempt(attempts, name, settings), counts.get(name, 0), told)
        for name, settings in sources.items()
    )


LOST = "what was fetched cannot be read any more"


class _Told(NamedTuple):
    """What a status depends on besides the source itself."""

    lost: Collection[str]
    no_key: Collection[str]
    now: datetime


def _is_of(url: str, settings: SourceSettings | None) -> bool:
    return settings is not None and settings.url == url


def _attempt(
    attempts: Mapping[str, Attempt], name: str, settings: SourceSettings
) -> Attempt | None:
    """Return a source's last attempt; one at another server of the same name is none."""
    attempt = attempts.get(name)
    if attempt is None or settings.provider is None or attempt.url == settings.url:
        return attempt
    return None


def _status(
    name: str, settings: SourceSettings, attempt: Attempt | None, models: int, told: _Told
) -> SourceStatus:
    lost = name in told.lost
    if not settings.url:
        status = Freshness.OFF
    elif name in told.no_key:
        status = Freshness.NO_KEY
    elif lost:  # nothing that was fetched is in use
        status = Freshness.FAILED
    else:
        status = _freshness(attempt, settings.ttl, told.now)
    shown = attempt if settings.url else None
    return SourceStatus(
        name=name,
        status=status,
        fetched_at=shown.fetched_at if shown and not lost else None,
        attempted_at=shown.attempted_at if shown else None,
        models=models if settings.url else 0,
        error=LOST if lost and settings.url else shown.error if shown else None,
        provider=settings.provider,
    )


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
