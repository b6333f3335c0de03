"""How the simulator writes messages: whole, or as events of one block after the other."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator.brain import Stop
from gatewayctl.simulator.request import Thinking
from gatewayctl.simulator.wire import Frame, Made, fragments

MAKER: Final = "messages"
"""Whose the seals of this protocol are."""

_STOP: Final = {
    Stop.END: "end_turn",
    Stop.LENGTH: "max_tokens",
    Stop.TOOL: "tool_use",
    Stop.SEQUENCE: "stop_sequence",
    Stop.FILTERED: "refusal",
    Stop.DECLINED: "refusal",
}
Delta = tuple[dict[str, Any], bool]


class _Block(msgspec.Struct, frozen=True, kw_only=True):
    """A content block as a stream opens it, its deltas (each of content or not), and whole."""

    opened: dict[str, Any]
    deltas: tuple[Delta, ...]
    whole: dict[str, Any]


def whole(made: Made) -> bytes:
    """Write a ``message``."""
    answer = made.answer
    blocks: list[object] = [block.whole for block in _blocks(made)]
    tokens, thoughts = answer.output_tokens, answer.thought_tokens
    message = _message(made, blocks, tokens, thoughts=thoughts)
    message["stop_reason"] = _STOP[answer.stop]
    message["stop_sequence"] = answer.stop_sequence
    message["stop_details"] = _details(made)
    return msgspec.json.encode(message)


def stream(made: Made) -> Iterator[Frame]:
    """Write ``message_start``, the content blocks, ``message_delta`` and ``message_stop``."""
    answer = made.answer
    yield _event("message_start", {"message": _message(made, [], 1, thoughts=0)})
    for index, block in enumerate(_blocks(made)):
        yield _event("content_block_start", {"index": index, "content_block": block.opened})
        if index == 0:
            yield _event("ping", {})
        for delta, is_content in block.deltas:
            fields = {"index": index, "delta": delta}
            yield _event("content_block_delta", fields, content=is_content)
        yield _event("content_block_stop", {"index": index})
    stop = {
        "stop_reason": _STOP[answer.stop],
        "stop_sequence": answer.stop_sequence,
        "stop_details": _details(made),
        "container": None,
    }
    usage = {
        "input_tokens": answer.input_tokens - answer.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached,
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"thinking_tokens": answer.thought_tokens},
        "server_tool_use": None,
    }
    yield _event("message_delta", {"delta": stop, "usage": usage})
    yield _event("message_stop", {}, terminal=True)


def _details(made: Made) -> dict[str, object] | None:
    """Return why a model does not answer, None where it does."""
    if made.answer.stop is not Stop.DECLINED:
        return None
    return {"type": "refusal", "category": None, "explanation": made.answer.text}


def _blocks(made: Made) -> Iterator[_Block]:
    """Yield the blocks of an answer: its thoughts, its text, its calls; an empty text for none."""
    answer = made.answer
    if answer.thoughts:
        yield _thinking(made)
    if answer.pieces or not (answer.thoughts or answer.calls):
        deltas = tuple(({"type": "text_delta", "text": piece}, True) for piece in answer.pieces)
        opened: dict[str, Any] = {"type": "text", "text": "", "citations": None}
        yield _Block(opened=opened, deltas=deltas, whole=opened | {"text": answer.text})
    for index, call in enumerate(answer.calls):
        parts = fragments(call.json)
        opened = {
            "type": "tool_use",
            "id": made.name("toolu", index),
            "name": call.name,
            "input": {},
            "caller": {"type": "direct"},
        }
        yield _Block(
            opened=opened,
            deltas=tuple(
                ({"type": "input_json_delta", "partial_json": part}, True) for part in parts
            ),
            whole=opened | {"input": call.arguments},
        )


def _thinking(made: Made) -> _Block:
    """Return the block of what was thought: told, signed without its text, or redacted."""
    answer = made.answer
    seal = made.seal(MAKER)
    if not answer.told and made.ask.thinking is not Thinking.HIDDEN:
        redacted = {"type": "redacted_thinking", "data": seal}
        return _Block(opened=redacted, deltas=(), whole=redacted)
    opened = {"type": "thinking", "thinking": "", "signature": ""}
    pieces = answer.thoughts if answer.told else ()
    told = tuple(({"type": "thinking_delta", "thinking": piece}, True) for piece in pieces)
    signed = {"type": "signature_delta", "signature": seal}
    whole = opened | {"thinking": "".join(pieces), "signature": seal}
    return _Block(opened=opened, deltas=(*told, (signed, False)), whole=whole)


def _message(
    made: Made, content: list[object], output_tokens: int, *, thoughts: int
) -> dict[str, object]:
    return {
        "id": f"msg_{made.token}",
        "type": "message",
        "role": "assistant",
        "model": made.ask.model,
        "content": content,
        "container": None,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": made.answer.input_tokens - made.answer.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": made.answer.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "inference_geo": None,
            "output_tokens": output_tokens,
            "output_tokens_details": {"thinking_tokens": thoughts},
            "server_tool_use": None,
            "service_tier": "standard",
        },
    }


def _event(
    name: str, fields: Mapping[str, object], *, content: bool = False, terminal: bool = False
) -> Frame:
    data = sse.write(name, msgspec.json.encode({"type": name, **fields}))
    return Frame(data=data, content=content, terminal=terminal)
