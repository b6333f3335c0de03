"""What a credential has left at its provider, as the provider itself says it: immutable snapshots.

Which headers say what is ``upstream.quotas``' business, whom routing skips the planner's. Times are
in seconds since 1970. What is not said is None, and never 0.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec

LONGEST: Final = 35 * 86_400.0
"""Seconds to the latest reset that is believed: no window is longer than a month."""

MOST_WINDOWS: Final = 32
"""Windows that are kept of one credential."""

REJECTED: Final = "rejected"
_ALLOWED: Final = frozenset({"allowed", "allowed_warning"})
_OF_ALL_MODELS: Final = ("five_hour", "seven_day")
"""Windows of a whole plan; what is longer by a word is the window of some models."""

Figure: TypeAlias = int | float

Time: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=253_402_300_800)]
"""Seconds since 1970, up to the year 9999."""


class Source(StrEnum):
    """Where a figure is from: the headers of replies, or a question that was asked for it."""

    HEADERS = "headers"
    PROBE = "probe"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: what it is of (``requests``, ``tokens-minute``, ``5h``, ``credits``).

    ``utilization`` is between 0 and 1, ``resets_at`` when it begins anew; ``status`` is the
    provider's own word. ``unit`` is a currency where it is about money, None for a plain count.
    ``at`` and ``source`` are None where they are those of the snapshot.
    """

    name: str
    limit: Figure | None = None
    remaining: Figure | None = None
    utilization: float | None = None
    resets_at: Time | None = None
    status: str | None = None
    unit: str | None = None
    at: Time | None = None
    source: Source | None = None

    @property
    def used(self) -> float | None:
        """Which part of it is used, between 0 and 1; None where that is not known."""
        if self.utilization is not None:
            return self.utilization
        if self.limit is None or self.remaining is None or self.limit <= 0:
            return None
        return min(1.0, max(0.0, 1 - self.remaining / self.limit))


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one credential ``at`` a time.

    ``status`` (``allowed``, ``allowed_warning``, ``rejected`` …) and what follows it speak of the
    credential as a whole: ``resets_at`` is when that status ends, ``fallback`` is good where it is
    ``available``, ``representative`` names the window that decides, ``overage`` is the status of
    what is paid beyond a plan and ``overage_reason`` why there is none. ``status_at`` is when that
    was said and ``status_source`` how, None for ``at`` and ``source``.
    """

    at: Time
    source: Source = Source.HEADERS
    status: str | None = None
    resets_at: Time | None = None
    fallback: str | None = None
    representative: str | None = None
    overage: str | None = None
    overage_reason: str | None = None
    status_at: Time | None = None
    status_source: Source | None = None
    windows: tuple[Window, ...] = ()


def newer(one: Snapshot | None, other: Snapshot) -> Snapshot:
    """Return what is known after two snapshots, whichever came first: the newest of what they say.

    What the newer one is silent about stays known, with its own age: windows that it does not name,
    until they begin anew, and the status. Each window is taken as a whole, since its figures belong
    together; the same holds for the status and what goes with it.
    """
    if one is None:
        return other
    first, last = (one, other) if one.at <= other.at else (other, one)
    windows = tuple(_newest(first, last))[:MOST_WINDOWS]
    says = _status_at(last) is not None
    if says and (_status_at(last) or 0.0) >= (_status_at(first) or 0.0):
        return msgspec.structs.replace(last, windows=windows)
    # what goes with a status may be said without one: then it is as new as the snapshot is
    beside = first if says else last
    return msgspec.structs.replace(
        last,
        status=first.status,
        resets_at=first.resets_at,
        fallback=beside.fallback or first.fallback,
        representative=beside.representative or first.representative,
        overage=beside.overage or first.overage,
        overage_reason=beside.overage_reason or first.overage_reason,
        status_at=_status_at(first),
        status_source=first.status_source or first.source,
        windows=windows,
    )


def since(snapshot: Snapshot, moment: float) -> Snapshot | None:
    """Return what was said after a moment, None where nothing was."""
    windows = tuple(window for window, at, _ in dated(snapshot) if at > moment)
    if (_status_at(snapshot) or 0.0) > moment:
        return msgspec.structs.replace(snapshot, windows=windows)
    if not windows:
        return None
    return Snapshot(at=snapshot.at, source=snapshot.source, windows=windows)


def spent(snapshot: Snapshot | None, now: float) -> float | None:
    """Return until when a credential is spent, None if it is not, or nothing says until when.

    It is where its status is ``rejected`` and ends in the future. No other rejection counts: not
    that of one window, not that of an overage, and no limit of which nothing remains. A status that
    is rejected for the window of some models says nothing of the others.
    """
    if snapshot is None or snapshot.status != REJECTED or snapshot.resets_at is None:
        return None
    claim = snapshot.representative or ""
    if claim.startswith(tuple(f"{name}_" for name in _OF_ALL_MODELS)):
        return None
    return snapshot.resets_at if now < snapshot.resets_at <= now + LONGEST else None


def is_paid_beyond(snapshot: Snapshot | None) -> bool:
    """Tell whether a provider goes on serving a credential that is spent, for money besides."""
    return snapshot is not None and snapshot.overage in _ALLOWED


def not_after(snapshot: Snapshot, now: float) -> Snapshot:
    """Return a snapshot of which nothing is of the future: what claims to be is taken to be of now.

    A clock that was set back would otherwise keep all that comes from being newer.
    """
    if snapshot.at <= now:  # nothing of it was said later
        return snapshot
    return msgspec.structs.replace(
        snapshot,
        at=now,
        status_at=None if snapshot.status_at is None else min(snapshot.status_at, now),
        windows=tuple(
            each if each.at is None else msgspec.structs.replace(each, at=min(each.at, now))
            for each in snapshot.windows
        ),
    )


def dated(snapshot: Snapshot) -> Iterator[tuple[Window, float, Source]]:
    """Yield each window with when it was said, and by whom."""
    for window in snapshot.windows:
        at = snapshot.at if window.at is None else window.at
        yield window, at, window.source or snapshot.source


def _newest(first: Snapshot, last: Snapshot) -> Iterator[Window]:
    """Yield each window as it was said last; those of ``first`` alone while they still run."""
    earlier = {
        window.name: msgspec.structs.replace(window, at=at, source=source)
        for window, at, source in dated(first)
    }
    for window, at, _ in dated(last):
        other = earlier.pop(window.name, window)
        yield other if other.at is not None and other.at > at else window
    for window in earlier.values():
        over = window.resets_at is not None and window.resets_at <= last.at
        if not over and last.at - (window.at or 0.0) <= LONGEST:
            yield window


def _status_at(snapshot: Snapshot) -> float | None:
    """Return when a snapshot's status was said, None where it has none."""
    if snapshot.status is None and snapshot.resets_at is None:
        return None
    return snapshot.at if snapshot.status_at is None else snapshot.status_at
