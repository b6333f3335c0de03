"""Whole Messages replies: usage, what was written, and an error that came with a 200."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.messages import wire
from gatewayctl.protocols.sse import BadFrame
from gatewayctl.protocols.told import told

_REPLY = msgspec.json.Decoder(wire.Reply)

_USAGE: metering.Places = {
    "input": (("input_tokens",),),
    "cached": (("cache_read_input_tokens",),),
    "writes": (("cache_creation_input_tokens",),),
    "short": (("cache_creation", "ephemeral_5m_input_tokens"),),
    "long": (("cache_creation", "ephemeral_1h_input_tokens"),),
    "output": (("output_tokens",),),
    "reasoning": (("output_tokens_details", "thinking_tokens"),),
}

_TERMS = ("speed", "service_tier", "inference_geo")
_STANDARD = "standard"
_COMPACTION = "compaction."

US = "us"
"""Where an answer is made that costs more for being made there alone."""


def read(body: bytes) -> ReplyFacts:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a message")
    failed = bool(reply.type == "error" or reply.error)
    if not failed and reply.content is None:
        raise BadFrame("the reply has no content")
    return ReplyFacts(
        usage=usage_of(counted(reply.usage)),
        told=told(reply.error) if failed else None,
        written=sum(length(block) for block in reply.content or ()),
        tier=tier(terms(reply.usage)),
    )


def counted(usage: Any) -> dict[str, int]:
    """Return the figures of a usage object, and those of compactions, which it leaves out."""
    counts = metering.counts(_USAGE, usage)
    iterations = usage.get("iterations") if isinstance(usage, dict) else None
    for each in iterations if isinstance(iterations, list) else ():
        if isinstance(each, dict) and each.get("type") == "compaction":
            for name, count in metering.counts(_USAGE, each).items():
                counts[_COMPACTION + name] = counts.get(_COMPACTION + name, 0) + count
    return counts


def usage_of(counts: Mapping[str, int]) -> Usage:
    """Return the usage; ``input_tokens`` does not include the cache's.

    Where only the sum of the cache writes is told, they are of the usual, short kind.
    """
    own = _dimensions({name: it for name, it in counts.items() if name in _USAGE})
    compaction = _dimensions({name: counts.get(_COMPACTION + name) for name in _USAGE})
    summed = {
        name: None if count is None and more is None else (count or 0) + (more or 0)
        for name, count, more in zip(own, own.values(), compaction.values(), strict=True)
    }
    return Usage(**summed)


def _dimensions(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    short, long, writes = counts.get("short"), counts.get("long"), counts.get("writes")
    if writes is not None:
        short = max(short or 0, writes - (long or 0))
    return {
        "input": counts.get("input"),
        "input_cache_read": counts.get("cached"),
        "input_cache_write_5m": short,
        "input_cache_write_1h": long,
        "output": counts.get("output"),
        "reasoning_output": counts.get("reasoning"),
    }


def terms(usage: Any, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return what a usage object says of what decides the price, over what was ``known``."""
    told = usage if isinstance(usage, dict) else {}
    said = {name: metering.tier(told.get(name)) for name in _TERMS}
    return {**known, **{name: word for name, word in said.items() if word is not None}}


def tier(terms: Mapping[str, str]) -> str | None:
    """Return the speed, where it is not the standard one, else the service tier.

    An answer that was made in the US alone has its own price as well: ``"us"``, ``"fast+us"``.
    """
    speed, served = terms.get("speed"), terms.get("service_tier")
    name = speed if speed not in {None, _STANDARD} else served or speed
    if terms.get("inference_geo") != US:
        return name
    return US if name in {None, _STANDARD} else f"{name}+{US}"


def length(block: wire.ContentBlock | wire.Delta) -> int:
    """Return the characters of text, thinking and tool input that a block or a delta says."""
    if isinstance(block.text, str) and isinstance(block, wire.Delta):
        return len(block.text)  # as nearly all deltas are
    texts = metering.characters(block.text) + metering.characters(block.thinking)
    if isinstance(block, wire.Delta):
        return texts + metering.arguments(block.partial_json) + metering.characters(block.content)
    return texts + metering.arguments(block.input)
