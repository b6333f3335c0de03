"""The ledger's tables, and what is done to them besides writing records.

How records get into them is ``folding``'s business; whose transaction it is, and when, does not
belong here either.
"""

import sqlite3
from typing import Final

from gatewayctl.storage.records import Outcome
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
    ("ALTER TABLE attempts ADD COLUMN truncated INTEGER",),  # NULL before its end, and in old ones
    (
        "ALTER TABLE attempts ADD COLUMN cost INTEGER",  # pico-dollars; NULL where it is unknown
        "ALTER TABLE attempts ADD COLUMN rates TEXT",  # JSON: USD per million tokens, by dimension
        "ALTER TABLE attempts ADD COLUMN credential TEXT",
        # of its request, so that usage is added up without looking each one's request up
        "ALTER TABLE attempts ADD COLUMN came REAL",
        "ALTER TABLE attempts ADD COLUMN route TEXT",
        "ALTER TABLE attempts ADD COLUMN session TEXT",
        "ALTER TABLE attempts ADD COLUMN client TEXT",
        """
        UPDATE attempts
        SET came = one.at, route = one.route, session = one.session, client = one.client
        FROM requests AS one WHERE one.request = attempts.request
        """,
        "UPDATE attempts SET came = at WHERE came IS NULL",
        "CREATE INDEX attempts_client ON attempts (client, came, cost) WHERE client IS NOT NULL",
    ),
    (
        "ALTER TABLE attempts ADD COLUMN output_image INTEGER",  # parts of the output, as reasoning
        "ALTER TABLE attempts ADD COLUMN output_audio INTEGER",
    ),
    (
        # all that usage is added up from, in the order of time: a day of it is read in a moment
        """
        CREATE INDEX attempts_usage ON attempts (
            came, number, model, tier, outcome, estimated, cost,
            input, input_cache_read, input_cache_write_5m, input_cache_write_1h, output,
            reasoning_output, output_image, output_audio, image, audio,
            route, client, session
        )
        """,
    ),
    (
        # a budget counts an attempt when it began
        "DROP INDEX attempts_client",
        "CREATE INDEX attempts_client ON attempts (client, at, cost) WHERE client IS NOT NULL",
    ),
)

LAST_CLOSED: Final = "SELECT coalesce(max(closed), 0) FROM requests WHERE closed > 0"
"""The place in which the last request ended."""


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
        "UPDATE requests SET outcome = ?,"  # noqa: S608 - ours
        f" closed = coalesce(closed, ({LAST_CLOSED}) + 1) WHERE request = ?",
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


def prune_decisions(connection: sqlite3.Connection, before: float, newest: int, most: int) -> int:
    """Delete the oldest decisions, those made before a time and all but the newest so many.

    At most ``most`` are deleted of each; returns how many were.
    """
    return connection.execute(
        "DELETE FROM decisions WHERE rowid IN"
        " (SELECT rowid FROM decisions WHERE at < ?1 ORDER BY at LIMIT ?3) OR rowid IN"
        " (SELECT rowid FROM decisions WHERE rowid <= (SELECT max(rowid) FROM decisions) - ?2"
        " ORDER BY rowid LIMIT ?3)",
        (before, newest, most),
    ).rowcount
