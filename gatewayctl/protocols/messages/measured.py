"""Measuring a Messages request, or one for a count: everything in it that counts as input."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Measured, Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.measure import Tally


class _Output(msgspec.Struct):
    format: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    messages: list[msgspec.Raw]
    system: Any = None
    tools: list[msgspec.Raw] | None = None
    output_config: _Output | None = None
    output_format: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_MESSAGE = msgspec.json.Decoder(dict[str, Any])


def measure(body: bytes) -> Measured:
    """Measure a request; raise ``RequestInvalid`` as ``shape`` does."""
    request = request_body.read(_REQUEST, body)
    tally = Tally()
    _content(tally, Segment.SYSTEM, request.system)
    for raw in request.messages:
        tally.messages += 1
        message = request_body.read(_MESSAGE, bytes(raw))
        segment = Segment.SYSTEM if message.get("role") == "system" else Segment.MESSAGES
        _content(tally, segment, message.get("content"))
    for tool in request.tools or ():
        tally.tools += 1
        tally.raw(Segment.TOOLS, tool)
    tally.raw(Segment.OTHER, request.output_format)
    if request.output_config is not None:
        tally.raw(Segment.OTHER, request.output_config.format)
    return tally.done()


def _content(tally: Tally, segment: Segment, content: Any) -> None:
    """Count a string or the blocks of a list, and of lists inside them, without recursion."""
    pending = [content]
    while pending:
        match pending.pop():
            case str() as text:
                tally.text(segment, text)
            case list() as blocks:
                pending += blocks
            case dict() as block:
                pending += _block(tally, segment, block)
            case _:
                continue


def _block(tally: Tally, segment: Segment, block: dict[str, Any]) -> list[Any]:
    """Count one block; return the content inside it, which is still to be counted."""
    match block:
        case {"type": "text", "text": str() as text}:
            tally.text(segment, text)
        case {"type": "thinking", "thinking": str() as text}:
            tally.text(segment, text)
        case {"type": "redacted_thinking"}:
            tally.opaque(segment, block.get("data"))
        case {"type": "image"}:
            tally.images += 1
        case {"type": "document"}:
            return _document(tally, block)
        case {"type": "tool_result"}:
            return [block.get("content")]
        case {"type": "tool_use" | "server_tool_use" | "mcp_tool_use"}:
            tally.strings(segment, block.get("name"))
            tally.json(segment, block.get("input"))
        case _:
            tally.strings(segment, block)
    return []


def _document(tally: Tally, block: dict[str, Any]) -> list[Any]:
    """Count a document that is text as text, any other as a document."""
    inside = [block.get("title"), block.get("context")]
    match block.get("source"):
        case {"type": "text", "data": str() as text}:
            inside.append(text)
        case {"type": "content", "content": content}:
            inside.append(content)
        case _:
            tally.documents += 1
    return inside
