"""Gemini requests: their shape. Their text is measured in ``measured``."""

from typing import TypeVar

import msgspec

from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.shape import Demand, RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.gemini import media, wire
from gatewayctl.protocols.gemini.names import either, renamed

T = TypeVar("T")

_REQUEST = msgspec.json.Decoder(wire.Request)
_OBJECT = msgspec.json.Decoder(wire.Members)
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
    demands: set[Demand] = set()
    remote = sum(cached is not None for cached in (request.cached_content, request.cached_content_))
    if remote:
        demands.add(Demand.STATE)
    turns = as_list(request.contents)
    for turn in turns:
        remote += _parts_need(as_list(turn.parts), needs, demands)
    if turns and turns[-1].role == "model":
        needs.add(Capability.PREFILL)
    _system_needs(request, needs)
    _tools_need(request, needs, demands)
    config = _config(
        request.generation_config,
        request.generation_config_,
        wire.GenerationConfig,
        "$.generationConfig",
    )
    thinking = config.thinking_config or wire.ThinkingConfig()
    if (thinking.thinking_budget or 0) > 0 or thinking.thinking_level:  # else none will do
        needs.add(Capability.REASONING)
    if config.response_schema is not None or config.response_json_schema is not None:
        needs.add(Capability.JSON_SCHEMA)
    demands |= response_demands(config)
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
        demands=frozenset(demands),
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


def _tools_need(request: wire.Request, needs: set[Capability], demands: set[Demand]) -> None:
    if not any(as_list(request.tools)):
        return
    needs.add(Capability.TOOLS)
    config = _config(
        request.tool_config, request.tool_config_, wire.ToolConfig, "$.toolConfig"
    ).function_calling_config
    if config is None:
        return
    must = (config.mode or "").upper() == "ANY"
    if must:
        needs.add(Capability.TOOL_CHOICE)
    allowed = set(config.allowed_function_names or ())
    if must and not declared(request.tools):
        demands.add(Demand.HOSTED_TOOL)
    if allowed and not (must and len(allowed) == 1) and not declared(request.tools) <= allowed:
        demands.add(Demand.ALLOWED_TOOLS)


def declared(tools: list[wire.Members] | wire.Members | None) -> set[str]:
    """Return the names of the functions that tools declare."""
    names = set()
    for tool in as_list(tools):
        functions = _listed(either(tool, "function_declarations"))
        names |= {_text(function.get("name")) for function in functions}
    return names


def response_demands(config: wire.GenerationConfig) -> set[Demand]:
    """Return what the wishes about an answer demand."""
    demands = set()
    if (config.candidate_count or 1) > 1:
        demands.add(Demand.ANSWERS)
    if config.stop_sequences:
        demands.add(Demand.STOP)
    schema = config.response_schema is not None or config.response_json_schema is not None
    match config.response_mime_type:
        case "application/json" if not schema:
            demands.add(Demand.JSON_OBJECT)
        case None | "" | "text/plain" | "application/json":
            pass
        case _:
            demands.add(Demand.FORM)  # text/x.enum
    if any(str(each).upper() != "TEXT" for each in as_list(config.response_modalities)):
        demands.add(Demand.MODALITY)
    return demands


def _parts_need(parts: list[wire.Members], needs: set[Capability], demands: set[Demand]) -> int:
    """Add what the parts of a turn need; return how many of them only point to their data."""
    remote = 0
    for part in parts:
        if len(part) == 1 and "text" in part:
            continue
        response = either(part, "function_response")
        inside = [] if response is None else _listed(_members(response).get("parts"))
        for inner in (part, *inside):
            if (data := either(inner, "inline_data")) is not None:
                _medium_needs(_members(data), needs, demands)
            if (file := either(inner, "file_data")) is not None:
                found = _members(file)
                medium = _medium_needs(found, needs, demands)
                demands |= address_demands(_text(either(found, "file_uri")), medium)
                remote += 1
    return remote


def _medium_needs(
    data: wire.Members, needs: set[Capability], demands: set[Demand]
) -> Capability | None:
    """Add what a model must be able to read; return it, None for a film. Those are pictures."""
    media_type = _text(either(data, "mime_type"))
    medium = media.capability(media_type)
    needs.add(medium)
    if media.is_film(media_type):
        demands.add(Demand.MODALITY)
        return None
    if medium is Capability.AUDIO:
        demands.add(Demand.AUDIO)
    return medium


def address_demands(uri: str, medium: Capability | None) -> set[Demand]:
    """Return what an address demands: data that only Google can read are a file uploaded to it."""
    if media.is_uploaded(uri) or medium is Capability.AUDIO:
        return {Demand.UPLOADED}
    return {Demand.DOCUMENT_URL} if medium is Capability.DOCUMENTS else set()


def _listed(raw: msgspec.Raw | None) -> list[wire.Members]:
    """Return the objects of a list, or one alone; of a form not known here it is the upstream's."""
    try:
        return [] if raw is None else as_list(_PARTS.decode(raw))
    except (msgspec.DecodeError, RecursionError):
        return []


def _members(raw: msgspec.Raw) -> wire.Members:
    try:
        return _OBJECT.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return {}


def _text(raw: msgspec.Raw | None) -> str:
    try:
        return "" if raw is None else _TEXT.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return ""
