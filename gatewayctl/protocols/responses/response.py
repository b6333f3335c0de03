"""Whole Responses replies: usage, and an error that came with a 200."""

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.protocols import frame
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.responses import wire
from gatewayctl.protocols.sse import BadFrame

_REPLY = msgspec.json.Decoder(wire.Response)


def read(body: bytes) -> ReplyFacts:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a response")
    usage = read_usage(reply.usage)
    if reply.error or reply.status == "failed":
        return ReplyFacts(usage=usage, error=frame.error_text(reply.error or "failed")[0])
    if reply.output is None:
        raise BadFrame("the reply has no output")
    return ReplyFacts(usage=usage)


def read_usage(usage: wire.Usage | None) -> Usage:
    """Return the usage in disjoint dimensions: cached tokens are inside ``input_tokens``."""
    if usage is None:
        return Usage()
    cached = usage.input_tokens_details.cached_tokens if usage.input_tokens_details else None
    total = usage.input_tokens
    output = usage.output_tokens_details
    return Usage(
        input=total if total is None else max(0, total - (cached or 0)),
        input_cache_read=cached,
        output=usage.output_tokens,
        reasoning_output=output.reasoning_tokens if output else None,
    )
