"""Reads the ledger back: what was asked, what was tried, how it ended. Never writes.

Every function takes the state folder, opens the database read-only and closes it again, beside a
daemon that writes or without one. A ledger that does not exist yet is empty. StorageFailed says
why one cannot be read. What a killed daemon left in its journal is not in the database before
``recovery.recover`` or the next start of a daemon puts it there.
"""

from pathlib import Path

import msgspec

from gatewayctl.storage.records import Metered, Outcome

FOLLOWED = 500
"""How many requests one call of ``newer`` returns at most."""


class LoggedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as ``Started``, ``Seen`` and ``Ended`` told it.

    ``at`` is seconds since 1970 (UTC), ``duration``, ``first_token`` and ``retry_after`` seconds.
    ``outcome`` and ``duration`` are None while it runs; an interrupted one has no duration.
    """

    number: int
    at: float
    model: str
    provider: str
    protocol_in: str
    protocol_out: str
    retry: bool
    estimate_low: int
    estimate_likely: int
    estimate_high: int
    estimate_method: str
    output_budget: int
    outcome: Outcome | None = None
    duration: float | None = None
    failure: str | None = None
    status: int | None = None
    said: str | None = None
    retry_after: float | None = None
    metered: Metered = Metered()
    first_token: float | None = None


class LoggedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as ``Came`` and ``Left`` told it, with its attempts in order.

    ``instance`` names the run of the daemon that served it. ``outcome``, ``ended`` and ``duration``
    are None while it runs; an interrupted one has neither ``ended`` nor ``duration``. ``model`` is
    the one that answered. ``decision`` is JSON, None where it was not kept or is pruned.
    """

    request: str
    instance: str
    at: float
    protocol: str
    asked: str
    route: str | None
    route_kind: str
    stream: bool
    session: str | None = None
    client: str | None = None
    outcome: Outcome | None = None
    ended: float | None = None
    duration: float | None = None
    status: int | None = None
    error: str | None = None
    model: str | None = None
    attempts: tuple[LoggedAttempt, ...] = ()
    decision: msgspec.Raw | None = None


class Ambiguous(msgspec.Struct, frozen=True, kw_only=True):
    """Several requests begin with what was asked for: ``requests`` are ids, newest first, few."""

    requests: tuple[str, ...]


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far one has read the requests that ended. ``ledger`` names the database it is of."""

    ledger: str = ""
    closed: int = 0


def requests(
    folder: Path, *, limit: int, failed: bool = False, since: float | None = None
) -> tuple[LoggedRequest, ...]:
    """Return the requests that came last, newest first, those under way among them.

    ``failed``: only what ended without an answer. ``since``: only what came at that time or later.
    """
    raise NotImplementedError


def request(folder: Path, given: str) -> LoggedRequest | Ambiguous | None:
    """Return the request whose id is ``given``, or the only one whose id begins with it."""
    raise NotImplementedError


def latest(folder: Path) -> Cursor:
    """Return the cursor behind everything that has ended so far."""
    raise NotImplementedError


def newer(
    folder: Path, cursor: Cursor, *, failed: bool = False
) -> tuple[tuple[LoggedRequest, ...], Cursor]:
    """Return what ended after the cursor, in the order it did, and the cursor behind it.

    Each request is returned once, at its end, whichever daemon served it. At most ``FOLLOWED`` are;
    the next call returns the rest.
    """
    raise NotImplementedError
