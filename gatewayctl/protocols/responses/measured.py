"""The walk over a Responses request: everything in it that counts as input."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import media
from gatewayctl.protocols.measure import SYSTEM_ROLES, think
from gatewayctl.protocols.sink import Sink

# What an item holds that is no input, or is taken by itself.
_TAKEN = frozenset({"id", "type", "call_id", "role", "status", "content", "output", "phase"})


class _Text(msgspec.Struct):
    format: Any = None


class _Request(msgspec.Struct):
    input: str | list[msgspec.Raw] | None = None
    instructions: str | None = None
    tools: list[msgspec.Raw] | None = None
    text: _Text | None = None
    prompt: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_ITEM = msgspec.json.Decoder(dict[str, Any])


def walk(body: bytes, sink: Sink) -> None:
    """Tell ``sink`` every piece of a request; raise ``RequestInvalid`` as ``shape`` does."""
    request = request_body.read(_REQUEST, body)
    sink.text(Segment.SYSTEM, request.instructions or "")
    match request.prompt:  # stored at the provider; what is put into it stands here
        case {"variables": dict() as variables}:
            for part in variables.values():
                _part(sink, Segment.MESSAGES, part)
        case _:
            pass
    if isinstance(request.input, str):
        sink.message(Segment.MESSAGES)
        sink.text(Segment.MESSAGES, request.input)
    else:
        for raw in request.input or ():
            _item(sink, request_body.read(_ITEM, bytes(raw), checked=True))
    for tool in request.tools or ():
        sink.tool(request_body.value(tool))
    if request.text is not None:
        sink.json(Segment.OTHER, request.text.format)


def _item(sink: Sink, item: dict[str, Any]) -> None:
    """Take one item: its content, its result, its call, and whatever else it says."""
    system = item.get("role") in SYSTEM_ROLES
    segment = Segment.SYSTEM if system else Segment.MESSAGES
    sink.message(segment)
    if item.get("type") == "reasoning":
        think(sink, segment, {field: value for field, value in item.items() if field != "status"})
        return
    for field in ("content", "output"):
        value = item.get(field)
        for part in value if isinstance(value, list) else [value]:
            _part(sink, segment, part)
    rest = {field: value for field, value in item.items() if field not in _TAKEN}
    match item:
        case {"type": "function_call" | "mcp_call", "name": name, "arguments": arguments}:
            sink.call(segment, name, arguments)
            del rest["name"], rest["arguments"]
        case {"type": "custom_tool_call", "name": name, "input": arguments}:
            sink.call(segment, name, arguments)
            del rest["name"], rest["input"]
        case _:
            pass
    sink.strings(segment, rest)


def _part(sink: Sink, segment: Segment, part: Any) -> None:
    """Take a text, a part that is no text, or whatever strings are in it."""
    if isinstance(part, str):
        sink.text(segment, part)
    elif part is not None and not media.take(part, sink):
        sink.strings(segment, part)
