"""The items of a request, read as the messages of the IR.

What the model said in a row, thought and called is one message of its own; results in a row are
one of the user's. Content parts are read in ``parts``, all other fields in ``prompts``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gatewayctl.core.conversation import (
    Call,
    Message,
    Part,
    Result,
    Role,
    Seal,
    Text,
    Thought,
)
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import provenance
from gatewayctl.protocols.losses import Losses, item, refused
from gatewayctl.protocols.measure import compact
from gatewayctl.protocols.responses import parts, seals

Item = Mapping[str, Any]

KEPT: Final = frozenset({"item_reference", "compaction", "compaction_summary"})
"""Items whose content only the provider has, or only it can read."""

_ROLES: Final = {role.value: role for role in Role}
_INPUTS: Final = {
    "computer_call": ("action", "actions"),
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "apply_patch_call": ("operation",),
}
"""Calls that the client carries out and that have no name: where they say what is to be done."""

_OUTPUTS: Final = frozenset(
    {"function_call_output", "custom_tool_call_output"} | {f"{kind}_output" for kind in _INPUTS}
)


def messages(items: Sequence[Item], losses: Losses) -> tuple[Message, ...]:
    """Read the items in order; raise ``RequestInvalid`` with the JSON path at fault."""
    turns = _Turns()
    for index, each in enumerate(items):
        _read(each, f"$.input[{index}]", turns, losses)
    return turns.messages()


class _Turns:
    """Messages in the making: what is said on in the same turn joins it."""

    def __init__(self) -> None:
        self._found: list[tuple[Role, list[Part], bool]] = []

    def add(self, role: Role, parts: Sequence[Part], *, results: bool = False) -> None:
        """Add to the turn under way where it is of the same kind, else begin another."""
        if not parts:
            return
        joins = results or role is Role.ASSISTANT
        last = self._found[-1] if self._found else None
        if joins and last is not None and (last[0], last[2]) == (role, results):
            last[1].extend(parts)
        else:
            self._found.append((role, list(parts), results))

    def messages(self) -> tuple[Message, ...]:
        return tuple(Message(role=role, parts=tuple(parts)) for role, parts, _ in self._found)


def _read(each: Item, path: str, turns: _Turns, losses: Losses) -> None:
    kind, role = each.get("type"), each.get("role")
    if kind is None and role is None:
        raise request_body.invalid(path, "an item needs a type or a role.")
    if kind is None or kind == "message":
        speaker = _ROLES.get(role) if isinstance(role, str) else None
        if speaker is None:
            expected = ", ".join(_ROLES)
            raise request_body.invalid(f"{path}.role", f"one of {expected} is expected.")
        turns.add(speaker, parts.read(each.get("content"), f"{path}.content", losses))
    elif not isinstance(kind, str):
        raise request_body.invalid(f"{path}.type", "text is expected.")
    elif kind in KEPT:
        raise refused(Demand.STATE, path)
    elif kind in _OUTPUTS:
        turns.add(Role.USER, (_result(kind, each, path, losses),), results=True)
    elif kind == "mcp_call":
        call, result = _carried_out(each, path)
        turns.add(Role.ASSISTANT, (call,))
        turns.add(Role.USER, (result,), results=True)
    else:
        found = _said(kind, each, path)
        if found is None:
            losses.add(item("input", kind))
        else:
            turns.add(Role.ASSISTANT, (found,))


def _said(kind: str, each: Item, path: str) -> Part | None:
    """Return what the model thought or called, None for what has no place in the IR."""
    match kind:
        case "reasoning":
            return _thought(each, path)
        case "function_call":
            return _call(each, path, _arguments(each, "arguments", path))
        case "custom_tool_call":
            return _call(each, path, compact({"input": _string(each, "input", path)}))
    for field in _INPUTS.get(kind, ()):
        given = each.get(field)
        if given is not None:
            arguments = compact(given if isinstance(given, dict) else {field: given})
            name = kind.removesuffix("_call")
            return Call(id=_id(each, path), name=name, arguments=arguments)
    return None


def _call(each: Item, path: str, arguments: str) -> Call:
    name = _string(each, "name", path)
    return Call(id=_string(each, "call_id", path), name=name, arguments=arguments)


def _arguments(each: Item, field: str, path: str) -> str:
    given = each.get(field)
    return compact(given) if isinstance(given, dict) else _string(each, field, path)


def _result(kind: str, each: Item, path: str, losses: Losses) -> Result:
    output, at = each.get("output"), f"{path}.output"
    if kind == "shell_call_output":  # one report a command
        content: tuple[parts.Shown, ...] = (Text(text=compact(output)),)
    else:
        content = parts.shown(output, at, losses)
    failed = kind == "apply_patch_call_output" and each.get("status") == "failed"
    return Result(id=_id(each, path), content=content, failed=failed)


def _carried_out(each: Item, path: str) -> tuple[Call, Result]:
    """Return a call that the provider has already carried out, and what came of it."""
    name, call_id = _string(each, "name", path), _string(each, "id", path)
    call = Call(id=call_id, name=name, arguments=_arguments(each, "arguments", path))
    error = each.get("error")
    told = each.get("output") if error is None else error
    text = told if isinstance(told, str) else compact(told)
    return call, Result(id=call_id, content=(Text(text=text),), failed=error is not None)


def _thought(each: Item, path: str) -> Thought:
    name = each.get("id")
    name = name if isinstance(name, str) and name else None
    encrypted = each.get("encrypted_content")
    if not isinstance(encrypted, str | None):
        raise request_body.invalid(f"{path}.encrypted_content", "text is expected.")
    text = seals.joined(each.get("summary")) or seals.joined(each.get("content"))
    if not encrypted:
        return Thought(text=text, id=name)
    seal = provenance.tagged(encrypted) or seals.seal(name, encrypted, plain=False)
    if (
        seal is not None and seal.form == "text" and seal.data
    ):  # its text was not to be shown, so the tag has it
        return Thought(text=text or seal.data, seal=Seal(form="text", data="", origin=seal.origin))
    return Thought(text=text, seal=seal, id=name)


def _id(each: Item, path: str) -> str:
    """Return the id of a call or a result; a local shell's result has only its own."""
    found = each.get("call_id") or each.get("id")
    if not isinstance(found, str):
        raise request_body.invalid(f"{path}.call_id", "this field is required.")
    return found


def _string(each: Item, field: str, path: str) -> str:
    value = each.get(field)
    if not isinstance(value, str):
        raise request_body.invalid(f"{path}.{field}", "text is expected.")
    return value
