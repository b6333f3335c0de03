"""What is refused, where it is said to be wrong, and what must be let through."""

import json
from typing import Any

import pytest

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.protocols import media
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Codec

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
RESPONSES = CODECS[WireProtocol.RESPONSES]
MESSAGES = CODECS[WireProtocol.MESSAGES]

every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
USER = {"role": "user", "content": "hi"}
MINIMAL: dict[WireProtocol, dict[str, Any]] = {
    WireProtocol.CHAT_COMPLETIONS: {"model": "m", "messages": [USER]},
    WireProtocol.RESPONSES: {"model": "m", "input": "hi"},
    WireProtocol.MESSAGES: {"model": "m", "messages": [USER], "max_tokens": 10},
    WireProtocol.GEMINI: {"model": "m", "contents": {"parts": {"text": "hi"}}},
}


def body(codec: Codec, **fields: Any) -> bytes:
    """Return a minimal request with fields added; a field of value ... is left out."""
    whole = {**MINIMAL[codec.protocol], **fields}
    return json.dumps({key: value for key, value in whole.items() if value is not ...}).encode()


def refusal(codec: Codec, request: bytes) -> RequestInvalid:
    """Return the refusal of a request that must be refused."""
    with pytest.raises(RequestInvalid) as caught:
        codec.shape(request)
    return caught.value


@every_codec
@pytest.mark.parametrize(
    ("request_body", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[]", r"expected `object`, got `array`"),
        (b'"x"', r"expected `object`"),
        (b'{"model": "m",\n  "x": nul}', r"byte 23, line 2, column 9"),
        (b'{"model": "m"', r"byte 13, line 1, column 14"),
        (b'{"model":"m","messages":[],"input":"","max_tokens":1} x', r"trailing characters"),
        (b'{"model": "\xff"}', r"not valid UTF-8 at byte 11"),
        (b'{"model": "m", "unread": "\xc3"}', r"not valid UTF-8 at byte 26"),
        (b'{"model": "m", "unread": ' + b"[" * 100_000, r"nested too deeply"),
        (b'{"model": "m", "unread": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", r"nested too deeply"),
        (b'{"model": "\\ud800"}', r"surrogate"),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_place(
    codec: Codec, request_body: bytes, said: str
) -> None:
    """The message says what is wrong and at which byte, line and column."""
    error = refusal(codec, request_body)
    assert error.path == "$"
    with pytest.raises(RequestInvalid, match=said):
        codec.shape(request_body)


@every_codec
def test_the_model_is_required_text(codec: Codec) -> None:
    """Without a name there is nothing to route."""
    assert refusal(codec, body(codec, model=...)).path == "$.model"
    assert refusal(codec, body(codec, model=3)).path == "$.model"
    if codec.protocol is not WireProtocol.GEMINI:  # there the path says so
        assert refusal(codec, body(codec, stream="yes")).path == "$.stream"


@pytest.mark.parametrize("codec", [CHAT, MESSAGES], ids=["chat_completions", "messages"])
@pytest.mark.parametrize(
    ("messages", "path"),
    [
        (..., "$.messages"),
        ("hi", "$.messages"),
        ([USER, "hi"], "$.messages[1]"),
        ([{"content": "hi"}], "$.messages[0].role"),
        ([{"role": 1, "content": "hi"}], "$.messages[0].role"),
        ([{"role": "user", "content": 1}], "$.messages[0].content"),
        ([{"role": "user", "content": ["hi"]}], "$.messages[0].content[0]"),
        ([{"role": "user", "content": [{"text": "hi"}]}], "$.messages[0].content[0].type"),
    ],
)
def test_messages_of_the_wrong_form_are_refused_where_they_are(
    codec: Codec, messages: Any, path: str
) -> None:
    """The path leads into the list of messages and into the content."""
    assert refusal(codec, body(codec, messages=messages)).path == path


def test_only_chat_messages_may_have_no_content() -> None:
    """An assistant's message of tool calls alone has null; the Messages protocol has none."""
    messages = [{"role": "assistant", "content": None}, USER]
    assert CHAT.shape(body(CHAT, messages=messages)).needs == set()
    assert refusal(MESSAGES, body(MESSAGES, messages=messages)).path == "$.messages[0].content"


@pytest.mark.parametrize(
    ("items", "path"),
    [
        (3, "$.input"),
        (["hi"], "$.input[0]"),
        ([{"content": "hi"}], "$.input[0]"),
        ([{"role": "user", "content": [{}]}], "$.input[0].content[0].type"),
    ],
)
def test_input_of_the_wrong_form_is_refused_where_it_is(items: Any, path: str) -> None:
    """The path leads into the list of items."""
    assert refusal(RESPONSES, body(RESPONSES, input=items)).path == path


@pytest.mark.parametrize(
    "fields",
    [{"prompt": {"id": "pmpt_1"}}, {"conversation": "conv_1"}, {"previous_response_id": "resp_1"}],
)
def test_input_may_be_missing_where_something_stands_for_it(fields: dict[str, Any]) -> None:
    """What stands for it is an input that the body only points to."""
    assert refusal(RESPONSES, body(RESPONSES, input=...)).path == "$.input"
    assert RESPONSES.shape(body(RESPONSES, input=..., **fields)).remote == 1


def test_a_message_needs_a_budget_and_a_count_does_not() -> None:
    """``max_tokens`` is required by the protocol, except where only a count is asked for."""
    request = body(MESSAGES, max_tokens=...)
    assert refusal(MESSAGES, request).path == "$.max_tokens"
    assert MESSAGES.shape(request, counting=True).output_budget is None


@pytest.mark.parametrize(
    ("codec", "field"),
    [
        (CHAT, "max_tokens"),
        (CHAT, "max_completion_tokens"),
        (CHAT, "n"),
        (RESPONSES, "max_output_tokens"),
        (MESSAGES, "max_tokens"),
    ],
)
@pytest.mark.parametrize("value", ["-1", "1.5", "1.0", "1e400", "true", '"9"', "9" * 30, "[]"])
def test_a_budget_is_a_whole_number_of_sane_size(codec: Codec, field: str, value: str) -> None:
    """Anything else is refused by name rather than rounded, wrapped or guessed."""
    request = body(codec, **{field: ...})[:-1] + f', "{field}": {value}}}'.encode()
    assert refusal(codec, request).path == f"$.{field}"


def test_the_newer_name_of_a_chat_budget_wins() -> None:
    """``max_completion_tokens`` is what servers read first."""
    shape = CHAT.shape(body(CHAT, max_tokens=5, max_completion_tokens=7))
    assert shape.output_budget == 7


@pytest.mark.parametrize(
    ("codec", "fields", "needs"),
    [
        (CHAT, {"reasoning_effort": "none"}, set()),
        (CHAT, {"reasoning": {"effort": "low"}}, {Capability.REASONING}),
        (CHAT, {"reasoning": {"effort": "none"}}, set()),
        (CHAT, {"reasoning": {"enabled": False, "effort": "low"}}, set()),
        (CHAT, {"reasoning": {"enabled": True}}, {Capability.REASONING}),
        (CHAT, {"reasoning": {"max_tokens": 100}}, {Capability.REASONING}),
        (CHAT, {"reasoning": {"exclude": True}}, set()),
        (CHAT, {"reasoning": {}}, set()),
        (CHAT, {"reasoning": False}, set()),
        (CHAT, {"reasoning": "high"}, {Capability.REASONING}),
        (CHAT, {"reasoning": {"effort": 3}}, {Capability.REASONING}),
        (CHAT, {"tools": [], "tool_choice": "required"}, set()),
        (CHAT, {"functions": [{"name": "f"}]}, {Capability.TOOLS}),
        (
            CHAT,
            {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
            {Capability.TOOLS, Capability.TOOL_CHOICE},
        ),
        (
            CHAT,
            {"tools": [{}], "parallel_tool_calls": True, "tool_choice": "required"},
            {Capability.TOOLS, Capability.TOOL_CHOICE, Capability.PARALLEL_TOOLS},
        ),
        (CHAT, {"modalities": ["text", "audio"]}, {Capability.AUDIO}),
        (RESPONSES, {"reasoning": {"effort": None}}, set()),
        (MESSAGES, {"thinking": {"type": "disabled"}}, set()),
        (MESSAGES, {"thinking": {"type": "adaptive"}}, set()),
        (
            MESSAGES,
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            {Capability.REASONING},
        ),
        (RESPONSES, {"reasoning": {"summary": "auto"}}, set()),
        (MESSAGES, {"output_format": {"type": "json_schema"}}, {Capability.JSON_SCHEMA}),
        (
            MESSAGES,
            {"output_config": {"format": {"type": "json_schema"}, "effort": "high"}},
            {Capability.JSON_SCHEMA},
        ),
        (
            MESSAGES,
            {"tools": [{}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
            {Capability.TOOLS, Capability.PARALLEL_TOOLS},
        ),
    ],
)
def test_needs_follow_from_what_is_really_asked_for(
    codec: Codec, fields: dict[str, Any], needs: set[Capability]
) -> None:
    """Defaults and switched-off features need nothing."""
    assert codec.shape(body(codec, **fields)).needs == needs


@pytest.mark.parametrize(
    ("codec", "turns", "need", "remote"),
    [
        (
            CHAT,
            [{"role": "tool", "content": [{"type": "image_url", "image_url": "http://x"}]}],
            Capability.IMAGES,
            1,
        ),
        (CHAT, [{"role": "user", "content": [{"type": "image"}]}], Capability.IMAGES, 0),
        (CHAT, [USER, {"role": "assistant", "content": "{"}], Capability.PREFILL, 0),
        (
            RESPONSES,
            [{"type": "function_call_output", "output": [{"type": "input_file", "file_id": "f"}]}],
            Capability.DOCUMENTS,
            1,
        ),
        (
            RESPONSES,
            [
                {
                    "type": "computer_call_output",
                    "output": {"type": "computer_screenshot", "image_url": "data:image/png,"},
                }
            ],
            Capability.IMAGES,
            0,
        ),
        (RESPONSES, [USER, {"role": "assistant", "content": "{"}], Capability.PREFILL, 0),
        (
            MESSAGES,
            [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "content": [{"type": "image", "source": {"type": "url"}}],
                        }
                    ],
                }
            ],
            Capability.IMAGES,
            1,
        ),
        (
            MESSAGES,
            [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {
                                "type": "content",
                                "content": [{"type": "image", "source": {"type": "base64"}}],
                            },
                        }
                    ],
                }
            ],
            Capability.IMAGES,
            0,
        ),
        (MESSAGES, [USER, {"role": "assistant", "content": "{"}], Capability.PREFILL, 0),
    ],
)
def test_needs_are_found_in_turns_of_every_kind(
    codec: Codec, turns: list[Any], need: Capability, remote: int
) -> None:
    """In tools' results, in documents made of blocks, and at the end of the conversation."""
    shape = codec.shape(body(codec, messages=turns, input=turns))
    assert need in shape.needs
    assert shape.remote == remote


@pytest.mark.parametrize("codec", [CHAT, RESPONSES, MESSAGES], ids=lambda it: it.protocol)
@pytest.mark.parametrize("kind", media.NEEDS)
def test_parts_of_any_dialect_tell_what_they_need(codec: Codec, kind: str) -> None:
    """Compatible servers take them, and a bound by length alone holds only where they are seen."""
    part = {"type": kind}
    result: dict[WireProtocol, list[dict[str, Any]]] = {
        WireProtocol.CHAT_COMPLETIONS: [{"role": "tool", "tool_call_id": "c", "content": [part]}],
        WireProtocol.RESPONSES: [
            {"type": "function_call_output", "call_id": "c", "output": [part]}
        ],
        WireProtocol.MESSAGES: [
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c", "content": [part]}],
            }
        ],
    }
    for turns in ([{"role": "user", "content": [part]}], result[codec.protocol]):
        field = "input" if codec is RESPONSES else "messages"
        needs = codec.shape(body(codec, **{field: turns})).needs
        assert needs & set(media.NEEDS.values()) == {media.NEEDS[kind]}


def test_what_real_agents_send_is_let_through() -> None:
    """Fields and types of Claude Code and Codex that no published schema has."""
    claude = body(
        MESSAGES,
        messages=[USER, {"role": "system", "content": "note"}, USER],
        context_management={"edits": []},
        output_config={"effort": "high"},
        thinking={"type": "adaptive"},
        metadata={"user_id": "u"},
    )
    assert MESSAGES.shape(claude).needs == {Capability.SYSTEM_MESSAGES}
    codex = body(
        RESPONSES,
        input=[
            {"type": "message", "role": "developer", "content": [{"type": "input_text"}]},
            {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "x"}]},
        ],
        tools=[{"type": "namespace", "tools": []}, {"type": "custom", "name": "x"}],
        store=False,
    )
    assert RESPONSES.shape(codex).needs == {Capability.SYSTEM_MESSAGES, Capability.TOOLS}
    stray = [{"type": "function", "name": "x", "function": {"name": "x"}}]
    assert CHAT.shape(body(CHAT, tools=stray)).needs == {Capability.TOOLS}
