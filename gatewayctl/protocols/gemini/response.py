"""Whole Gemini replies: usage, what was written, and an error that came with a 200.

What streams share with them is here too: where usage and errors stand, what a part says.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.gemini import wire
from gatewayctl.protocols.gemini.request import as_list
from gatewayctl.protocols.sse import BadFrame
from gatewayctl.protocols.told import told

_REPLY = msgspec.json.Decoder(wire.Reply)

_USAGE: metering.Places = {
    "total": (("promptTokenCount",),),
    "tools": (("toolUsePromptTokenCount",),),
    "cached": (("cachedContentTokenCount",),),
    "said": (("candidatesTokenCount",),),
    "reasoning": (("thoughtsTokenCount",),),
}
_DETAIL: metering.Places = {"tokens": (("tokenCount",),)}
_DETAILS: Final = {
    "": "promptTokensDetails",
    "cached_": "cacheTokensDetails",
    "tools_": "toolUsePromptTokensDetails",
    "made_": "candidatesTokensDetails",
}
_MEDIA: Final = {"IMAGE": "image", "VIDEO": "image", "AUDIO": "audio"}
_UNSPECIFIED: Final = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED"})


def read(body: bytes) -> ReplyFacts:
    """Read a whole reply; raise ``BadFrame`` when it is none."""
    reply = decoded(body, "a Gemini reply")
    if not reply.error and reply.candidates is None and blocked(reply.prompt_feedback) is None:
        raise BadFrame("the reply has no candidates")
    written = sum(length(each) for each in reply.candidates or ())
    return ReplyFacts(
        usage=usage_of(counted(reply.usage_metadata), silent=not written),
        told=told(reply.error) if reply.error else None,
        written=written,
        tier=tier(reply.usage_metadata),
    )


def decoded(data: bytes, what: str) -> wire.Reply:
    """Decode a reply or a frame of a stream; raise ``BadFrame`` when it is not ``what``."""
    return frame.read(_REPLY, data, what)


def blocked(feedback: Any) -> str | None:
    """Return why a prompt was not answered at all, None where it was."""
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) and reason and reason not in _UNSPECIFIED else None


def finished(candidate: wire.Candidate) -> str | None:
    """Return why a candidate ends, None where it goes on."""
    reason = candidate.finish_reason
    return reason if reason and reason not in _UNSPECIFIED else None


def index_of(candidate: wire.Candidate, place: int) -> int:
    """Return which candidate this is: its ``place`` in the reply where it does not say."""
    return place if candidate.index is None else candidate.index


def counted(usage: Any) -> dict[str, int]:
    """Return the figures of a usage object, and what they hold of each medium.

    The prompt's include what was cached; what tools read stands beside it.
    """
    counts = metering.counts(_USAGE, usage)
    if not isinstance(usage, dict):
        return counts
    for what, name in _DETAILS.items():
        details = usage.get(name)
        for each in details if isinstance(details, list) else ():
            if (medium := _medium(each)) is None:  # as of nearly all: it is text
                continue
            figure = metering.counts(_DETAIL, each).get("tokens")
            if figure is not None:
                counts[what + medium] = counts.get(what + medium, 0) + figure
    return counts


def _medium(detail: Any) -> str | None:
    modality = detail.get("modality") if isinstance(detail, dict) else None
    return _MEDIA.get(modality) if isinstance(modality, str) else None


def usage_of(counts: metering.Counts, *, silent: bool = False) -> Usage:
    """Return the usage: what tools read counts as input, what was thought as output.

    ``silent``: the answer is whole and says nothing, so that an output which is not told is none:
    Google leaves zeros out.
    """
    figures = dict(counts)
    if "tools" in figures:
        figures["total"] = figures.get("total", 0) + figures.pop("tools")
    for medium in ("image", "audio"):
        own, read = figures.get(medium), figures.get(f"tools_{medium}")
        if own is not None or read is not None:
            fresh = max(0, (own or 0) - figures.get(f"cached_{medium}", 0))
            figures[medium] = fresh + (read or 0)
    outputs = [figures[name] for name in ("said", "reasoning") if name in figures]
    if outputs or (silent and "total" in figures):
        figures["output"] = sum(outputs)
    return metering.inclusive(figures)


def tier(usage: Any) -> str | None:
    """Return the service tier, where the usage names one; Vertex AI calls it a kind of traffic."""
    if not isinstance(usage, dict):
        return None
    told = metering.tier(usage.get("serviceTier"), usage.get("trafficType"))
    return None if told is None else told.lower().removeprefix("on_demand_")


def parts(candidate: wire.Candidate) -> list[dict[str, Any]]:
    """Return the parts of a candidate that are objects."""
    said = None if candidate.content is None else candidate.content.parts
    return [part for part in as_list(said) if isinstance(part, dict)]


def length(candidate: wire.Candidate) -> int:
    """Return the characters of text, thoughts, calls and code."""
    return sum(_length(part) for part in parts(candidate))


def says(candidate: wire.Candidate) -> bool:
    """Tell whether a candidate says anything: text, a call, data. A signature alone is nothing."""
    return any(
        value for part in parts(candidate) for name, value in part.items() if name not in _SILENT
    )


_SILENT: Final = frozenset({"thought", "thoughtSignature", "partMetadata"})


def _length(part: dict[str, Any]) -> int:
    total = metering.characters(part.get("text"))
    for name, inner in (
        ("functionCall", "args"),
        ("executableCode", "code"),
        ("codeExecutionResult", "output"),
    ):
        value = part.get(name)
        if isinstance(value, dict):
            total += metering.arguments(value.get(inner))
    return total
