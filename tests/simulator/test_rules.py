import re
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
import pytest
from support.dialects import DIALECTS, address, request, tool

from gatewayctl import simulator as simulators

Case = tuple[dict[str, Any], str]

USER: Any = {"role": "user", "content": "hi"}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING: Any = {"role": "assistant", "content": None, "tool_calls": [CALL]}
IMAGE: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CHAT: dict[str, Case] = {
    "a result of no call": (
        {"messages": [USER, {"role": "tool", "tool_call_id": "x", "content": "y"}]},
        "must be a response to a preceeding message",
    ),
    "a call without a result": (
        {"messages": [USER, CALLING, USER]},
        "did not have response messages: call_1",
    ),
    "a picture in a result": (
        {
            "messages": [
                USER, CALLING, {"role": "tool", "tool_call_id": "call_1", "content": [IMAGE]},
            ]
        },
        "Image URLs are only allowed for messages with role 'user'",
    ),
    "an unknown role": ({"messages": [{"role": "model", "content": "x"}]}, "Supported values"),
    "no content": ({"messages": [{"role": "user"}]}, "expected a string, got null"),
    "five stops": ({"stop": list("abcde")}, "array too long"),
    "too hot": ({"temperature": 2.5}, "'temperature'"),
    "a choice without tools": ({"tool_choice": "auto"}, "only allowed when 'tools'"),
    "no tools in the list": ({"tools": []}, "empty array"),
    "a tool of an odd name": ({"tools": [tool("chat_completions", "a b")]}, "match pattern"),
    "top_logprobs alone": ({"top_logprobs": 2}, "logprobs"),
    "options of no stream": ({"stream_options": {"include_usage": True}}, "'stream' is enabled"),
    "two budgets": ({"max_tokens": 5, "max_completion_tokens": 5}, "at the same time"),
    "a form without a name": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        "response_format.json_schema.name",
    ),
}  # fmt: skip
INPUT: Any = {"role": "user", "content": "hi"}
CALLED: Any = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
THOUGHT: Any = {"type": "reasoning", "id": "rs_1", "summary": []}
RESPONSES: dict[str, Case] = {
    "a result of no call": (
        {"input": [INPUT, {"type": "function_call_output", "call_id": "x", "output": "y"}]},
        "No tool call found for function call output with call_id x",
    ),
    "a call without a result": ({"input": [INPUT, CALLED]}, "No tool output found for .* call_1"),
    "an id of another kind": (
        {"input": [INPUT, {**CALLED, "id": "toolu_1"}]},
        "Expected an ID that begins with 'fc'",
    ),
    "input as what was put out": (
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
        "Supported values are: 'output_text', 'refusal'",
    ),
    "a foreign thought": (
        {"input": [INPUT, {**THOUGHT, "encrypted_content": "AAAA"}, INPUT]},
        "could not be verified",
    ),
    "a thought of nobody": ({"input": [{**THOUGHT, "id": "rs"}, INPUT]}, "not found"),
    "a thought that nothing follows": (
        {"input": [INPUT, THOUGHT, INPUT]},
        "without its required following item",
    ),
    "too hot": ({"temperature": 2.5}, "'temperature'"),
    "a form without a name": (
        {"text": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        "text.format.name",
    ),
    "a tool without a name": ({"tools": [{"type": "function"}]}, "tools.0..name"),
}
USE: Any = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
USING: Any = {"role": "assistant", "content": [USE]}
RESULT: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "y"}
MARKED: Any = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
THINKING: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
SIGNED: Any = {"type": "thinking", "thinking": "x", "signature": "AAAA"}


def _turns(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [USER, {"role": role, "content": list(blocks)}]}


MESSAGES: dict[str, Case] = {
    "an assistant first": (
        {"messages": [{"role": "assistant", "content": "x"}, USER]},
        'first message must use the "user" role',
    ),
    "a result of no call": (_turns(RESULT), "unexpected `tool_use_id` found"),
    "a call without a result": (
        {"messages": [USER, USING, USER]},
        "without `tool_result` blocks immediately after: toolu_1",
    ),
    "a call at the end": ({"messages": [USER, USING]}, "without `tool_result` blocks"),
    "an odd id": (_turns({**USE, "id": "a:b"}, role="assistant"), "String should match pattern"),
    "arguments that are no object": (
        _turns({**USE, "input": "{}"}, role="assistant"),
        "Input should be a valid dictionary",
    ),
    "two calls of one id": (_turns(USE, USE, role="assistant"), "ids must be unique"),
    "an empty text": (_turns({"type": "text", "text": ""}), "must be non-empty"),
    "a blank text": (_turns({"type": "text", "text": "\n"}), "non-whitespace"),
    "an empty turn": ({"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
    "an unknown role": ({"messages": [{"role": "tool", "content": "x"}]}, "Input should be"),
    "five marks": ({"system": [MARKED] * 5}, "A maximum of 4 blocks"),
    "too hot": ({"temperature": 1.5}, "temperature"),
    "a blank stop": ({"stop_sequences": [" "]}, "non-whitespace"),
    "tools of one name": ({"tools": [tool("messages", "f")] * 2}, "must be unique"),
    "a choice without tools": ({"tool_choice": {"type": "auto"}}, "while providing tools"),
    "a small budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 500}},
        "greater than or equal to 1024",
    ),
    "a budget as large as the answer": (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2000},
        "`max_tokens` must be greater",
    ),
    "thoughts at a temperature": ({**THINKING, "temperature": 0.5}, "`temperature` may only"),
    "thoughts among the likeliest": ({**THINKING, "top_k": 5}, "`top_k` must be unset"),
    "thoughts before a forced call": (
        {**THINKING, "tools": [tool("messages", "f")], "tool_choice": {"type": "any"}},
        "forces tool use",
    ),
    "a foreign thought": (_turns(SIGNED, role="assistant"), "Invalid `signature`"),
    "a foreign secret": (
        _turns({"type": "redacted_thinking", "data": "AAAA"}, role="assistant"),
        "Invalid `data`",
    ),
    "a thought that nothing proves": (
        _turns({"type": "thinking", "thinking": "x"}, role="assistant"),
        "signature: Field required",
    ),
}


def _contents(*parts: Any, role: str = "model") -> dict[str, Any]:
    said = {"role": "user", "parts": [{"text": "hi"}]}
    return {"contents": [said, {"role": role, "parts": list(parts)}]}


def _declared(**schema: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}


FUNCTION: Any = {"functionCall": {"name": "f", "args": {}}}
ANSWER: Any = {"functionResponse": {"name": "f", "response": {"output": "y"}}}
GEMINI: dict[str, Case] = {
    "an unknown field": ({"foo": 1}, 'Unknown name "foo": Cannot find field'),
    "an unknown wish": ({"generationConfig": {"n": 2}}, "at 'generation_config'"),
    "an unknown part": (_contents({"text": "x", "cache_control": {}}), "Unknown name"),
    "JSON's own words in a schema": (
        _declared(type="object", additionalProperties=False),
        'Unknown name "additionalProperties" at .*parameters',
    ),
    "and deep in it": (
        _declared(type="OBJECT", properties={"a": {"type": "ARRAY", "items": {"const": 1}}}),
        'Unknown name "const"',
    ),
    "an unknown role": (_contents({"text": "x"}, role="assistant"), "valid role: user, model"),
    "no parts": ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
    "an empty part": (_contents({"thought": True}), "one initialized field"),
    "a result that is no object": (
        _contents({"functionResponse": {"name": "f", "response": "y"}}, role="user"),
        "Invalid value at",
    ),
    "a result of no function": (
        _contents({"functionResponse": {"response": {}}}, role="user"),
        "Name cannot be empty",
    ),
    "arguments that are no object": (
        _contents({"functionCall": {"name": "f", "args": "{}"}}),
        "Invalid value at",
    ),
    "a result of no call": (_contents(ANSWER, role="user"), "number of function response parts"),
    "a call without a result": (_contents(FUNCTION), "number of function response parts"),
    "a foreign thought": (
        _contents({"text": "x", "thoughtSignature": "AAAA"}),
        "Corrupted thought signature",
    ),
    "six stops": ({"generationConfig": {"stopSequences": list("abcdef")}}, "not exceed 5"),
    "too hot": ({"generationConfig": {"temperature": 2.5}}, "temperature"),
    "a schema of no JSON": (
        {"generationConfig": {"responseJsonSchema": {"type": "object"}}},
        "response_mime_type",
    ),
    "two measures of thought": (
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "low"}}},
        "only set only one",
    ),
    "a function of an odd name": (
        {"tools": [{"functionDeclarations": [{"name": "a b"}]}]},
        "Invalid function name",
    ),
    "a choice of no function": (
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
        "must be those of function declarations",
    ),
}
CASES = {"chat_completions": CHAT, "responses": RESPONSES, "messages": MESSAGES, "gemini": GEMINI}
EVERY = [(protocol, name) for protocol, cases in CASES.items() for name in cases]


async def _ask(
    http: aiohttp.ClientSession, protocol: str, model: str, fields: Mapping[str, Any]
) -> tuple[int, bytes]:
    body = msgspec.json.encode({**request(protocol, model, "hi"), **fields})
    async with http.post(address(protocol, model), data=body) as response:
        return response.status, await response.read()


@pytest.mark.parametrize(("protocol", "name"), EVERY)
async def test_what_a_provider_would_not_take_is_refused(
    http: aiohttp.ClientSession, protocol: str, name: str
) -> None:
    """Each in the provider's words, and as an error of its dialect."""
    fields, words = CASES[protocol][name]
    status, told = await _ask(http, protocol, "small", fields)
    assert status in (400, 404)
    assert re.search(words, msgspec.json.decode(told)["error"]["message"])


STRANGE: dict[str, tuple[dict[str, Any], str]] = {
    "chat_completions": ({"foo": 1}, "Unrecognized request argument supplied: foo"),
    "responses": ({"foo": 1}, "Unknown parameter: 'foo'"),
    "messages": ({"foo": 1}, "foo: Extra inputs are not permitted"),
}


@pytest.mark.parametrize("protocol", STRANGE)
async def test_unknown_fields_are_refused_on_demand(
    http: aiohttp.ClientSession, protocol: str
) -> None:
    """Only where it is to be strict, as their providers always are."""
    fields, words = STRANGE[protocol]
    assert (await _ask(http, protocol, "small", fields))[0] == 200
    status, told = await _ask(http, protocol, "small!strict", fields)
    assert (status, words in told.decode()) == (400, True)


def _nested(name: str, depth: int) -> list[Any]:
    """Return a block in a block in a block."""
    block: dict[str, Any] = {"type": "x"}
    for _ in range(depth):
        block = {"type": "x", name: [block]}
    return [block]


@pytest.mark.parametrize(
    ("protocol", "fields"),
    [
        ("chat_completions", {"stop": 5}),
        ("chat_completions", {"messages": [USER, {"role": "tool", "tool_call_id": []}]}),
        ("responses", {"include": 5, "text": {"format": []}}),
        ("responses", {"input": [{"type": [], "id": 3}]}),
        ("messages", {"stop_sequences": 5}),
        ("messages", _turns(*_nested("content", 450))),
        ("gemini", {"generationConfig": {"stopSequences": 5, "thinkingConfig": 7}}),
        ("gemini", _contents({"functionCall": 2.5})),
        ("gemini", _declared(anyOf=_nested("anyOf", 450))),
    ],
)
async def test_what_is_of_another_type_is_understood_or_refused(
    http: aiohttp.ClientSession, protocol: str, fields: dict[str, Any]
) -> None:
    """Nothing breaks on it."""
    status, _ = await _ask(http, protocol, "small!strict", fields)
    assert status in (200, 400)


async def _thought(http: aiohttp.ClientSession, protocol: str) -> dict[str, Any]:
    """Have the model call a tool with thoughts; return the request that goes on from there."""
    asked = THOUGHTFUL[protocol] | {"tools": [tool(protocol, "f")]}
    status, told = await _ask(http, protocol, "small!calls=2", asked)
    assert status == 200
    reply = msgspec.json.decode(told)
    match protocol:
        case "chat_completions":
            said = reply["choices"][0]["message"]
            results = [
                {"role": "tool", "tool_call_id": call["id"], "content": "y"}
                for call in said["tool_calls"]
            ]
            return asked | {"messages": [USER, said, *results]}
        case "responses":
            results = [
                {"type": "function_call_output", "call_id": item["call_id"], "output": "y"}
                for item in reply["output"]
                if item["type"] == "function_call"
            ]
            return asked | {"input": [INPUT, *reply["output"], *results]}
        case "messages":
            results = [
                RESULT | {"tool_use_id": block["id"]}
                for block in reply["content"]
                if block["type"] == "tool_use"
            ]
            said = {"role": "assistant", "content": reply["content"]}
            return asked | {"messages": [USER, said, {"role": "user", "content": results}]}
        case _:
            said = reply["candidates"][0]["content"]
            results = [ANSWER for part in said["parts"] if "functionCall" in part]
            opening = {"role": "user", "parts": [{"text": "hi"}]}
            return asked | {"contents": [opening, said, {"role": "user", "parts": results}]}


THOUGHTFUL: dict[str, dict[str, Any]] = {
    "chat_completions": {"reasoning_effort": "low"},
    "responses": {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    },
    "messages": THINKING,
    "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
}
PROOF = {
    "responses": '"encrypted_content":"',
    "messages": '"signature":"',
    "gemini": '"thoughtSignature":"',
}


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_what_a_model_thought_is_taken_back_as_it_was(
    http: aiohttp.ClientSession, protocol: str
) -> None:
    """A tool loop goes on with the thoughts before its calls, even where it is strict."""
    again = await _thought(http, protocol)
    status, told = await _ask(http, protocol, "small!strict", again)
    assert status == 200, told


@pytest.mark.parametrize("protocol", PROOF)
async def test_proofs_that_were_changed_are_refused(
    http: aiohttp.ClientSession, protocol: str
) -> None:
    """One other letter, or another provider's secret, and the thought is not its own."""
    again = await _thought(http, protocol)
    text = msgspec.json.encode(again).decode()
    changed = text.replace(PROOF[protocol], PROOF[protocol] + "AAAA")
    status, told = await _ask(http, protocol, "small", msgspec.json.decode(changed))
    assert status == 400, told
    other = await simulators.start(secret="another")
    async with aiohttp.ClientSession(other.base_url) as elsewhere:
        assert (await _ask(elsewhere, protocol, "small", again))[0] == 400
    await other.close()


async def test_a_thought_that_was_changed_is_refused(http: aiohttp.ClientSession) -> None:
    """Anthropic signs the text: another text with the same signature is not it."""
    again = await _thought(http, "messages")
    again["messages"][1]["content"][0]["thinking"] += "!"
    status, told = await _ask(http, "messages", "small", again)
    assert (status, b"cannot be modified" in told) == (400, True)


def _without_thoughts(protocol: str, body: dict[str, Any]) -> dict[str, Any]:
    match protocol:
        case "chat_completions":
            del body["messages"][1]["reasoning_content"]
        case "messages":
            del body["messages"][1]["content"][0]
        case _:
            for part in body["contents"][1]["parts"]:
                part.pop("thoughtSignature", None)
    return body


@pytest.mark.parametrize("protocol", ["chat_completions", "messages", "gemini"])
async def test_calls_without_their_thoughts_are_refused_on_demand(
    http: aiohttp.ClientSession, protocol: str
) -> None:
    """Some models need the thoughts of the turn under way: DeepSeek's, Anthropic's, Google's."""
    bare = _without_thoughts(protocol, await _thought(http, protocol))
    assert (await _ask(http, protocol, "small", bare))[0] == 200
    status, told = await _ask(http, protocol, "small!strict", bare)
    assert (status, b"thought_signature" in told) == (400, protocol == "gemini")


async def test_google_has_words_for_calls_of_another_model(http: aiohttp.ClientSession) -> None:
    """They stand where the signature would be, and are taken for it."""
    again = await _thought(http, "gemini")
    for part in again["contents"][1]["parts"]:
        if "functionCall" in part:
            part["thoughtSignature"] = "skip_thought_signature_validator"
    assert (await _ask(http, "gemini", "small!strict", again))[0] == 200
