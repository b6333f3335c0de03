"""Clients of the other protocols in front of llama-cpp-python's server, which nobody here wrote.

It speaks Chat Completions alone. Its model is tiny and random; a grammar makes its calls valid.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from google import genai
from google.genai import types
from support.model_server import SERVED, started
from support.processes import serving

pytestmark = pytest.mark.agents

MODEL = "local/tiny"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Bergen", "Kyoto"]}},
    "required": ["city"],
}
ASKED = "Please use the weather tool"


@pytest.fixture
async def url(model_server: Path, tiny_model: Path, tmp_path: Path) -> AsyncIterator[str]:
    """Run the model server and a gateway in front of it; return the gateway's address."""
    calls = ("--chat_format", "chatml-function-calling")
    async with started(model_server, tiny_model, tmp_path, *calls) as server:
        config = f"""
[providers.local]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{server.port}/v1"

[[models]]
id = "{MODEL}"
context_window = {SERVED}
"""
        async with serving(config, tmp_path) as daemon:
            yield daemon.url


async def test_messages(url: str) -> None:
    """Anthropic's SDK: a text, a stream of one, a call in both forms."""
    tool: Any = {"name": "weather", "description": "Tells it", "input_schema": SCHEMA}
    asked: Any = {
        "model": MODEL,
        "max_tokens": 60,
        "messages": [{"role": "user", "content": ASKED}],
    }
    forced: Any = {"tools": [tool], "tool_choice": {"type": "tool", "name": "weather"}}
    async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-test", max_retries=0) as client:
        said: Any = await client.messages.create(**asked)
        assert [block.type for block in said.content] == ["text"]
        assert said.usage.input_tokens > 0
        async with client.messages.stream(**asked) as stream:
            assert [block.type for block in (await stream.get_final_message()).content] == ["text"]
        called: Any = await client.messages.create(**asked, **forced)
        async with client.messages.stream(**asked, **forced) as stream:
            streamed: Any = await stream.get_final_message()
    for message in (called, streamed):
        (block,) = message.content
        assert block.type == "tool_use"
        assert (block.name, message.stop_reason) == ("weather", "tool_use")
        assert block.input in [{"city": "Bergen"}, {"city": "Kyoto"}]


async def test_responses(url: str) -> None:
    """OpenAI's SDK: the same through the newer of its protocols."""
    tool: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    asked: Any = {"model": MODEL, "max_output_tokens": 60, "input": ASKED}
    forced: Any = {"tools": [tool], "tool_choice": {"type": "function", "name": "weather"}}
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0) as client:
        said: Any = await client.responses.create(**asked)
        assert [item.type for item in said.output] == ["message"]
        events: Any = [event async for event in await client.responses.create(**asked, stream=True)]
        assert events[-1].type in {"response.completed", "response.incomplete"}
        assert [item.type for item in events[-1].response.output] == ["message"]
        called: Any = await client.responses.create(**asked, **forced)
        async with client.responses.stream(**asked, **forced) as stream:
            streamed: Any = await stream.get_final_response()
    for reply in (called, streamed):
        (item,) = reply.output
        assert item.type == "function_call"
        assert (item.name, reply.status) == ("weather", "completed")
        assert msgspec.json.decode(item.arguments)["city"] in {"Bergen", "Kyoto"}


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_gemini(url: str) -> None:
    """Google's SDK; a call is not forced, since the server fails at "any of them"."""
    options = types.HttpOptions(base_url=url)
    config = types.GenerateContentConfig(max_output_tokens=60)
    with genai.Client(api_key="sk-test", http_options=options) as client:
        said = await client.aio.models.generate_content(model=MODEL, contents=ASKED, config=config)
        assert said.text
        assert said.usage_metadata is not None
        assert said.usage_metadata.prompt_token_count
        frames = [
            frame
            async for frame in await client.aio.models.generate_content_stream(
                model=MODEL, contents=ASKED, config=config
            )
        ]
    assert "".join(frame.text or "" for frame in frames)
    assert frames[-1].candidates
    assert frames[-1].candidates[0].finish_reason is not None
