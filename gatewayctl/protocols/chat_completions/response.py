"""Whole Chat Completions replies: usage, and an error that came with a 200."""

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.protocols import frame
from gatewayctl.protocols.chat_completions import wire
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.sse import BadFrame

_REPLY = msgspec.json.Decoder(wire.Reply)


def read(body: bytes) -> ReplyFacts:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a chat completion")
    usage = read_usage(reply.usage)
    if reply.error:
        return ReplyFacts(usage=usage, error=frame.error_text(reply.error)[0])
    if reply.choices is None:
        raise BadFrame("the reply has no choices")
    return ReplyFacts(usage=usage)


def read_usage(usage: wire.Usage | None) -> Usage:
    """Return the usage in disjoint dimensions: cached tokens are inside ``prompt_tokens``."""
    if usage is None:
        return Usage()
    prompt = usage.prompt_tokens_details
    cached = prompt.cached_tokens if prompt else None
    if cached is None:
        cached = usage.prompt_cache_hit_tokens
    total = usage.prompt_tokens
    completion = usage.completion_tokens_details
    return Usage(
        input=total if total is None else max(0, total - (cached or 0)),
        input_cache_read=cached,
        output=usage.completion_tokens,
        reasoning_output=completion.reasoning_tokens if completion else None,
    )
