import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from support.dialects import SCHEMA

from gatewayctl.simulator import Simulator

TOOL: Any = {
    "type": "function",
    "function": {"name": "shell", "parameters": {"properties": {"command": {"type": "string"}}}},
}
FLAT_TOOL: Any = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    """Return the official asynchronous client on the simulator."""
    async with openai.AsyncOpenAI(
        base_url=f"{simulator.base_url}/v1", api_key="sk-test", max_retries=0
    ) as made:
        yield made


async def test_chat_and_responses_answer(client: openai.AsyncOpenAI) -> None:
    """Both APIs answer in a sentence that names the model and the tokens it counted."""
    chat = await client.chat.completions.create(model="small", messages=HELLO)
    assert chat.usage is not None
    said = chat.choices[0].message.content or ""
    assert "model small" in said
    assert f"{chat.usage.prompt_tokens} input tokens" in said
    response = await client.responses.create(model="large", input="hello")
    assert "model large" in response.output_text


async def test_chat_and_responses_stream(client: openai.AsyncOpenAI) -> None:
    """The SDK's own accumulation of both streams ends in a whole answer."""
    async with client.chat.completions.stream(model="small", messages=HELLO) as chat:
        completion = await chat.get_final_completion()
    assert "hello" in (completion.choices[0].message.content or "")
    async with client.responses.stream(model="small", input="hello") as stream:
        response = await stream.get_final_response()
    assert "hello" in response.output_text


async def test_a_chat_tool_round_trip(client: openai.AsyncOpenAI) -> None:
    """A shell tool is called when the user asks to run something; its result is quoted."""
    messages: list[Any] = [{"role": "user", "content": "Please run something"}]
    first = await client.chat.completions.create(model="small", messages=messages, tools=[TOOL])
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    call: Any = (message.tool_calls or [])[0]
    assert call.function.arguments == '{"command":"echo gatewayctl-demo"}'
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "gatewayctl-demo 42"})
    second = await client.chat.completions.create(model="small", messages=messages, tools=[TOOL])
    assert "gatewayctl-demo 42" in (second.choices[0].message.content or "")


async def test_a_responses_tool_round_trip(client: openai.AsyncOpenAI) -> None:
    """A function whose name the user's words touch is called with arguments of its schema."""
    items: list[Any] = [{"role": "user", "content": "What is the weather?"}]
    async with client.responses.stream(model="small", input=items, tools=[FLAT_TOOL]) as stream:
        first = await stream.get_final_response()
    call: Any = first.output[0]
    assert call.arguments == '{"city":"example","unit":"celsius"}'
    items += [
        call.model_dump(exclude={"parsed_arguments"}, exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 degrees"},
    ]
    second = await client.responses.create(model="small", input=items, tools=[FLAT_TOOL])
    assert "sunny, 21 degrees" in second.output_text


async def test_the_synchronous_client(simulator: Simulator) -> None:
    """The same through the blocking client, streamed and not, and the list of models."""

    def talk() -> tuple[str, str, list[str]]:
        with openai.OpenAI(base_url=f"{simulator.base_url}/v1", api_key="sk-test") as client:
            chat = client.chat.completions.create(model="small", messages=HELLO)
            with client.responses.create(model="small", input="hello", stream=True) as stream:
                deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
            models = [model.id for model in client.models.list()]
        return chat.choices[0].message.content or "", "".join(deltas), models

    said, streamed, models = await asyncio.to_thread(talk)
    assert "hello" in said
    assert "hello" in streamed
    assert models == ["small", "large", "flaky"]


async def test_unknown_models_and_earlier_responses_are_refused(
    client: openai.AsyncOpenAI,
) -> None:
    """404 for a model that is not served, 400 for state that is not kept."""
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="huge", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as stateful:
        await client.responses.create(model="small", input="hi", previous_response_id="resp_1")
    assert stateful.value.code == "previous_response_not_found"


async def test_what_the_window_cannot_hold_is_refused(client: openai.AsyncOpenAI) -> None:
    """Input beyond the window, or with its output beyond it, is a 400 in OpenAI's words."""
    long: Any = [{"role": "user", "content": "word " * 40_000}]
    with pytest.raises(openai.BadRequestError) as chat:
        await client.chat.completions.create(model="small", messages=long)
    assert (chat.value.code, chat.value.param) == ("context_length_exceeded", "messages")
    assert "This model's maximum context length is 32768 tokens" in chat.value.message
    with pytest.raises(openai.BadRequestError) as response:
        await client.responses.create(
            model="small", input="word " * 30_000, max_output_tokens=5_000, stream=True
        )
    assert (response.value.code, response.value.param) == ("context_length_exceeded", "input")
    large = await client.chat.completions.create(model="large", messages=long)
    assert large.usage is not None
    assert large.usage.prompt_tokens > 40_000
