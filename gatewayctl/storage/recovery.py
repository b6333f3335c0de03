"""Puts what a killed daemon left in its journal into the database, and closes what it left open.

A daemon does it when it starts, ``gatewayctl log`` does it where no daemon runs. Instances that
live are left alone: their lock says so. Doing it twice, or being killed in the midst of it,
changes nothing: how far a journal is folded is noted in the transaction that folds it.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files, journal, tables
from gatewayctl.storage.sqlite import is_damage, open_writing, set_aside

log = logging.getLogger("gatewayctl.ledger")

_OPENING = "ledger.lock"


def recover(folder: Path) -> int:
    """Recover what dead daemons left in this state folder; return how many of them there were.

    Blocks. A folder that does not exist stays so. Raises StorageFailed with the reason when the
    database or the folder does not allow it; what is there can be read nevertheless.
    """
    try:
        if not folder.exists():
            return 0
        path = folder / tables.DATABASE
        if not journal.instances(folder) and not path.exists():
            return 0
        with contextlib.closing(open_database(path)) as connection:
            count, _ = recover_into(connection, folder, own=None)
            return count
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"cannot recover the ledger in {folder}: {error}") from error


def open_database(path: Path) -> sqlite3.Connection:
    """Open the ledger's database to write, one process at a time; raises as ``open_writing``."""
    with files.locked(path.with_name(_OPENING)):
        return open_writing(path, tables.MIGRATIONS)


def begin_anew(path: Path, now: float) -> Path | None:
    """Set the database aside if it is damaged, and return where it went; None when it is sound.

    ``now`` is seconds since 1970. Raises OSError, ``sqlite3.Error`` and StorageFailed.
    """
    with files.locked(path.with_name(_OPENING)):
        # another process may have set it aside by now
        try:
            with contextlib.closing(open_writing(path, tables.MIGRATIONS)) as connection:
                sound = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            sound = False
        return None if sound else set_aside(path, now)


def recover_into(
    connection: sqlite3.Connection, folder: Path, *, own: str | None
) -> tuple[int, int]:
    """Recover all dead instances but one's own; return how many, and how many records are lost.

    Raises ``sqlite3.Error``, OSError and StorageFailed.
    """
    count = lost = 0
    for instance in sorted(journal.instances(folder) | tables.open_instances(connection)):
        lock = None if instance == own else journal.hold(folder, instance)
        if lock is None:
            continue
        done = False
        try:
            lost += _recover_one(connection, folder, instance)
            done = not journal.segments(folder, instance)
        finally:
            lock.let_go(remove=done)
        count += 1
    if count:
        log.info("recovered what %d ended daemon(s) left in %s", count, folder)
    return count, lost


def _recover_one(connection: sqlite3.Connection, folder: Path, instance: str) -> int:
    """Fold a dead instance's segments and remove them; return how many records are lost."""
    number, position = tables.folded(connection, instance)
    lost = 0
    removable = []
    for found, path in journal.segments(folder, instance):
        with contextlib.closing(journal.Reader(path)) as reader:
            if not reader.known():
                log.warning("%s is in a format of another gatewayctl: left where it is", path)
                continue
            removable.append(path)
            if found >= number:
                start = position if found == number else len(journal.FORMAT)
                lost += _fold_segment(connection, instance, found, reader, start)
    with transaction(connection):
        tables.interrupt(connection, instance)
    for path in removable:
        path.unlink(missing_ok=True)
    with transaction(connection):
        tables.forget_folded(connection, instance)
    return lost


def _fold_segment(
    connection: sqlite3.Connection, instance: str, number: int, reader: journal.Reader, start: int
) -> int:
    lost = 0
    while True:
        chunk = reader.read(start)
        if chunk.contents:
            with transaction(connection):
                lost += fold(connection, instance, chunk.contents)[1]
                tables.set_folded(connection, instance, number, chunk.end)
        if chunk.damaged:
            log.warning("the journal of %s is damaged: the rest of it is lost", instance)
            return lost + 1  # at least
        if not chunk.contents:
            return lost
        start = chunk.end


def fold(
    connection: sqlite3.Connection, instance: str, contents: Iterable[bytes]
) -> tuple[int, int]:
    """Write frames into the tables, in the caller's transaction.

    Returns how many records they hold, and how many of those have no place in the tables. Raises
    ``sqlite3.Error``.
    """
    count = lost = 0
    for content in contents:
        try:
            records = journal.unframed(content)
        except (msgspec.MsgspecError, ValueError):  # of a newer gatewayctl
            lost += 1
            count += 1
            continue
        for record in records:
            count += 1
            try:
                lost += not tables.apply(connection, instance, record)
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError, ValueError):
                lost += 1  # a value that no column holds: the other records go on
    return count, lost


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing; waits for other writers as long as the connection does."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
