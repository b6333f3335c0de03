"""The response object: what a whole reply is, and what the events that frame a stream tell.

Every field is there that OpenAI's own types or the Open Responses schema ask for. Where the latter
wants a figure and the request set none, it is the API's documented default.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Format, Prompt, Sampling, Thinking, Tool
from gatewayctl.core.events import Metered, Stop, Usage
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.responses import tools

TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_EFFORTS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_SUMMARIES: Final = frozenset({"auto", "concise", "detailed"})
_VERBOSITIES: Final = frozenset({"low", "medium", "high"})

CUT: Final = {
    Stop.BUDGET: "max_output_tokens",
    Stop.WINDOW: "max_output_tokens",
    Stop.FILTER: "content_filter",
}
"""Why an answer is incomplete, for the stops that cut it off."""


UNKNOWN: Final = Usage()
"""What was metered while nobody has said."""

_PREFIX: Final = "resp_"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a response is called: its id, its model, and when it was made, in seconds of 1970."""

    id: str
    model: str
    created: int


def named(
    given: str | None, model: str | None, created: int | None, context: ReplyContext
) -> Named:
    """Return what a response is called: as the upstream says, where that has the right form.

    A client that was told the response's id already is never told another.
    """
    own = f"{_PREFIX}{context.id}"
    keeps = given is not None and given.startswith(_PREFIX) and not context.opened
    return Named(
        id=given if given is not None and keeps else own,
        model=model or context.prompt.model,
        created=int(context.now()) if created is None else created,
    )


def ended(
    stop: Stop | None, metered: Metered, context: ReplyContext, *, refused: bool
) -> dict[str, Any]:
    """Return the fields that say how a response ended, its status among them.

    An answer that the model breaks off is incomplete, unless its words say that it is a refusal.
    """
    reason = CUT.get(stop) if stop is not None else None
    if stop is Stop.REFUSAL and not refused:
        reason = CUT[Stop.FILTER]
    tier = (metered.tier or "").partition("+")[0]
    found: dict[str, Any] = {
        "status": "completed" if reason is None else "incomplete",
        "completed_at": int(context.now()) if reason is None else None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "usage": usage(metered.usage),
        "service_tier": tier if tier in TIERS else "default",
    }
    return found


def response(named: Named, status: str, prompt: Prompt | None, **said: Any) -> dict[str, Any]:
    """Return a response: ``said`` are the fields that its status brings with it.

    ``prompt`` is what was asked, None where that is not known.
    """
    return {
        "id": named.id,
        "object": "response",
        "created_at": named.created,
        "completed_at": None,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_tool_calls": None,
        "model": named.model,
        "output": [],
        "previous_response_id": None,
        "prompt_cache_key": None,
        "safety_identifier": None,
        "store": False,
        "truncation": "disabled",
        "usage": None,
        **_asked(prompt),
        **said,
    }


def _asked(prompt: Prompt | None) -> dict[str, Any]:
    """Return what a response repeats of its request."""
    sampling = Sampling() if prompt is None else prompt.sampling
    found: dict[str, Any] = {
        "temperature": 1.0 if sampling.temperature is None else sampling.temperature,
        "top_p": 1.0 if sampling.top_p is None else sampling.top_p,
        "presence_penalty": sampling.presence_penalty or 0.0,
        "frequency_penalty": sampling.frequency_penalty or 0.0,
    }
    if prompt is None:
        return found | {
            "max_output_tokens": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "auto",
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "user": None,
        }
    choice = prompt.tool_choice
    return found | {
        "max_output_tokens": prompt.output_budget,
        "metadata": prompt.metadata,
        "parallel_tool_calls": prompt.parallel is not False,
        "reasoning": _reasoning(prompt.thinking),
        "service_tier": prompt.tier if prompt.tier in TIERS else "auto",
        "text": _text(prompt),
        "tool_choice": "auto" if choice is None else tools.chosen(choice),
        "tools": [_tool(tool) for tool in prompt.tools],
        "top_logprobs": prompt.logprobs or 0,
        "user": prompt.user,
    }


def _reasoning(thinking: Thinking | None) -> dict[str, Any]:
    effort = None if thinking is None else thinking.effort
    detail = None if thinking is None else thinking.detail
    return {
        "effort": effort if effort in _EFFORTS else None,
        "summary": detail if detail in _SUMMARIES else None,
    }


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": None if tool.parameters is None else msgspec.Raw(tool.parameters),
        "strict": tool.strict,
    }


def _text(prompt: Prompt) -> dict[str, Any]:
    found: dict[str, Any] = {"format": _format(prompt.format)}
    if prompt.verbosity in _VERBOSITIES:
        found["verbosity"] = prompt.verbosity
    return found


def _format(wanted: Format | None) -> dict[str, Any]:
    if wanted is None:
        return {"type": "text"}
    if wanted.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": wanted.name or "response",
        "description": wanted.description,
        "schema": msgspec.Raw(wanted.schema),
        "strict": wanted.strict is True,
    }


def usage(metered: Usage) -> dict[str, Any] | None:
    """Return the usage object, None where nothing is known; its parts are inside the totals."""
    written = (metered.input_cache_write_5m or 0) + (metered.input_cache_write_1h or 0)
    parts = (metered.input_cache_read, written, metered.image, metered.audio)
    total = sum(part or 0 for part in (metered.input, *parts))
    if metered == UNKNOWN:
        return None
    output = metered.output or 0
    return {
        "input_tokens": total,
        "input_tokens_details": {
            "cached_tokens": metered.input_cache_read or 0,
            "cache_write_tokens": written,
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": metered.reasoning_output or 0},
        "total_tokens": total + output,
    }
