"""The ledger of a folder in trouble: nothing raises, the loss is exact, and it mends itself.

The trouble is real: a limit of file sizes in a process of its own, a folder where a file should
be, a lock of SQLite held by another, garbage in the database, a folder that is deleted.
"""

import logging
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.recorded import came, ended, left, opened, started, whole
from support.waiting import until

from gatewayctl.storage import history, intake, journal, tables
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.records import Outcome
from gatewayctl.storage.recovery import recover

ROOT = Path(__file__).resolve().parents[2]


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "gatewayctl.ledger"]


def _aside(folder: Path) -> Path:
    (path,) = folder.glob("ledger.db.damaged-*")
    return path


def _segments(folder: Path) -> list[Path]:
    return [path for _, path in journal.segments(folder, *journal.instances(folder))]


def _ids(folder: Path) -> set[str]:
    return {each.request for each in history.requests(folder, limit=100_000)}


async def test_a_folder_that_cannot_be_made_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Records wait in memory meanwhile; each change of state is one line of the log."""
    caplog.set_level(logging.INFO, logger="gatewayctl.ledger")
    folder = tmp_path / "state"
    folder.write_bytes(b"a file where the folder should be")
    ledger = opened(folder)
    for n in range(50):
        ledger.record(*whole(f"r{n}"))
    assert ledger.degraded is not None
    assert str(folder) in ledger.degraded
    assert "; 200 records or more in memory only, lost if the daemon ends" in ledger.degraded
    assert ledger.state().bytes == 0
    assert (ledger.state().pending, ledger.lost) == (200, 0)
    folder.unlink()
    await until(lambda: ledger.degraded is None)
    ledger.record(*whole("last"))
    await ledger.close()
    assert ledger.lost == 0
    assert len(_ids(folder)) == 51
    assert len(_said(caplog)) == 2


async def test_a_folder_that_never_comes_costs_exactly_what_was_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory is bounded, and what is in it is lost at the end, which the log's last line says."""
    folder = tmp_path / "state"
    folder.write_bytes(b"")
    ledger = opened(folder)
    long = "m" * 1000
    for n in range(2 * intake.MOST_IN_MEMORY // 1000):
        ledger.record(came(f"r{n}", asked=long))
    state = ledger.state()
    assert state.lost + state.pending == 2 * intake.MOST_IN_MEMORY // 1000
    assert 0 < state.pending < state.lost
    assert state.degraded is not None
    assert " records or more lost already" in state.degraded
    await ledger.close()
    assert ledger.lost == 2 * intake.MOST_IN_MEMORY // 1000
    begun, end = _said(caplog)
    assert "record" not in begun.rpartition(";")[0]
    assert end.startswith(f"the ledger in {folder} ends with {ledger.lost:,} records lost; ")
    assert f"{state.lost:,} of them while the daemon ran; cannot " in end
    assert caplog.records[-1].levelno == logging.ERROR


async def test_an_end_without_a_loss_says_where_the_journal_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The database takes nothing, the journal everything: nothing is lost, but not all is done."""
    (tmp_path / tables.DATABASE).mkdir()
    ledger = opened(tmp_path)
    ledger.record(*whole("a"))
    assert ledger.degraded is not None
    assert "memory" not in ledger.degraded
    await until(lambda: ledger.state().bytes > 0)
    journalled = sum(path.stat().st_size for path in _segments(tmp_path))
    assert ledger.state().bytes <= journalled, "the folder in its place is no part of the ledger"
    await ledger.close()
    said = _said(caplog)[-1]
    assert said.startswith(f"the ledger in {tmp_path} ends with no record lost; ")
    assert said.endswith("; 4 records stay in the journal there, for the next start to bring in")
    assert caplog.records[-1].levelno == logging.WARNING


async def test_a_journal_that_was_deleted_is_not_said_to_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Records in a file without a name are lost at the end, and the count says so."""
    (tmp_path / tables.DATABASE).mkdir()
    ledger = opened(tmp_path)
    ledger.record(*whole("a"))
    for path in _segments(tmp_path):
        path.unlink()
    await ledger.close()
    assert (ledger.lost, ledger.state().pending) == (4, 0)
    assert "ends with 4 records lost; " in _said(caplog)[-1]


async def test_an_end_with_everything_in_the_database_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log is for what a person has to know."""
    ledger = opened(tmp_path)
    ledger.record(*whole("a"))
    await ledger.close()
    assert _said(caplog) == []


@pytest.mark.parametrize("name", [tables.DATABASE, "ledger.lock"])
async def test_a_folder_in_the_place_of_a_file_costs_nothing(tmp_path: Path, name: str) -> None:
    """The journal takes the records, and the next start finds them."""
    (tmp_path / name).mkdir()
    ledger = opened(tmp_path)
    ledger.record(*whole("a"))
    assert ledger.degraded is not None
    assert name in ledger.degraded
    await ledger.close()
    assert ledger.lost == 0
    (tmp_path / name).rmdir()
    await opened(tmp_path).close()
    assert _ids(tmp_path) == {"a"}


async def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    """The loop notices nothing; what came meanwhile is folded when the lock is gone."""
    ledger = opened(tmp_path)
    with closing(sqlite3.connect(tmp_path / tables.DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger.record(*whole("a"))
        await until(lambda: ledger.degraded is not None)
        assert ledger.degraded is not None
        assert "ledger.db: database is locked" in ledger.degraded
        ledger.record(*whole("b"))
        other.execute("COMMIT")
    await until(lambda: ledger.degraded is None)
    await ledger.close()
    assert (ledger.lost, _ids(tmp_path)) == (0, {"a", "b"})


async def test_a_journal_that_waits_too_long_is_bounded(tmp_path: Path) -> None:
    """Beyond the bound records are lost and counted; all others are folded later."""
    (tmp_path / tables.DATABASE).mkdir()
    ledger = opened(tmp_path)
    long = "m" * 1024 * 1024
    count = intake.MOST_BYTES // len(long) + 5
    for n in range(count):
        ledger.record(came(f"r{n}", asked=long))
    lost = ledger.lost
    assert lost in {5, 6}
    (tmp_path / tables.DATABASE).rmdir()
    await until(lambda: ledger.degraded is None and ledger.state().pending == 0)
    ledger.record(*whole("last"))
    await ledger.close()
    assert ledger.lost == lost
    assert len(_ids(tmp_path)) == count - lost + 1


async def test_a_damaged_database_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new one is begun at once; a person is told until the restart, and nothing is deleted."""
    (tmp_path / tables.DATABASE).write_bytes(b"garbage " * 1000)
    ledger = opened(tmp_path)
    ledger.record(*whole("a"))
    await until(lambda: ledger.state().pending == 0)
    assert ledger.degraded is not None
    aside = _aside(tmp_path)
    assert aside.name in ledger.degraded
    assert aside.read_bytes() == b"garbage " * 1000
    await ledger.close()
    assert (ledger.lost, _ids(tmp_path)) == (0, {"a"})
    assert len(_said(caplog)) == 1
    ledger = opened(tmp_path)
    assert ledger.degraded is None
    await ledger.close()


async def test_a_database_damaged_while_it_is_used_is_set_aside(tmp_path: Path) -> None:
    """What closes no row any more is counted: its beginning is in the damaged file."""
    ledger = opened(tmp_path)
    ledger.record(*whole("old"), came("a"), started("a"))
    await until(lambda: ledger.state().pending == 0)
    with closing(sqlite3.connect(tmp_path / tables.DATABASE)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / tables.DATABASE).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 30)
    ledger.record(ended("a"), left("a"), *whole("b"))
    await until(lambda: ledger.state().pending == 0)
    assert ledger.degraded is not None
    assert "damaged" in ledger.degraded
    await ledger.close()
    assert (ledger.lost, _ids(tmp_path)) == (2, {"b"})


async def test_a_folder_deleted_under_a_running_ledger_is_begun_anew(tmp_path: Path) -> None:
    """Nothing is written to files without a name for longer than a round."""
    folder = tmp_path / "state"
    ledger = opened(folder)
    ledger.record(*whole("old"))
    await until(lambda: ledger.state().pending == 0)
    shutil.rmtree(folder)
    ledger.record(*whole("a"))
    await until(lambda: bool(folder.exists() and journal.instances(folder)))
    await until(lambda: ledger.state().pending == 0)
    ledger.record(*whole("b"))
    await until(lambda: ledger.state().pending == 0)
    assert _ids(folder) == {"a", "b"}
    assert len(journal.segments(folder, *journal.instances(folder))) == 1
    await ledger.close()
    assert journal.instances(folder) == set()
    assert (ledger.lost, _ids(folder)) == (0, {"a", "b"})


FULL = """
import asyncio, resource, sys
from pathlib import Path
from support.recorded import opened, whole
from support.waiting import until

async def main():
    ledger = opened(Path(sys.argv[1]))
    ledger.record(*whole("before"))
    await until(lambda: ledger.state().pending == 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    for n in range(300):
        ledger.record(*whole(f"r{n}"))
    await until(lambda: ledger.degraded is not None)
    degraded = ledger.degraded
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await until(lambda: ledger.degraded is None)
    ledger.record(*whole("after"))
    await ledger.close()
    print(ledger.lost, degraded)

asyncio.run(main())
"""

ENDS_FULL = """
import asyncio, logging, resource, sys
from pathlib import Path
from support.recorded import opened, whole
from support.waiting import until

async def main():
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
    ledger = opened(Path(sys.argv[1]))
    ledger.record(*whole("before"))
    await until(lambda: ledger.state().pending == 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
    for n in range(300):
        ledger.record(*whole(f"r{n}"))
    await until(lambda: ledger.degraded is not None)
    print(ledger.degraded)
    await ledger.close()
    print(ledger.lost)

asyncio.run(main())
"""


def _ran(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of ours in a process of its own, which has to end well."""
    run = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX's")
def test_a_daemon_that_ends_while_its_disk_is_full_says_what_is_lost(tmp_path: Path) -> None:
    """The count is exact: all that is neither in the database then nor brought in by the next."""
    run = _ran(ENDS_FULL, tmp_path)
    degraded, lost = run.stdout.splitlines()
    assert " records or more in memory only, lost if the daemon ends now" in degraded
    assert len(_ids(tmp_path)) == 1
    last = run.stderr.splitlines()[-1]
    assert last.startswith(
        f"ERROR gatewayctl.ledger the ledger in {tmp_path} ends with {int(lost):,} records lost; "
    )
    kept = int(last.rpartition(" records stay in the journal there")[0].rpartition(" ")[2])
    assert kept > 0
    assert int(lost) + kept == 4 * 300
    assert recover(tmp_path) == 1
    assert len(_ids(tmp_path)) == 1 + -(-kept // 4)


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX's")
def test_a_full_disk_costs_nothing_once_there_is_room_again(tmp_path: Path) -> None:
    """No file may grow for a while: neither the journal nor the database takes anything."""
    run = _ran(FULL, tmp_path)
    lost, _, degraded = run.stdout.partition(" ")
    assert (int(lost), str(tmp_path) in degraded) == (0, True)
    assert _ids(tmp_path) == {"before", "after", *(f"r{n}" for n in range(300))}
    found = history.request(tmp_path, "r299")
    assert isinstance(found, LoggedRequest)
    assert found.outcome is Outcome.ANSWERED
