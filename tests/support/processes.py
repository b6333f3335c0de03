"""Genuine programs as subprocesses of a test: bounded in time, and gone when it is over.

``run`` runs one to its end, ``upstream`` one that serves HTTP; ``Daemon`` is a ``gatewayctl serve``
in a process of its own.
"""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

_ROOT: Final = Path(__file__).resolve().parents[2]
_PATIENCE: Final = 20.0
"""Seconds that a daemon may take to start, and to stop."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """How a program ended, and all it said."""

    status: int
    stdout: str
    stderr: str


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path
) -> AsyncIterator[Process]:
    """Start a program in a process group of its own; whatever is left of it is killed at the end.

    Its standard input is empty, its output is piped.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
        limit=16 * 1024 * 1024,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def run(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, seconds: float
) -> Finished:
    """Run a program to its end; raise ``TimeoutError`` when it takes longer than ``seconds``."""
    async with started(command, env=env, cwd=cwd) as process, asyncio.timeout(seconds):
        stdout, stderr = await process.communicate()
        assert process.returncode is not None
        return Finished(
            status=process.returncode,
            stdout=stdout.decode(errors="replace"),
            stderr=stderr.decode(errors="replace"),
        )


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port: int = finder.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def upstream(
    command: Sequence[str | Path], url: str, folder: Path, *, seconds: float = 60
) -> AsyncIterator[Process]:
    """Run a server in ``folder`` as its home; it is up once a GET of ``url`` gives 200."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    async with started(command, env=env, cwd=folder) as process:
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
            while not await _answers(session, url):
                assert process.returncode is None, f"{command[0]} ended early"
                await asyncio.sleep(0.05)
        yield process


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as reply:
            return reply.status == 200
    except aiohttp.ClientConnectionError:
        return False


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """A running ``gatewayctl serve``."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """``http://HOST:PORT``."""
        return f"http://{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def serving(config: str, folder: Path) -> AsyncIterator[Daemon]:
    """Run ``gatewayctl serve`` with this config; SIGTERM has to end it with exit status 0.

    ``folder`` becomes its home and working directory. It asks no source of the registry unless the
    config says something of them: nobody is called who is not in the test.
    """
    file = folder / "config.toml"
    manual = "" if "[registry" in config else '\n[registry]\nrefresh = "manual"\n'
    file.write_text(config + manual, encoding="utf-8")
    command = [sys.executable, "-m", "gatewayctl", "serve", "--config", str(file), "--port", "0"]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(_ROOT)}
    async with started(command, env=env, cwd=folder) as process:
        assert process.stderr is not None
        said = b""
        async with asyncio.timeout(_PATIENCE):
            while not (found := re.search(rb"listening on http://([\d.]+):(\d+)", said)):
                line = await process.stderr.readline()
                assert line, f"serve ended early: {said.decode()}"
                said += line
        log = asyncio.ensure_future(process.stderr.read())
        try:
            yield Daemon(host=found[1].decode(), port=int(found[2]))
        finally:
            process.terminate()
            async with asyncio.timeout(_PATIENCE):
                status = await process.wait()
                said += await log
            sys.stderr.write(said.decode(errors="replace"))  # pytest shows it when a test fails
        assert status == 0
        assert b"Traceback" not in said
