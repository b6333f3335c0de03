"""Databases are opened as we rely on, migrated once, and never touched when they are newer."""

import contextlib
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import sqlite
from gatewayctl.storage.sqlite import Migration, open_reading, open_writing

ONE: Migration = ("CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (1)")
TWO: Migration = ("ALTER TABLE a ADD COLUMN y INTEGER", "UPDATE a SET y = x + 1")
BROKEN: Migration = ("UPDATE a SET x = 5", "CREATE NONSENSE")


def _rows(path: Path, *migrations: Migration) -> list[tuple[int, ...]]:
    with contextlib.closing(open_writing(path, migrations)) as connection:
        return list(connection.execute("SELECT * FROM a"))


def _version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version


def test_a_new_database_is_private_and_has_every_migration(tmp_path: Path) -> None:
    """Its folder too; the version is how many migrations there are."""
    path = tmp_path / "new" / "a.db"
    with contextlib.closing(open_writing(path, (ONE, TWO))) as connection:
        assert connection.execute("SELECT * FROM a").fetchall() == [(1, 2)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert modes == {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert _version(path) == 2


def test_an_older_database_gets_what_it_lacks(tmp_path: Path) -> None:
    """Each migration runs once, on what the ones before it left."""
    path = tmp_path / "a.db"
    assert _rows(path, ONE) == [(1,)]
    assert _rows(path, ONE, TWO) == [(1, 2)]
    assert _rows(path, ONE, TWO) == [(1, 2)]


def test_a_migration_that_fails_leaves_the_older_version(tmp_path: Path) -> None:
    """The next gatewayctl finds either schema, never something between."""
    path = tmp_path / "a.db"
    _rows(path, ONE)
    with pytest.raises(sqlite3.OperationalError):
        _rows(path, ONE, BROKEN)
    assert _rows(path, ONE) == [(1,)]


def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """Not even its journal mode changes; both ways of opening say why."""
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    before = path.read_bytes()
    said = r"a\.db was written by a newer gatewayctl \(schema 3, this one knows 1\)"
    with pytest.raises(StorageFailed, match=said):
        open_writing(path, (ONE,))
    with pytest.raises(StorageFailed, match=said):
        open_reading(path, 1)
    assert path.read_bytes() == before


def test_reading_makes_nothing_and_changes_nothing(tmp_path: Path) -> None:
    """No database and an empty one are the same to a reader."""
    path = tmp_path / "odd ?#%name" / "a.db"
    assert open_reading(path, 1) is None
    assert not path.parent.exists()
    _rows(path, ONE)
    connection = open_reading(path, 1)
    assert connection is not None
    with contextlib.closing(connection):
        assert connection.execute("SELECT x FROM a").fetchall() == [(1,)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM a")
    empty = tmp_path / "empty.db"
    empty.touch()
    assert open_reading(empty, 1) is None


def test_damage_is_told_from_what_passes(tmp_path: Path) -> None:
    """A file that is no database never becomes one; a locked one is free again soon."""
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        open_writing(path, (ONE,))
    assert sqlite.is_damage(caught.value)
    assert not sqlite.is_damage(sqlite3.OperationalError("made elsewhere"))
    assert not sqlite.is_damage(OSError())


def test_a_database_set_aside_can_be_opened_there(tmp_path: Path) -> None:
    """With what is in its write-ahead log; its old name is free."""
    path = tmp_path / "a.db"
    with contextlib.closing(open_writing(path, (ONE,))) as connection:
        connection.execute("INSERT INTO a VALUES (2)")
        aside = sqlite.set_aside(path, 0.0)
    assert aside.name == "a.db.damaged-19700101T000000.000000Z"
    assert _rows(aside, ONE) == [(1,), (2,)]
    assert not path.exists()


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Give up a superuser's powers for a while: modes of files mean nothing to one."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_a_database_is_read_in_a_folder_where_nothing_may_be_written() -> None:
    """Reading beside a writer takes files of its own, which cannot be made there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "a.db"
        _rows(path, ONE)
        path.chmod(0o444)
        folder.chmod(0o555)
        try:
            with _as_nobody():
                with pytest.raises(StorageFailed, match="Permission denied"):
                    open_writing(path, (ONE,))
                connection = open_reading(path, 1)
                assert connection is not None
                with contextlib.closing(connection):
                    assert connection.execute("SELECT x FROM a").fetchall() == [(1,)]
        finally:
            folder.chmod(0o700)
