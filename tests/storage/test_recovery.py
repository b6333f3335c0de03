"""A kill at any moment loses nothing that ``record`` returned from, and harms no other daemon."""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.recorded import came, ended, left, opened, seen, started, whole

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import history, journal, recovery, sqlite, tables
from gatewayctl.storage.folding import Batch
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.journal import Segment, framed
from gatewayctl.storage.records import Outcome, Record
from gatewayctl.storage.recovery import recover

ROOT = Path(__file__).resolve().parents[2]
INSTANCE = "0123456789abcdef"
MOST = 10_000_000


class Recording:
    """A ``support.recording`` process, and the lines that it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.endswith(b"\n"):
                self.lines.append(line.decode())

    async def kill(self) -> None:
        """Kill it, and read the rest of what it printed."""
        self._process.kill()
        await self._reading
        await self._process.wait()

    async def end(self) -> None:
        """Close its standard input, and see it end well."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._reading
        assert await self._process.wait() == 0

    async def recorded(self, lines: int) -> None:
        """Wait for it to print so many lines."""
        while len(self.lines) < lines:
            assert not self._reading.done()
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def recording(folder: Path, name: str) -> AsyncIterator[Recording]:
    """Run one; it is killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.recording", folder, name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    run = Recording(process)
    try:
        yield run
    finally:
        if process.returncode is None:
            await run.kill()


def _check(folder: Path, *runs: list[str]) -> None:
    """See that everything printed is in the ledger, and that what was open is interrupted."""
    found = {each.request: each for each in history.requests(folder, limit=MOST)}
    for line in (line for run in runs for line in run):
        kind, request, *rest = line.split()
        logged = found[request]
        match kind:
            case "started":
                assert [attempt.number for attempt in logged.attempts] == [1]
            case "seen":
                assert logged.attempts[0].metered.usage.output == int(rest[1])
            case "ended":
                assert logged.attempts[0].outcome is Outcome.ANSWERED
            case "left":
                assert logged.outcome is Outcome.ANSWERED
            case _:
                assert kind == "came"
    left = {line.split()[1] for run in runs for line in run if line.startswith("left")}
    for request in found.keys() - left:  # at most one more than was printed, for each run
        assert found[request].outcome in {Outcome.INTERRUPTED, Outcome.ANSWERED}
    answered = [each for each in found.values() if each.outcome is Outcome.ANSWERED]
    assert len(left) <= len(answered) <= len(left) + len(runs)


async def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """Each run recovers the one before it; the last one is recovered by the reader's side."""
    draw = random.Random(4)  # noqa: S311 - moments
    runs: list[list[str]] = []
    for n in range(5):
        async with recording(tmp_path, f"run{n}") as run:
            await run.recorded(draw.randrange(1, 20_000))
            await run.kill()
        runs.append(run.lines)
    assert len(journal.instances(tmp_path)) == 1
    assert recover(tmp_path) == 1
    assert journal.instances(tmp_path) == set()
    _check(tmp_path, *runs)
    assert recover(tmp_path) == 0


async def test_two_daemons_share_a_ledger(tmp_path: Path) -> None:
    """Each is killed and started again while the other writes, which loses and closes nothing."""
    runs: list[list[str]] = []
    async with recording(tmp_path, "steady") as steady:
        await steady.recorded(1)
        for n in range(3):
            async with recording(tmp_path, f"killed{n}") as killed:
                await killed.recorded(1000)
                await killed.kill()
            runs.append(killed.lines)
        assert len(journal.instances(tmp_path)) == 2
        assert recover(tmp_path) == 1
        await steady.end()
    runs.append(steady.lines)
    assert journal.instances(tmp_path) == set()
    _check(tmp_path, *runs)


def _journal(folder: Path, number: int, *records: Record) -> None:
    segment = Segment(folder, INSTANCE, number)
    for record in records:
        segment.append(framed((record,)), 1)
    segment.close(remove=False)


def _found(folder: Path, request: str) -> LoggedRequest:
    found = history.request(folder, request)
    assert isinstance(found, LoggedRequest)
    return found


def test_a_segment_folded_but_not_removed_changes_nothing(tmp_path: Path) -> None:
    """A daemon killed between the two steps: an older checkpoint must not come back."""
    first = (came("a"), started("a"), seen("a", output=1))
    second = (seen("a", output=9), ended("a"), left("a"))
    _journal(tmp_path, 1, *first)
    _journal(tmp_path, 2, *second)
    with contextlib.closing(recovery.open_database(tmp_path / tables.DATABASE)) as connection:
        with sqlite.transaction(connection):
            frames = [framed((record,)) for record in (*first, *second[:2])]
            recovery.fold(connection, INSTANCE, map(journal.content_of, frames))
            end = len(journal.FORMAT) + sum(len(frame) for frame in frames[3:])
            tables.set_folded(connection, INSTANCE, 2, end)
        recovered = recovery.Recovered()
        recovery.recover_into(connection, tmp_path, recovered, own=None)
    assert (recovered.count, recovered.lost) == (1, 0)
    assert _found(tmp_path, "a").outcome is Outcome.ANSWERED
    assert _found(tmp_path, "a").attempts[0].metered.usage.output == 9
    assert journal.instances(tmp_path) == set()


async def test_what_a_daemon_left_is_there_when_the_next_one_opens(tmp_path: Path) -> None:
    """Before it serves: ``open`` has recovered it when it returns."""
    _journal(tmp_path, 1, *whole("a"), came("b"), started("b"), seen("b", input=7))
    ledger = opened(tmp_path)
    assert _found(tmp_path, "a").outcome is Outcome.ANSWERED
    attempt = _found(tmp_path, "b").attempts[0]
    assert (attempt.outcome, attempt.metered.usage.input) == (Outcome.INTERRUPTED, 7)
    await ledger.close()


async def test_rows_without_any_file_are_closed_too(tmp_path: Path) -> None:
    """Somebody tidied up the folder; the daemon that left them open is as dead."""
    with contextlib.closing(recovery.open_database(tmp_path / tables.DATABASE)) as connection:
        batch = Batch()
        batch.add(came("a"))
        assert batch.write(connection, INSTANCE) == 0
    assert recover(tmp_path) == 1
    assert _found(tmp_path, "a").outcome is Outcome.INTERRUPTED


def test_nothing_to_recover_makes_nothing(tmp_path: Path) -> None:
    """No folder, no database: ``gatewayctl log`` on a new machine leaves it as it is."""
    assert recover(tmp_path / "none") == 0
    assert recover(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_unknown_is_left_and_said_and_stops_nobody_else(tmp_path: Path) -> None:
    """A record of a newer gatewayctl in a known segment is lost; an unknown segment is kept."""
    other = "fedcba9876543210"
    strange = tmp_path / f"{INSTANCE}-1.log"
    strange.write_bytes(b"gwctl-9\n....")
    known = Segment(tmp_path, other, 1)
    known.append(framed(whole("a")), 4)
    known.close(remove=False)
    with pytest.raises(StorageFailed, match="not a journal of this gatewayctl"):
        recover(tmp_path)
    assert _found(tmp_path, "a").outcome is Outcome.ANSWERED
    assert strange.exists()


def test_a_damaged_segment_is_folded_up_to_the_damage(tmp_path: Path) -> None:
    """What is behind it is lost, which is counted once at least, and it is not tried again."""
    _journal(tmp_path, 1, *whole("a"), *whole("b"))
    path = tmp_path / f"{INSTANCE}-1.log"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    recovered = recovery.Recovered()
    with contextlib.closing(recovery.open_database(tmp_path / tables.DATABASE)) as connection:
        recovery.recover_into(connection, tmp_path, recovered, own=None)
    assert (recovered.count, recovered.lost) == (1, 1)
    assert _found(tmp_path, "a").outcome is Outcome.ANSWERED
    assert _found(tmp_path, "b").outcome is Outcome.INTERRUPTED
    assert recover(tmp_path) == 0


def test_a_database_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The command goes on and shows what is there."""
    _journal(tmp_path, 1, *whole("a"))
    with contextlib.closing(recovery.open_database(tmp_path / tables.DATABASE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageFailed, match="newer gatewayctl"):
        recover(tmp_path)
    assert journal.instances(tmp_path) == {INSTANCE}
