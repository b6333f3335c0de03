"""Thoughts across turns: what a model thought comes back to it, and goes to no other model.

A client sends a reply back as it got it, with the results of its calls, as the agents do.
"""

from typing import Any, Final

import msgspec
import pytest
from support import translating
from support.translating import ORIGIN, PROTOCOLS, Answered

from gatewayctl.core.conversation import Call, Prompt, Result, Thought
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.losses import Loss

CASES = [case for case in translating.replies() if case.theme == "thoughts"]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "-"))
every_client = pytest.mark.parametrize("client", PROTOCOLS)

SEALS: Final = {
    WireProtocol.RESPONSES: b"gAAAAABoenc=",
    WireProtocol.MESSAGES: b"EqQBCkYIBBgCKkA=",
    WireProtocol.GEMINI: b"CpYBAdHtim8=",
}
THOUGHTS: Final = (b"greets me", b"Two cities", b"First Oslo", b"Then Rome")


def next_turn(client: WireProtocol, reply: bytes) -> bytes:
    """Return the request that goes on from a reply: what was said, results of calls, a question."""
    told = msgspec.json.decode(reply)
    match client:
        case WireProtocol.CHAT_COMPLETIONS:
            return _chat(told["choices"][0]["message"])
        case WireProtocol.RESPONSES:
            return _responses(told["output"])
        case WireProtocol.MESSAGES:
            return _messages(told["content"])
        case WireProtocol.GEMINI:
            return _gemini(told["candidates"][0]["content"])


def _chat(message: dict[str, Any]) -> bytes:
    ids = [call["id"] for call in message.get("tool_calls") or ()]
    turns = [{"role": "user", "content": "Hi"}, message]
    turns += [{"role": "tool", "tool_call_id": each, "content": "3 degrees"} for each in ids]
    turns += [] if ids else [{"role": "user", "content": "Go on."}]
    tools = [{"type": "function", "function": {"name": name}} for name in ("weather", "now")]
    return msgspec.json.encode({"model": "small", "messages": turns, "tools": tools})


def _responses(output: list[dict[str, Any]]) -> bytes:
    ids = [item["call_id"] for item in output if item["type"] == "function_call"]
    turns = [{"role": "user", "content": "Hi"}, *output]
    turns += [
        {"type": "function_call_output", "call_id": each, "output": "3 degrees"} for each in ids
    ]
    turns += [] if ids else [{"role": "user", "content": "Go on."}]
    tools = [
        {"type": "function", "name": name, "parameters": None, "strict": None}
        for name in ("weather", "now")
    ]
    body = {"model": "small", "input": turns, "tools": tools, "store": False}
    return msgspec.json.encode({**body, "include": ["reasoning.encrypted_content"]})


def _messages(content: list[dict[str, Any]]) -> bytes:
    results: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "3 degrees"}
        for block in content
        if block["type"] == "tool_use"
    ]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": results or "Go on."},
    ]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("weather", "now")]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    body = {"model": "small", "max_tokens": 4096, "messages": turns, "tools": tools}
    return msgspec.json.encode({**body, "thinking": thinking})


def _gemini(content: dict[str, Any]) -> bytes:
    results: list[dict[str, Any]] = [
        {
            "functionResponse": {
                **{key: part["functionCall"][key] for key in ("id", "name")},
                "response": {"output": "3 degrees"},
            }
        }
        for part in content["parts"]
        if "functionCall" in part
    ]
    turns = [
        {"role": "user", "parts": [{"text": "Hi"}]},
        content,
        {"role": "user", "parts": results or [{"text": "Go on."}]},
    ]
    tools = [{"functionDeclarations": [{"name": name} for name in ("weather", "now")]}]
    return msgspec.json.encode({"contents": turns, "tools": tools})


def told(case: Answered, upstream: WireProtocol, client: WireProtocol) -> bytes:
    """Return the reply as the client gets it."""
    return translating.whole(case.wholes[upstream], upstream, client)


def is_kept(case: Answered, upstream: WireProtocol, client: WireProtocol) -> bool:
    """Tell whether a client of another protocol can hold all the thoughts of a reply.

    Gemini proves its text behind it: Claude Code would take that for the answer, and is not told.
    """
    proven_behind = (
        upstream is WireProtocol.GEMINI and b'"functionCall"' not in case.wholes[upstream]
    )
    return not (proven_behind and client is WireProtocol.MESSAGES)


@every_client
@every_case
def test_a_models_thoughts_come_back_to_it(case: Answered, client: WireProtocol) -> None:
    """Text, signature or encrypted content are in the next request, byte for byte, each once."""
    for upstream in set(case.wholes) - {client}:
        if not is_kept(case, upstream, client):
            continue
        before = case.wholes[upstream]
        after = translating.sent(next_turn(client, told(case, upstream, client)), client, upstream)
        assert after.refused is None
        assert Loss.REASONING_OF_ANOTHER not in after.dropped, upstream
        for word in (*THOUGHTS, *SEALS.values()):
            assert after.body.count(word) == before.count(word), (upstream, word)


@every_client
@every_case
def test_another_model_gets_none_of_them(case: Answered, client: WireProtocol) -> None:
    """Neither text nor proof goes to a model that did not think it; that is on record."""
    for source in set(case.wholes) - {client}:
        body = next_turn(client, told(case, source, client))
        for upstream in set(PROTOCOLS) - {client}:
            after = translating.sent(body, client, upstream, origin="up/other")
            if is_kept(case, source, client):
                assert Loss.REASONING_OF_ANOTHER in after.dropped, (source, upstream)
            for word in (*THOUGHTS, *SEALS.values(), provenance.MARK):
                assert word not in after.body, (source, upstream, word)


@every_client
@every_case
def test_a_model_of_the_clients_own_protocol_gets_none_of_them(
    case: Answered, client: WireProtocol
) -> None:
    """What our tags mark is taken out of a body that goes out in its own protocol."""
    for source in set(case.wholes) - {client}:
        body = next_turn(client, told(case, source, client))
        patched = CODECS[client].patch(body, Changes(model="other", strip_foreign=True))
        said = CODECS[client].read_prompt(patched)
        for word in (*THOUGHTS, provenance.MARK):
            assert word not in patched, (source, word)
        assert _calls(said) == _calls(CODECS[client].read_prompt(body))


@every_client
@every_case
def test_calls_and_results_keep_their_ids(case: Answered, client: WireProtocol) -> None:
    """Every result in the next request is of a call that stands before it; none is lost."""
    for upstream in set(case.wholes) - {client}:
        body = next_turn(client, told(case, upstream, client))
        for other in set(PROTOCOLS) - {client}:
            after = translating.sent(body, client, other, origin=ORIGIN)
            calls, results = _calls(CODECS[other].read_prompt(after.body))
            assert calls == results
            assert len(set(calls)) == len(_calls(CODECS[client].read_prompt(body))[0])


def _calls(prompt: Prompt) -> tuple[list[str], list[str]]:
    """Return the ids of calls and those of results."""
    parts = [part for message in prompt.messages for part in message.parts]
    return (
        [part.id for part in parts if isinstance(part, Call)],
        [part.id for part in parts if isinstance(part, Result)],
    )


@every_client
def test_a_hidden_thought_is_told_to_no_client(client: WireProtocol) -> None:
    """What a provider keeps to itself has no text at the client, only its proof."""
    (case,) = (case for case in CASES if case.title == "a hidden thought and an answer")
    for upstream in set(case.wholes) - {client}:
        if not is_kept(case, upstream, client):
            continue
        reply = translating.read(client, told(case, upstream, client))
        thoughts = [part for part in reply.choices[0].parts if isinstance(part, Thought)]
        assert [thought.text for thought in thoughts] == [""]
