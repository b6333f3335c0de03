"""Whole Chat Completions replies: usage, what was written, and an error that came with a 200.

What streams share with them is here too: where usage and errors stand, what a delta says.
"""

from typing import Any

import msgspec

from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.chat_completions import wire
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.sse import BadFrame
from gatewayctl.protocols.told import told

_REPLY = msgspec.json.Decoder(wire.Reply)

_USAGE: metering.Places = {
    "total": (("prompt_tokens",),),
    # OpenAI's place · Moonshot's and Together's · DeepSeek's · Mistral's
    "cached": (
        ("prompt_tokens_details", "cached_tokens"),
        ("cached_tokens",),
        ("prompt_cache_hit_tokens",),
        ("num_cached_tokens",),
    ),
    "written": (("prompt_tokens_details", "cache_write_tokens"),),
    "audio": (("prompt_tokens_details", "audio_tokens"),),
    "image": (("prompt_tokens_details", "image_tokens"),),
    "output": (("completion_tokens",),),
    "reasoning": (("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    "made_audio": (("completion_tokens_details", "audio_tokens"),),
    "made_image": (("completion_tokens_details", "image_tokens"),),
    "everything": (("total_tokens",),),
}
_TIMINGS: metering.Places = {
    "read": (("prompt_n",),),
    "cached": (("cache_n",),),
    "output": (("predicted_n",),),
}


def read(body: bytes) -> ReplyFacts:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a chat completion")
    error = error_of(reply)
    if error is None and reply.choices is None:
        raise BadFrame("the reply has no choices")
    return ReplyFacts(
        usage=metering.inclusive(counted(reply)),
        told=None if error is None else told(error),
        written=sum(length(choice.message) for choice in reply.choices or ()),
        tier=metering.tier(reply.service_tier),
    )


def error_of(reply: wire.Reply) -> Any:
    """Return what a reply or a chunk says went wrong, in any form; None if nothing did."""
    if reply.error:
        return reply.error
    if isinstance(reply.x_groq, dict) and reply.x_groq.get("error"):
        return reply.x_groq["error"]
    for choice in reply.choices or ():
        if choice.error or choice.finish_reason == "error":
            return choice.error or "the model stopped with an error"
    return None


def counted(reply: wire.Reply) -> dict[str, int]:
    """Return the figures of a reply or a chunk; cached tokens are inside ``prompt_tokens``."""
    usage = reply.usage
    if usage is None and isinstance(reply.x_groq, dict):
        usage = reply.x_groq.get("usage")
    if usage is None and reply.choices:
        usage = reply.choices[-1].usage
    if usage is not None:
        return _with_hidden_reasoning(metering.counts(_USAGE, usage))
    return {} if reply.timings is None else _timed(reply.timings)


def _timed(timings: Any) -> dict[str, int]:
    counts = metering.counts(_TIMINGS, timings)
    if (given := counts.pop("read", None)) is not None:
        counts["total"] = given + counts.get("cached", 0)
    return counts


def _with_hidden_reasoning(counts: dict[str, int]) -> dict[str, int]:
    """Add to the output what only the grand total includes: reasoning, at xAI and Google."""
    everything = counts.pop("everything", 0)
    if "total" not in counts or "output" not in counts:
        return counts
    hidden = everything - counts["total"] - counts["output"]
    if hidden > 0 and hidden == counts.get("reasoning", hidden):
        counts["output"] += hidden
    return counts


def length(delta: wire.Delta | None) -> int:
    """Return the characters of text, reasoning, refusal and tool arguments."""
    if delta is None:
        return 0
    if isinstance(delta.content, str) and says_no_more(delta):
        return len(delta.content)
    # Some servers tell the reasoning twice, by its old name and by its new one.
    reasoning = map(metering.characters, (delta.reasoning_content, delta.reasoning))
    texts = metering.characters(delta.content) + metering.characters(delta.refusal)
    calls = [*listed(delta.tool_calls), delta.function_call]
    return texts + max(reasoning) + sum(map(_arguments, calls))


def says_no_more(delta: wire.Delta) -> bool:
    """Tell whether a delta has nothing but its content, as nearly all have."""
    reasons = delta.reasoning_content or delta.reasoning or delta.reasoning_details
    reasons = reasons or delta.refusal
    return not (reasons or delta.tool_calls or delta.function_call)


def listed(value: Any) -> list[Any]:
    """Return the items of a list, or what stands where one is expected."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _arguments(call: Any) -> int:
    if not isinstance(call, dict):
        return 0
    places = (call, call.get("function"), call.get("custom"))
    named = (place for place in places if isinstance(place, dict))
    return sum(
        metering.arguments(place.get("arguments")) + metering.arguments(place.get("input"))
        for place in named
    )
