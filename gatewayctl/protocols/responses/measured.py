"""Measuring a Responses request: everything in it that counts as input."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Measured, Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.measure import SYSTEM_ROLES, Tally

# What an item holds that is no input, or is counted by itself.
_LABELS = frozenset({"id", "type", "call_id", "role", "status", "content", "output", "phase"})


class _Text(msgspec.Struct):
    format: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    input: str | list[msgspec.Raw] | None = None
    instructions: str | None = None
    tools: list[msgspec.Raw] | None = None
    text: _Text | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_ITEM = msgspec.json.Decoder(dict[str, Any])


def measure(body: bytes) -> Measured:
    """Measure a request; raise ``RequestInvalid`` as ``shape`` does."""
    request = request_body.read(_REQUEST, body)
    tally = Tally()
    tally.text(Segment.SYSTEM, request.instructions)
    if isinstance(request.input, str):
        tally.messages += 1
        tally.text(Segment.MESSAGES, request.input)
    else:
        for raw in request.input or ():
            tally.messages += 1
            _item(tally, request_body.read(_ITEM, bytes(raw)))
    for tool in request.tools or ():
        tally.tools += 1
        tally.raw(Segment.TOOLS, tool)
    if request.text is not None:
        tally.raw(Segment.OTHER, request.text.format)
    return tally.done()


def _item(tally: Tally, item: dict[str, Any]) -> None:
    """Count one item: its content, its result, and whatever else it says (names, arguments)."""
    system = item.get("role") in SYSTEM_ROLES
    segment = Segment.SYSTEM if system else Segment.MESSAGES
    for field in ("content", "output"):
        value = item.get(field)
        for part in value if isinstance(value, list) else [value]:
            _part(tally, segment, part)
    rest = {field: value for field, value in item.items() if field not in _LABELS}
    tally.strings(segment, rest)


def _part(tally: Tally, segment: Segment, part: Any) -> None:
    match part:
        case {"type": "input_image" | "computer_screenshot"}:
            tally.images += 1
        case {"type": "input_file"}:
            tally.documents += 1
        case {"type": "input_audio"}:
            tally.audio += 1
        case _:
            tally.strings(segment, part)
