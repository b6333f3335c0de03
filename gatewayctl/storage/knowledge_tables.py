"""The tables of what replies taught, and the statements that read and write them.

Every transaction that writes gets the next revision, and what it writes carries it, so that who
knows everything up to a revision reads only what came after. Whose transaction it is, and when,
is ``knowledge_keeper``'s business; what the values mean ``core.learning``'s, ``core.correction``'s
and ``core.anchors``'.
"""

import secrets
import sqlite3
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from gatewayctl.core.anchors import Anchor
from gatewayctl.core.correction import Observed, Sample
from gatewayctl.core.learning import Cap, Truncation, Truncations
from gatewayctl.storage.sqlite import Migration

DATABASE: Final = "knowledge.db"

MOST_MODELS: Final = 2000
MOST_SAMPLES: Final = 256
"""Of one model."""
MOST_ANCHORS: Final = 10_000
SECRET_BYTES: Final = 32

MIGRATIONS: Final[tuple[Migration, ...]] = (
    (
        "CREATE TABLE meta (secret BLOB NOT NULL, revision INTEGER NOT NULL)",
        # values are JSON; forgotten is the revision at which all of a model was forgotten
        """
        CREATE TABLE models (
            model TEXT PRIMARY KEY,
            revision INTEGER NOT NULL,
            forgotten INTEGER NOT NULL DEFAULT 0,
            cap BLOB,
            truncations BLOB,
            observed BLOB
        ) WITHOUT ROWID
        """,
        "CREATE INDEX models_revision ON models (revision)",
        """
        CREATE TABLE samples (
            id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, body BLOB NOT NULL
        )
        """,
        "CREATE INDEX samples_model ON samples (model, id)",
        """
        CREATE TABLE anchors (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            revision INTEGER NOT NULL,
            model TEXT NOT NULL,
            digest BLOB NOT NULL,
            body BLOB NOT NULL,
            UNIQUE (model, digest)
        )
        """,
        "CREATE INDEX anchors_revision ON anchors (revision)",
    ),
)

T = TypeVar("T")

Key = tuple[str, bytes]
"""A model and the digest of a beginning that was sent to it."""


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model. ``forgotten``: all that was known before is void."""

    model: str
    forgotten: bool = False
    cap: Cap | None = None
    truncations: Truncations | None = None
    observed: Observed | None = None


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since an earlier revision, and the revision that this leads to."""

    revision: int
    models: tuple[Learned, ...] = ()
    anchors: tuple[tuple[Key, Anchor], ...] = ()
    observed: tuple[tuple[str, Observed | None], ...] = ()
    """Corrections that could not be written."""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of a model until it was forgotten; samples and anchors are counted."""

    cap: Cap | None = None
    truncations: Truncations | None = None
    samples: int = 0
    anchors: int = 0


class Batch:
    """What waits to be written, bounded: the newest of each kind."""

    def __init__(self) -> None:
        self.forgotten: set[str] = set()
        self.caps: dict[str, Cap] = {}
        self.truncations: dict[str, Truncations] = {}
        self.observed: dict[str, Observed | None] = {}
        self.samples: deque[tuple[str, Sample]] = deque(maxlen=2 * MOST_ANCHORS)
        self.anchors: dict[Key, Anchor] = {}

    def __bool__(self) -> bool:
        parts = (self.forgotten, self.caps, self.truncations, self.observed)
        return any((*parts, self.samples, self.anchors))

    @property
    def models(self) -> set[str]:
        """The models of which anything is to be written."""
        told = {model for model, _ in (*self.samples, *self.anchors)}
        return told.union(self.forgotten, self.caps, self.truncations, self.observed)

    def forget(self, model: str) -> None:
        """Forget a model, and what waits of it."""
        self.drop(model)
        self.forgotten.add(model)

    def drop(self, model: str) -> None:
        """Leave out what waits of a model."""
        self.caps.pop(model, None)
        self.truncations.pop(model, None)
        self.observed.pop(model, None)
        kept = [each for each in self.samples if each[0] != model]
        self.samples.clear()
        self.samples.extend(kept)
        for key in [key for key in self.anchors if key[0] == model]:
            del self.anchors[key]

    def add(self, model: str, told: Cap | Truncation | Sample | tuple[bytes, Anchor]) -> None:
        """Take what a reply taught of a model."""
        match told:
            case Cap():
                self.caps[model] = told
            case Truncation():
                earlier = self.truncations.get(model)
                self.truncations[model] = counted(earlier, Truncations(count=1, last=told))
            case Sample():
                self.samples.append((model, told))
            case (digest, anchor):
                self.anchors.pop((model, digest), None)
                self.anchors[model, digest] = anchor
                if len(self.anchors) > MOST_ANCHORS:
                    del self.anchors[next(iter(self.anchors))]


def counted(earlier: Truncations | None, later: Truncations) -> Truncations:
    """Return two counts of truncations as one."""
    if earlier is None:
        return later
    return Truncations(count=earlier.count + later.count, last=later.last)


def new_secret() -> bytes:
    """Return a secret that nobody has."""
    return secrets.token_bytes(SECRET_BYTES)


def begin(connection: sqlite3.Connection, own: bytes = b"") -> bytes:
    """Keep a secret where there is none yet, one's own or a new one, and return the one there is.

    In the caller's transaction, as all that writes.
    """
    if (there := secret(connection)) is not None:
        return there
    own = own or new_secret()
    connection.execute("INSERT INTO meta VALUES (?, 1)", (own,))
    return own


def secret(connection: sqlite3.Connection) -> bytes | None:
    """Return the secret, None where none was made."""
    row = connection.execute("SELECT secret FROM meta").fetchone()
    return bytes(row[0]) if row else None


def revision(connection: sqlite3.Connection) -> int:
    """Return the last revision."""
    row = connection.execute("SELECT revision FROM meta").fetchone()
    return int(row[0]) if row else 0


def forgotten_since(connection: sqlite3.Connection, seen: int) -> set[str]:
    """Return the models that were forgotten after a revision."""
    rows = connection.execute("SELECT model FROM models WHERE forgotten > ?", (seen,))
    return {model for (model,) in rows}


def news(connection: sqlite3.Connection, seen: int, own: int | None = None) -> News:
    """Return what came after the revision ``seen``, but for the anchors of the revision ``own``."""
    rows = connection.execute(
        "SELECT model, forgotten > ?1, cap, truncations, observed FROM models WHERE revision > ?1",
        (seen,),
    )
    models = tuple(_learned(*row, first=not seen) for row in rows)
    found = connection.execute(
        "SELECT model, digest, body FROM anchors WHERE revision > ? AND revision IS NOT ?"
        " ORDER BY id",
        (seen, own),
    )
    anchors = ((model, bytes(digest), _read(body, Anchor)) for model, digest, body in found)
    return News(
        revision=revision(connection),
        models=models,
        anchors=tuple(
            ((model, digest), anchor) for model, digest, anchor in anchors if anchor is not None
        ),
    )


def _learned(model: str, forgotten: int, *values: bytes | None, first: bool) -> Learned:
    cap, truncations, observed = values
    return Learned(
        model=model,
        forgotten=bool(forgotten) and not first,
        cap=_read(cap, Cap),
        truncations=_read(truncations, Truncations),
        observed=_read(observed, Observed),
    )


def samples(connection: sqlite3.Connection, model: str) -> list[Sample]:
    """Return the samples of a model, the oldest first."""
    rows = connection.execute(
        "SELECT body FROM samples WHERE model = ? ORDER BY id DESC LIMIT ?", (model, MOST_SAMPLES)
    ).fetchall()
    found = (_read(body, Sample) for (body,) in reversed(rows))
    return [sample for sample in found if sample is not None]


def write(connection: sqlite3.Connection, batch: Batch) -> int:
    """Write a batch, and delete what is too much by then; return the batch's revision."""
    own = _next(connection)
    for model in batch.forgotten:
        _forget(connection, model, own)
    for model in batch.models:
        connection.execute(
            "INSERT INTO models (model, revision) VALUES (?1, ?2)"
            " ON CONFLICT (model) DO UPDATE SET revision = ?2",
            (model, own),
        )
    _set(connection, "cap", batch.caps.items())
    _set(connection, "observed", batch.observed.items())
    _set(connection, "truncations", _all_truncations(connection, batch))
    connection.executemany(
        "INSERT INTO samples (model, body) VALUES (?, ?)",
        [(model, _written(sample)) for model, sample in batch.samples],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO anchors (revision, model, digest, body) VALUES (?, ?, ?, ?)",
        [(own, model, digest, _written(it)) for (model, digest), it in batch.anchors.items()],
    )
    _prune(connection, {model for model, _ in batch.samples})
    return own


def forget(connection: sqlite3.Connection, model: str) -> Forgotten:
    """Forget a model, and return what was known."""
    return _forget(connection, model, _next(connection))


def _next(connection: sqlite3.Connection) -> int:
    connection.execute("UPDATE meta SET revision = revision + 1")
    return revision(connection)


def _forget(connection: sqlite3.Connection, model: str, own: int) -> Forgotten:
    row = connection.execute(
        "SELECT cap, truncations FROM models WHERE model = ?", (model,)
    ).fetchone()
    cap, truncations = row or (None, None)
    connection.execute(
        "INSERT INTO models (model, revision, forgotten) VALUES (?1, ?2, ?2)"
        " ON CONFLICT (model) DO UPDATE SET revision = ?2, forgotten = ?2,"
        " cap = NULL, truncations = NULL, observed = NULL",
        (model, own),
    )
    return Forgotten(
        cap=_read(cap, Cap),
        truncations=_read(truncations, Truncations),
        samples=connection.execute("DELETE FROM samples WHERE model = ?", (model,)).rowcount,
        anchors=connection.execute("DELETE FROM anchors WHERE model = ?", (model,)).rowcount,
    )


def _all_truncations(
    connection: sqlite3.Connection, batch: Batch
) -> Iterable[tuple[str, Truncations]]:
    for model, new in batch.truncations.items():
        row = connection.execute("SELECT truncations FROM models WHERE model = ?", (model,))
        yield model, counted(_read(row.fetchone()[0], Truncations), new)


def _set(connection: sqlite3.Connection, column: str, values: Iterable[tuple[str, Any]]) -> None:
    rows = [(None if it is None else _written(it), model) for model, it in values]
    connection.executemany(f"UPDATE models SET {column} = ? WHERE model = ?", rows)  # noqa: S608


def _prune(connection: sqlite3.Connection, sampled: Iterable[str]) -> None:
    connection.executemany(
        "DELETE FROM samples WHERE model = ?1 AND id <= (SELECT id FROM samples WHERE model = ?1"
        " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        [(model, MOST_SAMPLES) for model in sampled],
    )
    connection.execute(
        "DELETE FROM anchors WHERE id <= (SELECT id FROM anchors ORDER BY id DESC"
        " LIMIT 1 OFFSET ?)",
        (MOST_ANCHORS,),
    )
    query = "SELECT model FROM models ORDER BY revision DESC, model LIMIT -1 OFFSET ?"
    for (model,) in connection.execute(query, (MOST_MODELS,)).fetchall():
        for table in ("models", "samples", "anchors"):
            connection.execute(f"DELETE FROM {table} WHERE model = ?", (model,))  # noqa: S608


def _written(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value)


def _read(body: bytes | None, kind: type[T]) -> T | None:
    """Return a value, None where there is none or another version wrote it."""
    if body is None:
        return None
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
