"""The walk over a Chat Completions request: everything in it that counts as input."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import media
from gatewayctl.protocols.measure import SYSTEM_ROLES, think
from gatewayctl.protocols.sink import Sink

# What a message holds that is no input, or is taken by itself; all else that it says is input.
_TAKEN = frozenset(
    {"role", "content", "name", "tool_calls", "function_call", "tool_call_id", "cache_control"}
)

_THOUGHT = frozenset({"reasoning", "reasoning_content", "reasoning_details"})


class _Request(msgspec.Struct):
    messages: list[msgspec.Raw]
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    response_format: Any = None
    prediction: Any = None
    web_search_options: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_MESSAGE = msgspec.json.Decoder(dict[str, Any])


def walk(body: bytes, sink: Sink) -> None:
    """Tell ``sink`` every piece of a request; raise ``RequestInvalid`` as ``shape`` does."""
    request = request_body.read(_REQUEST, body)
    for raw in request.messages:
        _message(sink, request_body.read(_MESSAGE, bytes(raw), checked=True))
    for tool in (*(request.tools or ()), *(request.functions or ())):
        sink.tool(request_body.value(tool))
    sink.json(Segment.OTHER, request.response_format)
    sink.strings(Segment.OTHER, request.prediction)
    sink.strings(Segment.OTHER, request.web_search_options)


def _message(sink: Sink, message: dict[str, Any]) -> None:
    system = message.get("role") in SYSTEM_ROLES
    segment = Segment.SYSTEM if system else Segment.MESSAGES
    sink.message(segment)
    sink.name(segment, message.get("name"))
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            sink.text(segment, part)
        elif not media.take(part, sink):
            sink.strings(segment, part)
    for field, value in message.items():
        if field in _THOUGHT:
            think(sink, segment, value)
        elif field not in _TAKEN:
            sink.strings(segment, value)
    calls = message.get("tool_calls")
    if calls is None and "function_call" not in message:
        return
    for call in (*(calls if isinstance(calls, list) else [calls]), message.get("function_call")):
        _call(sink, segment, call)


def _call(sink: Sink, segment: Segment, call: Any) -> None:
    match call:
        case {"function": {"name": name, "arguments": arguments}}:
            sink.call(segment, name, arguments)
        case {"custom": {"name": name, "input": arguments}}:
            sink.call(segment, name, arguments)
        case {"name": name, "arguments": arguments}:
            sink.call(segment, name, arguments)
        case _:
            sink.strings(segment, call)
