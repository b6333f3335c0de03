"""Prompts of the IR written as Gemini requests, for an upstream of this protocol.

What this protocol cannot say is named in the common words of ``losses``. Turns are written in
``contents``; the model and whether the answer is streamed stand in the path (``paths``).
"""

import re
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Format, Mode, Prompt, Thinking, Tool, ToolChoice
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import thinking as efforts
from gatewayctl.protocols.codec import Target, Written
from gatewayctl.protocols.gemini import contents
from gatewayctl.protocols.losses import Loss, Losses, refused

Fields = dict[str, Any]

_TIERS: Final = frozenset({"flex", "priority"})
_MODES: Final = {Mode.AUTO: "AUTO", Mode.NONE: "NONE", Mode.REQUIRED: "ANY"}
_SAMPLING: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}

# Rules of thumb by the model's name, as Google documents its thinking models.
_BY_LEVEL: Final = re.compile(r"(?:^|/)gemini-(?:[3-9]|[1-9][0-9])(?![0-9])")
_NEVER: Final = re.compile(r"(?:^|/)(?:gemini-(?:1|2\.0)|gemma-[1-3])(?![0-9])")
_ALWAYS: Final = re.compile(r"(?:^|/)gemini-2\.5-pro")
_FLASH: Final = re.compile(r"(?:^|/)gemini-.*flash")
_LEVELS_OF_FLASH: Final = ("minimal", "low", "medium", "high")
_LEVELS: Final = ("low", "medium", "high")
_LEVELS_OF_FIRST: Final = ("low", "high")
_FIRST: Final = re.compile(r"(?:^|/)gemini-3-pro")
_MOST_OF_FLASH: Final = 24_576
_MOST: Final = 32_768
_LEAST_OF_PRO: Final = 128


def write(prompt: Prompt, target: Target) -> Written:
    """Write a request; raise ``RequestInvalid`` for what cannot be said and may not be dropped."""
    losses = Losses()
    changes = target.changes
    said = contents.Writer(losses, target.origin, changes.model).write(prompt.messages)
    fields: Fields = {"contents": said.contents}
    if said.instructions:
        fields["systemInstruction"] = {"parts": said.instructions}
    fields |= _tools(prompt, losses)
    budget = prompt.output_budget if changes.output_budget is None else changes.output_budget
    config = _config(prompt, losses)
    if budget is not None:
        config["maxOutputTokens"] = budget
    thinking = _thinking(prompt.thinking, changes.model, budget, losses)
    if thinking:
        config["thinkingConfig"] = thinking
    if config:
        fields["generationConfig"] = config
    if prompt.tier in _TIERS:
        fields["serviceTier"] = prompt.tier
    _record(prompt, losses)
    fields |= {name: msgspec.Raw(value) for name, value in changes.set.items()}
    for name in changes.drop:
        if name not in changes.set:
            fields.pop(name, None)
    return Written(body=_encoded(fields), dropped=losses.found())


def _encoded(fields: Fields) -> bytes:
    try:
        return msgspec.json.encode(fields)
    except RecursionError as error:
        raise request_body.invalid("$", "the body is nested too deeply.") from error


def _tools(prompt: Prompt, losses: Losses) -> Fields:
    choice = prompt.tool_choice
    if not prompt.tools:
        if choice is not None and choice.mode is Mode.REQUIRED:
            raise refused(Demand.HOSTED_TOOL, "$.tool_choice")
        return {}
    functions = [_function(tool, losses) for tool in prompt.tools]
    found: Fields = {"tools": [{"functionDeclarations": functions}]}
    if choice is not None:
        found["toolConfig"] = {"functionCallingConfig": _choice(choice)}
    return found


def _function(tool: Tool, losses: Losses) -> Fields:
    if tool.cache is not None:
        losses.add(Loss.CACHE)
    if tool.strict:
        losses.add(Loss.TOOL_STRICT)
    function: Fields = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parametersJsonSchema"] = msgspec.Raw(tool.parameters)
    return function


def _choice(choice: ToolChoice) -> Fields:
    """Return how functions are called; ``VALIDATED`` may call some of them, and need not."""
    if not choice.names or choice.mode is Mode.NONE:
        return {"mode": _MODES[choice.mode]}
    mode = "ANY" if choice.mode is Mode.REQUIRED else "VALIDATED"
    return {"mode": mode, "allowedFunctionNames": choice.names}


def _config(prompt: Prompt, losses: Losses) -> Fields:
    config: Fields = {
        name: value
        for field, name in _SAMPLING.items()
        if (value := getattr(prompt.sampling, field)) is not None
    }
    if prompt.stop:
        config["stopSequences"] = prompt.stop
    if prompt.n > 1:
        config["candidateCount"] = prompt.n
    if prompt.logprobs is not None:
        config["responseLogprobs"] = True
        if prompt.logprobs:
            config["logprobs"] = prompt.logprobs
    if prompt.format is not None:
        config |= _format(prompt.format, losses)
    return config


def _format(form: Format, losses: Losses) -> Fields:
    if form.name is not None:
        losses.add(Loss.FORMAT_NAME)
    found: Fields = {"responseMimeType": "application/json"}
    if form.schema is not None:
        found["responseJsonSchema"] = msgspec.Raw(form.schema)
    return found


def _thinking(
    thinking: Thinking | None, model: str, output_budget: int | None, losses: Losses
) -> Fields:
    if thinking is None:
        return {}
    if _NEVER.search(model):  # nor may that be said
        if not thinking.off:
            losses.add(Loss.REASONING)
        return {}
    if thinking.detail not in {None, "auto"}:
        losses.add(Loss.REASONING_SUMMARY)
    amount = _level(thinking, model, losses) if _BY_LEVEL.search(model) else None
    if amount is None:
        amount = _budget(thinking, model, output_budget, losses)
    shown = thinking.visible is not False and amount.get("thinkingBudget") != 0
    return {**amount, "includeThoughts": True} if shown else amount


def _level(thinking: Thinking, model: str, losses: Losses) -> Fields:
    """Return the level that is nearest to what is asked for; thinking cannot be switched off."""
    effort = efforts.effort_of(thinking)
    if effort is None:
        return {}
    levels: tuple[str, ...] = _LEVELS_OF_FIRST if _FIRST.search(model) else _LEVELS
    if _FLASH.search(model):
        levels = _LEVELS_OF_FLASH
    level = levels[0] if effort == efforts.OFF else efforts.nearest(effort, levels)
    if level != effort:
        losses.add(Loss.REASONING if effort == efforts.OFF else Loss.REASONING_EFFORT)
    return {} if level is None else {"thinkingLevel": level.upper()}


def _budget(thinking: Thinking, model: str, output_budget: int | None, losses: Losses) -> Fields:
    """Return the tokens that may be thought, -1 for as many as the model likes."""
    budget = efforts.budget_of(thinking)
    if budget is None:
        if thinking.effort is not None:
            losses.add(Loss.REASONING_EFFORT)
        return {"thinkingBudget": -1} if thinking.adaptive else {}
    if budget == 0:
        if not _ALWAYS.search(model):
            return {"thinkingBudget": 0}
        losses.add(Loss.REASONING)
        return {"thinkingBudget": _LEAST_OF_PRO}
    fitting = efforts.fitting(budget, output_budget)
    if fitting is None:
        losses.add(Loss.REASONING)
        return {"thinkingBudget": _LEAST_OF_PRO if _ALWAYS.search(model) else 0}
    most = _MOST_OF_FLASH if _FLASH.search(model) else _MOST
    if fitting < budget or fitting > most:
        losses.add(Loss.REASONING_BUDGET)
    return {"thinkingBudget": min(fitting, most)}


def _record(prompt: Prompt, losses: Losses) -> None:
    """Record what a prompt says and this protocol has no field for."""
    lost = {
        Loss.PARALLEL: prompt.parallel is False,
        Loss.VERBOSITY: prompt.verbosity is not None,
        Loss.USER: prompt.user is not None,
        Loss.METADATA: bool(prompt.metadata),
        Loss.STORE: bool(prompt.store),
        Loss.SPEED: prompt.fast,
    }
    losses.add(*(word for word, is_lost in lost.items() if is_lost))
