"""Whole Responses replies: usage, what was written, and an error that came with a 200."""

from typing import Any

import msgspec

from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.responses import wire
from gatewayctl.protocols.sse import BadFrame
from gatewayctl.protocols.told import told

_REPLY = msgspec.json.Decoder(wire.Response)
_ITEM = msgspec.json.Decoder(dict[str, Any])

_USAGE: metering.Places = {
    "total": (("input_tokens",),),
    "cached": (("input_tokens_details", "cached_tokens"),),
    "written": (("input_tokens_details", "cache_write_tokens"),),
    "long": (("input_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"),),
    "audio": (("input_tokens_details", "audio_tokens"),),
    "image": (("input_tokens_details", "image_tokens"),),
    "output": (("output_tokens",),),
    "reasoning": (("output_tokens_details", "reasoning_tokens"),),
    "made_audio": (("output_tokens_details", "audio_tokens"),),
    "made_image": (("output_tokens_details", "image_tokens"),),
}


def read(body: bytes) -> ReplyFacts:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a response")
    failed = bool(reply.error or reply.status == "failed")
    if not failed and reply.output is None:
        raise BadFrame("the reply has no output")
    items = (frame.read(_ITEM, bytes(item), "an output item") for item in reply.output or ())
    return ReplyFacts(
        usage=metering.inclusive(counted(reply.usage)),
        told=told(reply.error or FAILED) if failed else None,
        written=sum(map(length, items)),
        tier=metering.tier(reply.service_tier),
    )


def counted(usage: Any) -> dict[str, int]:
    """Return the figures of a usage object; cached tokens are inside ``input_tokens``."""
    return metering.counts(_USAGE, usage)


def length(item: dict[str, Any]) -> int:
    """Return the characters of text, reasoning, refusal and tool arguments of an output item."""
    texts = metering.characters(item.get("content")) + metering.characters(item.get("summary"))
    return texts + sum(metering.arguments(item.get(name)) for name in ("arguments", "input"))


FAILED = "the response failed"
"""What a failed response says that tells no error."""
