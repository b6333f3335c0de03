"""What a Chat Completions request demands that not every protocol can say.

It must stay cheap: most requests demand nothing of the kind. What a model must be able to do for a
request (``Capability``) is read in ``request``.
"""

from collections.abc import Iterator
from typing import Any, Final

from gatewayctl.core.shape import Demand
from gatewayctl.protocols.chat_completions import wire

_FORMATS: Final = ("text", "json_object", "json_schema")
_NOTHING: Final = (b"", b"null")
_PARTS: Final = {
    "input_audio": Demand.AUDIO,
    "video_url": Demand.MODALITY,
    "input_video": Demand.MODALITY,
    "video": Demand.MODALITY,
}
_REQUIRED: Final = ("required", "any")


def of(request: wire.Request) -> frozenset[Demand]:
    """Return what a request demands, its messages left out: see ``of_part``."""
    return frozenset(_of(request))


def _of(request: wire.Request) -> Iterator[Demand]:
    if request.n is not None and request.n > 1:
        yield Demand.ANSWERS
    if request.stop:
        yield Demand.STOP
    if request.modalities and "audio" in request.modalities:
        yield Demand.MODALITY
    if (form := request.response_format) is not None:
        if form.type not in _FORMATS:
            yield Demand.FORM
        elif form.type == "json_object" and not form.has_schema:
            yield Demand.JSON_OBJECT
    if request.tool_choice is not None:
        yield from _choice(request.tool_choice, request.tools or [])


def _choice(choice: str | dict[str, Any], tools: list[wire.Tool]) -> Iterator[Demand]:
    if isinstance(choice, str):
        if choice in _REQUIRED and tools and all(tool.type != "function" for tool in tools):
            yield Demand.HOSTED_TOOL
        return
    match choice:
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(allowed)} as given}:
            functions = [tool for tool in allowed if _is_function(tool)]
            required = given.get("mode") == "required"
            if required and not functions:
                yield Demand.HOSTED_TOOL
            elif functions and not (required and len(functions) == 1):
                yield Demand.ALLOWED_TOOLS
        case {"function": _} | {"type": "function"}:
            return
        case {"type": _}:
            yield Demand.HOSTED_TOOL


def _is_function(tool: Any) -> bool:
    return isinstance(tool, dict) and ("function" in tool or tool.get("type") == "function")


def of_part(part: wire.Part) -> Demand | None:
    """Return what a part of a message demands."""
    if part.file is not None:
        if part.file.file_id is not None:
            return Demand.UPLOADED
        start = bytes(memoryview(part.file.file_data)[:5])
        return Demand.DOCUMENT_URL if start == b'"http' else None
    return _PARTS.get(part.type)


def of_message(message: wire.Message) -> Demand | None:
    """Return what a message demands besides its parts: sound that the provider keeps is state."""
    return Demand.STATE if bytes(message.audio) not in _NOTHING and not message.content else None
