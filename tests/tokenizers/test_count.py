"""Requests are counted by the rules that OpenAI publishes, in every protocol."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gatewayctl.core.errors import CountUnavailable, RequestInvalid
from gatewayctl.core.estimate import Counted
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Segment
from gatewayctl.tokenizers.count import count
from gatewayctl.tokenizers.tiktoken import encoder

CHAT = WireProtocol.CHAT_COMPLETIONS
EACH = pytest.mark.parametrize("vocabulary", ["o200k_base", "cl100k_base"])

# What one function costs besides its text, by vocabulary, as published.
FUNCTION = {"o200k_base": 7, "cl100k_base": 10}

WEATHER = {
    "name": "get_current_weather",
    "description": "Tell the weather at a place right now.",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "A town and its country."},
            "unit": {"type": "string", "description": "Degrees", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location"],
    },
}
PING = {"name": "ping", "description": "No arguments", "parameters": {"properties": {}}}


def total(counted: Counted) -> int:
    """Return all tokens of a count."""
    return sum(counted.tokens.values()) + counted.overhead


def counted(body: Mapping[str, Any], vocabulary: str = "o200k_base", protocol: Any = CHAT) -> int:
    """Return how many tokens a request has."""
    return total(count(protocol, json.dumps(body).encode(), vocabulary))


def by_the_cookbook(messages: list[dict[str, str]], tools: list[Any], vocabulary: str) -> int:
    """Count independently, from the published rules: flat schemas, messages of strings."""

    def tokens(text: str) -> int:
        return len(encoder(vocabulary)._encoding.encode_ordinary(text))

    result = 3
    for message in messages:
        result += 3 + sum(map(tokens, message.values())) + ("name" in message)
    for tool in tools:
        function = tool["function"]
        result += FUNCTION[vocabulary]
        result += tokens(f"{function['name']}:{function['description'].removesuffix('.')}")
        properties = function["parameters"]["properties"]
        result += 3 if properties else 0
        for key, schema in properties.items():
            result += 3
            if "enum" in schema:
                result += -3 + sum(3 + tokens(value) for value in schema["enum"])
            result += tokens(f"{key}:{schema['type']}:{schema['description'].removesuffix('.')}")
    return result + (12 if tools else 0)


CONVERSATION = [
    {"role": "system", "content": "You are a terse assistant that speaks of the weather only."},
    {"role": "system", "name": "example_user", "content": "Rain?"},
    {"role": "system", "name": "example_assistant", "content": "No."},
    {"role": "user", "content": "And in São Paulo? 🌧️"},
    {"role": "assistant", "content": ""},
    {"role": "developer", "content": "<|endoftext|>"},
]


@EACH
@pytest.mark.parametrize("functions", [[], [WEATHER], [PING], [WEATHER, PING, WEATHER]])
def test_a_chat_request_counts_as_published(vocabulary: str, functions: list[Any]) -> None:
    """Messages, names and flat tools have exactly the count of an independent implementation."""
    tools = [{"type": "function", "function": function} for function in functions]
    body = {"messages": CONVERSATION, "tools": tools}
    assert counted(body, vocabulary) == by_the_cookbook(CONVERSATION, tools, vocabulary)


def test_overhead_is_apart_from_text() -> None:
    """What the rules add is no segment's: the segments hold text alone."""
    body = {"messages": [{"role": "user", "name": "a", "content": "a"}], "functions": [PING]}
    result = count(CHAT, json.dumps(body).encode(), "o200k_base")
    assert result.overhead == 3 + 4 + 1 + 7 + 12
    assert result.tokens == {Segment.MESSAGES: 2, Segment.TOOLS: 4}


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        (CHAT, {"messages": [], "functions": [WEATHER, PING]}),
        ("responses", {"input": [], "tools": [{"type": "function", **WEATHER}, PING]}),
        ("gemini", {"contents": [], "tools": [{"functionDeclarations": [WEATHER, PING]}]}),
        (
            "messages",
            {
                "messages": [],
                "tools": [
                    {
                        "name": tool["name"],
                        "description": tool["description"],
                        "input_schema": tool["parameters"],
                        "cache_control": {"type": "ephemeral"},
                    }
                    for tool in (WEATHER, PING)
                ],
            },
        ),
    ],
)
def test_a_tool_costs_the_same_in_every_dialect(protocol: str, body: Mapping[str, Any]) -> None:
    """The same two functions have one count, however a protocol writes them."""
    tools = [{"function": WEATHER}, {"function": PING}]
    expected = by_the_cookbook([], tools, "o200k_base")
    assert counted(body, protocol=WireProtocol(protocol)) == expected


def test_a_conversation_costs_the_same_in_every_dialect() -> None:
    """Instructions and messages have one count, wherever a protocol puts them."""
    said = [{"role": "user", "content": "One."}, {"role": "assistant", "content": "Two."}]
    chat = {"messages": [{"role": "system", "content": "Count."}, *said]}
    responses = {"instructions": "Count.", "input": said}
    messages = {"system": [{"type": "text", "text": "Count."}], "messages": said}
    gemini = {
        "systemInstruction": {"parts": [{"text": "Count."}]},
        "contents": [{"role": item["role"], "parts": [{"text": item["content"]}]} for item in said],
    }
    expected = counted(chat)
    assert counted(gemini, protocol=WireProtocol.GEMINI) == expected
    assert counted(responses, protocol=WireProtocol.RESPONSES) == expected
    assert counted(messages, protocol=WireProtocol.MESSAGES) == expected


def test_calls_and_results_count() -> None:
    """Calls cost their name, arguments and frame, results their text, in every protocol."""
    name, arguments, result = "lookup", '{"place":"Paris, France"}', "It rains. " * 20
    text = sum(encoder("o200k_base").count(part) for part in (name, arguments, result))
    chat = {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": name, "arguments": arguments},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": result},
        ]
    }
    responses = {
        "input": [
            {"type": "function_call", "call_id": "c", "name": name, "arguments": arguments},
            {"type": "function_call_output", "call_id": "c", "output": result},
        ]
    }
    use = {"type": "tool_use", "id": "c", "name": name, "input": json.loads(arguments)}
    answer = {"type": "tool_result", "tool_use_id": "c", "content": result}
    messages = {
        "messages": [
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [answer]},
        ]
    }
    for protocol, body in ((CHAT, chat), ("responses", responses), ("messages", messages)):
        assert counted(body, protocol=WireProtocol(protocol)) == text + 3 + 2 * 4 + 3, protocol


def test_what_a_schema_nests_counts() -> None:
    """Properties inside properties, lists, alternatives and definitions are not free."""
    inner = {"type": "object", "properties": {"street": {"type": "string"}}}
    flat = counted({"messages": [], "functions": [{"name": "f", "parameters": {}}]})
    for schema in (
        {"properties": {"address": inner}},
        {"properties": {"addresses": {"type": "array", "items": inner}}},
        {"properties": {"address": {"anyOf": [inner, {"type": "null"}]}}},
        {"$defs": {"address": inner}},
    ):
        body = {"messages": [], "functions": [{"name": "f", "parameters": schema}]}
        assert counted(body) >= flat + 8, schema


def test_a_custom_tool_counts_the_same_however_it_is_wrapped() -> None:
    """Chat Completions puts its name and description one level deeper than Responses does."""
    custom = {"name": "patch", "description": "Edit a file."}
    told = {"model": "m", "messages": [], "input": []}
    wrapped = counted({**told, "tools": [{"type": "custom", "custom": custom}]})
    flat = {**told, "tools": [{"type": "custom", **custom}]}
    assert wrapped == counted(flat, protocol=WireProtocol.RESPONSES)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search", "user_location": {"country": "FR"}},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "definition": "x" * 9}},
        {"type": "namespace", "name": "n", "tools": [WEATHER]},
        {"name": 5},
        {"name": "f", "description": 5, "parameters": [{"properties": 5}]},
        {"name": "f", "parameters": {"properties": {"a": 5, "b": {"enum": [1, None, []]}}}},
        {"name": "f", "parameters": {"properties": {"a": {"type": ["string", "null", 5]}}}},
        "web_search",
        None,
    ],
)
def test_any_tool_is_counted(tool: Any) -> None:
    """A tool of whatever form costs at least its frame; none makes the count fail."""
    assert counted({"input": "", "tools": [tool]}, protocol=WireProtocol.RESPONSES) >= 3 + 4 + 19


def test_a_deep_schema_is_counted_without_recursion() -> None:
    """How deep a schema nests is its sender's choice: it is counted, or refused as invalid."""
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(150):
        deep = {"type": "object", "properties": {"a": deep}}
    body = {"messages": [], "functions": [{"name": "f", "parameters": deep}]}
    assert counted(body) > 150 * 6


def test_encrypted_text_counts_by_its_length() -> None:
    """Reasoning that only the provider can read costs a token per four bytes of it."""
    item = {"type": "reasoning", "summary": [], "encrypted_content": "A" * 4_000}
    assert counted({"input": [item]}, protocol=WireProtocol.RESPONSES) == 3 + 4 + 750


def test_media_are_left_to_the_estimate() -> None:
    """An image's data is not text."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    assert counted({"messages": [{"role": "user", "content": [image]}]}) == 3 + 4


def test_an_invalid_request_is_refused_with_its_path() -> None:
    """What cannot be read is refused as elsewhere, with the place at fault."""
    with pytest.raises(RequestInvalid) as caught:
        count(CHAT, b'{"messages": [{}, 5]}', "o200k_base")
    assert caught.value.path is not None


def test_an_unknown_vocabulary_is_refused() -> None:
    """A vocabulary that is not packaged cannot count."""
    with pytest.raises(CountUnavailable, match="p50k_base"):
        count(CHAT, b'{"messages": []}', "p50k_base")
