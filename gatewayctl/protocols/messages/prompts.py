"""Messages requests read as prompts of the IR, for an upstream of another protocol.

What the IR cannot hold is named as this protocol calls it. Content blocks are read in ``blocks``;
what routing needs of a request, without reading all of it, is the business of ``request``.
"""

from collections.abc import Mapping
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
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.losses import Loss, Losses, item, tool
from gatewayctl.protocols.measure import compact
from gatewayctl.protocols.messages import blocks, wire

_REQUEST = msgspec.json.Decoder(wire.Request)
_FIELDS = msgspec.json.Decoder(dict[str, Any])

_READ: Final = frozenset(
    {"model", "messages", "max_tokens", "system", "stream", "tools", "tool_choice", "thinking"}
    | {"output_config", "output_format", "metadata", "stop_sequences", "temperature", "top_p"}
    | {"top_k", "service_tier", "speed"}
)
_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_TIERS: Final = {"auto": "auto", "standard_only": "default"}
_HINTS: Final = ("eager_input_streaming", "defer_loading", "input_examples", "allowed_callers")
_EVERYONE: Final[tuple[object, ...]] = (
    None,
    False,
    [],
    ["direct"],
)  # what says no more than no hint does


def read(body: bytes) -> Prompt:
    """Read a whole request; raise ``RequestInvalid`` with the JSON path at fault."""
    request = request_body.read(_REQUEST, body)
    fields = request_body.read(_FIELDS, body, checked=True)
    losses = Losses()
    tools = _tools(fields.get("tools") or [], losses)
    prompt = Prompt(
        protocol=WireProtocol.MESSAGES,
        model=request.model,
        messages=_messages(fields, losses),
        stream=bool(request.stream),
        tools=tools,
        tool_choice=_tool_choice(fields.get("tool_choice"), tools),
        parallel=_parallel(request.tool_choice),
        format=_format(fields),
        thinking=_thinking(fields, losses),
        output_budget=request.max_tokens,
        sampling=_sampling(fields),
        stop=tuple(_strings(fields, "stop_sequences")),
        tier=_tier(fields, losses),
        fast=fields.get("speed") == "fast",
        user=_user(fields, losses),
    )
    for name, value in fields.items():
        if name not in _READ and value not in (None, [], {}):
            losses.add(name)
    return msgspec.structs.replace(prompt, dropped=losses.found())


def _messages(fields: Mapping[str, Any], losses: Losses) -> tuple[Message, ...]:
    system = blocks.texts(fields.get("system") or "", losses)
    found = [Message(role=Role.SYSTEM, parts=system)] if system else []
    for index, message in enumerate(fields["messages"]):
        path = f"$.messages[{index}]"
        role = _ROLES.get(message["role"])
        if role is None:
            raise request_body.invalid(f"{path}.role", "user or assistant is expected.")
        content = message["content"]
        if role is Role.SYSTEM:
            found.append(Message(role=role, parts=blocks.texts(content, losses)))
        else:
            found += blocks.turns(role, content, f"{path}.content", losses)
    return tuple(message for message in found if message.parts)


def _tools(tools: list[dict[str, Any]], losses: Losses) -> tuple[Tool, ...]:
    found = []
    for index, each in enumerate(tools):
        kind = each.get("type")
        if kind not in (None, "custom"):
            losses.add(tool(str(kind)))
            continue
        path = f"$.tools[{index}]"
        name, schema = each.get("name"), each.get("input_schema")
        description, strict = each.get("description"), each.get("strict")
        if not isinstance(name, str):
            raise request_body.invalid(f"{path}.name", "this field is required.")
        if not isinstance(schema, dict | None):
            raise request_body.invalid(f"{path}.input_schema", "an object is expected.")
        losses.add(*(hint for hint in _HINTS if each.get(hint) not in _EVERYONE))
        found.append(
            Tool(
                name=name,
                description=description if isinstance(description, str) else None,
                parameters=None if schema is None else compact(schema).encode(),
                strict=strict if isinstance(strict, bool) else None,
                cache=blocks.cache(each),
            )
        )
    return tuple(found)


def _tool_choice(choice: Any, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """Return the choice of a tool; one that is forced must be among those that are left."""
    match choice:
        case None:
            return None
        case {"type": "auto"}:
            return ToolChoice(mode=Mode.AUTO) if tools else None
        case {"type": "none"}:
            return ToolChoice(mode=Mode.NONE) if tools else None
        case {"type": "any"} if tools:
            return ToolChoice(mode=Mode.REQUIRED)
        case {"type": "tool", "name": str() as name} if any(it.name == name for it in tools):
            return ToolChoice(mode=Mode.REQUIRED, names=(name,))
        case {"type": "any" | "tool"}:
            raise request_body.invalid(
                "$.tool_choice", "the tool that must be called is none that a client can run."
            )
    raise request_body.invalid("$.tool_choice.type", "auto, any, tool or none is expected.")


def _parallel(choice: wire.ToolChoice | None) -> bool | None:
    if choice is None or choice.disable_parallel_tool_use is None:
        return None
    return not choice.disable_parallel_tool_use


def _format(fields: Mapping[str, Any]) -> Format | None:
    for name in ("output_config", "output_format"):
        value, path = fields.get(name), f"$.{name}"
        if name == "output_config":
            value, path = (value or {}).get("format"), f"{path}.format"
        if value is None:
            continue
        schema = value.get("schema")
        if value["type"] != "json_schema" or not isinstance(schema, dict):
            raise request_body.invalid(path, "a JSON schema is expected.")
        return Format(schema=compact(schema).encode())
    return None


def _thinking(fields: Mapping[str, Any], losses: Losses) -> Thinking | None:
    config = fields.get("output_config") or {}
    for name, value in config.items():
        if name not in {"effort", "format"} and value is not None:
            losses.add(f"output_config.{name}")
    effort = config.get("effort")
    effort = effort if isinstance(effort, str) else None
    thinking = fields.get("thinking")
    if thinking is None:
        return None if effort is None else Thinking(effort=effort)
    visible = {"summarized": True, "omitted": False}.get(str(thinking.get("display")))
    match thinking["type"]:
        case "disabled":
            return Thinking(off=True)
        case "enabled":
            return Thinking(effort=effort, budget=thinking.get("budget_tokens"), visible=visible)
        case kind:
            if kind != "adaptive":
                losses.add(item("thinking", kind))
            return Thinking(effort=effort, adaptive=True, visible=visible)


def _sampling(fields: Mapping[str, Any]) -> Sampling:
    top_k = fields.get("top_k")
    if type(top_k) is not int and top_k is not None:
        raise request_body.invalid("$.top_k", "a whole number is expected.")
    return Sampling(
        temperature=_number(fields, "temperature"), top_p=_number(fields, "top_p"), top_k=top_k
    )


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise request_body.invalid(f"$.{name}", "a number is expected.")


def _strings(fields: Mapping[str, Any], name: str) -> list[str]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise request_body.invalid(f"$.{name}", "a list of texts is expected.")
    return value


def _tier(fields: Mapping[str, Any], losses: Losses) -> str | None:
    tier = fields.get("service_tier")
    known = _TIERS.get(tier) if isinstance(tier, str) else None
    if tier is not None and known is None:
        losses.add(Loss.TIER)
    return known


def _user(fields: Mapping[str, Any], losses: Losses) -> str | None:
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict):
        return None
    user = metadata.get("user_id")
    if any(value is not None for name, value in metadata.items() if name != "user_id"):
        losses.add(Loss.METADATA)
    return user if isinstance(user, str) and user else None
