"""Reads a whole Chat Completions request into the IR. Its messages are read in ``turns``.

What routing needs of a request is read in ``request``, much cheaper.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import (
    Format,
    Mode,
    Prompt,
    Sampling,
    Thinking,
    Tool,
    ToolChoice,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import losses, thinking
from gatewayctl.protocols.body import Count, Name, Tokens, convert, invalid, optional
from gatewayctl.protocols.chat_completions.turns import Turns, json
from gatewayctl.protocols.losses import Losses

_REQUEST = msgspec.json.Decoder(dict[str, Any])
_MODES: Final = {"auto": Mode.AUTO, "none": Mode.NONE, "required": Mode.REQUIRED}
# Fields that are read here, or that only say how a stream is cut.
_KNOWN: Final = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_completion_tokens",
        "max_tokens",
        "n",
        "stop",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "reasoning",
        "include_reasoning",
        "thinking",
        "enable_thinking",
        "verbosity",
        "service_tier",
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "modalities",
    }
)
_HOSTED: Final = {"web_search_options": "web_search"}
"""Fields that give the model a tool of the provider's, and what the tool is called elsewhere."""


class _Fields:
    """The fields of a body, each checked when it is asked for."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.all = fields

    def __getitem__(self, name: str) -> Any:
        return self.all.get(name)

    def text(self, name: str) -> str | None:
        return optional(self[name], str, f"$.{name}")

    def number(self, name: str) -> float | None:
        return optional(self[name], float, f"$.{name}")

    def whole(self, name: str) -> int | None:
        return optional(self[name], int, f"$.{name}")

    def flag(self, name: str) -> bool | None:
        return optional(self[name], bool, f"$.{name}")

    def listed(self, name: str) -> list[Any]:
        return optional(self[name], list[Any], f"$.{name}") or []


def read(body: bytes) -> Prompt:
    """Return the request; raise ``RequestInvalid`` with the JSON path at fault."""
    fields = _Fields(request_body.read(_REQUEST, body))
    told = Losses()
    if "audio" in fields.listed("modalities"):
        raise losses.refused(Demand.MODALITY, "$.modalities")
    turns = Turns(told).read(fields["messages"])
    tools = _tools(fields, told)
    _unknown(fields.all, told)
    options = fields["stream_options"]
    older = bool(fields["functions"]) and not fields["tools"]
    budget = optional(fields["max_completion_tokens"], Tokens, "$.max_completion_tokens")
    if budget is None:
        budget = optional(fields["max_tokens"], Tokens, "$.max_tokens")
    return Prompt(
        protocol=WireProtocol.CHAT_COMPLETIONS,
        model=convert(fields["model"], Name, "$.model"),
        messages=turns,
        stream=bool(fields.flag("stream")),
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        tools=tools,
        tool_choice=_choice(fields, tools),
        legacy_functions=older,
        parallel=False if older else fields.flag("parallel_tool_calls"),  # it can be told but one
        format=_format(fields["response_format"]),
        thinking=_thinking(fields),
        verbosity=fields.text("verbosity"),
        output_budget=budget,
        sampling=_sampling(fields),
        stop=_stop(fields["stop"]),
        n=optional(fields["n"], Count, "$.n") or 1,
        logprobs=(fields.whole("top_logprobs") or 0) if fields.flag("logprobs") else None,
        tier=_tier(fields.text("service_tier")),
        user=fields.text("user") or fields.text("safety_identifier"),
        metadata=optional(fields["metadata"], dict[str, str], "$.metadata") or {},
        store=fields.flag("store"),
        dropped=told.found(),
    )


def _unknown(fields: dict[str, Any], told: Losses) -> None:
    for name, value in fields.items():
        if name in _HOSTED and value is not None:  # an object without anything in it will do
            told.add(losses.tool(_HOSTED[name]))
        elif name not in _KNOWN and value not in (None, False, {}, []):
            told.add(name)


def _tier(tier: str | None) -> str | None:
    """Return a service tier; OpenAI has a second word for one of them."""
    return "priority" if tier == "fast" else tier


def _sampling(fields: _Fields) -> Sampling:
    return Sampling(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        seed=fields.whole("seed"),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
    )


def _stop(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(optional(value, list[str], "$.stop") or ())


def _tools(fields: _Fields, told: Losses) -> tuple[Tool, ...]:
    """Return the functions that may be called; other tools are the provider's own."""
    found = []
    for index, tool in enumerate(fields.listed("tools")):
        path = f"$.tools[{index}]"
        if not isinstance(tool, dict):
            raise invalid(path, "expected an object.")
        kind = tool.get("type", "function")
        if kind != "function":
            told.add(losses.tool(str(kind)))
            continue
        inner = tool.get("function")
        # Some clients repeat the name beside it, some write all of it there.
        found.append(
            _tool(inner, f"{path}.function", tool.get("cache_control"))
            if isinstance(inner, dict)
            else _tool(tool, path, tool.get("cache_control"))
        )
    for index, function in enumerate(fields.listed("functions")):
        path = f"$.functions[{index}]"
        if not isinstance(function, dict):
            raise invalid(path, "expected an object.")
        found.append(_tool(function, path, None))
    return tuple(found)


def _tool(function: dict[str, Any], path: str, marker: Any) -> Tool:
    parameters = function.get("parameters")
    return Tool(
        name=convert(function.get("name"), str, f"{path}.name"),
        description=optional(function.get("description"), str, f"{path}.description"),
        parameters=None if parameters is None else json(parameters, f"{path}.parameters"),
        strict=optional(function.get("strict"), bool, f"{path}.strict"),
        cache=str(marker.get("ttl", "5m")) if isinstance(marker, dict) else None,
    )


def _choice(fields: _Fields, tools: tuple[Tool, ...]) -> ToolChoice | None:
    value, path = fields["tool_choice"], "$.tool_choice"
    if value is None:
        value, path = fields["function_call"], "$.function_call"
    if value is None:
        return None
    if isinstance(value, str):
        mode = Mode.REQUIRED if value == "any" else _MODES.get(value)
        if mode is None:
            raise invalid(path, "no such choice.")
        if mode is Mode.REQUIRED and not tools and fields["tools"]:
            raise losses.refused(Demand.HOSTED_TOOL, path)
        return ToolChoice(mode=mode)
    return _object_choice(value, path)


def _object_choice(value: Any, path: str) -> ToolChoice:
    match value:
        case {"type": "allowed_tools"}:
            return _allowed(value.get("allowed_tools", value), path)
        case {"function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
            return ToolChoice(mode=Mode.REQUIRED, names=(name,))
        case {"name": str(name)} if "type" not in value:
            return ToolChoice(mode=Mode.REQUIRED, names=(name,))
        case {"type": "function"}:
            raise invalid(f"{path}.function.name", "this field is required.")
        case {"type": str()}:
            raise losses.refused(Demand.HOSTED_TOOL, path)
        case _:
            raise invalid(path, "no such choice.")


def _allowed(allowed: Any, path: str) -> ToolChoice:
    path = f"{path}.allowed_tools"
    if not isinstance(allowed, dict):
        raise invalid(path, "expected an object.")
    mode = allowed.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise invalid(f"{path}.mode", "no such mode.")
    names = []
    for tool in convert(allowed.get("tools"), list[Any], f"{path}.tools"):
        match tool:
            case {"function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
                names.append(name)
            case _:
                continue  # a tool that was dropped is not called
    if names:
        return ToolChoice(mode=_MODES[mode], names=tuple(names))
    if mode == "required":
        raise losses.refused(Demand.HOSTED_TOOL, path)
    return ToolChoice(mode=Mode.NONE)


def _format(value: Any) -> Format | None:
    path = "$.response_format"
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object", "schema": dict(schema)}:  # llama.cpp's
            return Format(schema=json(schema, f"{path}.schema"))
        case {"type": "json_object"}:
            return Format()
        case {"type": "json_schema", "json_schema": dict(given)}:
            at = f"{path}.json_schema"
            return Format(
                schema=json(given.get("schema", {}), f"{at}.schema"),
                name=optional(given.get("name"), str, f"{at}.name"),
                description=optional(given.get("description"), str, f"{at}.description"),
                strict=optional(given.get("strict"), bool, f"{at}.strict"),
            )
        case {"type": "json_schema"}:
            raise invalid(f"{path}.json_schema", "this field is required.")
        case {"type": str()}:
            raise losses.refused(Demand.FORM, f"{path}.type")
        case _:
            raise invalid(path, "expected an object with a type.")


def _thinking(fields: _Fields) -> Thinking | None:
    """Return how much may be thought, wherever one of the servers of this protocol is told so."""
    found = Thinking(effort=fields.text("reasoning_effort"), visible=_visible(fields))
    match fields["reasoning"]:  # OpenRouter's
        case {} as given:
            found = _reasoning(given, found)
        case str(effort) if found.effort is None:
            found = msgspec.structs.replace(found, effort=effort)
        case _:
            pass
    match fields["thinking"]:  # DeepSeek's, Moonshot's and Z.ai's, in Anthropic's words
        case {"type": "disabled"}:
            found = msgspec.structs.replace(found, off=True)
        case {"type": "enabled" | "adaptive" | "auto"} as given:
            budget = optional(given.get("budget_tokens"), Tokens, "$.thinking.budget_tokens")
            found = msgspec.structs.replace(
                found, budget=budget, adaptive=budget is None and found.effort is None
            )
        case _:
            pass
    if fields["enable_thinking"] is False:  # Alibaba's
        found = msgspec.structs.replace(found, off=True)
    if found.effort == thinking.OFF:
        found = msgspec.structs.replace(found, off=True)
    return None if found == Thinking() else found


def _visible(fields: _Fields) -> bool | None:
    match fields["reasoning"], fields["include_reasoning"]:
        case {"exclude": bool(hidden)}, _:
            return not hidden
        case _, bool(shown):
            return shown
        case _:
            return None


def _reasoning(given: dict[str, Any], found: Thinking) -> Thinking:
    path = "$.reasoning"
    effort = optional(given.get("effort"), str, f"{path}.effort")
    budget = optional(given.get("max_tokens"), Tokens, f"{path}.max_tokens")
    effort = found.effort or effort
    enabled = given.get("enabled")
    return msgspec.structs.replace(
        found,
        effort=effort,
        budget=budget,
        off=enabled is False,
        adaptive=enabled is True and effort is None and budget is None,
    )
