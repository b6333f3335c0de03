"""Telling which protocol a body is in."""

import codecs
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.golden import CASES, Case

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.detect import detected

USER = {"role": "user", "content": "hi"}
CHAT, RESPONSES, MESSAGES, GEMINI = (
    WireProtocol.CHAT_COMPLETIONS,
    WireProtocol.RESPONSES,
    WireProtocol.MESSAGES,
    WireProtocol.GEMINI,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.protocol}-{case.name}")
def test_recorded_requests_are_told_apart(case: Case) -> None:
    """What could be of two protocols, since it has no field of one alone, is a chat's."""
    told = detected(case.request)
    assert told == case.protocol or {told, case.protocol} == {CHAT, MESSAGES}
    if b'"system"' in case.request or b'"tools"' in case.request:
        assert told == case.protocol


@pytest.mark.parametrize(
    ("fields", "protocol"),
    [
        ({}, CHAT),
        ({"max_tokens": 9}, CHAT),
        ({"system": "x"}, MESSAGES),
        ({"stop_sequences": ["x"]}, MESSAGES),
        ({"thinking": {"type": "adaptive"}}, MESSAGES),
        ({"thinking": {"type": "enabled"}, "stop": ["x"]}, CHAT),
        ({"top_k": 5}, MESSAGES),
        ({"top_k": 5, "messages": [{"role": "tool", "content": "x"}]}, CHAT),
        ({"tools": [{"name": "f", "input_schema": {}}]}, MESSAGES),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, MESSAGES),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, CHAT),
        ({"tools": 3}, CHAT),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, MESSAGES),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, MESSAGES),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, CHAT),
        ({"messages": [{"role": "assistant", "tool_calls": []}, USER]}, CHAT),
        ({"messages": [{"role": "system", "content": "x"}, USER]}, CHAT),
        ({"messages": [{"role": ["x"], "content": [{"type": {}}, 3]}, 4]}, CHAT),
        ({"messages": "hi"}, CHAT),
        ({"messages": None}, CHAT),
    ],
)
def test_messages_and_chat_completions_are_told_apart(
    fields: dict[str, Any], protocol: WireProtocol
) -> None:
    """By fields, tools, roles and content that only one of them has, the surest first."""
    body = {"model": "m", "messages": [USER], **fields}
    assert detected(json.dumps(body).encode()) is protocol


@pytest.mark.parametrize(
    ("body", "protocol"),
    [
        ({"input": "hi"}, RESPONSES),
        ({"input": [USER], "tools": [{"type": "function", "name": "f"}]}, RESPONSES),
        ({"previous_response_id": "resp_1"}, RESPONSES),
        ({"conversation": {"id": "conv_1"}}, RESPONSES),
        ({"prompt": {"id": "pmpt_1"}}, RESPONSES),
        ({"contents": "hi"}, GEMINI),
        ({"contents": {"parts": {"text": "hi"}}}, GEMINI),
        ({"contents": [{"parts": [{"text": "hi"}]}], "system_instruction": {}}, GEMINI),
        ({"generateContentRequest": {"model": "models/m", "contents": []}}, GEMINI),
    ],
)
def test_the_other_protocols_have_fields_of_their_own(
    body: dict[str, Any], protocol: WireProtocol
) -> None:
    """Whatever form their values have: what is wrong with them is their protocol's to say."""
    data = json.dumps(body).encode()
    assert detected(data) is protocol
    assert detected(codecs.BOM_UTF8 + b"\n " + data) is protocol


@pytest.mark.parametrize(
    "text", ["", "hi", "[INFO] started", "[1, 2]", "[]", '"hi"', "7", "null", "true", "[[[", "é"]
)
def test_what_is_no_object_is_text(text: str) -> None:
    """Logs begin with brackets, and words may stand in quotes."""
    assert detected(text.encode()) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{}", "none of messages, input and contents"),
        (b'{"prompt": "hi"}', "--protocol text"),
        (b'{"messages": []}\n{"messages": []}', "more follows its end"),
        (b'{"messages": [}', "not valid JSON"),
        (b"{hello}", "not valid JSON"),
        (b'{"messages": "\xff"}', "not valid UTF-8 at byte 14"),
        (b"{" + b'"a":{' * 100_000, "nested too deeply"),
        (b'[{"role": "user", "content": "hi"}]', "a list of messages is no body"),
    ],
)
def test_what_is_meant_as_a_body_and_is_none_is_refused(data: bytes, said: str) -> None:
    """The message says what is expected, or where it is broken."""
    with pytest.raises(RequestInvalid, match=said) as caught:
        detected(data)
    assert caught.value.path == "$"


@given(st.binary(max_size=40) | st.text('{}[]":,abc \n', max_size=40).map(str.encode))
def test_no_bytes_whatever_raise_anything_else(data: bytes) -> None:
    """Whatever is on standard input, it is told or refused."""
    with contextlib.suppress(RequestInvalid):
        assert detected(data) in {None, *WireProtocol}


def test_a_long_conversation_is_told_by_its_ends() -> None:
    """Looking at a few of a hundred thousand messages takes no time that others notice."""
    plain = [{"role": "user", "content": "Hi"}] * 10_000
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f"}]}
    for messages in ([call, *plain], [*plain, call]):
        body = json.dumps({"model": "m", "messages": messages}).encode()
        assert detected(body) is MESSAGES
