"""Prompts of the IR written as Messages requests, for an upstream of this protocol.

The turns are written in ``turns``, what is said of thinking in ``effort``; what a model of which
name takes is in ``models``. Edits to a request that is not translated belong to ``request``.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Format, Mode, Prompt, Sampling, Tool, ToolChoice
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import parameters, tool_names
from gatewayctl.protocols.codec import Target, Written
from gatewayctl.protocols.losses import Loss, Losses, refused
from gatewayctl.protocols.messages import effort, schemas, turns
from gatewayctl.protocols.messages.models import Traits, traits
from gatewayctl.protocols.messages.shown import Block, marked

_TIERS: Final = {"auto": "auto", "priority": "auto", "default": "standard_only"}
_LONGEST_USER: Final = 256
_LEAST_TOP_P: Final = 0.95
_MODES: Final = {Mode.AUTO: "auto", Mode.NONE: "none", Mode.REQUIRED: "any"}


def write(prompt: Prompt, target: Target) -> Written:
    """Write a request; raise ``RequestInvalid`` for what cannot be said and may not be dropped."""
    losses = Losses()
    _refuse(prompt)
    changes = target.changes
    known = traits(changes.model)
    budget = _output_budget(prompt, target)
    told = turns.written(prompt.messages, target.origin, losses)
    choice = _tool_choice(prompt)
    situation = effort.Situation(
        output_budget=budget,
        forced=choice is not None and choice["type"] in {"any", "tool"},
        bare=told.bare,
    )
    asked = effort.asked(prompt.thinking, known, situation, losses)
    tools = [_tool(each, known, losses) for each in prompt.tools]
    _limit_markers(tools, told, losses)
    output = {"effort": asked.effort, "format": _format(prompt.format, losses)}
    fields: dict[str, Any] = {
        "model": changes.model,
        "max_tokens": budget,
        "system": _system(told.system),
        "messages": told.messages,
        "tools": tools,
        "tool_choice": choice,
        "thinking": asked.thinking,
        "output_config": _present(output),
        **_sampling(prompt.sampling, known, losses, thinks=asked.on),
        "stop_sequences": _stop(prompt.stop, losses),
        **_labels(prompt, losses),
        "stream": prompt.stream,
    }
    _other_sampling(prompt.sampling, losses)
    _other_losses(prompt, losses)
    body = {**_present(fields), "messages": told.messages}
    for name in changes.drop:
        body.pop(name, None)
    body |= {name: msgspec.Raw(value) for name, value in changes.set.items()}
    return Written(body=msgspec.json.encode(body), dropped=losses.found())


def _refuse(prompt: Prompt) -> None:
    """Raise for what this protocol has no words for."""
    if prompt.n > 1:
        raise refused(Demand.ANSWERS, "$")
    if prompt.format is not None and prompt.format.schema is None:
        raise refused(Demand.JSON_OBJECT, "$")
    choice = prompt.tool_choice
    if choice is None:
        return
    if len(choice.names) > 1 or (choice.names and choice.mode is not Mode.REQUIRED):
        raise refused(Demand.ALLOWED_TOOLS, "$.tool_choice")
    if choice.mode is Mode.REQUIRED and not prompt.tools:
        raise refused(Demand.HOSTED_TOOL, "$.tool_choice")


def _output_budget(prompt: Prompt, target: Target) -> int:
    for budget in (target.changes.output_budget, prompt.output_budget, target.most_output):
        if budget is not None:
            return budget
    raise request_body.invalid("$.max_tokens", "this upstream needs a limit on output tokens.")


def _system(blocks: list[Block]) -> str | list[Block]:
    """Return the system prompt, as text where it is nothing but one."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _tool(tool: Tool, known: Traits, losses: Losses) -> Block:
    block: Block = {"name": tool_names.fitting(tool.name)}
    if tool.description is not None:
        block["description"] = tool.description
    block["input_schema"] = parameters.written(tool.parameters)
    if tool.strict:
        if known.strict:
            block["strict"] = True
        else:
            losses.add(Loss.TOOL_STRICT)
    return marked(block, tool.cache)


def _tool_choice(prompt: Prompt) -> Block | None:
    """Return the choice, which cannot stand without tools."""
    if not prompt.tools:
        return None
    choice = prompt.tool_choice
    if choice is None:
        if prompt.parallel is not False:
            return None
        choice = ToolChoice(mode=Mode.AUTO)
    block: Block = {"type": _MODES[choice.mode]}
    if choice.names:
        block = {"type": "tool", "name": tool_names.fitting(choice.names[0])}
    if prompt.parallel is False and choice.mode is not Mode.NONE:
        block["disable_parallel_tool_use"] = True
    return block


def _format(wanted: Format | None, losses: Losses) -> Block | None:
    if wanted is None or wanted.schema is None:
        return None
    if wanted.name is not None or wanted.description is not None:
        losses.add(Loss.FORMAT_NAME)
    if wanted.strict is False:  # here a schema is always kept to
        losses.add(Loss.FORMAT_STRICT)
    return {"type": "json_schema", "schema": schemas.closed(wanted.schema)}


def _sampling(wanted: Sampling, known: Traits, losses: Losses, *, thinks: bool) -> Block:
    """Return how tokens are drawn, as far as the model lets that be said.

    A model that thinks takes no temperature but 1, and only a ``top_p`` that changes little.
    """
    found: Block = {}
    temperature = wanted.temperature
    if temperature is not None and temperature > 1:
        losses.add(Loss.TEMPERATURE)
        temperature = 1.0
    usual = temperature in (None, 1)
    if temperature is not None and known.samples and (usual or not thinks):
        found["temperature"] = temperature
    elif not usual:
        losses.add(Loss.TEMPERATURE)
    alone = not (known.one_sampler and "temperature" in found)
    if wanted.top_p is not None:
        if known.samples and alone and (not thinks or wanted.top_p >= _LEAST_TOP_P):
            found["top_p"] = wanted.top_p
        elif wanted.top_p != 1:
            losses.add(Loss.TOP_P)
    if wanted.top_k is not None:
        if known.samples and not thinks:
            found["top_k"] = wanted.top_k
        else:
            losses.add(Loss.TOP_K)
    return found


def _other_sampling(wanted: Sampling, losses: Losses) -> None:
    for loss in (Loss.SEED, Loss.PRESENCE_PENALTY, Loss.FREQUENCY_PENALTY):
        value = getattr(wanted, loss)
        if value is not None and (value or loss is Loss.SEED):
            losses.add(loss)


def _stop(sequences: tuple[str, ...], losses: Losses) -> list[str]:
    found = [each for each in sequences if each.strip()]
    if len(found) < len(sequences):
        losses.add(Loss.BLANK_STOP)
    return found


def _labels(prompt: Prompt, losses: Losses) -> Block:
    """Return whose request it is and how fast it is to be; whoever looks like an address is not."""
    found: Block = {}
    if prompt.user is not None:
        if len(prompt.user) <= _LONGEST_USER and "@" not in prompt.user:
            found["metadata"] = {"user_id": prompt.user}
        else:
            losses.add(Loss.USER)
    if prompt.tier is not None:
        found["service_tier"] = _TIERS.get(prompt.tier)
        if found["service_tier"] is None:
            losses.add(Loss.TIER)
    if prompt.fast:
        found["speed"] = "fast"
    return found


def _other_losses(prompt: Prompt, losses: Losses) -> None:
    if prompt.logprobs is not None:
        losses.add(Loss.LOGPROBS)
    if prompt.verbosity not in (None, "medium"):
        losses.add(Loss.VERBOSITY)
    if prompt.metadata:
        losses.add(Loss.METADATA)
    if prompt.store:
        losses.add(Loss.STORE)


def _limit_markers(tools: list[Block], told: turns.Turns, losses: Losses) -> None:
    """Take off cache markers between the first and the last ones, where there are too many."""
    inside = [block for message in told.messages for block in message["content"]]
    with_one = [block for block in (*tools, *told.system, *inside) if "cache_control" in block]
    for block in with_one[1 : 1 - turns.MOST_MARKERS]:
        del block["cache_control"]
        losses.add(Loss.CACHE)


def _present(fields: Block) -> Block:
    """Return the fields that say something: zero does."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value is not False and value not in ([], {}, "")
    }
