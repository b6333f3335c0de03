from typing import Any

import aiohttp
import msgspec
import pytest
from support import strict
from support.dialects import DIALECTS, SCHEMA, address, encoded, tool

FORCED: dict[str, Any] = {
    "chat_completions": {"type": "function", "function": {"name": "get_weather"}},
    "responses": {"type": "function", "name": "get_weather"},
    "messages": {"type": "tool", "name": "get_weather"},
    "gemini": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}},
}
LIMIT: dict[str, Any] = {
    "chat_completions": {"max_tokens": 5},
    "responses": {"max_output_tokens": 5},
    "messages": {"max_tokens": 5},
    "gemini": {"generationConfig": {"maxOutputTokens": 5}},
}
THINKING: dict[str, Any] = {
    "chat_completions": {"reasoning_effort": "low"},
    "responses": {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    },
    "messages": {"thinking": {"type": "adaptive"}},
    "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
}
FORMS: dict[str, Any] = {
    "chat_completions": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    },
    "responses": {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "gemini": {
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        }
    },
}
PROBABILITIES: dict[str, Any] = {
    "chat_completions": {"logprobs": True, "top_logprobs": 2},
    "responses": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "messages": {},
    "gemini": {"generationConfig": {"responseLogprobs": True, "logprobs": 2}},
}
LIST = msgspec.json.Decoder(list[msgspec.Raw])
VARIANTS = (
    "text", "tool", "cut", "form", "thought", "calls", "said", "hidden", "declined", "mixed",
    "sure",
)  # fmt: skip


async def _post(
    http: aiohttp.ClientSession,
    protocol: str,
    body: bytes,
    *,
    variant: str = "text",
    stream: bool = False,
) -> bytes:
    path = address(protocol, _model(variant), stream=stream)
    async with http.post(path, data=body) as response:
        assert response.status == 200
        return await response.read()


def _body(protocol: str, variant: str, *, stream: bool) -> bytes:
    fields: dict[str, Any] = {"stream": stream}
    match variant:
        case "tool":
            fields["tools"] = [tool(protocol, "get_weather")]
            choice = "toolConfig" if protocol == "gemini" else "tool_choice"
            fields[choice] = FORCED[protocol]
        case "cut":
            fields |= LIMIT[protocol]
        case "form":
            fields |= FORMS[protocol]
        case "thought":
            fields |= THINKING[protocol]
        case "sure":
            fields |= PROBABILITIES[protocol]
        case "calls" | "said" | "mixed":
            fields["tools"] = [tool(protocol, "get_weather")]
    return encoded(protocol, _model(variant), "Hello, ¿qué tal? 你好", **fields)


def _model(variant: str) -> str:
    wished = {
        "calls": "!calls=3",
        "said": "!thinks!words=4!calls",
        "hidden": "!thinks!hidden",
        "declined": "!declines!cached=5",
        "mixed": "!calls=2!mixed",
    }
    return "small" + wished.get(variant, "")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_reply_validates(http: aiohttp.ClientSession, protocol: str, variant: str) -> None:
    """A reply that is not streamed satisfies the vendor's type in every field."""
    body = _body(protocol, variant, stream=False)
    told = await _post(http, protocol, body, variant=variant)
    parsed = strict.reply(protocol, told)
    if (protocol, variant) != ("gemini", "declined"):  # which has no content
        strict.complete(protocol, told)
    assert (parsed.model_version if protocol == "gemini" else parsed.model) == "small"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_stream_validates(http: aiohttp.ClientSession, protocol: str, variant: str) -> None:
    """Every event satisfies the vendor's type, in the protocol's order, to the terminal frame."""
    body = _body(protocol, variant, stream=True)
    told = await _post(http, protocol, body, variant=variant, stream=True)
    assert strict.events(protocol, told)
    strict.complete_events(protocol, told)


@pytest.mark.parametrize("variant", VARIANTS)
async def test_chat_streams_say_what_the_whole_reply_says(
    http: aiohttp.ClientSession, variant: str
) -> None:
    """The chunks of a chat stream add up to the reply that is not streamed."""
    protocol = "chat_completions"
    whole = strict.reply(
        protocol, await _post(http, protocol, _body(protocol, variant, stream=False))
    )
    body = _body(protocol, variant, stream=True)
    chunks = strict.events(protocol, await _post(http, protocol, body))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    message = whole.choices[0].message
    assert "".join(delta.content or "" for delta in deltas) == (message.content or "")
    thoughts = [delta.model_extra.get("reasoning_content", "") for delta in deltas]
    assert "".join(thoughts) == message.model_extra.get("reasoning_content", "")
    pieces = [delta.tool_calls[0] for delta in deltas if delta.tool_calls]
    calls: dict[int, str] = {}
    for piece in pieces:
        calls[piece.index] = calls.get(piece.index, "") + piece.function.arguments
    whole_calls = message.tool_calls or ()
    assert list(calls.values()) == [call.function.arguments for call in whole_calls]
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason


@pytest.mark.parametrize("variant", VARIANTS)
async def test_messages_streams_say_what_the_whole_reply_says(
    http: aiohttp.ClientSession, variant: str
) -> None:
    """The events of a message stream carry the same counts and stop reason as the whole reply."""
    protocol = "messages"
    whole = strict.reply(
        protocol, await _post(http, protocol, _body(protocol, variant, stream=False))
    )
    body = _body(protocol, variant, stream=True)
    parsed = strict.events(protocol, await _post(http, protocol, body))
    assert parsed[0].message.usage.input_tokens > 0
    assert parsed[-2].usage.output_tokens == whole.usage.output_tokens
    assert parsed[-2].delta.stop_reason == whole.stop_reason


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("listed", [False, True])
async def test_gemini_streams_say_what_the_whole_reply_says(
    http: aiohttp.ClientSession, variant: str, listed: bool
) -> None:
    """Events, or the elements of an array, add up to the reply that is not streamed."""
    body = _body("gemini", variant, stream=False)
    whole = await _post(http, "gemini", body, variant=variant)
    path = address("gemini", _model(variant), stream=True)
    path = path.removesuffix("?alt=sse") if listed else path
    async with http.post(path, data=body) as response:
        told = await response.read()
        assert response.content_type == ("application/json" if listed else "text/event-stream")
    if listed:
        parsed = [strict.event("gemini", bytes(one)) for one in LIST.decode(told)]
    else:
        parsed = strict.events("gemini", told)
    assert _said(parsed) == _said([strict.reply("gemini", whole)])


def _said(parsed: list[Any]) -> tuple[object, ...]:
    """Return thoughts, text and calls of some replies in a row, and what the last counts."""
    contents = [one.candidates[0].content for one in parsed]
    parts = [part for content in contents if content for part in content.parts]
    called = [part.function_call for part in parts if part.text is None]
    calls = [(call.name, call.args) for call in called]
    thoughts = "".join(part.text or "" for part in parts if part.thought)
    text = "".join(part.text or "" for part in parts if not part.thought)
    seals = [part.thought_signature for part in parts if part.thought_signature]
    usage = parsed[-1].usage_metadata
    return thoughts, text, calls, seals, usage, parsed[-1].candidates[0].finish_reason


@pytest.mark.parametrize("variant", VARIANTS)
async def test_responses_streams_say_what_the_whole_reply_says(
    http: aiohttp.ClientSession, variant: str
) -> None:
    """The terminal event's response equals the one that is not streamed, its ids apart."""
    protocol = "responses"
    whole = strict.reply(
        protocol, await _post(http, protocol, _body(protocol, variant, stream=False))
    )
    body = _body(protocol, variant, stream=True)
    last = strict.events(protocol, await _post(http, protocol, body))[-1].response
    assert last.output_text == whole.output_text
    assert (last.usage.output_tokens, last.status) == (whole.usage.output_tokens, whole.status)
    assert whole.status == ("incomplete" if variant == "cut" else "completed")


async def test_chat_usage_comes_only_when_asked_for(http: aiohttp.ClientSession) -> None:
    """``include_usage`` adds one chunk without choices and a null in all others."""
    protocol = "chat_completions"
    body = _body(protocol, "text", stream=True)
    assert b'"usage"' not in await _post(http, protocol, body)
    body = encoded(protocol, "small", "hi", stream=True, stream_options={"include_usage": True})
    chunks = strict.events(protocol, await _post(http, protocol, body))
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []


@pytest.mark.parametrize("stream", [False, True])
async def test_chat_answers_n_times(http: aiohttp.ClientSession, stream: bool) -> None:
    """``n`` choices come back, each finished, and all of them are metered."""
    protocol = "chat_completions"
    one = strict.reply(protocol, await _post(http, protocol, encoded(protocol, "small", "hi")))
    options = {"stream_options": {"include_usage": True}} if stream else {}
    body = encoded(protocol, "small", "hi", n=3, stream=stream, **options)
    raw = await _post(http, protocol, body)
    if stream:
        chunks = strict.events(protocol, raw)
        indices = {choice.index for chunk in chunks for choice in chunk.choices}
        usage = chunks[-1].usage
    else:
        whole = strict.reply(protocol, raw)
        indices = {choice.index for choice in whole.choices}
        usage = whole.usage
    assert indices == {0, 1, 2}
    assert usage.completion_tokens == 3 * one.usage.completion_tokens


@pytest.mark.parametrize("anthropic", [False, True])
async def test_lists_its_models(http: aiohttp.ClientSession, anthropic: bool) -> None:
    """The list and each entry of it come in the shape the caller's headers ask for."""
    headers = {"anthropic-version": "2023-06-01"} if anthropic else {}
    async with http.get("/v1/models", headers=headers) as response:
        listed = await response.json()
    assert [model["id"] for model in listed["data"]] == ["small", "large", "flaky"]
    async with http.get("/v1/models/small", headers=headers) as response:
        assert await response.json() == listed["data"][0]
    async with http.get("/v1/models/none", headers=headers) as response:
        assert response.status == 404


async def test_calls_can_be_told_side_by_side(http: aiohttp.ClientSession) -> None:
    """``mixed`` streams a piece of each call in turn, as some chat servers do."""
    protocol = "chat_completions"
    body = _body(protocol, "mixed", stream=True)
    chunks = strict.events(protocol, await _post(http, protocol, body))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    order = [delta.tool_calls[0].index for delta in deltas if delta.tool_calls]
    assert order[:4] == [0, 1, 0, 1]


CACHED = {
    "chat_completions": (b'"cached_tokens":5', b'"prompt_tokens":'),
    "responses": (b'"cached_tokens":5', b'"input_tokens":'),
    "messages": (b'"cache_read_input_tokens":5', b'"input_tokens":'),
    "gemini": (b'"cachedContentTokenCount":5', b'"promptTokenCount":'),
}


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_what_is_cached_counts_as_each_vendor_counts_it(
    http: aiohttp.ClientSession, protocol: str
) -> None:
    """Anthropic's input is what was not cached; that of the others is all."""

    async def counted(model: str) -> tuple[bytes, int]:
        body = encoded(protocol, model, "hello there, all of you")
        async with http.post(address(protocol, model), data=body) as response:
            told = await response.read()
        return told, int(told.partition(CACHED[protocol][1])[2].partition(b",")[0])

    told, tokens = await counted("small!cached=5")
    _, usual = await counted("small!tag=0")
    assert CACHED[protocol][0] in told
    assert usual - tokens == (5 if protocol == "messages" else 0)
