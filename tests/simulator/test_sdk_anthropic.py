import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from support.dialects import SCHEMA

from gatewayctl.simulator import Simulator

HELLO: Any = [{"role": "user", "content": "hello"}]
TOOLS: Any = [
    {"name": "get_weather", "input_schema": SCHEMA},
    {
        "name": "Bash",
        "input_schema": {
            "type": "object",
            "properties": {"command": {"type": "string"}, "description": {"type": "string"}},
            "required": ["command"],
        },
    },
]


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Return the official asynchronous client on the simulator."""
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_url, api_key="sk-test", max_retries=0
    ) as made:
        yield made


async def test_answers_streams_and_counts(client: anthropic.AsyncAnthropic) -> None:
    """A message, its stream, and the count of its tokens agree with one another."""
    asked: dict[str, Any] = {"model": "small", "messages": HELLO, "system": "Be brief."}
    message = await client.messages.create(max_tokens=100, **asked)
    assert message.stop_reason == "end_turn"
    async with client.messages.stream(max_tokens=100, **asked) as stream:
        streamed = await stream.get_final_message()
    said: Any = message.content[0]
    assert [block.text for block in streamed.content if block.type == "text"] == [said.text]
    counted = await client.messages.count_tokens(**asked)
    assert counted.input_tokens == message.usage.input_tokens == streamed.usage.input_tokens
    assert streamed.usage.output_tokens == message.usage.output_tokens


async def test_a_tool_round_trip(client: anthropic.AsyncAnthropic) -> None:
    """Bash is called with a harmless command, as a stream; its result is quoted."""
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "run"}]}]
    asked: dict[str, Any] = {"model": "large", "max_tokens": 500, "tools": TOOLS}
    async with client.messages.stream(messages=messages, **asked) as stream:
        first = await stream.get_final_message()
    assert first.stop_reason == "tool_use"
    call: Any = first.content[0]
    assert (call.name, call.input["command"]) == ("Bash", "echo gatewayctl-demo")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "gatewayctl-demo"}
    messages += [first.to_param(), {"role": "user", "content": [result]}]
    second: Any = await client.messages.create(messages=messages, **asked)
    assert second.stop_reason == "end_turn"
    assert 'The tool answered: "gatewayctl-demo"' in second.content[0].text


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "auto"}, None),
        ({"type": "none"}, None),
        ({"type": "any"}, "Bash"),
        ({"type": "tool", "name": "get_weather"}, "get_weather"),
    ],
)
async def test_obeys_the_tool_choice(
    client: anthropic.AsyncAnthropic, choice: Any, called: str | None
) -> None:
    """A greeting calls no tool unless the choice demands one."""
    message = await client.messages.create(
        model="small", max_tokens=100, messages=HELLO, tools=TOOLS, tool_choice=choice
    )
    assert getattr(message.content[0], "name", None) == called


async def test_stops_at_a_sequence_or_a_limit(client: anthropic.AsyncAnthropic) -> None:
    """A stop sequence and the limit end the text, each with its own stop reason."""
    cut = await client.messages.create(model="small", max_tokens=3, messages=HELLO)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    stopped: Any = await client.messages.create(
        model="small", max_tokens=99, messages=HELLO, stop_sequences=["nowhere", " simulated"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " simulated")
    assert stopped.content[0].text == "This is the"


async def test_the_synchronous_client(simulator: Simulator) -> None:
    """The same through the blocking client, streamed and not, and the list of models."""

    def talk() -> tuple[Any, str, list[str]]:
        with anthropic.Anthropic(base_url=simulator.base_url, api_key="sk-test") as client:
            message = client.messages.create(model="small", max_tokens=99, messages=HELLO)
            with client.messages.stream(model="small", max_tokens=99, messages=HELLO) as stream:
                streamed = "".join(stream.text_stream)
            models = [model.id for model in client.models.list()]
        return message, streamed, models

    message, streamed, models = await asyncio.to_thread(talk)
    assert message.content[0].text == streamed
    assert models == ["small", "large", "flaky"]


async def test_refuses_in_anthropics_words(client: anthropic.AsyncAnthropic) -> None:
    """Too much input, input and output together, too much output, an unknown model."""
    long: Any = [{"role": "user", "content": "word " * 40_000}]
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 32768"):
        await client.messages.create(model="small", max_tokens=10, messages=long)
    nearly: Any = [{"role": "user", "content": "word " * 30_000}]
    with pytest.raises(anthropic.BadRequestError, match=r"exceed context limit: \d+ \+ 5000 >"):
        await client.messages.create(model="small", max_tokens=5_000, messages=nearly)
    with pytest.raises(anthropic.BadRequestError, match=r"max_tokens: 9000 > 8192"):
        await client.messages.create(model="small", max_tokens=9_000, messages=HELLO)
    with pytest.raises(anthropic.NotFoundError, match="model: huge"):
        await client.messages.create(model="huge", max_tokens=10, messages=HELLO)


async def test_later_system_turns_do_not_hide_the_users_words(
    client: anthropic.AsyncAnthropic,
) -> None:
    """Agents append reminders in the system's name; the user's last text is still what counts."""
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "run"}]},
        {"role": "system", "content": "Read this reminder."},
    ]
    message: Any = await client.messages.create(
        model="small", max_tokens=99, messages=messages, tools=TOOLS
    )
    assert message.content[0].name == "Bash"
