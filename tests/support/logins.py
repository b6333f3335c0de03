"""``gatewayctl auth`` as a person runs it: a process of its own, beside a login server."""

import asyncio
import contextlib
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
from support.daemon import environment
from support.processes import Finished, run

PATIENCE = 30.0
_PAGE = re.compile(rb"^  (http\S+)$", re.MULTILINE)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a home folder and a config, whose provider is ``team``."""

    home: Path

    @property
    def config(self) -> Path:
        """Where the config is."""
        return self.home / "config.toml"

    @property
    def stored(self) -> Path:
        """Where the credentials are."""
        return self.home / ".local" / "state" / "gatewayctl" / "credentials.json"

    def tokens(self, provider: str = "team") -> tuple[str, str]:
        """Return the stored access token and refresh token."""
        record = msgspec.json.decode(self.stored.read_bytes())["credentials"][provider]
        return record["access_token"], record["refresh_token"]

    def command(self, *words: str) -> list[str]:
        """Return the command line of ``gatewayctl auth WORDS``."""
        config = ["--config", str(self.config)]
        return [sys.executable, "-m", "gatewayctl", "auth", *words, *config]

    async def auth(self, *words: str) -> Finished:
        """Run ``gatewayctl auth WORDS`` to its end, with nothing on standard input."""
        env = environment(self.home)
        return await run(self.command(*words), env=env, cwd=self.home, seconds=PATIENCE)


class Login(msgspec.Struct, kw_only=True):
    """A login that waits; ``page`` is the address of the login page."""

    process: Process
    page: str
    said: bytes

    def paste(self, line: str) -> None:
        """Paste a line into its terminal, so to speak."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    def close(self) -> None:
        """End its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def ended(self) -> Finished:
        """Wait for its end."""
        async with asyncio.timeout(PATIENCE):
            out, err = await self.process.communicate()
            assert self.process.returncode is not None
        said = (self.said + out).decode()
        return Finished(status=self.process.returncode, stdout=said, stderr=err.decode())


@contextlib.asynccontextmanager
async def login(person: Person, *options: str, **environ: str) -> AsyncIterator[Login]:
    """Run ``gatewayctl auth login team`` until it shows the login page; it is gone in the end."""
    process = await asyncio.create_subprocess_exec(
        *person.command("login", "team", *options),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment(person.home, **environ),
    )
    try:
        assert process.stdout is not None
        said = b""
        async with asyncio.timeout(PATIENCE):
            while not (found := _PAGE.search(said)):
                line = await process.stdout.readline()
                assert line, f"the login ended early: {said.decode()}"
                said += line
        yield Login(process=process, page=found[1].decode(), said=said)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def followed(page: str) -> tuple[int, str]:
    """Open a login page as a browser does, and return what it sees in the end."""
    async with aiohttp.ClientSession() as browser, browser.get(page) as reply:
        return reply.status, await reply.text()


async def redirected(page: str) -> str:
    """Open a login page, and return where it sends the browser, without going there."""
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(page, allow_redirects=False) as reply,
    ):
        return reply.headers["Location"]
