"""``gatewayctl serve`` in front of llama-cpp-python's server, which nobody here wrote.

Its model is tiny and random: what it says means nothing, but it is really generated. It serves 4096
tokens of the 40960 that the model's file tells of, and refuses what is too long when it gets it.
"""

import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from support.model_server import SERVED, ModelServer, started
from support.processes import Daemon, run, serving
from support.tap import Tap

pytestmark = pytest.mark.agents

ROOT = Path(__file__).resolve().parents[2]
ADVERTISED = 40_960
HELLO: Any = [{"role": "user", "content": "hello there"}]
ENDLESS: Any = {str(token): -100 for token in range(261)}
"""Forbids the specials, which end an answer, and the bytes: the server holds back a stream from a
byte that begins a character to one that ends it, and random ones may never."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """The whole setting: the gateway, the model server behind it, a client of the gateway."""

    daemon: Daemon
    server: ModelServer
    client: openai.AsyncOpenAI


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Return a port that refuses connections: taken, but not listened on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
async def running(
    model_server: Path, tiny_model: Path, dead_port: int, tmp_path: Path
) -> AsyncIterator[Running]:
    """Run a gateway whose cascade leads from a dead port to the model server."""
    async with started(model_server, tiny_model, tmp_path) as server:
        config = f"""
[providers.dead]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{dead_port}/v1"

[providers.local]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{server.port}/v1"

[[models]]
id = "local/tiny"
context_window = 4096

[[cascades]]
id = "chat"
[[cascades.steps]]
model = "dead/tiny"
context_window = 4096
[[cascades.steps]]
model = "local/tiny"
"""
        async with (
            serving(config, tmp_path) as daemon,
            openai.AsyncOpenAI(
                base_url=f"{daemon.url}/v1", api_key="sk-test", max_retries=0, timeout=60
            ) as client,
        ):
            yield Running(daemon=daemon, server=server, client=client)


async def test_the_cascade_falls_back_from_a_dead_port_to_it(running: Running) -> None:
    """The port is tried twice; then an answer that is not streamed comes, with its own usage."""
    raw = await running.client.chat.completions.with_raw_response.create(
        model="chat", messages=HELLO, max_tokens=12
    )
    completion = raw.parse()
    assert raw.headers["x-gatewayctl-attempts"] == "3"
    assert raw.headers["x-gatewayctl-model"] == "local/tiny"
    assert raw.headers["x-gatewayctl-route"] == "chat"
    assert completion.model == "tiny"
    assert completion.choices[0].message.content
    assert completion.usage is not None
    assert completion.usage.completion_tokens >= 1  # it counts the text anew, not what it made


async def test_a_stream_falls_back_in_the_same_way(running: Running) -> None:
    """Each generated token comes as a chunk of its own, and the stream ends properly."""
    raw = await running.client.chat.completions.with_raw_response.create(
        model="chat", messages=HELLO, max_tokens=40, stream=True, logit_bias=ENDLESS
    )
    assert raw.headers["x-gatewayctl-attempts"] == "3"
    chunks = [chunk async for chunk in raw.parse()]
    assert len(chunks) > 10
    assert chunks[-1].choices[0].finish_reason == "length"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


async def test_what_its_window_cannot_hold_never_reaches_it(running: Running) -> None:
    """A prompt beyond 4096 tokens is refused by both steps without an attempt."""
    long: Any = [{"role": "user", "content": "two words " * 3000}]
    with pytest.raises(openai.APIStatusError) as refused:
        await running.client.chat.completions.create(model="chat", messages=long)
    assert refused.value.status_code == 413
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.response.headers["x-gatewayctl-attempts"] == "0"


async def test_killing_it_in_the_middle_of_a_stream_ends_in_a_typed_error(running: Running) -> None:
    """The client gets what was generated and then an error, never an end that looks proper."""
    stream = await running.client.chat.completions.create(
        model="chat", messages=HELLO, max_tokens=1900, stream=True, logit_bias=ENDLESS
    )
    for _ in range(3):
        await anext(stream)
    running.server.process.kill()
    with pytest.raises(openai.APIError, match="broke off") as broken:
        await _drained(stream)
    assert isinstance(broken.value.body, dict)
    assert broken.value.body["gatewayctl"]["failure"] == "network"


def words(count: int) -> Any:
    """Return messages of about as many tokens for its tokenizer, which knows each of the words."""
    return [{"role": "user", "content": "when they have one to be with " * (count // 7)}]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that was told of the advertised window, and a tap between it and the server."""

    client: openai.AsyncOpenAI
    tap: Tap
    folder: Path

    async def ask(self, tokens: int) -> tuple[int, int]:
        """Return the status of a reply, and how many requests have reached the server by then."""
        try:
            await self.client.chat.completions.create(
                model="local/tiny", messages=words(tokens), max_tokens=16
            )
            status = 200
        except openai.APIStatusError as refused:
            status = refused.status_code
        return status, len(await self.tap.posts("/v1/chat/completions"))

    async def shown(self) -> dict[str, Any]:
        """Return what ``models show`` says of the model."""
        command = [sys.executable, "-m", "gatewayctl", "models", "show", "local/tiny", "--json"]
        config = self.folder / "config.toml"
        done = await run(
            [*command, "--config", config],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT)},
            cwd=self.folder,
            seconds=60,
        )
        assert done.status == 0, done.stderr
        told: dict[str, Any] = msgspec.json.decode(done.stdout)
        return told


@contextlib.asynccontextmanager
async def watched(kind: str, server: ModelServer, folder: Path) -> AsyncIterator[Watched]:
    """Run a gateway in front of a tap in front of the server."""
    async with Tap("127.0.0.1", server.port) as tap:
        config = f"""
[registry.sources]
litellm = ""
models_dev = ""

[providers.local]
kind = "{kind}"
base_url = "{tap.url}/v1"

[[models]]
id = "local/tiny"
context_window = {ADVERTISED}
"""
        async with (
            serving(config, folder) as daemon,
            openai.AsyncOpenAI(
                base_url=f"{daemon.url}/v1", api_key="sk-test", max_retries=0, timeout=60
            ) as client,
        ):
            yield Watched(client=client, tap=tap, folder=folder)


@pytest.mark.parametrize("kind", ["llamacpp", "openai-compatible"])
async def test_a_window_smaller_than_advertised_is_learned_from_one_refusal(
    model_server: Path, tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    """What is too long reaches it once; then no more, after a restart neither, and it is shown."""
    async with started(model_server, tiny_model, tmp_path) as server:
        async with watched(kind, server, tmp_path) as setting:
            assert await setting.ask(1000) == (200, 1)
            assert await setting.ask(7000) == (400, 2)  # the server's own refusal
            for tokens in (7000, 12_000, 30_000):
                assert await setting.ask(tokens) == (413, 2)
            assert await setting.ask(2500) == (200, 3)
            assert await setting.ask(60_000) == (413, 3)
        shown = await setting.shown()
        async with watched(kind, server, tmp_path) as setting:
            assert await setting.ask(7000) == (413, 0)
            assert await setting.ask(2500) == (200, 1)
    assert shown["effective_window"]["value"] == SERVED
    terms = {term["kind"]: term["value"] for term in shown["effective_window"]["of"]}
    assert terms == {"declared": ADVERTISED, "learned": SERVED}


async def _drained(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        continue
