"""What a living daemon has in its journal alone is known to be missing from the tables."""

import contextlib
from pathlib import Path

import pytest
from support.recorded import whole

from gatewayctl.storage import lag, sqlite, tables
from gatewayctl.storage.journal import FORMAT, Segment, framed
from gatewayctl.storage.recovery import open_database

INSTANCE = "0123456789abcdef"


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    """Return a journal that nobody brings into the database."""
    return Segment(tmp_path, INSTANCE, 1)


def fold_to(folder: Path, number: int, position: int) -> None:
    """Note in the database how far the journal is in it."""
    with (
        contextlib.closing(open_database(folder / tables.DATABASE)) as connection,
        sqlite.transaction(connection),
    ):
        tables.set_folded(connection, INSTANCE, number, position)


def test_a_journal_is_behind_until_the_tables_have_it(tmp_path: Path, segment: Segment) -> None:
    """Up to what it held when that was asked; what came later is not waited for."""
    segment.append(framed(whole("a")), 1)
    ends = lag.written(tmp_path)
    assert ends == {INSTANCE: (1, segment.written)}
    assert lag.is_behind(tmp_path, ends)
    fold_to(tmp_path, 1, len(FORMAT))
    assert lag.is_behind(tmp_path, ends)
    segment.append(framed(whole("b")), 1)
    fold_to(tmp_path, *ends[INSTANCE])
    assert not lag.is_behind(tmp_path, ends)
    segment.close(remove=True)


def test_an_empty_segment_is_not_waited_for(tmp_path: Path, segment: Segment) -> None:
    """Nothing in it will ever be noted as brought in: the one before it counts."""
    assert lag.written(tmp_path) == {}
    segment.append(framed(whole("a")), 1)
    following = Segment(tmp_path, INSTANCE, 2)
    assert lag.written(tmp_path) == {INSTANCE: (1, segment.written)}
    fold_to(tmp_path, 2, len(FORMAT))
    assert not lag.is_behind(tmp_path, lag.written(tmp_path))
    segment.close(remove=True)
    following.close(remove=True)


def test_a_journal_that_is_gone_is_not_waited_for(tmp_path: Path, segment: Segment) -> None:
    """Its daemon brought it in and ended, and forgot how far it had come."""
    segment.append(framed(whole("a")), 1)
    ends = lag.written(tmp_path)
    segment.close(remove=True)
    fold_to(tmp_path, 0, 0)
    assert not lag.is_behind(tmp_path, ends)


def test_what_cannot_be_told_is_not_waited_for(tmp_path: Path, segment: Segment) -> None:
    """Neither a folder that is none nor a database that is damaged keeps a reader waiting."""
    assert lag.written(tmp_path / "absent") == {}
    assert not lag.is_behind(tmp_path / "absent", {})
    segment.append(framed(whole("a")), 1)
    (tmp_path / tables.DATABASE).write_bytes(b"no database" * 1000)
    assert not lag.is_behind(tmp_path, lag.written(tmp_path))
    segment.close(remove=True)
