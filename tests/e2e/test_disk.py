"""A ledger that cannot be written: answers go on, and everyone is told what is being lost."""

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from support.daemon import Daemon, daemon, environment
from support.dialects import PATHS, encoded

from gatewayctl import simulator as simulators
from gatewayctl.storage import history
from gatewayctl.storage.records import Outcome

DEGRADED: Final = "x-gatewayctl-degraded"
CONFIG: Final = """
[providers.up]
kind = "openai-compatible"
base_url = "{}/v1"
auth = "none"
"""


class Client:
    """Asks a daemon for answers, and how it is."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, number: int, padding: str = "") -> str | None:
        """Ask for one answer, which has to come; return what its headers say is degraded."""
        name = f"up/large!words=3!slow=0.000{number:06d}{padding}"
        body = encoded("chat_completions", name, "Hi", stream=bool(number % 2))
        async with self._session.post(PATHS["chat_completions"], data=body) as reply:
            assert reply.status == 200
            assert b'"finish_reason":"' in await reply.read()
            return reply.headers.get(DEGRADED)

    async def ready(self) -> dict[str, Any]:
        """Return what ``/readyz`` says; it stays 200, since answers are given."""
        async with self._session.get("/readyz") as reply:
            assert reply.status == 200
            told: dict[str, Any] = await reply.json()
            return told

    async def ledger(self) -> dict[str, Any]:
        """Return what ``/api/status`` says of the ledger."""
        async with self._session.get("/api/status") as reply:
            assert reply.status == 200
            told: dict[str, Any] = (await reply.json())["ledger"]
            return told

    async def lose(self, first: int) -> int:
        """Ask, with the longest names, until records are lost; return how often."""
        padding = "!pace=0." + "0" * 900
        async with asyncio.timeout(60):
            for asked in range(1, 4000):
                await self.ask(first + asked, padding)
                if not asked % 50 and (await self.ledger())["lost"]:
                    return asked
        raise AssertionError("nothing was lost, however much was asked")

    async def recover(self) -> None:
        """Return as soon as nothing is degraded any more."""
        async with asyncio.timeout(20):
            while await self.ready() != {"status": "ready"}:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    """Write a config in front of a simulator that runs."""
    simulator = await simulators.start()
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.format(simulator.base_url), encoding="utf-8")
    yield file
    await simulator.close()


def state(home: Path) -> Path:
    """Return the folder of the ledger under a home."""
    return home / ".local" / "state" / "gatewayctl"


async def stopped(running: Daemon) -> None:
    """Stop the daemon, which has to end well and to have said what it could not keep."""
    assert await asyncio.to_thread(running.stop) == 0
    log = "".join(running.log)
    assert "Traceback" not in log
    assert "ledger" in log.lower()


async def test_a_file_in_place_of_the_state_folder_costs_the_ledger_alone(
    config: Path, tmp_path: Path
) -> None:
    """The daemon starts, answers, says in every reply and in its status what is lost."""
    state(tmp_path).parent.mkdir(parents=True)
    state(tmp_path).write_text("not a folder", encoding="utf-8")
    with daemon("--config", str(config), env=environment(tmp_path)) as running:
        async with aiohttp.ClientSession(running.url) as session:
            client = Client(session)
            degraded = [await client.ask(number) for number in range(1, 6)]
            assert all(each is not None and "ledger" in each for each in degraded)
            ready = await client.ready()
            assert ready["status"] == "ready"
            assert "ledger" in ready["degraded"]
            ledger = await client.ledger()
            assert ledger["degraded"]
            assert ledger["pending"] + ledger["lost"] >= 5 * 4, "what a request writes, five times"
            assert "records or more in memory only" in ledger["degraded"]
        await stopped(running)
    assert " records lost; " in running.log[-1], "the last word is what it cost"
    assert state(tmp_path).read_text(encoding="utf-8") == "not a folder"


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process, as Linux can")
async def test_a_disk_that_fills_up_loses_records_and_no_answer(
    config: Path, tmp_path: Path
) -> None:
    """Every answer comes; what memory cannot hold is counted as lost, the rest written later.

    The files of the ledger are limited to what they hold already, as a full disk would do.
    """
    with daemon("--config", str(config), env=environment(tmp_path)) as running:
        async with aiohttp.ClientSession(running.url) as session:
            client = Client(session)
            assert await client.ask(1) is None
            assert await client.ready() == {"status": "ready"}
            pid, free = running.process.pid, resource.RLIM_INFINITY
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, free))
            asked = await client.lose(first=1)
            assert "ledger" in (await client.ask(5000) or "")
            assert "ledger" in (await client.ready())["degraded"]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (free, free))
            await client.recover()
            assert await client.ask(9000) is None
            lost = (await client.ledger())["lost"]
        await stopped(running)
    logged = history.requests(state(tmp_path), limit=10_000)
    kept = {request.asked for request in logged if request.outcome is Outcome.ANSWERED}
    assert {"up/large!words=3!slow=0.000000001", "up/large!words=3!slow=0.000009000"} <= kept
    assert 0 < asked + 3 - len(kept) <= lost
