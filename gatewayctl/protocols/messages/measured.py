"""The walk over a Messages request, or one for a count: everything in it that counts as input."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import media
from gatewayctl.protocols.sink import Sink


class _Output(msgspec.Struct):
    format: Any = None


class _Request(msgspec.Struct):
    messages: list[msgspec.Raw]
    system: Any = None
    tools: list[msgspec.Raw] | None = None
    output_config: _Output | None = None
    output_format: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_MESSAGE = msgspec.json.Decoder(dict[str, Any])


def walk(body: bytes, sink: Sink) -> None:
    """Tell ``sink`` every piece of a request; raise ``RequestInvalid`` as ``shape`` does."""
    request = request_body.read(_REQUEST, body)
    _content(sink, Segment.SYSTEM, request.system)
    for raw in request.messages:
        message = request_body.read(_MESSAGE, bytes(raw), checked=True)
        segment = Segment.SYSTEM if message.get("role") == "system" else Segment.MESSAGES
        sink.message(segment)
        _content(sink, segment, message.get("content"))
    for tool in request.tools or ():
        sink.tool(request_body.value(tool))
    sink.json(Segment.OTHER, request.output_format)
    if request.output_config is not None:
        sink.json(Segment.OTHER, request.output_config.format)


def _content(sink: Sink, segment: Segment, content: Any) -> None:
    """Take a string or the blocks of a list, and of lists inside them, without recursion."""
    pending = [content]
    while pending:
        match pending.pop():
            case str() as text:
                sink.text(segment, text)
            case list() as blocks:
                pending += reversed(blocks)
            case dict() as block:
                pending += reversed(_block(sink, segment, block))
            case _:
                continue


def _block(sink: Sink, segment: Segment, block: dict[str, Any]) -> list[Any]:
    """Take one block; return the content inside it, which is still to be taken."""
    match block:
        case {"type": "text", "text": str() as text}:
            sink.text(segment, text)
        case {"type": "thinking", "thinking": str() as text}:
            sink.thinking(segment, text)
        case {"type": "redacted_thinking"}:
            sink.opaque(segment, block.get("data"))
        case {"type": str() as kind} if kind.endswith("tool_result"):  # of servers' tools, too
            return [block.get("content")]
        case {"type": "tool_use" | "server_tool_use" | "mcp_tool_use"}:
            sink.call(segment, block.get("name"), block.get("input"))
        case {"type": "document"}:
            return _document(sink, block)
        case _ if not media.take(block, sink):
            sink.strings(segment, block)
    return []


def _document(sink: Sink, block: dict[str, Any]) -> list[Any]:
    """Take a document that is text as text, any other as a document."""
    inside = [block.get("title"), block.get("context")]
    match block.get("source"):
        case {"type": "text", "data": str() as text}:
            inside.append(text)
        case {"type": "content", "content": content}:
            inside.append(content)
        case _:
            media.take(block, sink)
    return inside
