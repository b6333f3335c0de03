"""The refreshing process does one job, and never outlives the daemon that gave it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import msgspec
from support.refreshing import table
from support.sources import source
from support.waiting import until

from gatewayctl.config.settings import SourceSettings
from gatewayctl.registry.refresh import Refreshed
from gatewayctl.upstream.refresher import Job


async def _started(folder: Path, url: str) -> Process:
    """Start a process with the job of asking one table, its input left open."""
    tables = {"litellm": SourceSettings(url=url, ttl=60.0, timeout=60.0)}
    job = Job(folder=str(folder), now=1_700_000_000.0, sources=tables)
    arguments = ("-P", "-m", "gatewayctl.upstream.refresher")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(job) + b"\n")
    return process


async def test_it_ends_when_its_job_is_done(tmp_path: Path) -> None:
    """Whether or not the daemon has closed its input."""
    with source() as tables:
        tables.play = tables.table(table())
        process = await _started(tmp_path, f"{tables.url}/litellm")
        assert process.stdout is not None
        async with asyncio.timeout(30):
            told = msgspec.json.decode(await process.stdout.read(), type=Refreshed)
            assert await process.wait() == 0
    assert (told.source, told.models) == ("litellm", 5000)


async def test_it_ends_when_the_daemon_is_gone(tmp_path: Path) -> None:
    """Killed, and with no time to say so: nothing is left that waits for a slow source."""
    with source() as tables:
        tables.play = tables.nothing()
        process = await _started(tmp_path, f"{tables.url}/litellm")
        assert process.stdin is not None
        async with asyncio.timeout(30):
            await until(lambda: bool(tables.asked))
            process.stdin.close()
            assert await process.wait() == 1
