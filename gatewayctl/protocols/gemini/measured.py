"""The walk over a Gemini request, or one for a count: everything in it that counts as input."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.gemini.names import either
from gatewayctl.protocols.sink import Sink

# What a part holds that is taken by itself; all else that it says is input.
_TAKEN = frozenset(
    {"text", "thought", "thoughtSignature", "thought_signature", "videoMetadata", "video_metadata"}
    | {"inlineData", "inline_data", "fileData", "file_data", "mediaResolution", "media_resolution"}
    | {"functionCall", "function_call", "functionResponse", "function_response"}
)
_SCHEMAS = ("response_schema", "response_json_schema")

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


def walk(body: bytes, sink: Sink) -> None:
    """Tell ``sink`` every piece of a request; raise ``RequestInvalid`` as ``shape`` does."""
    request = request_body.read(_MEMBERS, body)
    inner = either(request, "generate_content_request")
    if inner is not None and bytes(inner) != b"null":
        request = request_body.read(_MEMBERS, bytes(inner), checked=True)
    if "contents" not in request:
        raise request_body.invalid("$.contents", "this field is required.")
    for name in ("systemInstruction", "system_instruction"):
        if name in request:
            _content(sink, Segment.SYSTEM, request_body.value(request[name]))
    for content in _elements(request["contents"]):
        sink.message(Segment.MESSAGES)
        _content(sink, Segment.MESSAGES, request_body.value(content))
    for tool in _elements(request.get("tools")):
        _tool(sink, request_body.value(tool))
    for name in ("generationConfig", "generation_config"):
        config = request_body.value(request[name]) if name in request else None
        if isinstance(config, dict):
            for schema in _SCHEMAS:
                sink.json(Segment.OTHER, either(config, schema))


def _elements(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    """Return a list's elements, and one object as a list of it, as Google's servers do."""
    if raw is None or bytes(raw) == b"null":
        return []
    if bytes(raw).startswith(b"["):
        return request_body.read(_ELEMENTS, bytes(raw), checked=True)
    return [raw]


def _content(sink: Sink, segment: Segment, content: Any) -> None:
    parts = content.get("parts") if isinstance(content, dict) else content
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, dict):
            _part(sink, segment, part)
        else:
            sink.strings(segment, part)


def _part(sink: Sink, segment: Segment, part: dict[str, Any]) -> None:
    """Take one part: its text, its data, its call or result, and whatever else it says."""
    sink.strings(segment, part.get("text"))
    sink.opaque(segment, either(part, "thought_signature"))  # it is paid for when sent back
    _media(sink, part)
    match either(part, "function_call"):
        case {"name": name, "args": arguments}:
            sink.call(segment, name, arguments)
        case call:
            sink.strings(segment, call)
    match either(part, "function_response"):
        case dict() as response:
            sink.strings(segment, response.get("name"))
            sink.json(segment, response.get("response"))
            parts = response.get("parts")
            for inner in parts if isinstance(parts, list) else [parts]:
                if isinstance(inner, dict):
                    _media(sink, inner)
        case response:
            sink.strings(segment, response)
    sink.strings(segment, {key: value for key, value in part.items() if key not in _TAKEN})


def _media(sink: Sink, part: dict[str, Any]) -> None:
    """Take what a part holds as a file, or points to."""
    for name in ("inline_data", "file_data"):
        found = either(part, name)
        if found is None:
            continue
        found = found if isinstance(found, dict) else {}
        media_type = either(found, "mime_type")
        data = found.get("data") if name == "inline_data" else either(found, "file_uri")
        kind = media_type.partition("/")[0] if isinstance(media_type, str) else ""
        if kind == "image":
            sink.image(data, media_type, None)
        elif kind == "audio":
            sink.audio(data, media_type)
        else:
            sink.document(data, media_type)


def _tool(sink: Sink, tool: Any) -> None:
    """Take each function that a tool declares as a definition, and another tool as one."""
    if not isinstance(tool, dict):
        sink.tool(tool)
        return
    functions = either(tool, "function_declarations")
    for function in functions if isinstance(functions, list) else [functions]:
        if function is not None:
            sink.tool(function)
    names = {"functionDeclarations", "function_declarations"}
    rest = {key: value for key, value in tool.items() if key not in names}
    if rest:
        sink.tool(rest)
