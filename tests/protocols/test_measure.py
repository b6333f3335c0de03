"""Measuring requests: everything that counts is counted, once, where it belongs."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.estimate import by_ratio
from gatewayctl.core.model import EstimatorSettings, WireProtocol
from gatewayctl.core.shape import Image, RequestShape, Segment
from gatewayctl.protocols.catalog import CODECS

TYPED = [protocol for protocol in CODECS if protocol is not WireProtocol.GEMINI]
"""The protocols whose parts have types; what Gemini's hold is measured in ``test_gemini``."""


def content(protocol: WireProtocol, parts: Any, **fields: Any) -> dict[str, int]:
    """Measure one user message of the given content; return characters per segment."""
    turns = [{"role": "user", "content": parts}]
    body = json.dumps({"model": "m", "messages": turns, "input": turns, **fields})
    measured = CODECS[protocol].measure(body.encode())
    return {segment: stats.chars for segment, stats in measured.segments.items()}


@pytest.mark.parametrize("protocol", TYPED)
def test_data_in_base64_is_never_counted_as_text(protocol: WireProtocol) -> None:
    """Images, documents and audio of every dialect, and parts that nobody knows yet."""
    data = "A" * 1000
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{data}"},
        {"type": "image", "source": {"type": "base64", "data": data}},
        {"type": "document", "source": {"type": "base64", "data": data}},
        {"type": "file", "file": {"file_data": data}},
        {"type": "input_file", "file_data": data},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "hologram", "data": data, "caption": "four"},
    ]
    chars = content(protocol, parts)[Segment.MESSAGES]
    assert 4 <= chars < 50


@pytest.mark.parametrize("protocol", TYPED)
def test_escapes_and_white_space_of_the_json_do_not_count(protocol: WireProtocol) -> None:
    """A tool's definition counts by its compact text, with characters as they are meant."""
    tool = {"type": "function", "name": "é漢", "x": [1, 2]}
    compact = len(msgspec.json.encode(tool).decode())
    assert content(protocol, "\n\n", tools=[tool]) == {Segment.MESSAGES: 2, Segment.TOOLS: compact}


@pytest.mark.parametrize(
    ("protocol", "item"),
    [
        (WireProtocol.MESSAGES, {"type": "redacted_thinking", "data": "A" * 400}),
        (WireProtocol.MESSAGES, {"type": "new", "encrypted_content": "A" * 400}),
        (WireProtocol.RESPONSES, {"type": "new", "encrypted_content": "A" * 400}),
        (WireProtocol.CHAT_COMPLETIONS, {"type": "new", "encrypted_content": "A" * 400}),
    ],
)
def test_encrypted_reasoning_counts_by_its_size(protocol: WireProtocol, item: Any) -> None:
    """It is input although nobody here can read it: three bytes for four characters."""
    assert content(protocol, [item]) == {Segment.MESSAGES: 300}


def test_everything_an_assistants_turn_says_counts() -> None:
    """Calls with names and arguments, refusals, reasoning and names of speakers."""
    turn = {
        "role": "assistant",
        "name": "bob",
        "content": [{"type": "refusal", "refusal": "no"}],
        "reasoning_content": "hmm",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "xyz"}},
        ],
        "function_call": {"name": "h", "arguments": "{ }"},
    }
    body = json.dumps({"model": "m", "messages": [turn]}).encode()
    measured = CODECS[WireProtocol.CHAT_COMPLETIONS].measure(body)
    assert measured.segments[Segment.MESSAGES].chars == sum([3, 2, 3, 1 + 2, 1 + 3, 1 + 3])


def test_a_count_and_a_generation_are_measured_alike() -> None:
    """The same conversation has the same measure with and without what only generation needs."""
    turns = {"messages": [{"role": "user", "content": "hi"}], "system": "be kind"}
    codec = CODECS[WireProtocol.MESSAGES]
    count = codec.measure(json.dumps({"model": "m", **turns}).encode())
    whole = {"model": "m", "max_tokens": 9, "stream": True, "temperature": 1, **turns}
    assert codec.measure(json.dumps(whole).encode()) == count


@pytest.mark.parametrize("form", ["string", "items"])
def test_calls_of_responses_are_measured_like_any_other_litellm_33686(form: str) -> None:
    """Row 1 of the bug table: a check that is skipped for a whole protocol checks nothing."""
    text = "All of this counts. " * 500
    said = text if form == "string" else [{"role": "user", "content": text}]
    codec = CODECS[WireProtocol.RESPONSES]
    body = json.dumps({"model": "m", "input": said, "instructions": text}).encode()
    measured = codec.measure(body)
    assert measured.segments[Segment.MESSAGES].chars == len(text)
    assert measured.segments[Segment.SYSTEM].chars == len(text)
    assert by_ratio(codec.shape(body), measured, EstimatorSettings()).low > 2000


KEYS = [
    *("type", "role", "content", "text", "name", "arguments", "input", "source", "data", "url"),
    *("image_url", "detail", "file", "file_data", "function", "custom", "output"),
]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner | st.sampled_from(["text", "image", "image_url", "document", "file", "tool_use"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(ODD, ODD, ODD, st.sampled_from(list(CODECS)))
def test_an_odd_input_is_measured_or_refused_litellm_35626(
    content: Any, tools: Any, output: Any, protocol: WireProtocol
) -> None:
    """Row 2 of the bug table: nothing that a client sends makes a check fail open."""
    turn = {"role": "user", "content": content, "tool_calls": tools, "output": output}
    whole = {"model": "m", "messages": [turn, content], "input": [turn], "tools": [tools]}
    codec = CODECS[protocol]
    body = json.dumps({**whole, "system": content, "response_format": output}).encode()
    try:
        measured = codec.measure(body)
    except RequestInvalid:
        return
    words = sum(stats.words for stats in measured.segments.values())
    settings = EstimatorSettings()
    shape = RequestShape(protocol=protocol, model="m", stream=False, body_bytes=len(body))
    assert by_ratio(shape, measured, settings).likely >= words


def test_a_count_holds_system_and_tools_cliproxyapi_679() -> None:
    """Row 13 of the bug table: 48 tokens were reported where 728 were sent."""
    tool = {"name": "edit", "description": "Edits a file. " * 90, "input_schema": {}}
    turns = [{"role": "user", "content": "hi"}]
    codec = CODECS[WireProtocol.MESSAGES]

    def likely(**more: Any) -> int:
        body = json.dumps({"model": "m", "messages": turns, **more}).encode()
        shape = codec.shape(body, counting=True)
        return by_ratio(shape, codec.measure(body), EstimatorSettings()).likely

    bare = likely()
    assert likely(system="Be kind. " * 100) > bare + 200
    assert likely(tools=[tool]) > bare + 250


def test_a_result_of_a_servers_tool_counts_with_its_pictures() -> None:
    """What an MCP server or a search returned is sent again with every turn."""
    result = {
        "type": "mcp_tool_result",
        "tool_use_id": "x",
        "content": [{"type": "text", "text": "four"}, {"type": "image", "source": {"data": "A"}}],
    }
    turns = [{"role": "assistant", "content": [result]}]
    body = json.dumps({"model": "m", "messages": turns}).encode()
    measured = CODECS[WireProtocol.MESSAGES].measure(body)
    assert measured.segments[Segment.MESSAGES].chars == 4
    assert measured.images == ((Image(), 1),)


def test_a_tool_that_is_only_named_is_known_to_be_the_providers() -> None:
    """Its definition is added unseen, and costs tokens."""
    tools: list[dict[str, Any]] = [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "custom", "name": "f"},
        {"type": "custom", "custom": {"name": "g"}},
    ]
    for protocol in TYPED:
        tools[1] |= {"input_schema": {}} if protocol is WireProtocol.MESSAGES else {"format": {}}
        turns = [{"role": "user", "content": "hi"}]
        body = json.dumps({"model": "m", "messages": turns, "input": turns, "tools": tools})
        measured = CODECS[protocol].measure(body.encode())
        assert (measured.tools, measured.server_tools) == (3, 1)


def test_what_is_put_into_a_stored_prompt_counts() -> None:
    """Its variables are texts, or parts like those of a message; the rest is not in the body."""
    variables = {
        "city": "Bonn",
        "note": {"type": "input_text", "text": "four"},
        "map": {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
    }
    for prompt in ({"id": "p", "variables": variables}, {"id": "p", "variables": None}, "p", None):
        body = json.dumps({"model": "m", "prompt": prompt, "input": "hi"}).encode()
        measured = CODECS[WireProtocol.RESPONSES].measure(body)
        filled = isinstance(prompt, dict) and prompt["variables"] is not None
        assert measured.segments[Segment.MESSAGES].chars == (2 + 4 + 4 if filled else 2)
        assert measured.images == (((Image(), 1),) if filled else ())


def test_what_is_asked_for_besides_messages_counts() -> None:
    """Predicted text, where the user is, and the form of the reply."""
    more = {
        "prediction": {"type": "content", "content": "abcd"},
        "web_search_options": {"user_location": {"approximate": {"city": "Bonn"}}},
        "response_format": {"a": 1},
    }
    chars = content(WireProtocol.CHAT_COMPLETIONS, "hi", **more)
    assert chars == {Segment.MESSAGES: 2, Segment.OTHER: 4 + 4 + 7}


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        (
            WireProtocol.CHAT_COMPLETIONS,
            {"messages": [{"role": "assistant", "content": "ok", "reasoning_content": "hmm…"}]},
        ),
        (
            WireProtocol.CHAT_COMPLETIONS,
            {"messages": [{"role": "assistant", "reasoning_details": [{"text": "hmm…"}]}]},
        ),
        (
            WireProtocol.RESPONSES,
            {"input": [{"type": "reasoning", "summary": [], "content": [{"text": "hmm…"}]}]},
        ),
    ],
)
def test_what_a_model_thought_is_told_apart_in_every_dialect(
    protocol: WireProtocol, body: dict[str, Any]
) -> None:
    """Servers leave it out of later prompts, whatever the field is called that brings it back."""
    measured = CODECS[protocol].measure(msgspec.json.encode({"model": "m", **body}))
    assert measured.thought == 4
