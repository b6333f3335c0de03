"""Replies of a Messages upstream, streamed or whole, read as events of the IR.

A whole reply is taken block by block, as if each had been told at its start. What a provider's own
tools do within a reply is no event: no other protocol knows of it. Errors in a stream, and what it
means for the stream contract, are the business of ``stream``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    RefusalDelta,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
)
from gatewayctl.protocols import frame, metering, tool_names
from gatewayctl.protocols.messages import response, wire
from gatewayctl.protocols.messages.blocks import REDACTED, SIGNATURE
from gatewayctl.protocols.messages.stream import read_event
from gatewayctl.protocols.sse import BadFrame, SseEvent

_REPLY = msgspec.json.Decoder(wire.Reply)

_STOPS: Final = {
    "end_turn": Stop.END,
    "max_tokens": Stop.BUDGET,
    "tool_use": Stop.CALLS,
    "stop_sequence": Stop.SEQUENCE,
    "refusal": Stop.REFUSAL,
    "pause_turn": Stop.PAUSE,
    "model_context_window_exceeded": Stop.WINDOW,
}
_NO_INDEX: Final = -1


class _Block(msgspec.Struct):
    """A block under way: the number of its call, its signature, whether it said anything."""

    kind: str
    call: int | None = None
    given: Any = None
    signature: str = ""
    said: bool = False


class _Parts:
    """Makes events of blocks and of what is added to them.

    ``unproven``: the last that was told is a thought that nothing ended, so that another one, right
    behind it, must be told from it.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._open: dict[int, _Block] = {}
        self._unproven = False

    def begin(self, index: int, given: wire.ContentBlock) -> Iterator[Event]:
        """Open a block, and take what it says at its start."""
        for place, block in list(self._open.items()):
            if place == index or block.kind == "thinking":  # some servers never close them
                yield from self.end(place)
        block = self._open[index] = _Block(kind=given.type)
        match given.type:
            case "text":
                yield from self._text(given.text)
            case "thinking":
                yield from self._apart()
                yield from self._thought(block, given.thinking)
                self._sign(block, given.signature)
            case "redacted_thinking" if isinstance(given.data, str):
                yield from self._apart()
                yield ThoughtEnded(seal=Seal(form=REDACTED, data=given.data))
            case "tool_use":
                self._unproven = False
                block.call, block.given = self.calls, given.input
                self.calls += 1
                name = tool_names.original(_text(given.name))
                yield CallBegun(call=block.call, id=_text(given.id), name=name)

    def add(self, index: int, delta: wire.Delta) -> Iterator[Event]:
        """Take a delta: what it is says itself, whatever its block was said to be."""
        block = self._open.get(index)
        if block is None:
            block = self._open[index] = _Block(kind="")
        if block.kind not in {"", "text", "thinking", "tool_use"}:
            return
        yield from self._text(delta.text)
        yield from self._thought(block, delta.thinking)
        self._sign(block, delta.signature)
        if isinstance(delta.partial_json, str) and delta.partial_json:
            if block.call is None:
                raise BadFrame("the upstream sent arguments of a tool call that never began")
            block.said = True
            yield CallDelta(call=block.call, arguments=delta.partial_json)

    def end(self, index: int) -> Iterator[Event]:
        """Close a block."""
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.call is not None and not block.said:
            yield CallDelta(call=block.call, arguments=_arguments(block.given))
        elif block.signature:
            self._unproven = False
            yield ThoughtEnded(seal=Seal(form=SIGNATURE, data=block.signature))
        elif block.kind == "thinking" and block.said:
            self._unproven = True

    def rest(self) -> Iterator[Event]:
        """Close what is still open."""
        for index in list(self._open):
            yield from self.end(index)

    def _text(self, text: Any) -> Iterator[Event]:
        if isinstance(text, str) and text:
            self._unproven = False
            yield TextDelta(text=text)

    def _thought(self, block: _Block, text: Any) -> Iterator[Event]:
        if isinstance(text, str) and text:
            block.said = True
            yield ThoughtDelta(text=text)

    def _sign(self, block: _Block, signature: Any) -> None:
        if isinstance(signature, str):
            block.signature += signature

    def _apart(self) -> Iterator[Event]:
        if self._unproven:
            self._unproven = False
            yield ThoughtEnded()


class MessagesEvents:
    """Reads one stream. See ``codec.EventReader``."""

    def __init__(self) -> None:
        self._parts = _Parts()
        self._counts: metering.Counts = {}
        self._terms: dict[str, str] = {}
        self._finished = False

    def end(self) -> Sequence[Event]:
        """Return nothing: a terminal frame says all."""
        return ()

    def read(self, event: SseEvent) -> Sequence[Event]:
        """Return what the event says; raise ``BadFrame`` when it is not of the protocol."""
        if not event.data or event.data == b"[DONE]":  # some compatible servers add the latter
            return ()
        read = read_event(event)
        return list(self._events(read.type or event.event, read))

    def _events(self, kind: str, read: wire.Event) -> Iterator[Event]:
        index = read.index if type(read.index) is int else _NO_INDEX
        match kind:
            case "content_block_delta" if read.delta is not None:
                yield from self._parts.add(index, read.delta)
            case "content_block_start" if read.content_block is not None:
                yield from self._parts.begin(index, read.content_block)
            case "content_block_stop":
                yield from self._parts.end(index)
            case "message_start":
                started = read.message or wire.Started()
                yield _begun(started)
                yield from self._metered(started.usage)
            case "message_delta":
                yield from self._metered(read.usage)
                if read.delta is not None and isinstance(read.delta.stop_reason, str):
                    yield from self._finish(read.delta)
            case "message_stop":
                if not self._finished:
                    yield from self._finish(wire.Delta())
                yield Ended()

    def _finish(self, told: wire.Delta) -> Iterator[Event]:
        if not self._finished:
            self._finished = True
            yield from self._parts.rest()
            yield from _finished(told, called=self._parts.calls > 0)

    def _metered(self, usage: Any) -> Iterator[Event]:
        counted = response.counted(usage)
        self._terms = response.terms(usage, self._terms)
        if counted:
            self._counts = metering.newer(self._counts, counted)
            tier = response.tier(self._terms)
            yield Metered(usage=response.usage_of(self._counts), tier=tier)


def whole(body: bytes) -> list[Event]:
    """Read a whole reply as the events of a stream; raise ``BadFrame`` when it is none."""
    reply = frame.read(_REPLY, body, "a message")
    if reply.type == "error" or reply.error or reply.content is None:
        raise BadFrame("the upstream sent something that is not an answer")
    parts = _Parts()
    events: list[Event] = [_begun(wire.Started(id=reply.id, model=reply.model))]
    for index, block in enumerate(reply.content):
        events += parts.begin(index, block)
        events += parts.end(index)
    counted = response.counted(reply.usage)
    usage = response.usage_of(metering.newer({}, counted))
    events.append(Metered(usage=usage, tier=response.tier(response.terms(reply.usage))))
    told = wire.Delta(
        stop_reason=reply.stop_reason,
        stop_sequence=reply.stop_sequence,
        stop_details=reply.stop_details,
    )
    return [*events, *_finished(told, called=parts.calls > 0), Ended()]


def _begun(started: wire.Started) -> Begun:
    return Begun(id=_text(started.id) or None, model=_text(started.model) or None)


def _finished(told: wire.Delta, *, called: bool) -> Iterator[Event]:
    """Yield why the answer ends; where that is not told, it is what the answer looks like."""
    reason, sequence = told.stop_reason, told.stop_sequence
    if isinstance(reason, str):
        stop = _STOPS.get(reason, Stop.OTHER)
    else:
        stop = Stop.CALLS if called else Stop.END
    details = told.stop_details
    explanation = details.get("explanation") if isinstance(details, dict) else None
    if stop is Stop.REFUSAL and isinstance(explanation, str) and explanation:
        yield RefusalDelta(text=explanation)
    yield Finished(stop=stop, sequence=sequence if isinstance(sequence, str) else None)


def _arguments(given: Any) -> str:
    """Return a call's arguments that were told at its start, or not at all."""
    if isinstance(given, str) and given:
        return given
    try:
        return msgspec.json.encode(given or {}).decode()
    except RecursionError as error:
        raise BadFrame("the upstream sent arguments that nest too deeply") from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
