"""Whole Messages replies: usage, and an error that came with a 200."""

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.protocols import frame
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.messages import wire
from gatewayctl.protocols.sse import BadFrame

_REPLY = msgspec.json.Decoder(wire.Reply)


def read(body: bytes) -> ReplyFacts:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a message")
    usage = merged(Usage(), reply.usage)
    if reply.type == "error" or reply.error:
        return ReplyFacts(usage=usage, error=frame.error_text(reply.error)[0])
    if reply.content is None:
        raise BadFrame("the reply has no content")
    return ReplyFacts(usage=usage)


def merged(known: Usage, told: wire.Usage | None) -> Usage:
    """Return the usage after another cumulative report of it: figures replace, never add.

    A later 0 or null never overwrites: some servers report the input at the start alone.
    """
    if told is None:
        return known
    short, long = _cache_writes(known, told)
    details = told.output_tokens_details
    return Usage(
        input=told.input_tokens or _known(known.input, told.input_tokens),
        input_cache_read=told.cache_read_input_tokens
        or _known(known.input_cache_read, told.cache_read_input_tokens),
        input_cache_write_5m=short or _known(known.input_cache_write_5m, short),
        input_cache_write_1h=long or _known(known.input_cache_write_1h, long),
        output=told.output_tokens or _known(known.output, told.output_tokens),
        reasoning_output=(details and details.thinking_tokens) or known.reasoning_output,
    )


def _known(known: int | None, told: int | None) -> int | None:
    return told if known is None else known


def _cache_writes(known: Usage, told: wire.Usage) -> tuple[int | None, int | None]:
    """Return the tokens written to the 5-minute and the 1-hour cache.

    Where only their sum is told, what is known of the 1-hour cache is taken off it.
    """
    split = told.cache_creation
    if split is not None:
        return split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
    total = told.cache_creation_input_tokens
    if total is None:
        return None, None
    return max(0, total - (known.input_cache_write_1h or 0)), None
