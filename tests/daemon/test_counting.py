"""Counting in the daemon: exact where it decides, off the loop, and never worth a request."""

import asyncio
import contextlib
import io
import os
import random
import signal
import string
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from support.gateway import Gateway, gateway
from support.waiting import until

from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon.planning import LARGE
from gatewayctl.simulator.server import start
from gatewayctl.tokenizers.count import count

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{}/v1"
auth = "none"
protocols = ["chat_completions", "messages"]
[[models]]
id = "up/small"
context_window = 32768
tokenizer = "tiktoken:o200k_base"
[[models]]
id = "up/large"
context_window = 262144
tokenizer = "tiktoken:o200k_base"
[[dispatchers]]
id = "route"
targets = ["up/small", "up/large"]
"""

# By ratio this may be too large for the small model; truly it is not.
CLOSE = "word " * 27_000


@contextlib.asynccontextmanager
async def counting() -> AsyncIterator[Gateway]:
    """Run a gateway whose models are counted exactly."""
    simulator = await start()
    try:
        async with gateway(CONFIG.format(simulator.base_url.removesuffix("/v1"))) as it:
            yield it
    finally:
        await simulator.close()


def body(text: str, model: str = "route") -> bytes:
    """Return a chat request."""
    messages = [{"role": "user", "content": text}]
    return msgspec.json.encode({"model": model, "max_tokens": 100, "messages": messages})


async def post(it: Gateway, data: bytes, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Send a chat request; return status, headers in lower case, and the JSON of the reply."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{it.url}/v1/chat/completions"
    async with it.client.post(url, data=io.BytesIO(data), headers=named) as answer:
        told = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, told, await answer.json()


async def ready(it: Gateway) -> dict[str, str]:
    """Return what ``/readyz`` says."""
    async with it.client.get(f"{it.url}/readyz") as answer:
        assert answer.status == 200
        found: dict[str, str] = await answer.json()
        return found


def pid(it: Gateway) -> int | None:
    """Return the counting process's id."""
    return it.app._planner._counter.pid


async def test_the_exact_count_decides() -> None:
    """Whatever the ratio says, what truly fits goes to the small model: low = likely = high."""
    data = body(CLOSE)
    tokens = count(WireProtocol.CHAT_COMPLETIONS, data, "o200k_base")
    exact = sum(tokens.tokens.values()) + tokens.overhead
    async with counting() as it:
        status, headers, _ = await post(it, data)
        assert (status, headers["x-gatewayctl-model"]) == (200, "up/small")
        _, _, decision = await post(it, data, x_gatewayctl_dry_run="1")
    estimate = decision["attempts"][0]["estimate"]
    assert estimate == {"low": exact, "likely": exact, "high": exact, "method": "exact"}


async def test_count_tokens_counts_system_and_tools_cliproxyapi_679() -> None:
    """CLIProxyAPI#679 (48 reported, 728 true): all of it counts, exactly where that is known."""
    request = {
        "model": "up/small",
        "system": "Count. " * 300,
        "messages": [{"role": "user", "content": "How many?"}],
        "tools": [{"name": "read", "description": "Reads.", "input_schema": {"type": "object"}}],
    }
    data = msgspec.json.encode(request)
    counted = count(WireProtocol.MESSAGES, data, "o200k_base")
    async with (
        counting() as it,
        it.client.post(f"{it.url}/v1/messages/count_tokens", data=data) as answer,
    ):
        assert answer.status == 200
        told = await answer.json()
    assert told == {"input_tokens": sum(counted.tokens.values()) + counted.overhead}
    assert told["input_tokens"] > 600


async def test_killing_the_process_in_the_middle_costs_the_exactness_alone() -> None:
    """The request is answered by ratio and says so; the next one is exact again."""
    async with counting() as it:
        await post(it, body(CLOSE))
        first = pid(it)
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        asking = asyncio.ensure_future(post(it, body(CLOSE + "more")))
        await until(lambda: bool(it.app._planner._counter._bytes))
        await asyncio.sleep(0.05)
        os.kill(first, signal.SIGKILL)
        status, headers, _ = await asking
        assert status == 200
        assert "o200k_base" in headers["x-gatewayctl-degraded"]
        assert "counting process" in (await ready(it))["degraded"]
        status, headers, _ = await post(it, body(CLOSE + "again"))
        assert (status, headers["x-gatewayctl-model"]) == (200, "up/small")
        assert "x-gatewayctl-degraded" not in headers
        assert await ready(it) == {"status": "ready"}
        assert pid(it) not in {None, first}


async def test_killing_the_process_that_reads_a_large_body_loses_no_request() -> None:
    """A body of a megabyte is read in the daemon instead."""
    async with counting() as it:
        await post(it, body(CLOSE))
        first = pid(it)
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        asking = asyncio.ensure_future(post(it, body("word " * 210_000)))
        await until(lambda: bool(it.app._planner._counter._bytes))
        os.kill(first, signal.SIGKILL)
        status, headers, _ = await asking
    assert (status, headers["x-gatewayctl-model"]) == (200, "up/large")


async def test_counting_holds_up_nobody_litellm_36174() -> None:
    """LiteLLM#36174: others are answered while a count takes as long as it likes.

    The counting process is stopped, so that the count cannot end before they are.
    """
    async with counting() as it:
        await post(it, body(CLOSE))
        process = pid(it)
        assert process is not None
        os.kill(process, signal.SIGSTOP)
        asking = asyncio.ensure_future(post(it, body("word " * 210_000)))
        try:
            await until(lambda: bool(it.app._planner._counter._bytes))
            for _ in range(20):
                assert (await post(it, body("Hi")))[0] == 200
            assert not asking.done()
        finally:
            os.kill(process, signal.SIGCONT)
        status, headers, _ = await asking
    assert (status, headers["x-gatewayctl-model"]) == (200, "up/large")
    assert "x-gatewayctl-degraded" not in headers


async def test_a_body_of_many_small_messages_is_measured_off_the_loop() -> None:
    """What takes long is not length alone: 2,000 messages of one word are measured elsewhere too.

    The counting process is stopped, so that the request cannot be answered before others are.
    """
    said = [{"role": "user", "content": "Hi"}] * 2_000
    data = msgspec.json.encode({"model": "route", "max_tokens": 100, "messages": said})
    assert len(data) < LARGE
    async with counting() as it:
        await post(it, body(CLOSE))
        process = pid(it)
        assert process is not None
        os.kill(process, signal.SIGSTOP)
        asking = asyncio.ensure_future(post(it, data))
        try:
            await until(lambda: bool(it.app._planner._counter._bytes))
            assert (await post(it, body("Hi")))[0] == 200
            assert not asking.done()
        finally:
            os.kill(process, signal.SIGCONT)
        status, headers, _ = await asking
    assert (status, headers["x-gatewayctl-model"]) == (200, "up/small")


MEGABYTES = {
    "spaces": " " * 1_000_000,
    "one letter": "a" * 1_000_000,
    "letters": "".join(random.Random(7).choices(string.ascii_letters, k=1_000_000)),  # noqa: S311
    "emoji": "🙂" * 250_000,
    "digits": "0123456789" * 100_000,
}


@pytest.mark.parametrize("name", MEGABYTES)
async def test_a_megabyte_of_anything_is_answered_or_refused_by_its_size(name: str) -> None:
    """No crash, no panic of the tokenizer, and the count is the tokenizer's."""
    async with counting() as it:
        status, headers, reply = await post(it, body(MEGABYTES[name]), x_gatewayctl_dry_run="1")
        assert status == 200
        assert "x-gatewayctl-degraded" not in headers
        judged = [*reply["attempts"], *reply["skipped"]]
        assert {each["estimate"]["method"] for each in judged} == {"exact"}
        assert await ready(it) == {"status": "ready"}
