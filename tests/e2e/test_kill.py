"""``kill -9`` under load: what was started is on record, and the next start finds nothing wrong.

Three kills in the suite, twenty in ``make soak``.
"""

import asyncio
import contextlib
import itertools
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import pytest
from support.daemon import Daemon, daemon, environment
from support.dialects import PATHS, PROTOCOLS, encoded, text_in

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator
from gatewayctl.storage import history, journal
from gatewayctl.storage.history import LoggedAttempt
from gatewayctl.storage.records import Outcome

KILLS: Final = 20 if "GATEWAYCTL_SOAK" in os.environ else 2
CLIENTS: Final = 32
UNSEEN: Final = 2.5
"""Seconds of a stream that a kill may take from the ledger: a checkpoint and a batch are one each,
and this test's own clock is half of one behind."""
CHARS_PER_TOKEN: Final = 3.5
"""How the gateway estimates output that was not metered."""
TROUBLE: Final = ("WARNING", "ERROR", "CRITICAL", "Traceback")

CONFIG: Final = """
[providers.up]
kind = "openai-compatible"
base_url = "{}/v1"
auth = "none"
protocols = ["chat_completions", "responses", "messages"]
"""

pytestmark = pytest.mark.soak


class Read(msgspec.Struct, kw_only=True):
    """What a client read of one streamed answer: its length in text so far, and when."""

    protocol: str
    grown: list[tuple[float, int]] = []

    def by(self, moment: float) -> int:
        """Return how many characters of text had come by then."""
        return max((size for at, size in self.grown if at <= moment), default=0)


class Load:
    """Clients that ask without end until their connection breaks off.

    Every request has a model of its own, by which it is found again at both ends.
    """

    def __init__(self, chance: random.Random) -> None:
        self.read: dict[str, Read] = {}
        self._chance = chance
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def on(self, url: str) -> AsyncIterator[None]:
        """Run the clients until the block is over and the daemon is gone."""
        async with aiohttp.ClientSession(url) as session, asyncio.timeout(60):
            clients = [asyncio.ensure_future(self._client(session)) for _ in range(CLIENTS)]
            yield
            await asyncio.gather(*clients)

    async def _client(self, session: aiohttp.ClientSession) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while True:
                await self._one(session)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        protocol = self._chance.choice(PROTOCOLS)
        stream = self._chance.random() < 0.7
        words = self._chance.choice((5, 5, 50, 500)) if stream else 20
        model = f"up/large!words={words}!pace=0.01{next(self._numbers):06d}"
        read = Read(protocol=protocol)
        if stream:
            self.read[model] = read
        more = {"max_tokens": 2000} if protocol == "messages" else {}
        body = encoded(protocol, model, "Hello", stream=stream, **more)
        async with session.post(PATHS[protocol], data=body) as reply:
            assert reply.status == 200
            size = 0
            async for line in reply.content:
                size += len(text_in(line))
                read.grown.append((asyncio.get_running_loop().time(), size))


@contextlib.contextmanager
def _serving(config: Path, home: Path) -> Iterator[Daemon]:
    with daemon("--config", str(config), env=environment(home)) as running:
        yield running
    assert not [line for line in running.log if any(word in line for word in TROUBLE)]


async def _kill(simulator: Simulator, home: Path, load: Load, after: float) -> float:
    """Start a daemon on what the last one left, kill it under load, and return when."""
    config = home / "config.toml"
    config.write_text(CONFIG.format(simulator.base_url), encoding="utf-8")
    with _serving(config, home) as running:
        await _ready(running, home)
        async with load.on(running.url):
            await asyncio.sleep(after)
            running.process.kill()
            return asyncio.get_running_loop().time()


async def _ready(running: Daemon, home: Path) -> None:
    """Fail unless the daemon is ready, nothing is degraded, and the journal is all its own."""
    async with aiohttp.ClientSession(running.url) as session, session.get("/readyz") as reply:
        assert (reply.status, await reply.json()) == (200, {"status": "ready"})
    assert len(journal.instances(_state(home))) == 1


def _state(home: Path) -> Path:
    return home / ".local" / "state" / "gatewayctl"


async def test_no_started_attempt_is_lost_when_the_daemon_is_killed(tmp_path: Path) -> None:
    """Each call that the upstream saw has its row; what was interrupted holds what was metered.

    Every start is clean: no warning, ready at once, nothing left of the dead ones.
    """
    chance = random.Random(8)  # noqa: S311 - when to kill is no secret
    load = Load(chance)
    killed: list[tuple[float, set[str]]] = []
    simulator = await simulators.start()
    try:
        for number in range(KILLS):
            before = set(load.read)
            after = chance.uniform(*((0.1, 2.5) if number % 2 else (UNSEEN + 0.7, UNSEEN + 2)))
            at = await _kill(simulator, tmp_path, load, after)
            killed.append((at, load.read.keys() - before))
        with _serving(tmp_path / "config.toml", tmp_path) as last:
            await _ready(last, tmp_path)
            assert await asyncio.to_thread(last.stop) == 0
    finally:
        await simulator.close()
    assert not journal.instances(_state(tmp_path))
    logged = history.requests(_state(tmp_path), limit=100_000)
    attempts = [attempt for request in logged for attempt in request.attempts]
    called = Counter(f"up/{call.model}" for call in simulator.journal.calls())
    assert called <= Counter(attempt.model for attempt in attempts)
    assert all(request.outcome is not None for request in logged)
    interrupted = {it.model: it for it in attempts if it.outcome is Outcome.INTERRUPTED}
    sys.stdout.write(
        f"\n{KILLS} kills: {called.total()} calls, {len(attempts)} attempts on record,"
        f" {len(interrupted)} of them interrupted\n"
    )
    assert len(interrupted) >= KILLS
    _assert_metered(load, killed, interrupted)


def _assert_metered(
    load: Load, killed: list[tuple[float, set[str]]], interrupted: dict[str, LoggedAttempt]
) -> None:
    """Compare what clients had read some time before the kill with what is written down."""
    checked = 0
    for at, models in killed:
        for model in models & interrupted.keys():
            size = load.read[model].by(at - UNSEEN)
            if size:
                checked += 1
                attempt = interrupted[model]
                usage = attempt.metered.usage
                assert attempt.first_token is not None
                assert usage.input
                # Before its last event a Messages stream meters 1: what it wrote says more.
                assert (usage.output or 0) >= size / CHARS_PER_TOKEN, (model, size, usage)
    assert checked
