"""Valid requests and replies with anything in the place of any part of them: no codec fails."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialects import PROTOCOLS, request, tool

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Conversation, RequestShape
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import BadFrame, Changes
from gatewayctl.protocols.patch import Member
from gatewayctl.protocols.readers import READERS
from gatewayctl.protocols.sse import SseEvent

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "text"]), inner),
    max_leaves=8,
)
EVENTS: dict[str, list[dict[str, Any]]] = {
    "chat_completions": [
        {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f"}}]}}], "usage": {}},
        {"error": {"message": "m", "code": "c"}},
    ],
    "messages": [
        {"type": "message_start", "message": {"usage": {"cache_creation": {}}}},
        {"type": "content_block_start", "content_block": {"type": "text", "text": "x"}},
        {"type": "error", "error": {"type": "api_error", "message": "m"}},
    ],
    "responses": [
        {"type": "response.completed", "response": {"id": "r", "usage": {}, "output": []}},
        {"type": "response.output_item.added", "item": {"name": "f", "content": [{}]}},
        {"type": "response.failed", "response": {"error": {"code": "c"}}},
    ],
}


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
# One request a protocol with something of everything in it, as agents send it.
REQUESTS: dict[WireProtocol, dict[str, Any]] = {
    WireProtocol.CHAT_COMPLETIONS: {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind.\nToday's date: 2026-01-05"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "hi"},
                    {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                    {"type": "file", "file": {"file_data": PICTURE}},
                    {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "ok", "name": "f"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        "reasoning": {"effort": "low"},
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "n": 1,
    },
    WireProtocol.RESPONSES: {
        "model": "m",
        "instructions": "Be kind.",
        "input": [
            {"type": "message", "role": "developer", "content": "x"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "hi"},
                    {"type": "input_image", "image_url": PICTURE},
                    {"type": "input_file", "file_id": "f"},
                ],
            },
            {"type": "reasoning", "summary": [], "encrypted_content": "AAAA"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_image", "image_url": PICTURE}],
            },
        ],
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
        "tool_choice": "required",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "schema": SCHEMA}},
        "stream": True,
        "max_output_tokens": 9,
    },
    WireProtocol.MESSAGES: {
        "model": "m",
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cch=0a;\nBe kind."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "AAAA"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": "b"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [
                            {"type": "image", "source": {"type": "base64", "data": PICTURE}},
                            {"type": "document", "source": {"type": "content", "content": []}},
                        ],
                    },
                    {"type": "text", "text": "<system-reminder>x</system-reminder>"},
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": False},
        "thinking": {"type": "enabled", "budget_tokens": 9},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        "metadata": {"user_id": '{"session_id":"s"}'},
        "stream": True,
        "max_tokens": 99,
    },
    WireProtocol.GEMINI: {
        "model": "models/m",
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "hi"},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                    {"file_data": {"mime_type": "application/pdf", "file_uri": "gs://f"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "AAAA"},
                    {"executableCode": {"language": "PYTHON", "code": "1"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "name": "f",
                            "response": {"output": "ok"},
                            "parts": [{"inlineData": {"mimeType": "audio/wav", "data": ""}}],
                        }
                    }
                ],
            },
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "maxOutputTokens": 9,
            "responseSchema": SCHEMA,
            "thinkingConfig": {"thinkingBudget": 5},
        },
        "generateContentRequest": None,
    },
}


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """Draw the value with one part of it, at any depth, replaced by anything."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 5)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        inner = draw(mutated(value[key]))
        return (
            {**value, key: inner}
            if isinstance(value, dict)
            else [*value[:key], inner, *value[key + 1 :]]
        )
    return draw(ANYTHING)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.data())
def test_a_request_is_read_measured_and_patched_or_refused(
    protocol: str, data: st.DataObject
) -> None:
    """``RequestInvalid`` is all that leaves a codec, and what it patches is JSON."""
    whole = request(protocol, "m", "text", stream=True, tools=[tool(protocol, "f")])
    body = msgspec.json.encode(data.draw(mutated(whole)))
    codec = CODECS[WireProtocol(protocol)]
    with contextlib.suppress(RequestInvalid):
        codec.shape(body)
        codec.measure(body)
        codec.usage_requested(body)
        patched = codec.patch(body, Changes(model="n", include_usage=True, set={"x": b"1"}))
        assert msgspec.json.decode(patched)["model"] == "n"


@pytest.mark.parametrize("protocol", READERS)
def test_a_request_with_everything_in_it_is_read(protocol: WireProtocol) -> None:
    """So that what is mutated below reaches every branch; what is read can be packed."""
    reader = READERS[protocol]
    body = msgspec.json.encode(REQUESTS[protocol])
    layout = reader.layout(body)
    found = (reader.shape(body), reader.conversation(body, layout), layout)
    assert found[0].needs
    assert found[1].turn == 1
    assert reader.measure(body).images
    form = tuple[RequestShape, Conversation, dict[str, Member]]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=form) == found


@pytest.mark.parametrize("protocol", READERS)
@given(data=st.data())
def test_an_odd_input_makes_no_check_fail_open(protocol: WireProtocol, data: st.DataObject) -> None:
    """litellm#35626: a check that throws on an odd input is skipped, and nobody is told.

    Here each reader gives an answer or the one refusal that reaches the client, whatever stands
    anywhere in a request; and what has a shape can be measured and told apart.
    """
    whole: Any = REQUESTS[protocol]
    for _ in range(data.draw(st.integers(1, 3))):
        whole = data.draw(mutated(whole))
    body = msgspec.json.encode(whole)
    reader = READERS[protocol]
    calls = (reader.layout, reader.measure, reader.conversation, reader.shape)
    refused = set()
    for call in calls:
        try:
            call(body)
        except RequestInvalid as error:
            refused.add(call)
            where = error.path
    assert not refused or (reader.shape in refused and where)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.data())
def test_an_event_or_reply_is_read_or_bad(protocol: str, data: st.DataObject) -> None:
    """``BadFrame`` is all that leaves a side parser and the reader of whole replies."""
    event = msgspec.json.encode(data.draw(mutated(data.draw(st.sampled_from(EVENTS[protocol])))))
    codec = CODECS[WireProtocol(protocol)]
    watcher = codec.watcher(usage_requested=False)
    seen = SseEvent(raw=b"data: " + event + b"\n\n", data=event)
    with contextlib.suppress(BadFrame):
        watcher.see(seen)
        assert watcher.release(seen) in {b"", seen.raw}
    with contextlib.suppress(BadFrame):
        codec.read_reply(event)
