import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from gatewayctl.simulator import Simulator

SHELL = types.FunctionDeclaration(
    name="shell",
    parameters_json_schema={"type": "object", "properties": {"command": {"type": "string"}}},
)
TOOLS: Any = [types.Tool(function_declarations=[SHELL])]
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)
THINKING = types.ThinkingConfig(include_thoughts=True)


@pytest.fixture
def client(simulator: Simulator) -> Iterator[genai.Client]:
    """Return the official client on the simulator; it blocks, so it is used in threads."""
    options = types.HttpOptions(base_url=simulator.base_url)
    with genai.Client(api_key="test", http_options=options) as made:
        yield made


async def test_it_answers_whole_and_streamed(client: genai.Client) -> None:
    """Both ways the answer is a sentence that names the model and the tokens it counted."""

    def talk() -> tuple[types.GenerateContentResponse, str, int | None]:
        whole = client.models.generate_content(model="small", contents="hello")
        stream = client.models.generate_content_stream(model="small", contents="hello")
        streamed = "".join(chunk.text or "" for chunk in stream)
        counted = client.models.count_tokens(model="small", contents="hello").total_tokens
        return whole, streamed, counted

    whole, streamed, counted = await asyncio.to_thread(talk)
    assert whole.text == streamed
    assert whole.usage_metadata is not None
    assert counted == whole.usage_metadata.prompt_token_count
    assert f"counted {counted} input tokens" in streamed


async def test_it_lists_its_models(client: genai.Client) -> None:
    """Each with its limits, in Google's shape, alone as well."""

    def ask() -> tuple[list[str | None], types.Model]:
        listed = [model.name for model in client.models.list()]
        return listed, client.models.get(model="small")

    listed, small = await asyncio.to_thread(ask)
    assert listed == ["models/small", "models/large", "models/flaky"]
    assert (small.input_token_limit, small.output_token_limit) == (32_768, 8_192)


@pytest.mark.parametrize("thinking", [None, THINKING])
async def test_a_tool_round_trip_with_thoughts(
    client: genai.Client, thinking: types.ThinkingConfig | None
) -> None:
    """Two calls at once, their results in the next turn; the first call's signature goes back."""
    config = types.GenerateContentConfig(
        tools=TOOLS, automatic_function_calling=MANUAL, thinking_config=thinking
    )

    def loop() -> tuple[types.Content, str | None]:
        contents: list[Any] = [types.UserContent("Please run it")]
        model = "small!calls=2!strict" if thinking else "small!calls=2"
        first = client.models.generate_content(model=model, contents=contents, config=config)
        assert first.candidates
        turn = first.candidates[0].content
        assert turn is not None
        answers = [
            types.Part.from_function_response(name="shell", response={"output": f"result {place}"})
            for place, _ in enumerate(first.function_calls or ())
        ]
        contents += [turn, types.UserContent(answers)]
        second = client.models.generate_content(model=model, contents=contents, config=config)
        return turn, second.text

    turn, said = await asyncio.to_thread(loop)
    calls = [part for part in turn.parts or () if part.function_call]
    assert len(calls) == 2
    assert bool(calls[0].thought_signature) is (thinking is not None)
    assert calls[1].thought_signature is None
    assert said is not None
    assert "result 1" in said


@pytest.mark.parametrize(
    ("model", "contents", "code", "words"),
    [
        ("huge", "hello", 404, "models/huge is not found"),
        ("small", "word " * 40_000, 400, "exceeds the maximum number of tokens allowed"),
        ("small!429=1", "hello", 429, "Rate limit"),
        ("small!503", "hello", 503, "unavailable"),
    ],
)
async def test_refusals_are_the_clients_own_errors(
    client: genai.Client, model: str, contents: str, code: int, words: str
) -> None:
    """Status and words come through as the client's type, streamed or not."""

    def ask() -> None:
        client.models.generate_content(model=model, contents=contents)

    with pytest.raises(errors.APIError, match=words) as told:
        await asyncio.to_thread(ask)
    assert told.value.code == code


async def test_calls_need_no_ids(client: genai.Client) -> None:
    """``no-ids`` leaves them out, as older models do."""
    config = types.GenerateContentConfig(tools=TOOLS, automatic_function_calling=MANUAL)

    def ask() -> types.GenerateContentResponse:
        model = "small!no-ids!calls=1"
        return client.models.generate_content(model=model, contents="x", config=config)

    calls = (await asyncio.to_thread(ask)).function_calls or []
    assert [call.id for call in calls] == [None]
