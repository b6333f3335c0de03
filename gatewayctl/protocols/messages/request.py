"""Messages requests: shape and edits. Their text is measured in ``measured``."""

import msgspec

from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.shape import Demand, RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import media, patch, provenance
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.messages import wire
from gatewayctl.protocols.messages.billing import without_billing
from gatewayctl.protocols.messages.foreign import is_bare, without_foreign
from gatewayctl.protocols.patch import Layout

_REQUEST = msgspec.json.Decoder(wire.Request)
_THINKING = msgspec.json.Decoder(wire.Thinking | None)
_NESTED = msgspec.json.Decoder(list[wire.Nested])
_BLOCK_NEEDS = {**media.NEEDS, "container_upload": Capability.DOCUMENTS}
_FORCED = frozenset({"any", "tool"})
_AS_IT_LIKES = frozenset({"disabled", "adaptive"})  # no thoughts at all will do
_NULL = msgspec.Raw(b"null")
_FUNCTION = (b"", b"null", b'"custom"')
"""How the type of a tool is written that the client itself runs and describes."""


def shape(body: bytes, *, counting: bool) -> RequestShape:
    """Read what routing needs; raise ``RequestInvalid`` with the JSON path at fault."""
    request = request_body.read(_REQUEST, body)
    if request.max_tokens is None and not counting:
        raise request_body.invalid("$.max_tokens", "this field is required.")
    found = _Found()
    found.messages(request.messages)
    thinking = request.thinking
    return RequestShape(
        protocol=WireProtocol.MESSAGES,
        model=request.model,
        stream=bool(request.stream),
        body_bytes=len(body),
        output_budget=request.max_tokens,
        thinking_budget=(thinking.budget_tokens or 0) if thinking else 0,
        needs=frozenset(found.needs | _fields_need(request)),
        remote=found.remote,
        demands=frozenset(found.demands | _fields_demand(request)),
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
    if changes.strip_foreign and provenance.MARK in body and (turns := layout.get("messages")):
        edits |= _own_thoughts(body, turns, layout)
    edits |= dict.fromkeys(changes.drop)
    edits |= changes.set
    return patch.splice_members(body, layout, edits)


def _own_thoughts(body: bytes, turns: patch.Member, layout: Layout) -> dict[str, bytes | None]:
    """Return the edits that leave only the thoughts of this model in the history.

    With a budget for thinking, a model goes on from a tool's result only where its call began with
    a thought: where that was another's, it does not think until the next turn.
    """
    came = body[turns.start : turns.end]
    left = without_foreign(came)
    edits: dict[str, bytes | None] = {"messages": left}
    if left != came and is_bare(left):
        asked = request_body.read(_THINKING, patch.value(body, layout, "thinking"), checked=True)
        if asked is not None and asked.type == "enabled":
            edits["thinking"] = b'{"type":"disabled"}'
    return edits


class _Found:
    """What the content of a request needs, demands, and only points to."""

    def __init__(self) -> None:
        self.needs: set[Capability] = set()
        self.demands: set[Demand] = set()
        self.remote = 0

    def messages(self, messages: list[wire.Message]) -> None:
        """Take all messages."""
        for message in messages:
            if message.role == "system":
                self.needs.add(Capability.SYSTEM_MESSAGES)
            if isinstance(message.content, str):
                continue
            for block in message.content:
                if block.type == "tool_result":
                    self._inside(block.content)
                else:
                    self._block(block)
        if messages and messages[-1].role == "assistant":
            self.needs.add(Capability.PREFILL)

    def _inside(self, content: msgspec.Raw) -> None:
        """Take the blocks of a tool's result, or of a document in it."""
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
                self._block(block)
                if isinstance(block.source, wire.Source):
                    pending.append(block.source.content)

    def _block(self, block: wire.Block | wire.Nested) -> None:
        need = _BLOCK_NEEDS.get(block.type)
        if need is None:
            return
        self.needs.add(need)
        source = block.source
        if not isinstance(source, wire.Source):
            if block.type == "container_upload":
                self._points(Demand.UPLOADED)
            return
        if block.__class__ is not wire.Nested:
            self._inside(source.content)
        if source.type == "file":
            self._points(Demand.UPLOADED)
        elif source.type == "url":
            self._points(Demand.DOCUMENT_URL if block.type == "document" else None)

    def _points(self, demand: Demand | None) -> None:
        self.remote += 1
        if demand is not None:
            self.demands.add(demand)


def _fields_demand(request: wire.Request) -> set[Demand]:
    demands = set()
    if bytes(request.stop_sequences) not in {b"", b"null", b"[]"}:
        demands.add(Demand.STOP)
    choice = request.tool_choice
    if choice is not None and choice.type in _FORCED:
        functions = [
            request_body.value(tool.get("name", _NULL))
            for tool in request.tools or ()
            if tool.get("type", b"") in _FUNCTION
        ]
        if not functions or (choice.type == "tool" and choice.name not in functions):
            demands.add(Demand.HOSTED_TOOL)
    return demands


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
    if request.thinking is not None and request.thinking.type not in _AS_IT_LIKES:
        needs.add(Capability.REASONING)
    return needs
