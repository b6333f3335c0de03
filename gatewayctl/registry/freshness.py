"""How fresh each source is: its last attempt's outcome and, if that succeeded, its age.

Pure; used by whoever shows it. When to refresh is not decided here.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

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


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One source as it is shown.

    ``fetched_at`` is its last success, ``attempted_at`` its last attempt (ISO 8601 UTC), both None
    while only the packaged table speaks for it; ``models`` counts those of the table in use.
    """

    name: str
    status: Freshness
    fetched_at: str | None
    attempted_at: str | None
    models: int
    error: str | None


def age(since: str, now: datetime) -> float:
    """Return seconds since an ISO 8601 time, 0 when it lies ahead."""
    return max(0.0, (now - datetime.fromisoformat(since)).total_seconds())


def statuses(
    sources: Mapping[str, SourceSettings],
    attempts: Mapping[str, Attempt],
    table: Table,
    now: datetime,
) -> tuple[SourceStatus, ...]:
    """Return the status of every source that is not turned off; ``now`` is aware."""
    counts = {source.name: source.models for source in table.sources}
    return tuple(
        _status(name, attempts.get(name), counts.get(name, 0), settings.ttl, now)
        if name not in table.lost
        else _lost(name, attempts.get(name), counts.get(name, 0))
        for name, settings in sources.items()
        if settings.url
    )


LOST = "what was fetched cannot be read any more"


def _lost(name: str, attempt: Attempt | None, models: int) -> SourceStatus:
    """Return the status of a source whose files are damaged: nothing fetched is in use."""
    return SourceStatus(
        name=name,
        status=Freshness.FAILED,
        fetched_at=None,
        attempted_at=attempt.attempted_at if attempt else None,
        models=models,
        error=LOST,
    )


def _status(
    name: str, attempt: Attempt | None, models: int, ttl: float, now: datetime
) -> SourceStatus:
    return SourceStatus(
        name=name,
        status=_freshness(attempt, ttl, now),
        fetched_at=attempt.fetched_at if attempt else None,
        attempted_at=attempt.attempted_at if attempt else None,
        models=models,
        error=attempt.error if attempt else None,
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
