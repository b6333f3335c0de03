"""Puts what a killed daemon left in its journal into the database, and closes what it left open.

A daemon does it when it starts, ``gatewayctl log`` does it where no daemon runs. Instances that
live are left alone: their lock says so. Doing it twice, or being killed in the midst of it,
changes nothing: how far a journal is folded is noted in the transaction that folds it.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files, journal, sqlite, tables
from gatewayctl.storage.folding import Batch

log = logging.getLogger("gatewayctl.ledger")


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
            recovered = Recovered()
            recover_into(connection, folder, recovered, own=None)
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"cannot recover the ledger in {folder}: {error}") from error
    if recovered.trouble:
        raise StorageFailed(recovered.trouble)
    return recovered.count


def open_database(path: Path) -> sqlite3.Connection:
    """Open the ledger's database to write; raises as ``sqlite.open_alone``."""
    return sqlite.open_alone(path, tables.MIGRATIONS)


class Recovered(msgspec.Struct, kw_only=True):
    """What was recovered: of how many instances, how many records are lost, what went wrong."""

    count: int = 0
    lost: int = 0
    trouble: str | None = None


def recover_into(
    connection: sqlite3.Connection, folder: Path, recovered: Recovered, *, own: str | None
) -> None:
    """Recover all dead instances but one's own; what cannot be read or removed is left for later.

    ``recovered`` is told what was, also when it ends early. Raises ``sqlite3.Error``, and OSError
    where the folder cannot be listed.
    """
    for instance in sorted(journal.instances(folder) | tables.open_instances(connection)):
        if instance == own:
            continue
        try:
            _recover_one(connection, folder, instance, recovered)
        except (OSError, StorageFailed) as error:
            reason = files.reason(error)
            recovered.trouble = f"cannot recover the ended daemon {instance} in {folder}: {reason}"
    if recovered.count:
        log.info("recovered what %d ended daemon(s) left in %s", recovered.count, folder)


def _recover_one(
    connection: sqlite3.Connection, folder: Path, instance: str, recovered: Recovered
) -> None:
    """Fold a dead instance's segments, close what it left open, and remove its files."""
    lock = journal.hold(folder, instance)
    if lock is None:  # it lives, or somebody else recovers it
        return
    done = False
    try:
        number, position = tables.folded(connection, instance)
        left = journal.segments(folder, instance)
        for found, path in left:
            if found >= number:
                start = position if found == number else len(journal.FORMAT)
                recovered.lost += _fold_segment(connection, instance, found, path, start)
        with sqlite.transaction(connection):
            tables.interrupt(connection, instance)
        for _, path in left:
            path.unlink(missing_ok=True)
        with sqlite.transaction(connection):
            tables.forget_folded(connection, instance)
        recovered.count += 1
        done = True
    finally:
        lock.let_go(remove=done)


def _fold_segment(
    connection: sqlite3.Connection, instance: str, number: int, path: Path, start: int
) -> int:
    """Fold a segment from a position on; return how many records of it are lost, at least."""
    lost = 0
    with contextlib.closing(journal.Reader(path)) as reader:
        if not reader.known():
            raise StorageFailed(f"{path} is not a journal of this gatewayctl")
        while True:
            chunk = reader.read(start)
            if chunk.contents:
                with sqlite.transaction(connection):
                    lost += fold(connection, instance, chunk.contents)[1]
                    tables.set_folded(connection, instance, number, chunk.end)
            if chunk.damaged:
                log.warning("%s is damaged: the rest of it is lost", path)
                return lost + 1
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
    batch = Batch()
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
                if batch.add(record):
                    continue
            except OverflowError:  # the other records go on
                lost += 1
                continue
            lost += batch.write(connection, instance)
            batch = Batch()
            batch.add(record)
    return count, lost + batch.write(connection, instance)
