"""SQLite files of ours: opened with what we rely on, migrated, and told apart when broken.

Everything here blocks. What the tables mean does not belong here: their owner hands in the
migrations.
"""

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gatewayctl.storage import files
from gatewayctl.storage.documents import WrittenByNewer

PATIENCE: Final = 2.0
"""Seconds to wait for another process's transaction."""
_POLL: Final = 10
"""Milliseconds after which SQLite is asked again: by itself it would soon ask but ten times a
second, and get nowhere beside a process that writes without a pause."""
_COURTESY: Final = 0.002
"""Seconds between two transactions of one process, in which another's may begin."""

Migration = tuple[str, ...]
"""The statements that lead from one schema version to the next."""

_BESIDE: Final = ("", "-wal", "-shm")
"""What follows a database's name in the names of its files."""


def open_writing(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Open a database, made and migrated where need be; its transactions are begun by hand.

    The schema version, in ``user_version``, is how many migrations it has had. The connection may
    be used in one thread after another. Raises ``sqlite3.Error``, WrittenByNewer for a schema
    newer than ours, of which nothing is touched, and StorageFailed for a file that cannot be made.
    """
    files.make_private(path)
    connection = sqlite3.connect(
        path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        version = known_version(connection, path, len(migrations))
        if _value(connection, "PRAGMA journal_mode") != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if version < len(migrations):
            _migrate(connection, path, migrations)
        connection.execute(f"PRAGMA busy_timeout = {_POLL}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_alone(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Do as ``open_writing``, one process at a time: none opens what another sets aside."""
    with _opening(path):
        return open_writing(path, migrations)


def begin_anew(path: Path, migrations: Sequence[Migration], now: float) -> Path | None:
    """Set a database aside if it is damaged, and return where it went; None when it is sound.

    ``now`` is seconds since 1970. Raises OSError, ``sqlite3.Error`` and StorageFailed.
    """
    with _opening(path):
        # another process may have set it aside by now
        try:
            with contextlib.closing(open_writing(path, migrations)) as connection:
                sound = _value(connection, "PRAGMA integrity_check(1)") == "ok"
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            sound = False
        return None if sound else set_aside(path, now)


def _opening(path: Path) -> contextlib.AbstractContextManager[None]:
    return files.locked(path.with_suffix(".lock"), timeout=PATIENCE)


def open_reading(path: Path, newest: int) -> sqlite3.Connection | None:
    """Open a database to read alone, None where there is none or nothing was written to it.

    ``newest`` is the newest schema version the caller can read. Raises ``sqlite3.Error`` and
    StorageFailed as ``open_writing`` does, and OSError where nobody may see whether one is there.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return None
    connection = _read_only(path)
    try:
        if known_version(connection, path, newest):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE, isolation_level=None
    )
    try:
        _value(connection, "PRAGMA schema_version")
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
        # Reading beside a writer takes files of its own; where none can be made, nobody writes.
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None
        )
    return connection


def known_version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """Return the schema version; WrittenByNewer when it is newer than ``newest``."""
    version = int(_value(connection, "PRAGMA user_version"))
    if version > newest:
        raise WrittenByNewer(path, found=version, known=newest)
    return version


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    with transaction(connection):
        # another process may have migrated it while this one waited
        version = known_version(connection, path, len(migrations))
        for migration in migrations[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing; others' transactions are waited for, for ``PATIENCE``."""
    _begin(connection)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    time.sleep(_COURTESY)


def _begin(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= deadline:
                raise
        else:
            return


def is_damage(error: Exception) -> bool:
    """Tell whether the file itself is broken, which no waiting mends."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def set_aside(path: Path, now: float) -> Path:
    """Rename a damaged database, for a person to look at, and return its new path.

    ``now`` is seconds since 1970 and becomes a part of the name. Raises ``OSError``.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    for end in _BESIDE:
        beside = Path(f"{path}{end}")
        if beside.exists():
            beside.rename(f"{target}{end}")
    return target


def size(path: Path) -> int:
    """Return how many bytes a database takes on the disk."""
    total = 0
    for end in _BESIDE:
        try:
            found = os.stat(f"{path}{end}")  # noqa: PTH116 - no Path for each
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode):
            total += found.st_size
    return total


def _value(connection: sqlite3.Connection, query: str) -> str | int:
    row: tuple[str | int] = connection.execute(query).fetchone()
    return row[0]
