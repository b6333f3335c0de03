"""Writes a request of the IR for an upstream that speaks Chat Completions.

Its messages are written in ``dialogue``. Fields that only some servers of this protocol know are
left out and recorded, since others refuse what they do not know.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Format, Mode, Prompt, Thinking, Tool, ToolChoice
from gatewayctl.protocols import parameters, reasoning_models, tool_names
from gatewayctl.protocols.chat_completions import dialogue
from gatewayctl.protocols.codec import Target, Written
from gatewayctl.protocols.losses import Loss, Losses

NEWER_BUDGET: Final = "max_completion_tokens"
"""The newer name of the output budget, and the provider flag that says it is the only one known."""

REASONING_CONTENT: Final = "reasoning_content"
REASONING_REQUIRED: Final = "reasoning_required"
MISTRAL_RULES: Final = "mistral_rules"
"""Other flags of a provider; what they say stands with their defaults in ``config.kinds``."""

_OLDER_BUDGET: Final = "max_tokens"
_LONGEST_USER: Final = 64
"""Characters that OpenAI and routers take as a user's name; Claude Code's has twice as many."""


def write(prompt: Prompt, target: Target) -> Written:
    """Return the request; raise ``RequestInvalid`` for what cannot be said and may not be dropped.

    ``set`` and ``drop`` have the last word.
    """
    losses = Losses()
    changes = target.changes
    known = reasoning_models.traits(changes.model)
    effort = reasoning_models.effort(prompt.thinking, known, losses)
    prompt = reasoning_models.taken(prompt, known, effort, losses)
    as_mistral = target.flags.get(MISTRAL_RULES, False)
    if as_mistral:
        prompt = _without_openais_fields(prompt, losses)
    form = dialogue.Form(
        reasoning=None if as_mistral else _reasoning_field(target),
        reasoning_required=target.flags.get(REASONING_REQUIRED, False),
        short_ids=as_mistral,
    )
    fields: dict[str, Any] = {
        "model": changes.model,
        "messages": dialogue.written(prompt.messages, target.origin, form, losses),
        **_streamed(prompt, include_usage=changes.include_usage),
        **_budget(prompt, target),
        **_tools(prompt, losses),
        **_thinking(prompt.thinking, effort, losses),
        **_sampling(prompt, losses),
        **_account(prompt, losses),
    }
    if prompt.format is not None:
        fields["response_format"] = _format(prompt.format)
    if prompt.verbosity is not None and known is not None and known.closed:
        fields["verbosity"] = prompt.verbosity
    elif prompt.verbosity is not None:
        losses.add(Loss.VERBOSITY)
    for field in changes.drop:
        fields.pop(field, None)
    fields |= {field: msgspec.Raw(value) for field, value in changes.set.items()}
    return Written(body=msgspec.json.encode(fields), dropped=losses.found())


def _reasoning_field(target: Target) -> str:
    return "reasoning_content" if target.flags.get(REASONING_CONTENT, True) else "reasoning"


def _without_openais_fields(prompt: Prompt, losses: Losses) -> Prompt:
    """Return a prompt without what Mistral's API has no field for, or another one."""
    lost = {
        Loss.SEED: prompt.sampling.seed is not None,
        Loss.LOGPROBS: prompt.logprobs is not None,
        Loss.VERBOSITY: prompt.verbosity is not None,
        Loss.USER: prompt.user is not None,
        Loss.METADATA: bool(prompt.metadata),
        Loss.STORE: bool(prompt.store),
        Loss.TIER: prompt.tier is not None,
        Loss.SPEED: prompt.fast,
        Loss.NAME_OF_SPEAKER: any(message.name is not None for message in prompt.messages),
    }
    losses.add(*(word for word, is_lost in lost.items() if is_lost))
    return msgspec.structs.replace(
        prompt,
        messages=tuple(msgspec.structs.replace(it, name=None) for it in prompt.messages),
        sampling=msgspec.structs.replace(prompt.sampling, seed=None),
        logprobs=None,
        verbosity=None,
        user=None,
        metadata={},
        store=None,
        tier=None,
        fast=False,
    )


def _streamed(prompt: Prompt, *, include_usage: bool) -> dict[str, Any]:
    if not prompt.stream:
        return {}
    return {
        "stream": True,
        **({"stream_options": {"include_usage": True}} if include_usage else {}),
    }


def _budget(prompt: Prompt, target: Target) -> dict[str, int]:
    budget = target.changes.output_budget
    if budget is None:
        budget = prompt.output_budget
    if budget is None:
        return {}
    return {NEWER_BUDGET if target.flags.get(NEWER_BUDGET) else _OLDER_BUDGET: budget}


def _tools(prompt: Prompt, losses: Losses) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if prompt.tools:
        fields["tools"] = [_tool(tool) for tool in prompt.tools]
        if any(tool.cache is not None for tool in prompt.tools):
            losses.add(Loss.CACHE)
        if prompt.parallel is not None:
            fields["parallel_tool_calls"] = prompt.parallel
        if prompt.tool_choice is not None:
            fields["tool_choice"] = _choice(prompt.tool_choice)
    return fields


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool_names.fitting(tool.name)}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = parameters.written(tool.parameters)
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> str | dict[str, Any]:
    if not choice.names or choice.mode is Mode.NONE:
        return choice.mode.value
    names = map(tool_names.fitting, choice.names)
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    if choice.mode is Mode.REQUIRED and len(tools) == 1:
        return tools[0]
    allowed = {"mode": choice.mode.value, "tools": tools}
    return {"type": "allowed_tools", "allowed_tools": allowed}


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name or "response"}
    if wanted.description is not None:
        schema["description"] = wanted.description
    schema["schema"] = msgspec.Raw(wanted.schema)
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _thinking(thinking: Thinking | None, effort: str | None, losses: Losses) -> dict[str, str]:
    """Return the effort in a word."""
    if thinking is not None and thinking.detail is not None:
        losses.add(Loss.REASONING_SUMMARY)
    return {} if effort is None else {"reasoning_effort": effort}


def _sampling(prompt: Prompt, losses: Losses) -> dict[str, Any]:
    sampling = prompt.sampling
    if sampling.top_k is not None:
        losses.add(Loss.TOP_K)
    fields: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": prompt.stop or None,
        "n": prompt.n if prompt.n > 1 else None,
        "logprobs": True if prompt.logprobs is not None else None,
        "top_logprobs": prompt.logprobs or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _account(prompt: Prompt, losses: Losses) -> dict[str, Any]:
    """Return who asks, at which tier, and what is kept. OpenAI takes metadata only where it is."""
    fields: dict[str, Any] = {}
    tier = "priority" if prompt.fast and prompt.tier is None else prompt.tier
    if tier is not None:
        fields["service_tier"] = tier
    if prompt.user is not None:
        if len(prompt.user) > _LONGEST_USER:
            losses.add(Loss.USER)
        else:
            fields["user"] = prompt.user
    if prompt.store:
        fields["store"] = True
    if prompt.metadata:
        if prompt.store:
            fields["metadata"] = prompt.metadata
        else:
            losses.add(Loss.METADATA)
    return fields
