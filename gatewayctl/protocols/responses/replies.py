"""Whole replies, both ways: read as the events that they might have been, and written."""

import msgspec

from gatewayctl.core.conversation import Refusal
from gatewayctl.core.events import Choice, Event, Metered, Reply
from gatewayctl.protocols import frame
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.responses import output, snapshot
from gatewayctl.protocols.responses.reading import ResponsesReader
from gatewayctl.protocols.sse import BadFrame

_UNDER_WAY = ("queued", "in_progress", "cancelled")
_REPLY = msgspec.json.Decoder(dict[str, object])


def read(body: bytes) -> list[Event]:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a response")
    if not isinstance(reply.get("output"), list):
        raise BadFrame("the reply has no output")
    if reply.get("status") in _UNDER_WAY:
        raise BadFrame("the reply is not over")
    return ResponsesReader().whole(reply)


def write(reply: Reply, context: ReplyContext) -> bytes:
    """Write a whole reply."""
    choice = reply.choices[0] if reply.choices else Choice()
    named = snapshot.named(reply.id, reply.model, reply.created, context)
    metered = Metered(usage=reply.usage, tier=reply.tier)
    refused = any(isinstance(part, Refusal) and part.text for part in choice.parts)
    found = snapshot.ended(choice.stop, metered, context, refused=refused)
    items = output.whole(choice, context)
    return msgspec.json.encode(
        snapshot.response(named, prompt=context.prompt, **found, output=items)
    )
