"""Measuring requests: everything that counts is counted, once, where it belongs."""

import json
from typing import Any

import msgspec
import pytest

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Segment
from gatewayctl.protocols.catalog import CODECS


def content(protocol: WireProtocol, parts: Any, **fields: Any) -> dict[str, int]:
    """Measure one user message of the given content; return characters per segment."""
    turns = [{"role": "user", "content": parts}]
    body = json.dumps({"model": "m", "messages": turns, "input": turns, **fields})
    measured = CODECS[protocol].measure(body.encode())
    return {segment: stats.chars for segment, stats in measured.segments.items()}


@pytest.mark.parametrize("protocol", CODECS)
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


@pytest.mark.parametrize("protocol", CODECS)
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
