"""Gemini requests read as prompts of the IR, for an upstream of another protocol.

What the IR cannot hold is named as this protocol calls it. Turns are read in ``turns``; what
routing needs of a request, without reading all of it, is the business of ``request``. The model
and whether the answer is streamed stand in the path and come from there.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import (
    Format,
    Message,
    Mode,
    Prompt,
    Role,
    Sampling,
    Thinking,
    Tool,
    ToolChoice,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import thinking as efforts
from gatewayctl.protocols.body import invalid
from gatewayctl.protocols.gemini import schemas, wire
from gatewayctl.protocols.gemini.names import camel, either, renamed
from gatewayctl.protocols.gemini.paths import named
from gatewayctl.protocols.gemini.request import as_list, response_demands
from gatewayctl.protocols.gemini.turns import Turns
from gatewayctl.protocols.losses import Losses, refused, tool
from gatewayctl.protocols.measure import compact

_FIELDS = msgspec.json.Decoder(dict[str, Any])
_WHOLE: Final = "generate_content_request"
_READ: Final = frozenset(
    {"model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
    | {"labels", "cachedContent", "serviceTier", "store"}
)
_SETTINGS: Final = frozenset(it.encode_name for it in msgspec.structs.fields(wire.Settings))
_TIERS: Final = {"standard": "default", "flex": "flex", "priority": "priority"}
_FUNCTION: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
_NOTHING: Final[tuple[object, ...]] = (None, False, "", [], {})


def read(body: bytes) -> Prompt:
    """Read a whole request; raise ``RequestInvalid`` with the JSON path at fault."""
    fields = _inner(request_body.read(_FIELDS, body))
    if fields.get("contents") is None:
        raise invalid("$.contents", "this field is required.")
    if fields.get("cachedContent"):
        raise refused(Demand.STATE, "$.cachedContent")
    losses = Losses()
    config = _settings(fields.get("generationConfig"), losses)
    tools = _tools(fields.get("tools"), losses)
    choice = _choice(fields, tools, losses)
    prompt = Prompt(
        protocol=WireProtocol.GEMINI,
        model=named(request_body.convert(fields.get("model") or "", str, "$.model")),
        messages=_messages(fields, losses),
        tools=tools,
        tool_choice=choice,
        format=_format(config),
        thinking=_thinking(config.thinking_config),
        output_budget=config.max_output_tokens,
        sampling=Sampling(
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            seed=config.seed,
            presence_penalty=config.presence_penalty,
            frequency_penalty=config.frequency_penalty,
        ),
        stop=tuple(request_body.convert(as_list(config.stop_sequences), list[str], _STOP)),
        n=config.candidate_count or 1,
        logprobs=(config.logprobs or 0) if config.response_logprobs else None,
        tier=_TIERS.get(str(fields.get("serviceTier"))),
        metadata=request_body.convert(fields.get("labels") or {}, dict[str, str], "$.labels"),
        store=fields["store"] if isinstance(fields.get("store"), bool) else None,
    )
    losses.add(*(name for name, it in fields.items() if name not in _READ and it not in _NOTHING))
    return msgspec.structs.replace(prompt, dropped=losses.found())


_STOP: Final = "$.generationConfig.stopSequences"


def _inner(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a request's fields in camel case: those of the one inside, where one is."""
    inner = either(fields, _WHOLE)
    if isinstance(inner, dict):
        fields = {"model": fields.get("model"), **inner}
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if found.get(camel(name)) is None:
            found[camel(name)] = value
    return found


def _messages(fields: dict[str, Any], losses: Losses) -> tuple[Message, ...]:
    turns = Turns(losses)
    found: list[Message] = []
    if (system := fields.get("systemInstruction")) is not None:
        parts = turns.instructions(system, "$.systemInstruction")
        found += [Message(role=Role.SYSTEM, parts=parts)] if parts else []
    return (*found, *turns.read(fields["contents"], "$.contents"))


def _settings(given: Any, losses: Losses) -> wire.Settings:
    path = "$.generationConfig"
    fields = {} if given is None else renamed(given)
    config = request_body.convert(fields, wire.Settings, path)
    for demand in response_demands(config) & {Demand.MODALITY, Demand.FORM}:
        raise refused(demand, path)
    for name, value in fields.items():
        if (
            name not in _SETTINGS
            and value not in _NOTHING
            and not str(value).endswith("_UNSPECIFIED")
        ):
            losses.add(f"generationConfig.{name}")
    return config


def _tools(tools: Any, losses: Losses) -> tuple[Tool, ...]:
    found: list[Tool] = []
    for index, each in enumerate(as_list(tools)):
        path = f"$.tools[{index}]"
        if not isinstance(each, dict):
            raise invalid(path, "an object is expected.")
        for name, value in each.items():
            if camel(name) != "functionDeclarations":
                losses.add(tool(camel(name)))
                continue
            at = f"{path}.functionDeclarations"
            found += (
                _function(it, f"{at}[{place}]", losses) for place, it in enumerate(as_list(value))
            )
    return tuple(found)


def _function(function: Any, path: str, losses: Losses) -> Tool:
    if not isinstance(function, dict):
        raise invalid(path, "an object is expected.")
    fields = {camel(name): value for name, value in function.items()}
    schema = fields.get("parametersJsonSchema")
    if schema is None and fields.get("parameters") is not None:
        schema = _standard(fields["parameters"], f"{path}.parameters")
    if not isinstance(schema, dict | None):
        raise invalid(f"{path}.parametersJsonSchema", "an object is expected.")
    for name, value in fields.items():
        if name not in _FUNCTION and value not in _NOTHING:
            losses.add(f"functionDeclarations.{name}")
    called = fields.get("name")
    if not isinstance(called, str) or not called:
        raise invalid(f"{path}.name", "this field is required.")
    description = fields.get("description")
    return Tool(
        name=called,
        description=description if isinstance(description, str) else None,
        parameters=None if schema is None else compact(schema).encode(),
    )


def _standard(schema: Any, path: str) -> Any:
    try:
        return schemas.standard(schema)
    except RecursionError as error:
        raise invalid(path, "this is nested too deeply.") from error


def _choice(fields: dict[str, Any], tools: tuple[Tool, ...], losses: Losses) -> ToolChoice | None:
    given = fields.get("toolConfig")
    config = request_body.convert(
        {} if given is None else renamed(given), dict[str, Any], "$.toolConfig"
    )
    for name, value in config.items():
        if name != "functionCallingConfig" and value not in _NOTHING:
            losses.add(f"toolConfig.{name}")
    calling = request_body.convert(
        config.get("functionCallingConfig") or {},
        wire.FunctionCallingConfig,
        "$.toolConfig.functionCallingConfig",
    )
    mode = (calling.mode or "").upper()
    allowed = tuple(dict.fromkeys(calling.allowed_function_names or ()))
    if mode == "ANY" and not tools and fields.get("tools"):
        raise refused(Demand.HOSTED_TOOL, "$.toolConfig.functionCallingConfig")
    if not tools or (not allowed and mode not in _MODES):
        return None
    if {each.name for each in tools} <= set(allowed):
        allowed = ()
    return ToolChoice(mode=_MODES.get(mode, Mode.AUTO), names=allowed)


_MODES: Final = {
    "AUTO": Mode.AUTO,
    "VALIDATED": Mode.AUTO,
    "ANY": Mode.REQUIRED,
    "NONE": Mode.NONE,
}


def _format(config: wire.Settings) -> Format | None:
    schema = config.response_json_schema
    if schema is None and config.response_schema is not None:
        schema = _standard(config.response_schema, "$.generationConfig.responseSchema")
    if schema is not None:
        if not isinstance(schema, dict):
            raise invalid("$.generationConfig.responseJsonSchema", "an object is expected.")
        return Format(schema=compact(schema).encode())
    return Format() if config.response_mime_type == "application/json" else None


def _thinking(config: wire.ThinkingConfig | None) -> Thinking | None:
    """Return how much may be thought: a level, a budget, or as much as the model likes."""
    if config is None:
        return None
    visible = config.include_thoughts
    level = (config.thinking_level or "").lower()
    if level in efforts.EFFORTS:
        return Thinking(effort=level, visible=visible)
    match config.thinking_budget:
        case 0:
            return Thinking(off=True)
        case int() as budget if budget > 0:
            return Thinking(budget=budget, visible=visible)
        case None if not visible:
            return None
        case _:
            return Thinking(adaptive=True, visible=visible)
