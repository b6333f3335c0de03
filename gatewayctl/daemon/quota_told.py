"""What is known of quotas, as JSON: what ``/api/quota`` answers and ``gatewayctl quota`` shows.

Field names are a contract (``schema_version`` 1, docs/quotas.md). Times are ISO 8601 UTC; what is
not known is null.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import msgspec

from gatewayctl.core.quota import Figure, Snapshot, dated, spent

SCHEMA_VERSION: Final = 1

Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class WindowTold(msgspec.Struct, frozen=True, kw_only=True):
    """One window: ``used`` is a part of 1, told or worked out; ``at`` and ``source`` its origin."""

    name: str
    unit: str | None
    limit: Figure | None
    remaining: Figure | None
    utilization: float | None
    used: float | None
    resets_at: Time | None
    status: str | None
    source: str
    at: Time


class CredentialTold(msgspec.Struct, frozen=True, kw_only=True):
    """One credential; ``spent_until`` is None where requests may use it."""

    credential: str
    provider: str
    spent_until: Time | None
    status: str | None
    status_at: Time | None
    resets_at: Time | None
    fallback: str | None
    representative: str | None
    overage: str | None
    overage_reason: str | None
    status_source: str | None = None
    windows: tuple[WindowTold, ...] = ()


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a provider: ``url`` was asked, ``error`` says why there is no answer."""

    credential: str
    url: str
    error: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known; ``probes`` are the questions that were asked for this answer."""

    schema_version: int = SCHEMA_VERSION
    credentials: tuple[CredentialTold, ...] = ()
    probes: tuple[Probed, ...] = ()
    degraded: str | None = None


def as_document(
    snapshots: Mapping[str, Snapshot],
    now: float,
    *,
    probes: tuple[Probed, ...] = (),
    degraded: str | None = None,
) -> Document:
    """Return what is known of credentials by label, in the order of their labels."""
    told = tuple(_credential(label, snapshots[label], now) for label in sorted(snapshots))
    return Document(credentials=told, probes=probes, degraded=degraded)


def _moment(seconds: float) -> datetime:
    """Return a time in seconds since 1970, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)


def _credential(label: str, snapshot: Snapshot, now: float) -> CredentialTold:
    status_at = snapshot.at if snapshot.status_at is None else snapshot.status_at
    status_source = snapshot.status_source or snapshot.source
    return CredentialTold(
        credential=label,
        provider=label.partition("/")[0].partition("#")[0],
        spent_until=_maybe(spent(snapshot, now)),
        status=snapshot.status,
        status_at=None if snapshot.status is None else _moment(status_at),
        resets_at=_maybe(snapshot.resets_at),
        fallback=snapshot.fallback,
        representative=snapshot.representative,
        overage=snapshot.overage,
        overage_reason=snapshot.overage_reason,
        status_source=None if snapshot.status is None else status_source.value,
        windows=tuple(_windows(snapshot)),
    )


def _windows(snapshot: Snapshot) -> list[WindowTold]:
    return [
        WindowTold(
            name=window.name,
            unit=window.unit,
            limit=window.limit,
            remaining=window.remaining,
            utilization=window.utilization,
            used=None if window.used is None else round(window.used, 4),
            resets_at=_maybe(window.resets_at),
            status=window.status,
            source=source.value,
            at=_moment(at),
        )
        for window, at, source in sorted(dated(snapshot), key=lambda each: each[0].name)
    ]


def _maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else _moment(seconds)
