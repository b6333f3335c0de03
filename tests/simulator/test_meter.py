"""A provider whose tokenizer is hidden: the simulator with ``tokenizer=``."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from support.dialects import PATHS, PROTOCOLS, encoded

from gatewayctl import simulator as simulators
from gatewayctl.core.errors import CountUnavailable
from gatewayctl.simulator import Simulator
from gatewayctl.tokenizers import tiktoken

PROSE = "The quick brown fox jumps over the lazy dog; nobody knows why it never tires. " * 40
TOOL = {
    "name": "look_up",
    "description": "Look a word up.",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}},
}


@pytest.fixture
async def hidden() -> AsyncIterator[Simulator]:
    """Start a simulator that meters by cl100k_base."""
    running = await simulators.start(tokenizer="cl100k_base")
    yield running
    await running.close()


@pytest.fixture
async def http(hidden: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client whose paths are relative to that simulator."""
    async with aiohttp.ClientSession(hidden.base_url) as session:
        yield session


async def counted(http: aiohttp.ClientSession, **fields: Any) -> int:
    """Return what it counts for a Messages request."""
    body = {"model": "large", "messages": [{"role": "user", "content": "hi"}], **fields}
    async with http.post("/v1/messages/count_tokens", json=body) as reply:
        return int((await reply.json())["input_tokens"])


def usage_of(protocol: str, reply: dict[str, Any]) -> tuple[int, int]:
    """Return the input and output tokens that a whole reply reports."""
    usage = reply["usage"]
    if protocol == "chat_completions":
        return usage["prompt_tokens"], usage["completion_tokens"]
    return usage["input_tokens"], usage["output_tokens"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_usage_is_the_vocabulary_s_count_and_some_frames(
    hidden: Simulator, http: aiohttp.ClientSession, protocol: str
) -> None:
    """Input is the text's tokens and a few for its frames, whatever the protocol; so is output."""
    async with http.post(PATHS[protocol], data=encoded(protocol, "large", PROSE)) as reply:
        got = await reply.json()
    tokens = tiktoken.encoder("cl100k_base").count(PROSE)
    read, written = usage_of(protocol, got)
    assert 0 < read - tokens < 20
    assert written > 0
    assert [call.tokens for call in hidden.journal.calls()] == [read]


async def test_each_message_and_each_tool_has_a_frame_of_its_own(
    http: aiohttp.ClientSession,
) -> None:
    """A message costs more than its text; the first tool brings a preamble, each next one less."""
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hi"}]
    one = await counted(http)
    three = await counted(http, messages=[*said, said[0]])
    assert three - one > 2 * tiktoken.encoder("cl100k_base").count("hi")
    tooled = await counted(http, tools=[TOOL])
    assert tooled - one > 300
    assert tooled + 20 < await counted(http, tools=[TOOL, TOOL]) < tooled + 100


async def test_schemas_and_arguments_count_as_json(http: aiohttp.ClientSession) -> None:
    """A call's arguments cost what their JSON text does, as the same text in a message would."""
    arguments = {"rows": [{"id": number, "name": f"row {number}"} for number in range(50)]}
    call = {"type": "tool_use", "id": "t", "name": "save", "input": arguments}
    text = {"type": "text", "text": msgspec.json.encode(arguments).decode()}
    first = {"role": "user", "content": "hi"}
    made = await counted(http, messages=[first, {"role": "assistant", "content": [call]}])
    written = await counted(http, messages=[first, {"role": "assistant", "content": [text]}])
    assert 0 <= made - written <= 2


async def test_windows_are_those_of_the_vocabulary(http: aiohttp.ClientSession) -> None:
    """What the rule of the simulator would let through, and the vocabulary does not, is refused."""
    body = encoded("chat_completions", "small", "x1" * 32_000)
    async with http.post("/v1/chat/completions", data=body) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]["code"] == "context_length_exceeded"


async def test_big_bodies_are_counted_beside_the_loop(http: aiohttp.ClientSession) -> None:
    """While a megabyte is counted other tasks get their turn."""
    turns = 0
    asked = asyncio.ensure_future(counted(http, system=PROSE * 300))
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert await asked > 150_000
    assert turns > 10


async def test_an_unknown_vocabulary_is_refused_at_once() -> None:
    """No simulator is started that could not count."""
    with pytest.raises(CountUnavailable, match="no vocabulary"):
        await simulators.start(tokenizer="q999k_base")
