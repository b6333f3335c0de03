"""The ledger's tables, and what each record does to them.

A usage checkpoint replaces what was seen before, it is never added to it; and a count that was
seen is never overwritten by a 0 or by nothing, dimension by dimension. Whose transaction it is,
and when, does not belong here.
"""

import sqlite3
from typing import Any, Final, assert_never

import msgspec

from gatewayctl.storage.records import Came, Ended, Left, Outcome, Record, Seen, Started
from gatewayctl.storage.sqlite import Migration

DATABASE: Final = "ledger.db"

MIGRATIONS: Final[tuple[Migration, ...]] = (
    (
        """
        CREATE TABLE requests (
            request TEXT PRIMARY KEY,
            instance TEXT NOT NULL,
            at REAL NOT NULL,
            protocol TEXT NOT NULL,
            asked TEXT NOT NULL,
            route TEXT,
            route_kind TEXT NOT NULL,
            stream INTEGER NOT NULL,
            session TEXT,
            client TEXT,
            outcome TEXT,     -- this and the rest: NULL while it runs
            ended REAL,
            attempts INTEGER,
            duration REAL,
            status INTEGER,
            error TEXT,
            model TEXT,
            closed INTEGER    -- in which place of all it ended, from 1
        )
        """,
        "CREATE INDEX requests_at ON requests (at)",
        "CREATE UNIQUE INDEX requests_closed ON requests (closed) WHERE closed > 0",
        "CREATE INDEX requests_open ON requests (instance) WHERE outcome IS NULL",
        """
        CREATE TABLE attempts (
            request TEXT NOT NULL,
            number INTEGER NOT NULL,
            instance TEXT NOT NULL,
            at REAL NOT NULL,
            model TEXT NOT NULL,
            provider TEXT NOT NULL,
            protocol_in TEXT NOT NULL,
            protocol_out TEXT NOT NULL,
            retry INTEGER NOT NULL,
            estimate_low INTEGER NOT NULL,
            estimate_likely INTEGER NOT NULL,
            estimate_high INTEGER NOT NULL,
            estimate_method TEXT NOT NULL,
            output_budget INTEGER NOT NULL,
            outcome TEXT,     -- NULL while it runs
            duration REAL,
            failure TEXT,
            status INTEGER,
            said TEXT,
            retry_after REAL,
            input INTEGER,
            input_cache_read INTEGER,
            input_cache_write_5m INTEGER,
            input_cache_write_1h INTEGER,
            output INTEGER,
            reasoning_output INTEGER,
            image INTEGER,
            audio INTEGER,
            estimated INTEGER NOT NULL DEFAULT 0,
            tier TEXT,
            first_token REAL,
            PRIMARY KEY (request, number)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX attempts_open ON attempts (instance) WHERE outcome IS NULL",
        "CREATE TABLE decisions (request TEXT PRIMARY KEY, at REAL NOT NULL, body BLOB NOT NULL)",
        "CREATE INDEX decisions_at ON decisions (at)",
        # how far each instance's journal is folded: up to this position of this segment
        """
        CREATE TABLE folded (
            instance TEXT PRIMARY KEY, segment INTEGER NOT NULL, position INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE TABLE identity (ledger TEXT NOT NULL)",
        "INSERT INTO identity VALUES (lower(hex(randomblob(8))))",
    ),
)

_CAME: Final = """
    INSERT OR IGNORE INTO requests
        (request, instance, at, protocol, asked, route, route_kind, stream, session, client)
    VALUES (:request, :instance, :at, :protocol, :asked, :route, :route_kind, :stream, :session,
        :client)
"""
_STARTED: Final = """
    INSERT OR IGNORE INTO attempts
        (request, number, instance, at, model, provider, protocol_in, protocol_out, retry,
         estimate_low, estimate_likely, estimate_high, estimate_method, output_budget)
    VALUES (:request, :number, :instance, :at, :model, :provider, :protocol_in, :protocol_out,
         :retry, :estimate_low, :estimate_likely, :estimate_high, :estimate_method, :output_budget)
"""
_METERED: Final = """
    input = coalesce(nullif(:input, 0), input, :input),
    input_cache_read = coalesce(nullif(:input_cache_read, 0), input_cache_read, :input_cache_read),
    input_cache_write_5m =
        coalesce(nullif(:input_cache_write_5m, 0), input_cache_write_5m, :input_cache_write_5m),
    input_cache_write_1h =
        coalesce(nullif(:input_cache_write_1h, 0), input_cache_write_1h, :input_cache_write_1h),
    output = coalesce(nullif(:output, 0), output, :output),
    reasoning_output = coalesce(nullif(:reasoning_output, 0), reasoning_output, :reasoning_output),
    image = coalesce(nullif(:image, 0), image, :image),
    audio = coalesce(nullif(:audio, 0), audio, :audio),
    estimated = coalesce(:estimated, estimated),
    tier = coalesce(:tier, tier),
    first_token = coalesce(:first_token, first_token)
"""
_SEEN: Final = f"UPDATE attempts SET {_METERED} WHERE request = :request AND number = :number"  # noqa: S608 - ours
_ENDED: Final = f"""
    UPDATE attempts SET {_METERED},
        outcome = :outcome, duration = :duration, failure = :failure, status = :status,
        said = :said, retry_after = :retry_after
    WHERE request = :request AND number = :number
"""  # noqa: S608 - ours
_CLOSED: Final = """
    closed = coalesce(
        closed, (SELECT coalesce(max(closed), 0) + 1 FROM requests WHERE closed > 0)
    )
"""
_LEFT: Final = f"""
    UPDATE requests SET
        outcome = :outcome, ended = :at, attempts = :attempts, duration = :duration,
        status = :status, error = :error, model = :model, {_CLOSED}
    WHERE request = :request
"""  # noqa: S608 - ours


def apply(connection: sqlite3.Connection, instance: str, record: Record) -> bool:
    """Write one record of an instance; False when there is no row for it, or one already.

    Raises ``sqlite3.Error``, and OverflowError or ValueError for a value that no column can hold.
    """
    values: dict[str, Any] = msgspec.structs.asdict(record)
    match record:
        case Came():
            values["instance"] = instance
            statement = _CAME
        case Started():
            values["instance"] = instance
            statement = _STARTED
        case Seen():
            _spell_out(values, record)
            statement = _SEEN
        case Ended():
            _spell_out(values, record)
            statement = _ENDED
        case Left():
            statement = _LEFT
        case _:
            assert_never(record)
    return connection.execute(statement, values).rowcount > 0


def _spell_out(values: dict[str, Any], record: Seen | Ended) -> None:
    """Put the usage among the values; ``estimated`` is None where there is nothing it is said of.

    So a mark stays with the counts that it was made with.
    """
    del values["metered"]
    usage = msgspec.structs.asdict(record.metered.usage)
    values.update(usage)
    values["estimated"] = record.metered.estimated if any(usage.values()) else None
    values["tier"] = record.metered.tier


def interrupt(connection: sqlite3.Connection, instance: str) -> None:
    """Close what an instance left open when it died."""
    values = {"outcome": Outcome.INTERRUPTED, "instance": instance}
    connection.execute(
        "UPDATE attempts SET outcome = :outcome WHERE outcome IS NULL AND instance = :instance",
        values,
    )
    left = connection.execute(
        "SELECT request FROM requests WHERE outcome IS NULL AND instance = :instance ORDER BY at",
        values,
    ).fetchall()
    connection.executemany(
        f"UPDATE requests SET outcome = ?, {_CLOSED} WHERE request = ?",  # noqa: S608 - ours
        [(Outcome.INTERRUPTED, request) for (request,) in left],
    )


def open_instances(connection: sqlite3.Connection) -> set[str]:
    """Return the instances that have rows still open, or a journal position."""
    rows = connection.execute(
        "SELECT instance FROM attempts WHERE outcome IS NULL"
        " UNION SELECT instance FROM requests WHERE outcome IS NULL"
        " UNION SELECT instance FROM folded"
    )
    return {instance for (instance,) in rows}


def folded(connection: sqlite3.Connection, instance: str) -> tuple[int, int]:
    """Return the segment and the position up to which an instance's journal is in the tables."""
    row: tuple[int, int] | None = connection.execute(
        "SELECT segment, position FROM folded WHERE instance = ?", (instance,)
    ).fetchone()
    return row or (0, 0)


def set_folded(connection: sqlite3.Connection, instance: str, segment: int, position: int) -> None:
    """Note how far an instance's journal is in the tables, in the transaction that put it there."""
    connection.execute(
        "INSERT OR REPLACE INTO folded VALUES (?, ?, ?)", (instance, segment, position)
    )


def forget_folded(connection: sqlite3.Connection, instance: str) -> None:
    """Forget the journal of an instance whose segments are gone."""
    connection.execute("DELETE FROM folded WHERE instance = ?", (instance,))


def decide(connection: sqlite3.Connection, request: str, at: float, body: bytes) -> None:
    """Keep a decision."""
    connection.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", (request, at, body))


def prune_decisions(connection: sqlite3.Connection, before: float, most: int) -> int:
    """Delete the oldest decisions made before a time, at most so many; return how many."""
    return connection.execute(
        "DELETE FROM decisions WHERE rowid IN"
        " (SELECT rowid FROM decisions WHERE at < ? ORDER BY at LIMIT ?)",
        (before, most),
    ).rowcount
