"""Responses requests: shape and edits. Their text is measured in ``measured``."""

from typing import Any

import msgspec

from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.shape import Demand, RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import media, patch, provenance
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.responses import history, tools, wire

_REQUEST = msgspec.json.Decoder(wire.Request)


class _Reasoning(msgspec.Struct):
    type: Any = None
    encrypted_content: Any = None


_REASONING = msgspec.json.Decoder(_Reasoning)
_PARTS = msgspec.json.Decoder(list[wire.Part] | wire.Part)


def shape(body: bytes) -> RequestShape:
    """Read what routing needs; raise ``RequestInvalid`` with the JSON path at fault."""
    request = request_body.read(_REQUEST, body)
    pointed = (request.prompt, request.conversation, request.previous_response_id)
    remote = sum(value is not None for value in pointed)
    if request.input is None and not remote:
        raise request_body.invalid("$.input", "this field is required.")
    needs: set[Capability] = set()
    demands: set[Demand] = {Demand.STATE} if remote or request.background is True else set()
    items = request.input if isinstance(request.input, list) else []
    for index, item in enumerate(items):
        remote += _item_needs(item, f"$.input[{index}]", needs, demands)
    if items and items[-1].role == "assistant":
        needs.add(Capability.PREFILL)
    return RequestShape(
        protocol=WireProtocol.RESPONSES,
        model=request.model,
        stream=bool(request.stream),
        body_bytes=len(body),
        output_budget=request.max_output_tokens,
        needs=frozenset(needs | _fields_need(request)),
        remote=remote,
        demands=frozenset(demands | _fields_demand(request)),
    )


def changed(body: bytes, changes: Changes, layout: Layout) -> bytes:
    """Return the body with the changes spliced in, or the very same bytes when none is needed.

    ``set`` and ``drop`` come from the config and have the last word.
    """
    edits: dict[str, bytes | None] = {"model": msgspec.json.encode(changes.model)}
    if changes.output_budget is not None:
        edits["max_output_tokens"] = str(changes.output_budget).encode()
    if changes.strip_foreign and provenance.MARK in body:
        items = patch.value(body, layout, "input")
        if items.startswith(b"["):
            edits["input"] = _without_foreign(items)
    edits |= dict.fromkeys(changes.drop)
    edits |= changes.set
    return patch.splice_members(body, layout, edits)


def _without_foreign(items: bytes) -> bytes:
    """Return the input without reasoning that a translated reply of another model brought."""
    spans = patch.elements(items)
    kept = [items[start:end] for start, end in spans if not _is_foreign(items[start:end])]
    return items if len(kept) == len(spans) else b"[" + b",".join(kept) + b"]"


def _is_foreign(item: bytes) -> bool:
    if provenance.MARK not in item:
        return False
    found = request_body.read(_REASONING, item, checked=True)
    sealed = found.encrypted_content
    return (
        found.type == "reasoning"
        and isinstance(sealed, str)
        and provenance.tagged(sealed) is not None
    )


def _item_needs(item: wire.Item, path: str, needs: set[Capability], demands: set[Demand]) -> int:
    """Add what an item needs and demands; return how many of its inputs it only points to."""
    if item.type is None and item.role is None:
        raise request_body.invalid(path, "an item needs a type or a role.")
    if item.role in {"system", "developer"}:
        needs.add(Capability.SYSTEM_MESSAGES)
    parts = item.content if isinstance(item.content, list) else _result_parts(item)
    remote = int(item.type == "item_reference")
    if item.type in history.KEPT:
        demands.add(Demand.STATE)
    for part in parts:
        need = media.NEEDS.get(part.type)
        if need is not None:
            needs.add(need)
            remote += _is_remote(part)
            demands |= _part_demands(part)
        elif part.type == "input_video":
            demands.add(Demand.MODALITY)
    return remote


def _part_demands(part: wire.Part) -> set[Demand]:
    if part.type in {"input_audio", "audio"}:
        return {Demand.AUDIO}
    if part.file_url is not None:
        return {Demand.DOCUMENT_URL}
    return {Demand.UPLOADED} if part.file_id is not None else set()


def _result_parts(item: wire.Item) -> list[wire.Part]:
    """Return the parts of a tool's result, where any of them can be more than text.

    A computer's is one object: the picture of its screen.
    """
    raw = bytes(item.output)
    if not raw.startswith((b"[", b"{")) or not media.may_stand_in(raw):
        return []
    try:
        parts = _PARTS.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return []  # of a form not known here: the upstream's to judge
    return parts if isinstance(parts, list) else [parts]


def _is_remote(part: wire.Part) -> bool:
    if part.file_id is not None or part.file_url is not None:
        return True
    start = bytes(memoryview(part.image_url)[:6])
    return start.startswith(b'"') and start != b'"data:'


def _fields_demand(request: wire.Request) -> set[Demand]:
    demands: set[Demand] = set()
    wanted = request.text.format if request.text else None
    if wanted is not None and wanted.type not in {"text", "json_schema"}:
        demands.add(Demand.JSON_OBJECT if wanted.type == "json_object" else Demand.FORM)
    if request.tool_choice not in (None, "auto", "none"):
        given = request.tools or ()
        functions = [tool.name for tool in given if tool.type == "function"]
        names = [name for name in functions if isinstance(name, str)]
        others = len(given) - len(functions)
        demands |= tools.demands(request.tool_choice, names, others)
    return demands


def _fields_need(request: wire.Request) -> set[Capability]:
    needs = set()
    if request.instructions:
        needs.add(Capability.SYSTEM_MESSAGES)
    if request.tools:
        needs.add(Capability.TOOLS)
        if request.parallel_tool_calls:
            needs.add(Capability.PARALLEL_TOOLS)
        if request.tool_choice not in (None, "auto", "none"):
            needs.add(Capability.TOOL_CHOICE)
    text = request.text
    if text is not None and text.format is not None and text.format.type == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    reasoning = request.reasoning
    if reasoning is not None and reasoning.effort not in (None, "none"):
        needs.add(Capability.REASONING)
    return needs
