"""Local servers that serve 4096 tokens of an advertised 40960, in front of them a gateway.

The simulator plays them and keeps a journal of what got there; it counts with a tokenizer that the
gateway does not know. Whether a prompt was cut can be told from nothing but the usage.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support.books import logged
from support.dialects import PATHS, encoded
from support.gateway import Gateway, gateway
from support.waiting import until

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Local, Simulator

SERVED: Final = 4096
ADVERTISED: Final = 40_960
OUTPUT: Final = 100
PATIENCE: Final = 20.0
"""Seconds that a listing may take to be asked and heard."""
SIZES: Final = (500, 2_000, 3_000, 3_600, 3_900, 4_200, 5_000, 8_000, 20_000, 39_000, 60_000)
"""Tokens of prompts, more or less: most are too large for what is served."""
CLEAR: Final = tuple(tokens for tokens in SIZES if not 3_000 < tokens < 5_000)
"""Those that any estimate tells apart; the others are tried where a server refuses by itself."""
WORDS: Final = (
    *("the", "server", "keeps", "a", "record", "of", "every", "request", "it", "has", "seen"),
    *("while", "seven", "quiet", "travellers", "wait", "under", "broken", "lanterns", "and", "ask"),
)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply through the gateway."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway in front of a local server that is played."""

    gateway: Gateway
    server: Simulator
    local: Local

    @property
    def model(self) -> str:
        """The model's full id."""
        return f"local/{self.local.models[0]}"

    @property
    def arrived(self) -> list[int]:
        """The tokens of each prompt that got to the server, in order."""
        return [call.tokens or 0 for call in self.server.journal.calls() if call.model]

    async def ask(self, tokens: int, protocol: str = "chat_completions", **fields: Any) -> Told:
        """Ask for a reply to a prompt of about so many tokens."""
        return await self._post(tokens, protocol, {}, **fields)

    async def window(self) -> tuple[int | None, str | None]:
        """Return the window that routing goes by, and who says so."""
        told = await self._post(10, "chat_completions", {"x-gatewayctl-dry-run": "1"})
        window = told.body["models"][self.model]["context_window"] or {}
        return window.get("value"), window.get("source")

    async def _post(
        self, tokens: int, protocol: str, headers: dict[str, str], **fields: Any
    ) -> Told:
        text = prose(tokens)
        budget = "max_output_tokens" if protocol == "responses" else "max_tokens"
        body = encoded(protocol, self.model, text, **{budget: OUTPUT}, **fields)
        url = f"{self.gateway.url}{PATHS[protocol]}"
        async with self.gateway.client.post(url, data=body, headers=headers) as reply:
            data = await reply.read()
            is_json = "json" in reply.headers["content-type"]
            return Told(
                status=reply.status,
                headers={name.lower(): value for name, value in reply.headers.items()},
                body=msgspec.json.decode(data) if is_json else {},
            )


def prose(tokens: int) -> str:
    """Return a text of about so many tokens, another one each time."""
    chance = random.Random(tokens)  # noqa: S311 - words, not secrets
    return " ".join(chance.choice(WORDS) for _ in range(tokens))


@contextlib.asynccontextmanager
async def playing(plays: str, context: int = SERVED) -> AsyncIterator[tuple[Simulator, Local]]:
    """Play a local server, with a tokenizer that the gateway does not know."""
    local = Local(plays, context=context, trained=ADVERTISED)
    server = await simulators.start(local=local, tokenizer="cl100k_base")
    try:
        yield server, local
    finally:
        await server.close()


def config_of(kind: str, server: Simulator, local: Local, declared: int | None) -> str:
    """Return the config of a gateway with a provider of this kind, and its model's window."""
    model = "" if declared is None else f"context_window = {declared}"
    return f"""
[registry.sources]
litellm = ""
models_dev = ""

[providers.local]
kind = "{kind}"
base_url = "{server.base_url}/v1"
protocols = {list(PATHS)}

[[models]]
id = "local/{local.models[0]}"
{model}
"""


@contextlib.asynccontextmanager
async def setting(
    kind: str, plays: str, *, declared: int | None = ADVERTISED, context: int = SERVED
) -> AsyncIterator[Setting]:
    """Run a gateway with a provider of this kind, which is a server that is played."""
    async with playing(plays, context) as (server, local):
        config = config_of(kind, server, local, declared)
        async with gateway(config, refreshing=True) as running:
            yield Setting(gateway=running, server=server, local=local)


async def until_told(it: Setting, window: int, source: str) -> None:
    """Wait until the gateway goes by this window, because this source says so."""
    async with asyncio.timeout(PATIENCE):
        while await it.window() != (window, source):  # noqa: ASYNC110 - not ours to signal
            await asyncio.sleep(0.05)


async def flood(it: Setting, *protocols: str, sizes: tuple[int, ...] = SIZES) -> list[int]:
    """Ask for prompts of all sizes, twice, streamed and whole; return the statuses."""
    return [
        (await it.ask(tokens, protocol, stream=stream)).status
        for protocol in protocols
        for stream in (False, True)
        for tokens in sizes
    ]


async def test_nothing_over_what_an_ollama_serves_is_sent_to_it() -> None:
    """Neither while 4096 are assumed nor once they are known is any prompt cut; others go through.

    Its listing advertises 40960 before the first reply, and the config declares as much.
    """
    async with setting("ollama", "ollama") as it:
        assert await it.window() == (SERVED, "assumed")
        statuses = await flood(it, *PATHS)
        await until_told(it, SERVED, "local")
        statuses += await flood(it, *PATHS)
    assert it.arrived
    assert max(it.arrived) + OUTPUT <= SERVED
    assert set(statuses) == {200, 413, 400}
    assert statuses.count(200) == len(it.arrived)


async def test_an_ollama_that_serves_more_is_found_out_after_its_first_reply() -> None:
    """``/api/ps`` tells of 32768 once the model is loaded: prompts as long as that go through."""
    async with setting("ollama", "ollama", declared=None, context=32_768) as it:
        assert (await it.ask(500)).status == 200
        await until_told(it, 32_768, "local")
        assert (await it.ask(20_000)).status == 200
        assert (await it.ask(39_000)).status == 413
    assert max(it.arrived) > 15_000


async def test_an_ollama_loads_a_model_before_a_long_prompt_is_refused() -> None:
    """Else a first prompt over 4096 would be refused for ever; many at once load it once."""
    async with setting("ollama", "ollama", declared=None, context=32_768) as it:
        told = await asyncio.gather(*(it.ask(20_000 + more) for more in range(4)))
        assert [each.status for each in told] == [200] * 4
        assert (await it.ask(39_000)).status == 413
        assert [call.path for call in it.server.journal.calls()].count("/api/generate") == 1


@pytest.mark.parametrize("kind", ["vllm", "lmstudio", "llamacpp"])
async def test_a_served_window_caps_a_larger_one_of_the_config(kind: str) -> None:
    """What the server tells of itself holds, however much ``[[models]]`` says."""
    async with setting(kind, kind, declared=200_000) as it:
        it.local.loaded.update(it.local.models)
        await until_told(it, SERVED, "local")
        sizes = CLEAR if kind == "vllm" else SIZES
        statuses = await flood(it, "chat_completions", sizes=sizes)
    assert it.arrived
    assert max(it.arrived) + OUTPUT <= SERVED
    assert statuses.count(200) == len(it.arrived)
    assert set(statuses) == {200, 413}


@pytest.mark.parametrize("plays", ["ollama", "vllm", "lmstudio", "llamacpp"])
async def test_a_server_behind_a_compatible_address_is_asked_what_it_serves(plays: str) -> None:
    """A config that does not say which server it is gets the window that is served all the same."""
    async with setting("openai-compatible", plays) as it:
        it.local.loaded.update(it.local.models)
        assert (await it.ask(500)).status == 200
        await until_told(it, SERVED, "local")
        sizes = CLEAR if plays == "vllm" else SIZES
        statuses = await flood(it, "chat_completions", sizes=sizes)
    assert max(it.arrived) + OUTPUT <= SERVED
    assert set(statuses) == {200, 413}


async def test_a_truncated_reply_is_flagged_and_its_window_learned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that tells of nothing cuts one prompt, and gets no more that it would have to."""
    caplog.set_level(logging.INFO)
    async with setting("openai-compatible", "compatible") as it:
        fine = await it.ask(500)
        assert "x-gatewayctl-truncated" not in fine.headers
        cut = await it.ask(8_000)
        assert cut.status == 200
        assert cut.headers["x-gatewayctl-truncated"]
        assert "upstream_truncated" in caplog.text
        assert "lanterns" not in caplog.text
        assert await it.window() == (SERVED, "learned")
        arrived = len(it.arrived)
        statuses = await flood(it, "chat_completions")
        entry = await logged(it.gateway.state, cut.headers["x-gatewayctl-request-id"])
        assert [attempt.truncated for attempt in entry.attempts] == [True]
    assert max(it.arrived[arrived:]) + OUTPUT <= SERVED
    assert set(statuses) == {200, 413}


@pytest.mark.parametrize("protocol", PATHS)
async def test_a_truncated_stream_is_flagged_too(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its usage comes at its end: the reply is as it was, and the next request is refused."""
    caplog.set_level(logging.INFO)
    async with setting("openai-compatible", "compatible") as it:
        more = {"stream_options": {"include_usage": True}} if "chat" in protocol else {}
        assert (await it.ask(8_000, protocol, stream=True, **more)).status == 200
        await until(lambda: "upstream_truncated" in caplog.text)
        assert (await it.ask(8_000, protocol)).status in (400, 413)
    assert len(it.arrived) == 1


async def test_what_a_server_gave_away_is_known_after_a_restart(tmp_path: Path) -> None:
    """Another gateway with the same state keeps from it what it cut for the first one."""
    async with playing("compatible") as (server, local):
        config = config_of("openai-compatible", server, local, ADVERTISED)
        async with gateway(config, state=tmp_path) as running:
            it = Setting(gateway=running, server=server, local=local)
            assert (await it.ask(8_000)).status == 200
        async with gateway(config, state=tmp_path) as running:
            it = Setting(gateway=running, server=server, local=local)
            assert await it.window() == (SERVED, "learned")
            assert (await it.ask(8_000)).status == 413
            assert (await it.ask(2_000)).status == 200
    assert len(it.arrived) == 2
