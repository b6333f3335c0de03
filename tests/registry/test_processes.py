"""Processes that share a cache: none reads half a table, or loses another's, or minds a crash.

A thousand rounds in the suite, of small tables; of larger ones in ``make soak``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork and kill -9"),
]

ROOT = Path(__file__).parents[2]
SOAK = bool(os.environ.get("GATEWAYCTL_SOAK"))
MODELS = 1000 if SOAK else 20
ROUNDS = 1000
READERS = 10
KILLS = 1000 if SOAK else 90

COMMON = """
import json, os, random, sys, time
from pathlib import Path
from gatewayctl.config.settings import SourceSettings
from gatewayctl.registry.cache import Cache, Outcome
from gatewayctl.registry.fetching import Fetched
from gatewayctl.registry.refresh import refresh
from gatewayctl.registry.table import Table, join

FOLDER, MODELS, ROUNDS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
BASE = 1_000_000
NAMES = [f"m{n}" for n in range(MODELS)]
EMPTY = Table.load(join({}))

class Nothing:
    def load(self): return EMPTY
    def digest(self): return ""

def cache():
    return Cache(FOLDER, Nothing())

def body(source, version):
    window = BASE + version
    if source == "litellm":
        entry = {"litellm_provider": "openai", "max_input_tokens": window}
        return json.dumps(dict.fromkeys(NAMES, entry)).encode()
    return json.dumps({"openai": {"models": dict.fromkeys(NAMES, {"limit": {"context": window}})}})

def write(source, version):
    settings = SourceSettings(url=f"http://{source}/", ttl=1, timeout=60)
    told = body(source, version)
    told = told if isinstance(told, bytes) else told.encode()
    done = refresh({source: settings}, cache(), lambda query: Fetched(body=told))[source]
    assert done.outcome is Outcome.FETCHED, done

def versions():
    '''Return each source's version, once all of its models say the same one.'''
    table = cache().load()
    assert not table.lost, table.lost
    found = {}
    for source in table.sources:
        part = table.part(source.name)
        assert len(part.models) == MODELS, source
    for model in NAMES if MODELS < 100 else NAMES[::97]:
        for source, said in table.spoken(f"openai/{model}").items():
            size = said.claims.context_window or said.claims.max_input_tokens
            found.setdefault(source, set()).add(size - BASE)
    assert all(len(each) == 1 for each in found.values()), found
    return {source: each.pop() for source, each in found.items()}
"""

WRITE = """
source, before = sys.argv[4], {}
for version in range(1, ROUNDS + 1):
    write(source, version)
    now = versions()
    assert now[source] == version, (now, version)
    assert all(now.get(name, 0) >= known for name, known in before.items()), (before, now)
    before = now
"""

READ = """
before, reads, over = {}, 0, False
while not over:
    over = (FOLDER.parent / "over").exists()  # asked first: the last read is of what came last
    now = versions()
    assert all(now.get(name, 0) >= known for name, known in before.items()), (before, now)
    before, reads = now, reads + 1
    (FOLDER.parent / f"reads-{os.getpid()}").touch()
    time.sleep(0.02)
print(json.dumps([reads, before]))
"""

KILL = """
write("litellm", 1)
began = time.monotonic()
write("models_dev", 1)
chance, seen, took = random.Random(19), versions(), min(time.monotonic() - began, 0.02)
for round in range(ROUNDS):
    child = os.fork()
    if child == 0:
        version = max(seen.values())
        while True:
            version += 1
            write("litellm", version)
            write("models_dev", version)
    time.sleep(chance.uniform(0, 4 * took))
    os.kill(child, 9)
    os.waitpid(child, 0)
    now = versions()
    assert all(now.get(name, 0) >= known for name, known in seen.items()), (seen, now)
    seen = now
write("litellm", 999_999)
left = [path.name for path in FOLDER.rglob("*.tmp")]
print(json.dumps([versions(), left]))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder in memory where there is one: what is proven here is not the disk's speed."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of the test's own is made in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made) / "registry"


def started(code: str, folder: Path, rounds: int, *more: str) -> "subprocess.Popen[str]":
    """Start a process that runs this code after what all of them have in common."""
    argv = [sys.executable, "-c", COMMON + code, str(folder), str(MODELS), str(rounds), *more]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: "subprocess.Popen[str]") -> str:
    """Return what a process printed, once it has ended well."""
    out, err = process.communicate(timeout=3600 if SOAK else 120)
    assert process.returncode == 0, err[-2000:]
    return out


def test_two_refresh_while_ten_read_for_a_thousand_rounds(folder: Path) -> None:
    """Every read is of whole tables, none older than the last; nobody's update is ever undone."""
    readers = [started(READ, folder, 0) for _ in range(READERS)]
    while sum(1 for _ in folder.parent.glob("reads-*")) < READERS:
        assert all(reader.poll() is None for reader in readers)
        time.sleep(0.01)
    writers = [started(WRITE, folder, ROUNDS, source) for source in ("litellm", "models_dev")]
    for writer in writers:
        ended(writer)
    (folder.parent / "over").touch()
    told = [json.loads(ended(reader)) for reader in readers]
    assert all(versions == {"litellm": ROUNDS, "models_dev": ROUNDS} for _, versions in told)
    assert all(reads > 10 for reads, _ in told)


def test_kill_9_while_writing_leaves_a_cache_that_loads(folder: Path) -> None:
    """At whatever moment: nothing is lost but what was being written, and nothing is left over."""
    versions, left = json.loads(ended(started(KILL, folder, KILLS)))
    assert versions["litellm"] == 999_999
    assert versions["models_dev"] > 1
    assert not left
