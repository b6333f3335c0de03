"""Reads the ledger back: what was asked, what was tried, how it ended. Never writes.

Every function takes the state folder, opens the database read-only and closes it again, beside a
daemon that writes or without one. A ledger that does not exist yet is empty. StorageFailed says
why one cannot be read. What a killed daemon left in its journal is not in the database before
``recovery.recover`` or the next start of a daemon puts it there.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files, journal, sqlite, tables
from gatewayctl.storage.records import Metered, Outcome

FOLLOWED = 500
"""How many requests one call of ``newer`` returns at most."""
_NAMED: Final = 10
_FAILED: Final = "outcome IS NOT NULL AND outcome <> 'answered'"
_CLIENT: Final = "coalesce(?, client) IS client"
"""Whose requests: those of a client's key, or of all."""


class LoggedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as ``Started``, ``Seen`` and ``Ended`` told it.

    ``at`` is seconds since 1970 (UTC), ``duration``, ``first_token`` and ``retry_after`` seconds.
    ``outcome`` and ``duration`` are None while it runs; an interrupted one has no duration.
    ``truncated`` is None where that is not known: before the end, and in what was recorded before
    anybody looked for it.
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
    credential: str | None = None
    outcome: Outcome | None = None
    duration: float | None = None
    failure: str | None = None
    status: int | None = None
    said: str | None = None
    retry_after: float | None = None
    metered: Metered = Metered()
    first_token: float | None = None
    truncated: bool | None = None


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
    folder: Path,
    *,
    limit: int,
    failed: bool = False,
    client: str | None = None,
    since: float | None = None,
) -> tuple[LoggedRequest, ...]:
    """Return the requests that came last, newest first, those under way among them.

    ``failed``: only what ended without an answer. ``client``: only what came with the key of this
    name. ``since``: only what came at that time or later.
    """
    condition = _FAILED if failed else "TRUE"
    query = f"{condition} AND {_CLIENT} AND at >= ? ORDER BY at DESC, request DESC LIMIT ?"
    with opened(folder) as connection:
        return _load(connection, query, (client, 0.0 if since is None else since, limit))


def request(folder: Path, given: str) -> LoggedRequest | Ambiguous | None:
    """Return the request whose id is ``given``, or the only one whose id begins with it."""
    with opened(folder) as connection:
        if found := _load(connection, "request = ?", (given,)):
            return found[0]
        query = "request >= ? AND request < ? ORDER BY at DESC LIMIT ?"
        found = _load(connection, query, (given, f"{given}\U0010ffff", _NAMED))
    if len(found) > 1:
        return Ambiguous(requests=tuple(each.request for each in found))
    return found[0] if found else None


def latest(folder: Path) -> Cursor:
    """Return the cursor behind everything that has ended so far."""
    with opened(folder) as connection:
        return end(connection)


def newer(
    folder: Path, cursor: Cursor, *, failed: bool = False, client: str | None = None
) -> tuple[tuple[LoggedRequest, ...], Cursor]:
    """Return what ended after the cursor, in the order it did, and the cursor behind it.

    Each request is returned once, at its end, whichever daemon served it. At most ``FOLLOWED`` are;
    the next call returns the rest. Of another ledger than the cursor's, everything is newer.
    """
    with opened(folder) as connection:
        last = end(connection)
        start = cursor.closed if cursor.ledger == last.ledger else 0
        condition = f"{_FAILED if failed else 'TRUE'} AND {_CLIENT} AND closed > 0"
        query = f"{condition} AND closed > ? AND closed <= ? ORDER BY closed LIMIT ?"
        found = _load(connection, query, (client, start, last.closed, FOLLOWED))
        if len(found) == FOLLOWED:
            row = connection.execute(
                "SELECT closed FROM requests WHERE request = ?", (found[-1].request,)
            ).fetchone()
            last = msgspec.structs.replace(last, closed=row[0])
    return found, last


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the ledger for one reading, all of it as of one moment; an empty one if none is there.

    Every error of SQLite and of the system becomes StorageFailed.
    """
    path = folder / tables.DATABASE
    try:
        connection = sqlite.open_reading(path, len(tables.MIGRATIONS))
        if connection is None:
            journal.instances(folder)  # what cannot be looked into is not known to be empty
            connection = sqlite3.connect(":memory:", isolation_level=None)
            for statement in itertools.chain.from_iterable(tables.MIGRATIONS):
                connection.execute(statement)
            connection.execute("UPDATE identity SET ledger = ''")
        with contextlib.closing(connection):
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise StorageFailed(f"cannot read {path}: {files.reason(error)}") from error


def end(connection: sqlite3.Connection) -> Cursor:
    """Return the cursor behind everything that has ended, in a reading under way."""
    row = connection.execute(
        "SELECT (SELECT ledger FROM identity),"
        " (SELECT coalesce(max(closed), 0) FROM requests WHERE closed > 0)"
    ).fetchone()
    return Cursor(ledger=row[0], closed=row[1])


def _load(
    connection: sqlite3.Connection, condition: str, values: tuple[float | str | None, ...]
) -> tuple[LoggedRequest, ...]:
    """Return the requests that a condition of ours selects, with attempts and decision."""
    rows = connection.execute(f"SELECT * FROM requests WHERE {condition}", values)  # noqa: S608
    return tuple(_logged(connection, row) for row in rows.fetchall())


def _logged(connection: sqlite3.Connection, row: sqlite3.Row) -> LoggedRequest:
    request = (row["request"],)
    attempts = connection.execute(
        "SELECT * FROM attempts WHERE request = ? ORDER BY number", request
    )
    decision = connection.execute(
        "SELECT body FROM decisions WHERE request = ?", request
    ).fetchone()
    values = dict(row) | {
        "attempts": [_attempt(dict(attempt)) for attempt in attempts],
        "decision": None,
    }
    logged = msgspec.convert(values, LoggedRequest, strict=False)
    if decision is None:
        return logged
    return msgspec.structs.replace(logged, decision=msgspec.Raw(decision["body"]))


def _attempt(row: dict[str, Any]) -> dict[str, Any]:
    rates = row.get("rates")  # as all of cost absent in a database of an older schema
    metered = {name: row.get(name) for name in ("estimated", "tier", "cost")}
    metered |= {"usage": row, "rates": None if rates is None else msgspec.json.decode(rates)}
    return row | {"metered": metered}
