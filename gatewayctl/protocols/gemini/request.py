"""Gemini requests: their shape. Their text is measured in ``measured``."""

from typing import TypeVar

import msgspec

from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.gemini import wire
from gatewayctl.protocols.gemini.names import either, renamed

T = TypeVar("T")

_REQUEST = msgspec.json.Decoder(wire.Request)
_MEMBERS = msgspec.json.Decoder(wire.Members)
_PARTS = msgspec.json.Decoder(list[wire.Members] | wire.Members | None)
_TEXT = msgspec.json.Decoder(str)
_RESOURCE = "models/"


def read(body: bytes, *, checked: bool = False) -> wire.Request:
    """Read a request, the one inside where only a count of it is asked for.

    ``checked`` says that the body is known to be UTF-8.
    """
    request = request_body.read(_REQUEST, body, checked=checked)
    path = "$"
    inner = request.whole or request.whole_
    if inner is not None:
        name = "generateContentRequest" if request.whole else "generate_content_request"
        path = f"$.{name}"
        inner.model = inner.model or request.model
        request = inner
    if request.contents is None:
        raise request_body.invalid(f"{path}.contents", "this field is required.")
    return request


def shape(body: bytes, model: str | None, *, stream: bool, counting: bool) -> RequestShape:
    """Read what routing needs; raise ``RequestInvalid`` with the JSON path at fault.

    ``model`` and ``stream`` are what the path says; without a model the body must name one, unless
    it is only to be counted.
    """
    request = read(body)
    name = (request.model or "").removeprefix(_RESOURCE) if model is None else model
    if not (name or counting):
        raise request_body.invalid("$.model", "this field is required where no path names one.")
    needs: set[Capability] = set()
    remote = sum(cached is not None for cached in (request.cached_content, request.cached_content_))
    turns = as_list(request.contents)
    for turn in turns:
        remote += _parts_need(as_list(turn.parts), needs)
    if turns and turns[-1].role == "model":
        needs.add(Capability.PREFILL)
    _system_needs(request, needs)
    _tools_need(request, needs)
    config = _config(
        request.generation_config,
        request.generation_config_,
        wire.GenerationConfig,
        "$.generationConfig",
    )
    thinking = config.thinking_config or wire.ThinkingConfig()
    if thinking.thinking_budget or thinking.thinking_level or thinking.include_thoughts:
        needs.add(Capability.REASONING)
    if config.response_schema is not None or config.response_json_schema is not None:
        needs.add(Capability.JSON_SCHEMA)
    return RequestShape(
        protocol=WireProtocol.GEMINI,
        model=name,
        stream=stream,
        body_bytes=len(body),
        output_budget=config.max_output_tokens,
        thinking_budget=max(0, thinking.thinking_budget or 0),
        n=config.candidate_count or 1,
        needs=frozenset(needs),
        remote=remote,
    )


def as_list(value: list[T] | T | None) -> list[T]:
    """Return a list's elements, one object as a list of it, none for null."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _config(value: object, other: object, form: type[T], path: str) -> T:
    """Check settings that stand under either of two names; none at all are the defaults."""
    given = other if value is None else value
    return request_body.convert({} if given is None else renamed(given), form, path)


def _system_needs(request: wire.Request, needs: set[Capability]) -> None:
    for system in (request.system_instruction, request.system_instruction_):
        if system is not None and system.parts:
            needs.add(Capability.SYSTEM_MESSAGES)


def _tools_need(request: wire.Request, needs: set[Capability]) -> None:
    if not any(as_list(request.tools)):
        return
    needs.add(Capability.TOOLS)
    config = _config(
        request.tool_config, request.tool_config_, wire.ToolConfig, "$.toolConfig"
    ).function_calling_config
    if config is not None and (config.mode or "").upper() == "ANY":
        needs.add(Capability.TOOL_CHOICE)


def _parts_need(parts: list[wire.Members], needs: set[Capability]) -> int:
    """Add what the parts of a turn need; return how many of them only point to their data."""
    remote = 0
    for part in parts:
        if len(part) == 1 and "text" in part:
            continue
        for inner in (part, *_inside(either(part, "function_response"))):
            if (data := either(inner, "inline_data")) is not None:
                needs.add(_medium(data))
            if (file := either(inner, "file_data")) is not None:
                needs.add(_medium(file))
                remote += 1
    return remote


def _inside(response: msgspec.Raw | None) -> list[wire.Members]:
    """Return the parts of a function's result that are more than text."""
    if response is None:
        return []
    try:
        return as_list(_PARTS.decode(_MEMBERS.decode(response).get("parts") or b"null"))
    except (msgspec.DecodeError, RecursionError):
        return []  # of a form not known here: the upstream's to judge


def _medium(data: msgspec.Raw) -> Capability:
    """Return what a model must be able to read, by the media type; films are pictures."""
    try:
        media_type = _TEXT.decode(either(_MEMBERS.decode(data), "mime_type") or b'""')
    except (msgspec.DecodeError, RecursionError):
        return Capability.DOCUMENTS
    if media_type.startswith(("image/", "video/")):
        return Capability.IMAGES
    return Capability.AUDIO if media_type.startswith("audio/") else Capability.DOCUMENTS
