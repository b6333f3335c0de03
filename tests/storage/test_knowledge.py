"""What replies taught is looked up in memory, shared by every process, and outlives them."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.teaching import anchor, cap, cut, digest, opened, sample
from support.waiting import until

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.learning import Truncations
from gatewayctl.storage import knowledge_tables as tables
from gatewayctl.storage import sqlite
from gatewayctl.storage.knowledge import Forgotten, forget, read

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
M = "up/model"


def _file(folder: Path) -> Path:
    return folder / tables.DATABASE


def _files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


async def _taught(folder: Path) -> None:
    knowledge = opened(folder)
    knowledge.learned(M, cap())
    knowledge.truncated(M, cut())
    for n in range(60):
        knowledge.sampled(M, sample(1000 + n))
    knowledge.anchored(M, digest(1), anchor())
    await knowledge.close()


async def test_what_is_told_is_known_at_once(tmp_path: Path) -> None:
    """The loop never waits for the database."""
    knowledge = opened(tmp_path)
    assert knowledge.models() == ()
    knowledge.learned(M, cap())
    knowledge.truncated(M, cut(1))
    knowledge.truncated(M, cut(2))
    knowledge.anchored("up/other", digest(1), anchor())
    assert knowledge.cap(M) == cap()
    assert knowledge.truncations(M) == Truncations(count=2, last=cut(2))
    assert knowledge.anchor("up/other", digest(1)) == anchor()
    assert knowledge.anchor(M, digest(1)) is None
    assert knowledge.anchor("up/other", digest(2)) is None
    assert knowledge.models() == (M, "up/other")
    knowledge.forget(M)
    assert (knowledge.cap(M), knowledge.truncations(M)) == (None, None)
    assert knowledge.models() == ("up/other",)
    await knowledge.close()
    assert read(tmp_path).models() == ("up/other",)


async def test_what_is_known_outlives_the_process(tmp_path: Path) -> None:
    """All of it, with the secret that digests are keyed by; the file is private."""
    folder = tmp_path / "state"
    first = opened(folder)
    secret = first.secret
    await first.close()
    await _taught(folder)
    assert _file(folder).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    again = opened(folder)
    for known in (again, read(folder)):
        assert known.cap(M) == cap()
        assert known.truncations(M) == Truncations(count=1, last=cut())
        assert known.anchor(M, digest(1)) == anchor()
        observed = known.observed(M)
        assert observed is not None
        assert observed.samples == 60
        assert (known.secret, known.degraded, known.models()) == (secret, None, (M,))
    assert len(secret) == 32
    await again.close()


async def test_the_version_changes_with_caps_and_corrections_alone(tmp_path: Path) -> None:
    """Whoever made settings of them makes new ones then, and only then."""
    knowledge = opened(tmp_path)
    before = knowledge.version
    knowledge.truncated(M, cut())
    knowledge.anchored(M, digest(1), anchor())
    await until(lambda: read(tmp_path).truncations(M) is not None)
    await asyncio.sleep(1.2)  # a round of the thread's, whose news change nothing
    assert knowledge.version is before
    knowledge.learned(M, cap())
    capped = knowledge.version
    assert capped is not before
    knowledge.learned(M, cap())
    assert knowledge.version is capped
    knowledge.sampled(M, sample())
    await until(lambda: knowledge.observed(M) is not None)
    assert knowledge.version is not capped
    await knowledge.close()


async def test_corrections_follow_the_newest_samples(tmp_path: Path) -> None:
    """Of the last 256 of each model, whichever process they came from."""
    one, other = opened(tmp_path), opened(tmp_path)
    for n in range(200):
        one.sampled(M, sample(2000 + n))
        other.sampled(M, sample(4000 + n))

    def counts() -> list[int]:
        found = (each.observed(M) for each in (one, other, read(tmp_path)))
        return [0 if each is None else each.samples for each in found]

    await until(lambda: counts() == [tables.MOST_SAMPLES] * 3)
    await one.close()
    await other.close()


async def test_what_another_process_learns_and_forgets_is_noticed(tmp_path: Path) -> None:
    """A real process with ``forget``; two daemons teach each other, and lose nothing by it."""
    one, other = opened(tmp_path), opened(tmp_path)
    assert one.secret == other.secret
    one.learned(M, cap(4096))
    one.anchored(M, digest(1), anchor(1))
    other.learned("up/second", cap(8192))
    await until(lambda: other.cap(M) is not None and one.cap("up/second") is not None)
    await until(lambda: other.anchor(M, digest(1)) == anchor(1))
    version = other.version
    script = (
        "import sys; from pathlib import Path; from gatewayctl.storage.knowledge import forget;"
        f"print(forget(Path(sys.argv[1]), {M!r}).cap.window)"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path)), env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert told == b"4096\n"
    for each in (one, other):
        await until(lambda each=each: each.cap(M) is None, seconds=5)  # type: ignore[misc]
        assert each.anchor(M, digest(1)) is None
        assert each.cap("up/second") == cap(8192)
    assert other.version is not version
    one.learned(M, cap(2048))
    await until(lambda: other.cap(M) == cap(2048))
    await one.close()
    await other.close()


async def test_what_was_learned_before_forgetting_was_noticed_is_void_too(tmp_path: Path) -> None:
    """Else a daemon would bring back what a person has just taken away."""
    await _taught(tmp_path)
    knowledge = opened(tmp_path)
    with (
        contextlib.closing(sqlite.open_writing(_file(tmp_path), tables.MIGRATIONS)) as connection,
        sqlite.transaction(connection),
    ):
        tables.forget(connection, M)
        knowledge.learned(M, cap(2048))
        knowledge.anchored(M, digest(9), anchor())
    await until(lambda: knowledge.cap(M) is None)
    await knowledge.close()
    assert read(tmp_path).models() == ()


async def test_forgetting_says_what_was_known(tmp_path: Path) -> None:
    """Twice the second time nothing; and nothing is made where there was nothing."""
    assert forget(tmp_path / "none", M) == Forgotten()
    assert not (tmp_path / "none").exists()
    await _taught(tmp_path)
    told = forget(tmp_path, M)
    last = Truncations(count=1, last=cut())
    assert told == Forgotten(cap=cap(), truncations=last, samples=60, anchors=1)
    assert forget(tmp_path, M) == Forgotten()
    assert read(tmp_path).models() == ()


async def test_anchors_are_bounded_and_the_least_recently_used_go_first(tmp_path: Path) -> None:
    """In memory and in the file; a look-up is a use."""
    knowledge = opened(tmp_path)
    for n in range(tables.MOST_ANCHORS):
        knowledge.anchored(M, digest(n), anchor(n + 1))
    assert knowledge.anchor(M, digest(0)) == anchor(1)
    for n in range(3):
        knowledge.anchored(M, digest(10**6 + n), anchor())
    for known in (knowledge, None):
        if known is None:
            await knowledge.close()
        there = known or read(tmp_path)
        found = [n for n in range(6) if there.anchor(M, digest(n)) is not None]
        assert found == [0, 4, 5]


async def test_models_are_bounded(tmp_path: Path) -> None:
    """Those that nothing was learned of for longest go first."""
    knowledge = opened(tmp_path)
    for n in range(tables.MOST_MODELS + 5):
        knowledge.learned(f"up/m{n:05}", cap())
    assert len(knowledge.models()) == tables.MOST_MODELS
    await knowledge.close()
    known = read(tmp_path)
    assert len(known.models()) == tables.MOST_MODELS
    for odd in ("", "a" * 300, "up/\ud800", "up/\n"):
        knowledge.learned(odd, cap())
        assert knowledge.cap(odd) is None


@pytest.mark.parametrize("garbage", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000])
async def test_a_damaged_file_is_set_aside(tmp_path: Path, garbage: bytes) -> None:
    """With words, and a new one is begun; an empty file is none that is damaged."""
    _file(tmp_path).write_bytes(garbage)
    known = read(tmp_path)
    assert known.models() == ()
    assert (known.degraded is None) is (not garbage)
    knowledge = opened(tmp_path)
    assert (knowledge.degraded is None) is (not garbage)
    if garbage:
        assert "was damaged" in (knowledge.degraded or "")
        assert str(_file(tmp_path)) in (knowledge.degraded or "")
        assert len(_files(tmp_path, "knowledge.db.damaged-*")) == 1
    knowledge.learned(M, cap())
    await knowledge.close()
    assert read(tmp_path).cap(M) == cap()


def test_what_cannot_be_forgotten_is_said(tmp_path: Path) -> None:
    """The command line names the file, and why."""
    _file(tmp_path).write_bytes(b"no database")
    with pytest.raises(StorageFailed, match=r"cannot write .*/knowledge\.db: file is not"):
        forget(tmp_path, M)


async def test_a_file_of_a_newer_gatewayctl_is_left_alone(tmp_path: Path) -> None:
    """It is neither read nor written; what is learned meanwhile is known in memory."""
    await _taught(tmp_path)
    with contextlib.closing(sqlite.open_writing(_file(tmp_path), tables.MIGRATIONS)) as connection:
        connection.execute("PRAGMA user_version = 99")
    knowledge = opened(tmp_path)
    assert "newer gatewayctl" in (knowledge.degraded or "")
    assert "newer gatewayctl" in (read(tmp_path).degraded or "")
    with pytest.raises(StorageFailed, match="newer gatewayctl"):
        forget(tmp_path, M)
    knowledge.learned("up/other", cap())
    assert knowledge.cap("up/other") == cap()
    await knowledge.close()


async def test_a_folder_that_cannot_be_made_costs_nothing_once_it_can(tmp_path: Path) -> None:
    """Until then everything is known, corrections too, and ``degraded`` says what it would cost."""
    folder = tmp_path / "state"
    folder.write_bytes(b"a file where the folder should be")
    knowledge = opened(folder)
    assert "what is learned now is lost" in (knowledge.degraded or "")
    assert str(folder) in (knowledge.degraded or "")
    knowledge.learned(M, cap())
    knowledge.anchored(M, digest(1), anchor())
    for n in range(60):
        knowledge.sampled(M, sample(1000 + n))
    await until(lambda: knowledge.observed(M) is not None)
    secret = knowledge.secret
    assert len(secret) == 32
    assert read(folder).models() == ()
    folder.unlink()
    await until(lambda: knowledge.degraded is None)
    assert knowledge.secret == secret
    await until(lambda: read(folder).observed(M) is not None)
    known = read(folder)
    assert (known.cap(M), known.anchor(M, digest(1))) == (cap(), anchor())
    assert known.secret == secret
    await knowledge.close()


async def test_a_file_that_is_removed_is_made_again(tmp_path: Path) -> None:
    """Nothing is written to a file that has lost its name; the secret stays."""
    await _taught(tmp_path)
    knowledge = opened(tmp_path)
    for path in _files(tmp_path, "knowledge.db*"):
        path.unlink()
    knowledge.learned("up/new", cap())
    await until(lambda: read(tmp_path).cap("up/new") is not None)
    assert read(tmp_path).secret == knowledge.secret
    await knowledge.close()


FULL = """
import asyncio, resource, sys
from pathlib import Path
from support.teaching import anchor, cap, cut, digest, opened, sample
from support.waiting import until

async def main():
    knowledge = opened(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    knowledge.learned("up/model", cap())
    for n in range(60):
        knowledge.sampled("up/model", sample(1000 + n))
    await until(lambda: knowledge.degraded is not None)
    await until(lambda: knowledge.observed("up/model") is not None)
    assert knowledge.cap("up/model") == cap()
    print(knowledge.degraded)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await until(lambda: knowledge.degraded is None)
    await knowledge.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX's")
def test_a_full_disk_costs_nothing_once_there_is_room_again(tmp_path: Path) -> None:
    """No file may grow for a while: what is told waits, and is known meanwhile."""
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "knowledge.db" in run.stdout
    known = read(tmp_path)
    observed = known.observed(M)
    assert observed is not None
    assert (known.cap(M), observed.samples) == (cap(), 60)


async def _teaching(folder: Path, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.teaching", str(folder), name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT | {"PATH": os.environ["PATH"]},
    )


async def _rounds(process: asyncio.subprocess.Process, rounds: int) -> int:
    """Wait until a process has told of so many more rounds; return which the last one is."""
    assert process.stdout is not None
    last = 0
    for _ in range(rounds):
        last = int(await process.stdout.readline() or -1)
        assert last > 0
    return last


async def test_two_processes_write_while_one_is_killed_and_others_read(tmp_path: Path) -> None:
    """At any moment: nothing is torn, and what was in the file stays there."""
    chance = random.Random(5)  # noqa: S311 - no secret
    survivor = await _teaching(tmp_path, "survivor")
    for n in range(4):
        victim = await _teaching(tmp_path, f"victim{n}")
        known = await _rounds(victim, 1 + n % 2)
        await asyncio.sleep(chance.random())
        victim.kill()
        await victim.wait()
        found = read(tmp_path)
        assert found.degraded is None
        held = found.cap(f"victim{n}/own")
        assert held is not None
        assert held.window >= 4096 + known
        assert found.anchor(f"victim{n}/own", digest(known)) == anchor(known)
    await _rounds(survivor, 1)
    assert survivor.stdin is not None
    survivor.stdin.close()
    assert survivor.stdout is not None
    await survivor.stdout.read()
    assert await survivor.wait() == 0
    found = read(tmp_path)
    truncations = found.truncations("all/one")
    assert truncations is not None
    assert truncations.count % 5 == 0
    assert found.observed("all/one") is not None
    knowledge = opened(tmp_path)
    assert (knowledge.degraded, knowledge.secret) == (None, found.secret)
    await knowledge.close()
