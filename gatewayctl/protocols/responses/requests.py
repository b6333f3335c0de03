"""Prompts of the IR, written as requests for an upstream that speaks this protocol.

Nothing is to be kept there, so that reasoning comes and goes encrypted. Messages are written in
``items``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Format, Prompt
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import patch, reasoning_models
from gatewayctl.protocols.codec import Target, Written
from gatewayctl.protocols.losses import Loss, Losses, refused
from gatewayctl.protocols.responses import tools
from gatewayctl.protocols.responses.items import Items, instructions
from gatewayctl.protocols.thinking import OFF, effort_of

LEAST_OUTPUT: Final = 16
"""Tokens below which OpenAI takes no budget."""

_SUMMARIES: Final = frozenset({"auto", "concise", "detailed"})
_VERBOSITIES: Final = frozenset({"low", "medium", "high"})
_NAMELESS: Final = "response"
_LONGEST_USER: Final = 64
_FASTER: Final = "priority"
_TIERS: Final = frozenset({"auto", "default", "flex", "priority"})


def write(prompt: Prompt, target: Target) -> Written:
    """Write a request; raise ``RequestInvalid`` for what this protocol has no words for."""
    if prompt.n > 1:
        raise refused(Demand.ANSWERS, "$")
    if prompt.stop:
        raise refused(Demand.STOP, "$")
    losses = Losses()
    known = reasoning_models.traits(target.changes.model)
    effort = reasoning_models.effort(prompt.thinking, known, losses)
    prompt = reasoning_models.taken(prompt, known, effort, losses)
    items = Items(target.origin, losses)
    told, messages = instructions(prompt.messages, losses)
    for message in messages:
        items.add(message)
    given = items.written()
    fields: dict[str, Any] = {
        "model": target.changes.model,
        "instructions": told or None,
        "input": given,
        "stream": prompt.stream,
        "store": bool(prompt.store),
        "include": _include(prompt, given, known) or None,
        "max_output_tokens": _budget(prompt, target, losses),
        "reasoning": _reasoning(prompt, effort) or None,
        "text": _text(prompt, losses) or None,
        **_tools(prompt, losses),
        **_sampling(prompt, losses),
        **_account(prompt, losses),
    }
    body = msgspec.json.encode({name: value for name, value in fields.items() if value is not None})
    changes = target.changes
    edits: dict[str, bytes | None] = {**dict.fromkeys(changes.drop), **changes.set}
    return Written(body=patch.splice(body, edits) if edits else body, dropped=losses.found())


def _include(
    prompt: Prompt, given: Sequence[Mapping[str, Any]], known: reasoning_models.Traits | None
) -> list[str]:
    """Ask for encrypted reasoning where there may be any; other models refuse to be asked."""
    found = []
    thinks = prompt.thinking is not None and effort_of(prompt.thinking) != OFF
    encrypts = known is not None and known.closed
    if encrypts or thinks or any(item["type"] == "reasoning" for item in given):
        found.append("reasoning.encrypted_content")
    if prompt.logprobs is not None:
        found.append("message.output_text.logprobs")
    return found


def _budget(prompt: Prompt, target: Target, losses: Losses) -> int | None:
    given = target.changes.output_budget
    budget = prompt.output_budget if given is None else given
    if budget is not None and budget < LEAST_OUTPUT:
        losses.add(f"an output budget below {LEAST_OUTPUT}")
        return LEAST_OUTPUT
    return budget


def _reasoning(prompt: Prompt, effort: str | None) -> dict[str, str]:
    """Write how much is to be thought, and whether that is shown."""
    thinking = prompt.thinking
    if thinking is None:
        return {}
    found = {} if effort is None else {"effort": effort}
    visible = thinking.visible
    if visible is None:  # a Messages client is shown thoughts unless it says otherwise
        visible = prompt.protocol is WireProtocol.MESSAGES
    if visible and effort_of(thinking) != OFF:
        found["summary"] = thinking.detail if thinking.detail in _SUMMARIES else "auto"
    return found


def _text(prompt: Prompt, losses: Losses) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if prompt.format is not None:
        found["format"] = _format(prompt.format)
    if prompt.verbosity in _VERBOSITIES:
        found["verbosity"] = prompt.verbosity
    elif prompt.verbosity is not None:
        losses.add(Loss.VERBOSITY)
    return found


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    found: dict[str, Any] = {
        "type": "json_schema",
        "name": wanted.name or _NAMELESS,
        "schema": msgspec.Raw(wanted.schema),
    }
    if wanted.description is not None:
        found["description"] = wanted.description
    found["strict"] = wanted.strict is True  # left out, it may be taken for true here
    return found


def _tools(prompt: Prompt, losses: Losses) -> dict[str, Any]:
    if any(tool.cache for tool in prompt.tools):
        losses.add(Loss.CACHE)
    found: dict[str, Any] = {}
    if prompt.tools:
        found["tools"] = tools.written(prompt.tools)
        found["parallel_tool_calls"] = prompt.parallel
    if prompt.tool_choice is not None:
        found["tool_choice"] = tools.chosen(prompt.tool_choice)
    return found


def _sampling(prompt: Prompt, losses: Losses) -> dict[str, Any]:
    sampling = prompt.sampling
    for loss, value in (
        (Loss.TOP_K, sampling.top_k),
        (Loss.SEED, sampling.seed),
        (Loss.PRESENCE_PENALTY, sampling.presence_penalty or None),
        (Loss.FREQUENCY_PENALTY, sampling.frequency_penalty or None),
    ):
        if value is not None:
            losses.add(loss)
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_logprobs": prompt.logprobs,
    }


def _account(prompt: Prompt, losses: Losses) -> dict[str, Any]:
    """Write whom the request is for, and how fast it is to be served."""
    tier = _FASTER if prompt.fast else prompt.tier
    if tier is not None and tier not in _TIERS:
        losses.add(Loss.TIER)
        tier = None
    user = prompt.user
    if user is not None and len(user) > _LONGEST_USER:
        losses.add(Loss.USER)
        user = None
    return {"service_tier": tier, "user": user, "metadata": prompt.metadata or None}
