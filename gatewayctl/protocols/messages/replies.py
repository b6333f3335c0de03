"""Whole Messages replies written for a client, and the pieces that a stream is made of as well.

Every field that Anthropic's own types know is there, null where it is unknown. In which frames a
stream tells them is the business of ``writing``.
"""

from collections.abc import Iterator
from typing import Any, Final, assert_never

import msgspec

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import Choice, Reply, Stop, Usage
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.messages import ids
from gatewayctl.protocols.messages.response import US

_TIERS: Final = {"standard": "standard", "default": "standard"} | {
    tier: tier for tier in ("priority", "batch")
}
_ID: Final = "msg_"

REDACTED: Final = "redacted_thinking"
"""The type of a block that only proves a thought."""

NO_ARGUMENTS: Final = msgspec.Raw(b"{}")

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


def write(reply: Reply, context: ReplyContext) -> bytes:
    """Write a whole reply: its first answer, since no client of this protocol asks for more."""
    choice = reply.choices[0] if reply.choices else Choice()
    called = any(isinstance(part, Call) for part in choice.parts)
    body = {
        **head(reply.id, reply.model, context),
        "content": _ended_well(list(_blocks(choice, context))),
        **ending(choice.stop, choice.sequence, called=called),
        "usage": usage(reply.usage, reply.tier),
    }
    return msgspec.json.encode(body)


def head(reply_id: str | None, model: str | None, context: ReplyContext) -> dict[str, Any]:
    """Return what a message begins with."""
    own = reply_id if reply_id and reply_id.startswith(_ID) else f"{_ID}{context.id}"
    return {
        "id": own,
        "type": "message",
        "role": "assistant",
        "model": model or context.prompt.model,
        "container": None,
    }


def ending(stop: Stop | None, sequence: str | None, *, called: bool) -> dict[str, Any]:
    """Return why an answer ends. Clients run tools where that is the reason and not else."""
    reason = stop_reason(stop, called=called)
    refused = {"type": "refusal", "category": None, "explanation": None}
    return {
        "stop_reason": reason,
        "stop_sequence": sequence if reason == "stop_sequence" else None,
        "stop_details": refused if reason == "refusal" else None,
    }


def stop_reason(stop: Stop | None, *, called: bool) -> str:
    """Return a stop in this protocol's words."""
    match stop:
        case None | Stop.END | Stop.OTHER | Stop.CALLS:
            return "tool_use" if called else "end_turn"
        case Stop.BUDGET:
            return "max_tokens"
        case Stop.SEQUENCE:
            return "stop_sequence"
        case Stop.FILTER | Stop.REFUSAL:
            return "refusal"
        case Stop.PAUSE:
            return "pause_turn"
        case Stop.WINDOW:
            return "model_context_window_exceeded"
    assert_never(stop)


def usage(told: Usage, tier: str | None) -> dict[str, Any]:
    """Return a usage object: input that is no text is input as well.

    A stream's last one is the same as a whole reply's, so that both say as much.
    """
    short, long = told.input_cache_write_5m, told.input_cache_write_1h
    writes = None
    if short is not None or long is not None:
        writes = {
            "ephemeral_5m_input_tokens": short or 0,
            "ephemeral_1h_input_tokens": long or 0,
        }
    thinking = told.reasoning_output
    tiers = (tier or "").split("+")
    return {
        "input_tokens": _sum(told.input, told.image, told.audio) or 0,
        "cache_creation_input_tokens": _sum(short, long),
        "cache_read_input_tokens": told.input_cache_read,
        "cache_creation": writes,
        "output_tokens": told.output or 0,
        "output_tokens_details": None if thinking is None else {"thinking_tokens": thinking},
        "server_tool_use": None,
        "service_tier": _TIERS.get(tiers[0]),
        "speed": "fast" if "fast" in tiers else None,
        "inference_geo": US if US in tiers else None,
    }


def hides_thoughts(context: ReplyContext) -> bool:
    """Tell whether the client wants no text of what a model thinks."""
    thinking = context.prompt.thinking
    return thinking is not None and thinking.visible is False


def signature(text: str, seal: Seal | None, context: ReplyContext) -> str:
    """Return what proves a thought, for the client to send back.

    Where the client is not to see a thought's text and nothing else stands for it, the text is in
    there: some models want it back.
    """
    if seal is None or (seal.form == "text" and not seal.data):
        hidden = text if hides_thoughts(context) else ""
        seal = Seal(form="text", data=hidden, origin=seal.origin if seal else "")
    return provenance.tag(seal, context.origin)


def redacted(seal: Seal, context: ReplyContext) -> dict[str, Any]:
    """Return a block for a thought of which only the proof is known."""
    return {"type": REDACTED, "data": provenance.tag(seal, context.origin)}


def tool_use(call_id: str, name: str, given: msgspec.Raw) -> dict[str, Any]:
    """Return a block for a call by the model itself, which is the only kind there is here."""
    block = {"type": "tool_use", "id": call_id, "name": name, "input": given}
    return {**block, "caller": {"type": "direct"}}


class CallIds:
    """Names the calls of one reply: each by its own id where it has one, and none like another."""

    def __init__(self, context: ReplyContext) -> None:
        self._reply = context.id
        self._given: set[str] = set()
        self._calls = 0

    def next(self, call_id: str) -> str:
        """Return the id of the next call; ``call_id`` is what the upstream says, or empty."""
        found = ids.fitting(call_id or f"toolu_{self._reply}_{self._calls}")
        if found in self._given:
            found = ids.fitting(f"{found}_{self._calls}")
        self._calls += 1
        self._given.add(found)
        return found


def _blocks(choice: Choice, context: ReplyContext) -> Iterator[dict[str, Any]]:
    call_ids = CallIds(context)
    for part in choice.parts:
        match part:
            case Text() | Refusal():
                if part.text:
                    yield {"type": "text", "text": part.text, "citations": None}
            case Thought():
                yield from _thought(part, context)
            case Call():
                if part.seal is not None:
                    yield redacted(part.seal, context)
                call_id = call_ids.next(part.id)
                given = arguments(part.arguments)
                yield tool_use(call_id, part.name, given)
            case _:
                assert_never(part)


def _ended_well(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return blocks without proofs behind the last text, as Gemini gives them.

    Clients take the last block for the answer: Claude Code would show none.
    """
    if any(block["type"] == "text" for block in blocks):
        while blocks[-1]["type"] == REDACTED:
            blocks.pop()
    return blocks


def _thought(part: Thought, context: ReplyContext) -> Iterator[dict[str, Any]]:
    if part.text:
        told = "" if hides_thoughts(context) else part.text
        proof = signature(part.text, part.seal, context)
        yield {"type": "thinking", "thinking": told, "signature": proof}
    elif part.seal is not None:
        yield redacted(part.seal, context)


def arguments(text: str) -> msgspec.Raw:
    """Return a call's arguments as the JSON object that this protocol wants, as it is written.

    A model may write something else, or be cut off. Then its text is the one member: a tool that is
    called with that says what is wrong, where one that is called with nothing may just run.
    """
    given = text.strip()
    if given in {"", "null"}:
        return NO_ARGUMENTS
    try:
        _OBJECT.decode(given)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({"arguments": text}))
    return msgspec.Raw(given.encode())


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
