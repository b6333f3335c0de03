"""OAuth credentials through the whole daemon: renewed once, and dead where nothing else is left."""

import asyncio
import contextlib
import json
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from support.gateway import Gateway, gateway
from support.token_server import CLIENT_ID, Authority, serving

from gatewayctl.storage.credentials import Credential, Origin, State, Vault
from gatewayctl.upstream.headers import USER_AGENT

CONFIG = """
[providers.club]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "oauth"
oauth = {{ token_url = "{token_url}", client_id = "{client_id}" }}
{more}

[providers.spare]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "stand-in-spare"

[[cascades]]
id = "both"
[[cascades.steps]]
model = "club/m"
context_window = "128K"
[[cascades.steps]]
model = "spare/m"
context_window = "128K"
"""
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
}


class Club(msgspec.Struct):
    """An upstream that serves the access tokens of an authority; ``seen`` are calls as they came.

    ``refusal`` is a status and an error that it answers with in any case, ``limit`` the headers of
    a 429 that it answers with.
    """

    authority: Authority
    seen: list[tuple[dict[str, str], bytes]] = msgspec.field(default_factory=list)
    refusal: tuple[int, dict[str, str]] | None = None
    limit: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one chat completion."""
        self.seen.append((dict(request.headers), await request.read()))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token == "stand-in-spare":
            return web.json_response(ANSWER)
        if self.limit:
            return web.json_response({"error": {"code": "no"}}, status=429, headers=self.limit)
        if self.refusal is not None:
            return web.json_response({"error": self.refusal[1]}, status=self.refusal[0])
        if not self.authority.accepts(token):
            error = {"message": "bad token", "type": "invalid_request_error", "code": "no"}
            return web.json_response({"error": error}, status=401)
        return web.json_response(ANSWER)

    @property
    def tokens(self) -> list[str]:
        """The bare credentials of all calls."""
        return [head["Authorization"].removeprefix("Bearer ") for head, _ in self.seen]


@contextlib.asynccontextmanager
async def club(
    *, more: str = "", stored: Credential | None = None
) -> AsyncIterator[tuple[Gateway, Club]]:
    """Run a gateway whose provider ``club`` was logged in to, without an access token yet."""
    authority = Authority()
    upstream = Club(authority)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        server = await stack.enter_async_context(serving(authority))
        state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        Vault(state).put("club", stored or Credential(refresh_token=authority.login()))
        config = CONFIG.format(url=url, token_url=server.url, client_id=CLIENT_ID, more=more)
        yield await stack.enter_async_context(gateway(config, state=state)), upstream


async def ask(
    it: Gateway, model: str = "club/m", headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], Any]:
    """Ask for one answer; return status, headers and body."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "odd": 1}
    url = f"{it.url}/v1/chat/completions"
    async with it.client.post(url, json=body, headers=headers or {}) as reply:
        return reply.status, reply.headers, await reply.json()


async def test_ten_requests_at_a_cold_start_make_one_token_request() -> None:
    """All of them are answered with what came of it."""
    async with club() as (it, upstream):
        told = await asyncio.gather(*(ask(it) for _ in range(10)))
    assert [status for status, _, _ in told] == [200] * 10
    assert len(upstream.authority.requests) == 1
    assert len(set(upstream.tokens)) == 1


async def test_a_refused_token_that_was_imported_is_to_be_imported_anew() -> None:
    """To log in, which the provider's hint says, would leave the person with another credential."""
    imported = Credential(access_token="imported-token", origin=Origin.TOKEN)
    async with club(stored=imported) as (it, _):
        status, _, told = await ask(it)
    assert status == 502
    assert told["error"]["message"].endswith(
        "the gateway's own credential for club that was refused: import a new one with "
        "`gatewayctl auth import club --token`"
    )


async def test_a_token_that_the_upstream_refuses_is_renewed_once_and_the_request_goes_on() -> None:
    """The client sees an answer; the attempt that was refused is one of its own."""
    async with club() as (it, upstream):
        assert (await ask(it))[0] == 200
        upstream.authority.forget(upstream.tokens[0])
        told = await asyncio.gather(*(ask(it) for _ in range(5)))
        assert [status for status, _, _ in told] == [200] * 5
        assert len(upstream.authority.requests) == 2
        await ask(it)
    assert len(set(upstream.tokens)) == 2


async def test_an_upstream_that_refuses_every_token_is_told_after_one_renewal() -> None:
    """A token server that keeps issuing must not be asked without end."""
    async with club() as (it, upstream):
        upstream.refusal = (401, {"message": "no", "type": "invalid_request_error", "code": "no"})
        status, headers, _ = await ask(it)
        assert (status, headers["x-should-retry"]) == (502, "false")
        assert len(upstream.seen) == 2
        assert len(upstream.authority.requests) == 2


async def test_a_dead_credential_is_told_with_what_to_do_and_routes_go_round_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """502 in the client's own dialect, nothing is sent any more.

    The log, the status, /readyz and every reply's headers say it, too.
    """
    caplog.set_level(logging.INFO)
    async with club() as (it, upstream):
        vault = Vault(it.state)
        there = vault.get("club")
        assert there is not None
        upstream.authority.spend(there.refresh_token)
        for _ in range(2):
            status, headers, body = await ask(it)
            assert (status, headers["x-should-retry"]) == (502, "false")
            assert body["error"]["message"].count("gatewayctl auth login club") == 1
            assert "that was refused" not in body["error"]["message"]  # no upstream was asked
        assert upstream.seen == []
        assert len(upstream.authority.requests) == 1
        stored = vault.get("club")
        assert stored is not None
        assert stored.state is State.TERMINAL
        async with it.client.get(f"{it.url}/api/status") as reply:
            told = await reply.json()
        assert any("auth login club" in each for each in told["degraded"])
        async with it.client.get(f"{it.url}/readyz") as reply:
            assert "auth login club" in (await reply.json())["degraded"]
        status, headers, _ = await ask(it, "both")
        assert (status, headers["x-gatewayctl-model"]) == (200, "spare/m")
        assert "auth login club" in headers["x-gatewayctl-degraded"]
        assert "from=ready to=terminal reason=invalid_grant" in caplog.text


async def test_a_login_while_the_daemon_runs_is_noticed() -> None:
    """Nobody has to restart anything."""
    dead = Credential(state=State.TERMINAL, message="it is over: gatewayctl auth login club")
    async with club(stored=dead) as (it, upstream):
        assert (await ask(it))[0] == 502
        Vault(it.state).put("club", Credential(refresh_token=upstream.authority.login()))
        await asyncio.sleep(1.1)
        assert (await ask(it))[0] == 200


async def test_a_new_login_is_served_though_the_last_account_was_spent() -> None:
    """What was heard of an account, and what its refusals asked to wait for, ends with it."""
    async with club() as (it, upstream):
        upstream.limit = {
            "Retry-After": "3000",
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(int(time.time()) + 3000),
        }
        assert [(await ask(it))[0], (await ask(it))[0]] == [429, 429]
        assert len(upstream.seen) == 1
        upstream.limit = {}
        Vault(it.state).put("club", Credential(refresh_token=upstream.authority.login()))
        for _ in range(100):  # the file is looked at once a second
            if (status := (await ask(it))[0]) == 200:
                break
            await asyncio.sleep(0.05)
        assert status == 200


async def test_a_disabled_organization_ends_the_credential() -> None:
    """The provider's own word for it is read from the parsed error, and kept."""
    async with club() as (it, upstream):
        words = "This organization has been disabled."
        upstream.refusal = (400, {"message": words, "type": "invalid_request_error"})
        await ask(it)
        calls = len(upstream.seen)
        status, _, body = await ask(it)
        assert status == 502
        assert "organization has been disabled" in body["error"]["message"]
        assert len(upstream.seen) == calls


async def test_a_subscription_serves_its_own_client_with_its_request_as_it_came() -> None:
    """Its headers and its body go up unchanged but for the credential and the model's name."""
    agent = {"User-Agent": "genuine/1.2", "x-genuine": "yes", "x-api-key": "stand-in-of-its-own"}
    async with club(more='clients = ["genuine/*"]') as (it, upstream):
        assert (await ask(it, headers=agent))[0] == 200
        headers, body = upstream.seen[0]
        assert (headers["User-Agent"], headers["x-genuine"]) == ("genuine/1.2", "yes")
        assert headers["Authorization"] == "Bearer access-2"
        assert "stand-in-of-its-own" not in str(headers)
        assert json.loads(body) == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "odd": 1,
        }


async def test_other_clients_are_refused_clearly_and_never_pass_for_it() -> None:
    """They hear which kind of key they need; in a route whoever has one answers."""
    async with club(more='clients = ["genuine/*"]') as (it, upstream):
        other = {"User-Agent": "other/1.0"}
        status, _, body = await ask(it, headers=other)
        assert status == 403
        assert "genuine/*" in body["error"]["message"]
        assert "api_key" in body["error"]["message"]
        assert upstream.seen == []
        status, headers, _ = await ask(it, "both", headers=other)
        assert (status, headers["x-gatewayctl-model"]) == (200, "spare/m")
        assert [head["User-Agent"] for head, _ in upstream.seen] == [USER_AGENT]
        body_of_messages = {
            "model": "club/m",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}],
        }
        genuine = {"User-Agent": "genuine/1.2"}
        url = f"{it.url}/v1/messages"
        async with it.client.post(url, json=body_of_messages, headers=genuine) as reply:
            assert reply.status == 400  # in translation it would not be its own request any more
        assert len(upstream.seen) == 1
