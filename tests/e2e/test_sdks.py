"""The official SDKs, as their users call them, against ``gatewayctl serve --demo``."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from support.daemon import Daemon, daemon, environment

CHAT_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
RESPONSES_TOOL: Any = {"type": "function", "strict": False, **CHAT_TOOL["function"]}
MESSAGES_TOOL: Any = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": CHAT_TOOL["function"]["parameters"],
}
ASK: Any = [{"role": "user", "content": "Please use the weather tool."}]
HELLO: Any = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run the demo for this module."""
    with daemon("--demo", env=environment(tmp_path_factory.mktemp("home"))) as running:
        yield running


def test_openai_sync_chat_with_tools_and_their_results(served: Daemon) -> None:
    """A call comes back with arguments, and after its result an answer."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-test") as client:
        first = client.chat.completions.create(
            model="demo-dispatcher", messages=ASK, tools=[CHAT_TOOL], tool_choice="required"
        )
        call = first.choices[0].message.tool_calls
        assert call
        told = {"role": "tool", "tool_call_id": call[0].id, "content": "Sunny, 21 degrees"}
        turns: Any = [*ASK, first.choices[0].message.model_dump(exclude_none=True), told]
        second = client.chat.completions.create(
            model="demo-dispatcher", messages=turns, tools=[CHAT_TOOL]
        )
        assert "Sunny" in (second.choices[0].message.content or "")
        assert second.usage is not None


def test_openai_sync_stream_with_usage_only_when_asked_for(served: Daemon) -> None:
    """The gateway asks for usage itself and withholds that chunk from who did not."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-test") as client:
        chunks = list(
            client.chat.completions.create(model="demo/large", messages=HELLO, stream=True)
        )
        assert "".join(c.choices[0].delta.content or "" for c in chunks).startswith("This is")
        assert all(chunk.usage is None for chunk in chunks)
        asked = list(
            client.chat.completions.create(
                model="demo/large",
                messages=HELLO,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert asked[-1].usage is not None


async def test_openai_async_responses_with_tools_stream_and_not(served: Daemon) -> None:
    """Function calls in both forms are the same call."""
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="sk-test") as client:
        whole = await client.responses.create(
            model="demo-alloy", input=ASK, tools=[RESPONSES_TOOL], tool_choice="required"
        )
        assert [item.type for item in whole.output] == ["function_call"]
        async with client.responses.stream(
            model="demo-alloy", input=ASK, tools=[RESPONSES_TOOL], tool_choice="required"
        ) as stream:
            seen = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert seen[0] == "response.created"
        assert seen[-1] == "response.completed"
        assert final.output[0].type == "function_call"


async def test_openai_async_chat_stream_with_tools(served: Daemon) -> None:
    """Tool arguments arrive as deltas and add up to JSON."""
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="sk-test") as client:
        async with client.chat.completions.stream(
            model="demo-cascade", messages=ASK, tools=[CHAT_TOOL], tool_choice="required"
        ) as stream:
            async for _ in stream:
                continue
            final = await stream.get_final_completion()
        calls = final.choices[0].message.tool_calls
        assert calls
        assert calls[0].function.name == "weather"


def test_openai_lists_models_and_understands_refusals(served: Daemon) -> None:
    """The SDK's own error classes, with code and what would fit."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-test") as client:
        assert "demo-dispatcher" in {model.id for model in client.models.list()}
        assert client.models.retrieve("demo/small").id == "demo/small"
        with pytest.raises(openai.NotFoundError, match="demo-dispatcher"):
            client.chat.completions.create(model="demo-dispacher", messages=HELLO)
        large: Any = [{"role": "user", "content": "word " * 40_000}]
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="demo/small", messages=large)
        assert refused.value.status_code == 413
        assert refused.value.code == "context_length_exceeded"
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model="demo/small", input=large)
        answer = client.chat.completions.with_raw_response.create(
            model="demo-dispatcher", messages=large
        )
        assert answer.headers["x-gatewayctl-model"] == "demo/large"


def test_anthropic_sync_messages_with_tools_and_their_results(served: Daemon) -> None:
    """A tool use comes back with input, and after its result an answer."""
    with anthropic.Anthropic(base_url=served.url, api_key="sk-test") as client:
        first = client.messages.create(
            model="demo-dispatcher", max_tokens=200, messages=ASK, tools=[MESSAGES_TOOL]
        )
        use = next(block for block in first.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "Sunny, 21 degrees"}
        turns: Any = [
            *ASK,
            {"role": "assistant", "content": [block.model_dump() for block in first.content]},
            {"role": "user", "content": [result]},
        ]
        second = client.messages.create(
            model="demo-dispatcher", max_tokens=200, messages=turns, tools=[MESSAGES_TOOL]
        )
        assert any("Sunny" in block.text for block in second.content if block.type == "text")


def test_anthropic_sync_stream(served: Daemon) -> None:
    """The SDK accumulates the stream to the same message."""
    with (
        anthropic.Anthropic(base_url=served.url, api_key="sk-test") as client,
        client.messages.stream(model="demo/large", max_tokens=200, messages=HELLO) as stream,
    ):
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text.startswith("This is")
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


async def test_anthropic_async_stream_with_tools_counts_and_lists(served: Daemon) -> None:
    """Async, with tools, count_tokens and the model list."""
    async with anthropic.AsyncAnthropic(base_url=served.url, api_key="sk-test") as client:
        async with client.messages.stream(
            model="demo-cascade", max_tokens=200, messages=ASK, tools=[MESSAGES_TOOL]
        ) as stream:
            final = await stream.get_final_message()
        assert final.stop_reason == "tool_use"
        counted = await client.messages.count_tokens(model="demo/small", messages=ASK)
        assert counted.input_tokens > 3
        listed = [model.id async for model in await client.models.list()]
        assert "claude-via-demo-dispatcher" in listed


def test_anthropic_understands_refusals(served: Daemon) -> None:
    """By size with the words agents compact on, by name with suggestions."""
    large: Any = [{"role": "user", "content": "word " * 40_000}]
    with anthropic.Anthropic(base_url=served.url, api_key="sk-test") as client:
        with pytest.raises(
            anthropic.APIStatusError, match=r"prompt is too long: \d+ tokens > 32768 maximum"
        ) as refused:
            client.messages.create(model="demo/small", max_tokens=100, messages=large)
        assert refused.value.status_code == 413
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(model="nothing", max_tokens=100, messages=HELLO)
