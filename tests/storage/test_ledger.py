"""The ledger of a healthy folder: what is recorded is there, and nothing else is left behind."""

import asyncio
import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from support.recorded import came, ended, left, opened, seen, started, whole
from support.waiting import until

from gatewayctl.storage import history, journal, keeper, tables
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.records import Outcome


def _names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def _segments(folder: Path) -> list[int]:
    (instance,) = journal.instances(folder)
    return [number for number, _ in journal.segments(folder, instance)]


def _decisions(folder: Path) -> int:
    with closing(sqlite3.connect(folder / tables.DATABASE)) as connection:
        count: int = connection.execute("SELECT count(*) FROM decisions").fetchone()[0]
        return count


async def test_closing_leaves_the_database_alone(tmp_path: Path) -> None:
    """All that was recorded is in it; journal and lock are gone; everything was private."""
    folder = tmp_path / "state"
    ledger = opened(folder)
    ledger.record(*whole("a"))
    ledger.record(*whole("b"))
    modes = {each.stat().st_mode & 0o777 for each in folder.iterdir()}
    assert (modes, folder.stat().st_mode & 0o777) == ({0o600}, 0o700)
    assert len(journal.instances(folder)) == 1
    await ledger.close()
    assert _names(folder) == {"ledger.db", "ledger.lock"}
    assert len(history.requests(folder, limit=10)) == 2
    state = ledger.state()
    assert (state.pending, state.lost, state.degraded) == (0, 0, None)
    assert state.bytes > 0
    assert state.path == str(folder / "ledger.db")
    await ledger.close()


async def test_what_is_open_when_the_ledger_closes_is_interrupted(tmp_path: Path) -> None:
    """With its last checkpoint; nobody will ever tell more of it."""
    ledger = opened(tmp_path)
    ledger.record(came("a"), started("a"), seen("a", output=5))
    await ledger.close()
    found = history.request(tmp_path, "a")
    assert isinstance(found, LoggedRequest)
    assert found.outcome is found.attempts[0].outcome is Outcome.INTERRUPTED
    assert found.attempts[0].metered.usage.output == 5


async def test_a_request_under_way_is_seen_as_it_stands(tmp_path: Path) -> None:
    """A reader beside the daemon sees it open, then with its checkpoint, then closed."""
    ledger = opened(tmp_path)

    async def found() -> LoggedRequest:
        await until(lambda: ledger.state().pending == 0)
        request = history.request(tmp_path, "a")
        assert isinstance(request, LoggedRequest)
        return request

    ledger.record(came("a"), started("a"))
    assert ((await found()).outcome, (await found()).attempts[0].outcome) == (None, None)
    ledger.record(seen("a", input=3))
    assert (await found()).attempts[0].metered.usage.input == 3
    ledger.record(ended("a"), left("a"))
    assert (await found()).outcome is Outcome.ANSWERED
    await ledger.close()


async def test_segments_are_removed_as_they_are_folded(tmp_path: Path) -> None:
    """A daemon that runs for months keeps the last of them, and at most one that is ready."""
    ledger = opened(tmp_path)
    first, requests = _segments(tmp_path)[0], 0
    while _segments(tmp_path)[-1] < first + 4:  # the next one is made while this one is filled
        ledger.record(*whole(f"r{requests}", asked="m" * 2**20))
        requests += 1
        assert requests < 50
        await until(lambda: ledger.state().pending == 0, seconds=60)
    ledger.record(*whole("last"))
    await until(lambda: _segments(tmp_path)[0] > first + 2, seconds=60)
    assert len(_segments(tmp_path)) <= 2
    await ledger.close()
    assert len(history.requests(tmp_path, limit=100)) == requests + 1
    assert ledger.lost == 0


async def test_a_record_that_cannot_be_written_is_lost_alone(tmp_path: Path) -> None:
    """Half a surrogate pair or an integer beyond 64 bits costs its own record, and is counted."""
    ledger = opened(tmp_path)
    ledger.record(came("\ud800"), came("a"))
    ledger.record(started("a", estimate_low=2**63))
    ledger.record(started("a", estimate_low=2**70), started("a"), ended("b"))
    ledger.record(ended("a"), left("a"))
    await ledger.close()
    assert ledger.lost == 4
    (found,) = history.requests(tmp_path, limit=10)
    assert (found.outcome, len(found.attempts)) == (Outcome.ANSWERED, 1)


async def test_what_is_recorded_after_the_close_is_counted(tmp_path: Path) -> None:
    """It is not silently gone."""
    ledger = opened(tmp_path)
    await ledger.close()
    ledger.record(*whole("a"))
    assert ledger.lost == 4


async def test_decisions_are_rendered_off_the_loop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the ledger's thread; one that fails is logged and harms no other."""
    rendered_in: list[threading.Thread] = []

    def render() -> bytes:
        rendered_in.append(threading.current_thread())
        return b"{}"

    def fail() -> bytes:
        raise LookupError

    ledger = opened(tmp_path)
    with caplog.at_level(logging.CRITICAL, logger="gatewayctl.ledger"):
        ledger.decided("a", fail)
        ledger.decided("b", render)
        await ledger.close()
    assert _decisions(tmp_path) == 1
    assert threading.current_thread() not in rendered_in


async def test_old_decisions_are_pruned_some_at_a_time(tmp_path: Path) -> None:
    """After 30 days; the requests themselves stay."""
    now = time.time()
    long_ago = now - keeper.DECISIONS_KEPT - 1
    ledger = Ledger.open(tmp_path, lambda: long_ago)
    ledger.record(*whole("old"))
    await ledger.close()
    with closing(sqlite3.connect(tmp_path / tables.DATABASE)) as connection, connection:
        for n in range(700):
            tables.decide(connection, f"r{n}", long_ago, b"{}")
    ledger = Ledger.open(tmp_path, lambda: now)
    assert _decisions(tmp_path) == 200
    ledger.decided("new", lambda: b"{}")
    await until(lambda: _decisions(tmp_path) == 1)
    await ledger.close()
    assert len(history.requests(tmp_path, limit=10)) == 1


async def test_a_newer_schema_is_refused_and_its_journal_kept(tmp_path: Path) -> None:
    """The database is left alone; the gatewayctl that knows it finds the records."""
    await opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / tables.DATABASE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    ledger = opened(tmp_path)
    assert ledger.degraded is not None
    assert "newer gatewayctl (schema 99" in ledger.degraded
    ledger.record(*whole("a"))
    await ledger.close()
    assert ledger.lost == 0
    with closing(sqlite3.connect(tmp_path / tables.DATABASE)) as connection:
        version = len(tables.MIGRATIONS)
        connection.execute(f"PRAGMA user_version = {version}")
    await opened(tmp_path).close()
    assert [each.request for each in history.requests(tmp_path, limit=10)] == ["a"]


async def test_what_is_noted_is_written_before_what_is_recorded_next(tmp_path: Path) -> None:
    """In one write with it, or by itself as soon as the loop is free; in order, once."""
    ledger = opened(tmp_path)
    ledger.record(came("a"), started("a"))
    ledger.note(ended("a"))
    ledger.note(left("a"))
    ledger.record(came("b"), started("b"))
    ledger.note(ended("b"), left("b"))
    noted = ledger.state().pending
    await asyncio.sleep(0)  # the loop's turn
    assert ledger.state().pending == noted + 2
    ledger.note(came("c"))
    await ledger.close()
    found = {each.request: each.outcome for each in history.requests(tmp_path, limit=10)}
    assert found == {
        "a": Outcome.ANSWERED,
        "b": Outcome.ANSWERED,
        "c": Outcome.INTERRUPTED,
    }
    assert ledger.lost == 0
