"""Messages requests: shape and edits. Their text is measured in ``measured``."""

import msgspec

from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import media, patch
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.messages import wire
from gatewayctl.protocols.messages.billing import without_billing
from gatewayctl.protocols.patch import Layout

_REQUEST = msgspec.json.Decoder(wire.Request)
_NESTED = msgspec.json.Decoder(list[wire.Nested])
_BLOCK_NEEDS = {**media.NEEDS, "container_upload": Capability.DOCUMENTS}
_FORCED = frozenset({"any", "tool"})


def shape(body: bytes, *, counting: bool) -> RequestShape:
    """Read what routing needs; raise ``RequestInvalid`` with the JSON path at fault."""
    request = request_body.read(_REQUEST, body)
    if request.max_tokens is None and not counting:
        raise request_body.invalid("$.max_tokens", "this field is required.")
    needs, remote = _messages_need(request.messages)
    thinking = request.thinking
    return RequestShape(
        protocol=WireProtocol.MESSAGES,
        model=request.model,
        stream=bool(request.stream),
        body_bytes=len(body),
        output_budget=request.max_tokens,
        thinking_budget=(thinking.budget_tokens or 0) if thinking else 0,
        needs=frozenset(needs | _fields_need(request)),
        remote=remote,
    )


def changed(body: bytes, changes: Changes, layout: Layout) -> bytes:
    """Return the body with the changes spliced in, or the very same bytes when none is needed.

    ``set`` and ``drop`` come from the config and have the last word.
    """
    edits: dict[str, bytes | None] = {"model": msgspec.json.encode(changes.model)}
    if changes.output_budget is not None:
        edits["max_tokens"] = str(changes.output_budget).encode()
    if changes.strip_billing and (system := layout.get("system")) is not None:
        edits["system"] = without_billing(body[system.start : system.end])
    edits |= dict.fromkeys(changes.drop)
    edits |= changes.set
    return patch.splice_members(body, layout, edits)


def _messages_need(messages: list[wire.Message]) -> tuple[set[Capability], int]:
    needs: set[Capability] = set()
    remote = 0
    for message in messages:
        if message.role == "system":
            needs.add(Capability.SYSTEM_MESSAGES)
        if isinstance(message.content, str):
            continue
        for block in message.content:
            if block.type == "tool_result":
                remote += _inside_need(block.content, needs)
            else:
                remote += _block_need(block, needs)
    if messages and messages[-1].role == "assistant":
        needs.add(Capability.PREFILL)
    return needs, remote


def _inside_need(content: msgspec.Raw, needs: set[Capability]) -> int:
    """Do what ``_block_need`` does for the blocks of a tool's result, or of a document in it."""
    remote = 0
    pending = [content]
    while pending:
        raw = bytes(pending.pop())
        if not raw.startswith(b"[") or not media.may_stand_in(raw):
            continue
        try:
            blocks = _NESTED.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            continue  # of a form not known here: the upstream's to judge
        for block in blocks:
            remote += _block_need(block, needs)
            if isinstance(block.source, wire.Source):
                pending.append(block.source.content)
    return remote


def _block_need(block: wire.Block | wire.Nested, needs: set[Capability]) -> int:
    """Add what a block needs; return 1 when it only points to its data."""
    need = _BLOCK_NEEDS.get(block.type)
    if need is None:
        return 0
    needs.add(need)
    source = block.source
    if isinstance(source, wire.Source):
        inside = 0 if block.__class__ is wire.Nested else _inside_need(source.content, needs)
        return int(source.type in {"url", "file"}) + inside
    return int(block.type == "container_upload")


def _fields_need(request: wire.Request) -> set[Capability]:
    needs = set()
    if request.system:
        needs.add(Capability.SYSTEM_MESSAGES)
    if request.tools:
        needs.add(Capability.TOOLS)
        choice = request.tool_choice
        if choice is not None and choice.type in _FORCED:
            needs.add(Capability.TOOL_CHOICE)
        if choice is not None and choice.disable_parallel_tool_use is False:
            needs.add(Capability.PARALLEL_TOOLS)
    output = request.output_format or (request.output_config and request.output_config.format)
    if output and output.type == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    if request.thinking is not None and request.thinking.type != "disabled":
        needs.add(Capability.REASONING)
    return needs
