"""Measuring a Chat Completions request: everything in it that counts as input."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Measured, Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.measure import SYSTEM_ROLES, Tally

# What a message holds that is no input, or is counted by itself; names and calls are input.
_NOT_INPUT = frozenset({"role", "content", "tool_call_id", "cache_control"})


class _Request(msgspec.Struct):
    messages: list[msgspec.Raw]
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    response_format: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_MESSAGE = msgspec.json.Decoder(dict[str, Any])


def measure(body: bytes) -> Measured:
    """Measure a request; raise ``RequestInvalid`` as ``shape`` does."""
    request = request_body.read(_REQUEST, body)
    tally = Tally()
    for raw in request.messages:
        tally.messages += 1
        _message(tally, request_body.read(_MESSAGE, bytes(raw)))
    for tool in (*(request.tools or ()), *(request.functions or ())):
        tally.tools += 1
        tally.raw(Segment.TOOLS, tool)
    tally.raw(Segment.OTHER, request.response_format)
    return tally.done()


def _message(tally: Tally, message: dict[str, Any]) -> None:
    system = message.get("role") in SYSTEM_ROLES
    segment = Segment.SYSTEM if system else Segment.MESSAGES
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        _part(tally, segment, part)
    for field, value in message.items():
        if field not in _NOT_INPUT:
            tally.strings(segment, value)


def _part(tally: Tally, segment: Segment, part: Any) -> None:
    match part:
        case {"type": "text", "text": str() as text}:
            tally.text(segment, text)
        case {"type": "image_url"}:
            tally.images += 1
        case {"type": "file"}:
            tally.documents += 1
        case {"type": "input_audio"}:
            tally.audio += 1
        case _:
            tally.strings(segment, part)
