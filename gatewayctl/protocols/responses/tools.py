"""Tools and the choice among them, both ways.

Tools that are no functions are the provider's own or have a form of their own; they are left out,
and a request that forces one cannot go to another protocol.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from gatewayctl.core.conversation import Mode, Tool, ToolChoice
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import parameters as schemas
from gatewayctl.protocols import tool_names
from gatewayctl.protocols.losses import Losses, refused, tool

_CHOICE = "$.tool_choice"


class Given(msgspec.Struct):
    """A tool as a request defines it; ``parameters`` are its JSON."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


def read(given: Sequence[Given], losses: Losses) -> tuple[Tool, ...]:
    """Return the functions, and record every other tool by its type."""
    found = []
    for index, each in enumerate(given):
        if each.type != "function":
            losses.add(tool(each.type))
            continue
        path = f"$.tools[{index}]"
        if each.name is None:
            raise request_body.invalid(f"{path}.name", "this field is required.")
        parameters = bytes(each.parameters)
        found.append(
            Tool(
                name=each.name,
                description=each.description,
                parameters=None
                if parameters in {b"", b"null"}
                else schema(parameters, f"{path}.parameters"),
                strict=each.strict,
            )
        )
    return tuple(found)


def schema(raw: bytes, path: str) -> bytes:
    """Return a JSON schema without white space: it is repeated in events, which are of one line."""
    if not raw.startswith(b"{"):
        raise request_body.invalid(path, "an object is expected.")
    try:
        return msgspec.json.format(raw, indent=-1)
    except RecursionError as error:
        raise request_body.invalid(path, "this is nested too deeply.") from error


def choice(
    given: str | dict[str, Any] | None, functions: Collection[str], others: int
) -> ToolChoice | None:
    """Return which of the functions may or must be called, None where nothing is said of it.

    ``others`` counts the tools that are no functions. Raises ``RequestInvalid`` for a choice that
    forces one of these, and for one of an unknown form.
    """
    match given:
        case None:
            return None
        case "auto" | "none":
            return ToolChoice(mode=Mode(given)) if functions else None
        case "required":
            if not functions and others:
                raise refused(Demand.HOSTED_TOOL, _CHOICE)
            return ToolChoice(mode=Mode.REQUIRED)
        case {"type": "function"}:
            return ToolChoice(mode=Mode.REQUIRED, names=(_name(given, f"{_CHOICE}.name"),))
        case {"type": "allowed_tools"}:
            return _allowed(given, functions)
        case {"type": str()}:
            raise refused(Demand.HOSTED_TOOL, _CHOICE)
    raise request_body.invalid(_CHOICE, "this is no choice of a tool.")


def demands(
    given: str | dict[str, Any] | None, functions: Collection[str], others: int
) -> frozenset[Demand]:
    """Return what a choice of tools demands; one of an unknown form is the upstream's to judge."""
    match given:
        case "required" if not functions and others:
            return frozenset({Demand.HOSTED_TOOL})
        case None | str() | {"type": "function"}:
            return frozenset()
        case {"type": "allowed_tools", "mode": mode, "tools": list() as tools}:
            names = [each for each in tools if _is_function(each)]
            if not names:
                return frozenset({Demand.HOSTED_TOOL} if mode == "required" else ())
            some = not set(functions) <= {_named(each) for each in names}
            one = mode == "required" and len(names) == 1
            return frozenset({Demand.ALLOWED_TOOLS} if some and not one else ())
    return frozenset({Demand.HOSTED_TOOL})


def _allowed(given: Any, functions: Collection[str]) -> ToolChoice:
    mode, tools = given.get("mode", "auto"), given.get("tools")
    if not isinstance(mode, str) or mode not in {"auto", "required"}:
        raise request_body.invalid(f"{_CHOICE}.mode", "auto or required is expected.")
    if not isinstance(tools, list):
        raise request_body.invalid(f"{_CHOICE}.tools", "a list of tools is expected.")
    names = tuple(
        _name(each, f"{_CHOICE}.tools[{index}].name")
        for index, each in enumerate(tools)
        if _is_function(each)
    )
    if not names:
        if mode == "required":
            raise refused(Demand.HOSTED_TOOL, _CHOICE)
        return ToolChoice(mode=Mode.NONE)
    return ToolChoice(mode=Mode(mode), names=() if set(functions) <= set(names) else names)


def _is_function(each: Any) -> bool:
    return isinstance(each, dict) and each.get("type") == "function"


def _named(each: Any) -> Any:
    """Return the name of a function; some clients put it where Chat Completions has it."""
    inner = each.get("function")
    name = each.get("name", inner.get("name") if isinstance(inner, dict) else None)
    return name if isinstance(name, str) else None


def _name(each: Any, path: str) -> str:
    name = _named(each)
    if not isinstance(name, str):
        raise request_body.invalid(path, "this field is required.")
    return name


def written(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """Write functions; none is strict unless it says so, which is the default only here."""
    return [
        {
            "type": "function",
            "name": tool_names.fitting(each.name),
            "description": each.description,
            "parameters": schemas.written(each.parameters),
            "strict": each.strict is True,
        }
        for each in tools
    ]


def chosen(found: ToolChoice) -> str | dict[str, Any]:
    """Write a choice among tools."""
    names = [{"type": "function", "name": tool_names.fitting(name)} for name in found.names]
    if not names or found.mode is Mode.NONE:
        return found.mode.value
    if found.mode is Mode.REQUIRED and len(names) == 1:
        return names[0]
    return {"type": "allowed_tools", "mode": found.mode.value, "tools": names}
