"""No planted secret comes to light, whoever asks for what and whatever the upstream says.

The daemon is a process of its own, its upstream repeats everything that it is sent: in errors, in
streams, in headers, in the status line. What the gateway then tells anybody is searched.
"""

import asyncio
import json
import os
import signal
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import pytest
from support.daemon import daemon, environment
from support.dialects import DIALECTS, address, encoded
from support.planted import FORWARDED, PROMPT, PROVIDERS, WAYS, Planted, echo, plant, traces
from support.upstream import FakeUpstream

from gatewayctl.storage.credentials import FILE as VAULT

_CREDENTIALS: Final = {
    "authorization": f"Bearer {FORWARDED}",
    "x-api-key": FORWARDED,
    "x-goog-api-key": FORWARDED,
    "cookie": f"a={FORWARDED}",
}
_PRIVATE: Final = frozenset({VAULT, "operator.key", "client-keys.json"})
_OTHERS: Final = ("/v1/embeddings", "/v1/completions", "/v1/messages/count_tokens")
_API: Final = (
    "/api/status", "/api/models", "/api/quota", "/v1/models", "/v1beta/models", "/readyz",
    "/healthz", "/", "/nothing",
)  # fmt: skip


class Evidence(msgspec.Struct, kw_only=True):
    """What was found where."""

    leaks: list[str] = []
    looked_at: int = 0

    def look(self, where: str, *texts: bytes | str, but: tuple[str, ...] = ()) -> None:
        """Look for planted secrets in texts, ``but`` for what may be in these."""
        for text in texts:
            self.looked_at += 1
            data = text.encode() if isinstance(text, str) else text
            self.leaks += (f"{where}: {each}" for each in traces(data, but=but))


def _requests() -> Iterator[tuple[str, str, bytes, str]]:
    """Yield whom each request is for, its path, its body and in which way it is answered."""
    for number, provider in enumerate(PROVIDERS):
        for way in WAYS:
            for stream in (False, True):
                # Every pair of a provider and a way, in a protocol that changes from pair to pair.
                protocol = DIALECTS[(number + len(way) + stream) % len(DIALECTS)]
                model = f"{provider}/{way}"
                path = address(protocol, model, stream=stream)
                yield provider, path, encoded(protocol, model, PROMPT, stream=stream), way
        for path in _OTHERS:
            body = encoded("messages", f"{provider}/echo-400", PROMPT, input=PROMPT, prompt=PROMPT)
            yield provider, path, body, "echo-400"
    for protocol in DIALECTS:
        yield "forward", address(protocol, "all"), encoded(protocol, "all", PROMPT), "echo-500"


EVERY = 2 if "GATEWAYCTL_SOAK" in os.environ else 5
"""Of so many requests one is asked. Prime to their number at each provider: else some never are."""


async def _ask(
    http: aiohttp.ClientSession, url: str, body: bytes | None, evidence: Evidence, where: str
) -> str:
    """Ask, and look at all that comes back; what a client brought itself it may see again."""
    method = "GET" if body is None else "POST"
    query = f"{'&' if '?' in url else '?'}key={FORWARDED}" if "v1beta" in url else ""
    headers = {**_CREDENTIALS, "x-gatewayctl-session": "planted"}
    received = b""
    try:
        async with http.request(method, url + query, data=body, headers=headers) as answer:
            told = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            async for piece in answer.content.iter_any():
                received += piece
            evidence.look(f"{where} {answer.status} headers", told, but=(FORWARDED, PROMPT))
    except aiohttp.ClientPayloadError:
        received += b" (torn)"
    evidence.look(where, received, but=(FORWARDED, PROMPT))
    return received.decode(errors="replace")


async def _drive(url: str, evidence: Evidence, begin: int = 0, step: int = 1) -> None:
    """Ask for every so manyth of all requests."""
    gate = asyncio.Semaphore(16)
    async with aiohttp.ClientSession() as http:

        async def one(provider: str, path: str, body: bytes, way: str) -> None:
            async with gate, asyncio.timeout(60):
                await _ask(http, url + path, body, evidence, f"{provider} {way} {path}")

        await asyncio.gather(*(one(*each) for each in islice(_requests(), begin, None, step)))
        for path in _API:
            await _ask(http, url + path, None, evidence, path)
        for provider in (*PROVIDERS, "all"):
            model = provider if provider == "all" else f"{provider}/echo-400"
            body = encoded("chat_completions", model, PROMPT)
            for path in ("/api/route-explain", "/api/estimate"):
                told = await _ask(http, url + path, body, evidence, path)
                assert PROMPT not in told


def _files(planted: Planted, evidence: Evidence) -> None:
    """Look into every file that was written: the vault alone may hold tokens, for its owner."""
    kept = list(planted.kept())
    assert any(path.name == "ledger.db" for path in kept)
    for path in kept:
        if path.name in _PRIVATE:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        else:
            evidence.look(str(path.relative_to(planted.home)), path.read_bytes())


@pytest.mark.soak
@pytest.mark.parametrize("style", ["text", "json"])
async def test_nothing_planted_is_told_logged_or_kept(tmp_path: Path, style: str) -> None:
    """Answers, their headers, explanations, the log at its most talkative, and every file.

    Every so manyth of the requests is asked, others with each form of the log.
    """
    evidence = Evidence()
    async with FakeUpstream(choose=echo) as upstream:
        planted = plant(tmp_path, upstream.base_url)
        env = environment(planted.home, **planted.environ)
        options = ("--config", str(planted.config), "--log-level", "debug", "--log-format", style)
        with daemon(*options, env=env) as running:
            await _drive(running.url, evidence, ["text", "json"].index(style), EVERY)
            assert await asyncio.to_thread(running.stop) == 0
        evidence.look("log", "".join(running.log))
        seen = b"".join(request.head + request.body for request in upstream.requests)
    _files(planted, evidence)
    assert not evidence.leaks, "\n".join(sorted(set(evidence.leaks))[:40])
    assert evidence.looked_at > 500 / EVERY
    for kind in ("env", "file", "command", "plain", "header", "first", "access", "borrowed"):
        assert f"sk-canary-{kind}-".encode() in seen, kind  # it went where it belongs
    assert FORWARDED.encode() in seen


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGABRT])
async def test_a_daemon_that_ends_in_the_middle_says_nothing(
    tmp_path: Path, how: signal.Signals
) -> None:
    """Stopped or crashed while it answers: the log and the dump of all threads hold no secret."""
    evidence = Evidence()
    async with FakeUpstream(choose=echo) as upstream:
        planted = plant(tmp_path, upstream.base_url)
        env = environment(planted.home, **planted.environ, PYTHONFAULTHANDLER="1")
        options = ("--config", str(planted.config), "--log-level", "debug")
        with daemon(*options, env=env) as running:
            asking = asyncio.ensure_future(_drive(running.url, evidence))
            while len(upstream.requests) < 50:  # noqa: ASYNC110 - another process is waited for
                await asyncio.sleep(0.01)
            status = await asyncio.to_thread(running.stop, how, seconds=60)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        assert status == (0 if how is signal.SIGTERM else -signal.SIGABRT)
    evidence.look("log", "".join(running.log))
    assert ("Current thread" in "".join(running.log)) is (how is signal.SIGABRT)
    _files(planted, evidence)
    assert not evidence.leaks, "\n".join(sorted(set(evidence.leaks))[:40])


def test_the_search_finds_what_is_planted() -> None:
    """Plain, in the middle of something, and as a proxy or a URL would carry it."""
    assert traces(b"x sk-canary-env-9f8e7d6c y")
    assert traces(json.dumps({"a": PROMPT}).encode())
    assert traces(b"Basic dXNlcjpzay1jYW5hcnktdXJscGFzcy05ZjhlN2Q2Yw==")
    assert not traces(FORWARDED.encode(), but=(FORWARDED,))
