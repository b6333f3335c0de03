"""A running daemon, and a person who logs in beside it at an OAuth server nobody here wrote."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.authorization import authorization_server
from support.logins import Person, followed, login
from support.processes import serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

_ASKED = {"model": "team/m", "messages": [{"role": "user", "content": "Hello."}]}


async def _asked(http: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    async with http.post(f"{url}/v1/chat/completions", json=_ASKED) as reply:
        return reply.status, await reply.json()


async def _until(http: aiohttp.ClientSession, url: str, status: int) -> Any:
    """Ask until a status comes: the daemon looks at its files about once a second."""
    async with asyncio.timeout(20):
        while (answer := await _asked(http, url))[0] != status:  # noqa: ASYNC110 - not ours to signal
            await asyncio.sleep(0.1)
        return answer[1]


async def test_a_running_daemon_notices_logins_refreshes_and_logouts(tmp_path: Path) -> None:
    """Before a login it says what to do; after it, it answers; a 401 costs one refresh, unseen."""
    async with authorization_server() as server, aiohttp.ClientSession() as http:
        person = Person(home=tmp_path)
        async with serving(server.config("team"), tmp_path) as daemon:
            status, body = await _asked(http, daemon.url)
            assert status == 502
            assert "gatewayctl auth login team" in body["error"]["message"]
            async with login(person, "--no-browser") as waiting:
                await followed(waiting.page)
                assert (await waiting.ended()).status == 0
            assert (await _until(http, daemon.url, 200))["choices"]
            first = person.tokens()
            server.shelves.access.clear()
            assert (await _asked(http, daemon.url))[0] == 200
            second = person.tokens()
            assert set(first).isdisjoint(second)
            assert (await person.auth("refresh", "team", "--force")).status == 0
            server.shelves.access.discard(second[0])
            assert (await _asked(http, daemon.url))[0] == 200
            assert len(server.requests) == 3  # the login, the daemon's refresh, the person's
            assert (await person.auth("logout", "team")).status == 0
            body = await _until(http, daemon.url, 502)
            assert "gatewayctl auth login team" in body["error"]["message"]


async def test_a_token_that_is_about_to_end_is_refreshed_before_it_is_used(tmp_path: Path) -> None:
    """Tokens that live for two minutes are never fresh: each request gets one just made."""
    async with authorization_server(lifetime=120) as server, aiohttp.ClientSession() as http:
        person = Person(home=tmp_path)
        async with serving(server.config("team"), tmp_path) as daemon:
            async with login(person, "--no-browser") as waiting:
                await followed(waiting.page)
                assert (await waiting.ended()).status == 0
            await _until(http, daemon.url, 200)
            answers = await asyncio.gather(*(_asked(http, daemon.url) for _ in range(10)))
        assert {status for status, _ in answers} == {200}
        assert person.tokens()[1] in server.shelves.refresh
        assert len(server.shelves.refresh) == 1
