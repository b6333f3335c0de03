"""Chat Completions requests: shape and edits. Their text is measured in ``measured``."""

import msgspec

from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.shape import Demand, RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import media, patch, provenance
from gatewayctl.protocols.chat_completions import demands, thoughts, wire
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.patch import Layout

_REQUEST = msgspec.json.Decoder(wire.Request)
_STREAM_OPTIONS = msgspec.json.Decoder(wire.StreamOptions | None)
_USAGE = b'{"include_usage":true}'
_EMPTY = (b"null", b"{}")
_BUDGETS = ("max_completion_tokens", "max_tokens")
_NOTHING = (b"", b"null", b"false")
_REASONING = msgspec.json.Decoder(wire.Reasoning)


def shape(body: bytes) -> RequestShape:
    """Read what routing needs; raise ``RequestInvalid`` with the JSON path at fault."""
    request = request_body.read(_REQUEST, body)
    needs, remote, said = _messages_need(request.messages)
    budget = request.max_completion_tokens
    return RequestShape(
        protocol=WireProtocol.CHAT_COMPLETIONS,
        model=request.model,
        stream=bool(request.stream),
        body_bytes=len(body),
        output_budget=request.max_tokens if budget is None else budget,
        n=request.n or 1,
        needs=frozenset(needs | _fields_need(request)),
        remote=remote,
        demands=said | demands.of(request),
    )


def usage_requested(body: bytes, layout: Layout) -> bool:
    """Tell whether the client itself asked for the stream's usage chunk."""
    written = patch.value(body, layout, "stream_options")
    options = request_body.read(_STREAM_OPTIONS, written, checked=True)
    return options is not None and options.include_usage is True


def changed(body: bytes, changes: Changes, layout: Layout) -> bytes:
    """Return the body with the changes spliced in, or the very same bytes when none is needed.

    The budget goes where the client put its own, else into ``max_tokens``, which every
    compatible server knows. ``set`` and ``drop`` come from the config and have the last word.
    """
    edits: dict[str, bytes | None] = {"model": msgspec.json.encode(changes.model)}
    if changes.output_budget is not None:
        budget = str(changes.output_budget).encode()
        given = [field for field in _BUDGETS if patch.value(body, layout, field) != b"null"]
        edits |= dict.fromkeys(given or ["max_tokens"], budget)
    if changes.include_usage and patch.value(body, layout, "stream") == b"true":
        options = patch.value(body, layout, "stream_options")
        edits["stream_options"] = (
            _USAGE if options in _EMPTY else patch.splice(options, {"include_usage": b"true"})
        )
    if changes.strip_foreign and provenance.MARK in body and "messages" in layout:
        messages = patch.value(body, layout, "messages")
        edits["messages"] = thoughts.without(messages, blank=changes.reasoning_required)
    edits |= dict.fromkeys(changes.drop)
    edits |= changes.set
    return patch.splice_members(body, layout, edits)


def _messages_need(
    messages: list[wire.Message],
) -> tuple[set[Capability], int, frozenset[Demand]]:
    """Return what messages need of a model, how much they only point to, and what they demand."""
    needs: set[Capability] = set()
    remote = 0
    demanded: set[Demand | None] = set()
    for message in messages:
        if message.role in {"system", "developer"}:
            needs.add(Capability.SYSTEM_MESSAGES)
        if message.audio:
            demanded.add(demands.of_message(message))
        if message.content.__class__ is not list:
            continue
        for part in message.content:
            if part.type == "text":
                continue
            demanded.add(demands.of_part(part))
            need = media.NEEDS.get(part.type)
            if need is not None:
                needs.add(need)
                remote += is_remote(part)
    if messages and messages[-1].role == "assistant":
        needs.add(Capability.PREFILL)
    return needs, remote, frozenset(demand for demand in demanded if demand is not None)


def is_remote(part: wire.Part) -> bool:
    """Tell whether a part only points to what it stands for."""
    if part.file is not None:
        return part.file.file_id is not None
    match part.image_url:
        case None:
            return False
        case str() as url:
            return not url.startswith("data:")
        case wire.Url(url=raw):
            return bytes(memoryview(raw)[:6]) != b'"data:'


def _fields_need(request: wire.Request) -> set[Capability]:
    needs = set()
    if request.tools or request.functions:
        needs.add(Capability.TOOLS)
        if request.parallel_tool_calls:
            needs.add(Capability.PARALLEL_TOOLS)
        choice = request.function_call if request.tool_choice is None else request.tool_choice
        if choice not in (None, "auto", "none"):
            needs.add(Capability.TOOL_CHOICE)
    if request.response_format is not None and request.response_format.has_schema:
        needs.add(Capability.JSON_SCHEMA)
    if request.reasoning_effort not in (None, "none") or _reasons(bytes(request.reasoning)):
        needs.add(Capability.REASONING)
    if request.modalities and "audio" in request.modalities:
        needs.add(Capability.AUDIO)
    return needs


def _reasons(reasoning: bytes) -> bool:
    """Tell whether the object of OpenRouter and vLLM asks for reasoning; it may switch it off."""
    if not reasoning.startswith(b"{"):
        return reasoning not in _NOTHING
    try:
        asked = _REASONING.decode(reasoning)
    except (msgspec.DecodeError, RecursionError):
        return True  # of a form not known here
    if asked.enabled is False or asked.effort == "none":
        return False
    return any((asked.enabled, asked.effort, asked.max_tokens))
