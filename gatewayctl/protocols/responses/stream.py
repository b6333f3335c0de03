"""The side parser of a Responses stream: phases, usage, errors. It changes nothing.

``response.completed`` and ``response.incomplete`` alone prove that the answer is whole.
"""

from typing import Any

import msgspec

from gatewayctl.core.events import Phase
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.responses import response, wire
from gatewayctl.protocols.sse import BadFrame, SseEvent
from gatewayctl.protocols.watching import Watching

_EVENT = msgspec.json.Decoder(wire.Event)
_EVENT_TYPE = msgspec.json.Decoder(wire.EventType)
_KNOWN = frozenset(
    {"error", "response.created", "response.queued", "response.in_progress"}
    | {"response.completed", "response.incomplete", "response.failed"}
    | {"response.output_item.added", "response.output_item.done"}
)
_TERMINAL = frozenset({"response.completed", "response.incomplete"})
_NO_TEXT = frozenset({"response.audio.delta", "response.output_audio.delta"})


class ResponsesWatcher(Watching):
    """Sees each event of one stream once, in order.

    ``response`` is what the stream last told of itself, ``sequence_number`` the last event's:
    an error frame goes on from them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.response = wire.Response()
        self.sequence_number = -1
        self._counts: dict[str, int] = {}
        self._deltas = 0  # characters that deltas added …
        self._items = 0  # … and those of whole items, for servers that send no deltas

    def see(self, event: SseEvent) -> Phase:
        """Return what the event means; raise ``BadFrame`` when it is not of the protocol."""
        if not event.data or event.data == b"[DONE]":  # some compatible servers add the latter
            return Phase.LIFECYCLE
        read = _read(event)
        name = read.type or event.event
        if read.sequence_number is not None:
            self.sequence_number = read.sequence_number
        if read.response is not None:
            self._said(read.response)
        if name in _TERMINAL:
            return Phase.TERMINAL
        if name == "response.failed":
            failed = read.response.error if read.response else None
            return self._fails(failed or response.FAILED)
        if name == "error":
            bare = {"code": read.code, "message": read.message}
            return self._fails(read.error or bare)
        if not _has_content(name, read):
            return Phase.LIFECYCLE
        self._wrote(name, read)
        return Phase.CONTENT

    def release(self, event: SseEvent) -> bytes:
        """Return the event's bytes."""
        return event.raw

    def _said(self, told: wire.Response) -> None:
        # Not its output: that may be the whole answer, and nobody asks for it again.
        self.response = wire.Response(
            id=told.id or self.response.id,
            created_at=told.created_at or self.response.created_at,
            model=told.model or self.response.model,
        )
        self.tier = metering.tier(told.service_tier, self.tier)
        if counts := response.counted(told.usage):
            self._counts = metering.newer(self._counts, counts)
            self.usage = metering.inclusive(self._counts)

    def _wrote(self, name: str, event: wire.Event) -> None:
        if name.endswith(".delta") and name not in _NO_TEXT:
            self._deltas += metering.characters(event.delta)
        elif name == "response.output_item.done" and event.item is not None:
            self._items += response.length(event.item)
        self.written = max(self._deltas, self._items)


def _read(event: SseEvent) -> wire.Event:
    """Decode an event; one of an unknown type may have fields of any form."""
    try:
        return _EVENT.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        name = frame.read(_EVENT_TYPE, event.data, "a Responses event").type or event.event
        try:
            return frame.read(_EVENT, event.data, f"a {name} event")
        except BadFrame:
            if name in _KNOWN:
                raise
        return wire.Event(type=name)


def _has_content(name: str, event: wire.Event) -> bool:
    """Tell whether an event adds text, reasoning, a refusal, audio or a part of a tool call."""
    if name.endswith(".delta"):
        return bool(event.delta)
    if name.startswith("response.output_item."):
        return event.item is not None and _says(event.item)
    if name.endswith(".done"):
        return bool(event.text or event.refusal or event.arguments or event.input)
    return False


def _says(item: dict[str, Any]) -> bool:
    """Tell whether an output item says something by itself: a tool's name, or content at once."""
    if item.get("name") or item.get("summary"):
        return True
    content = item.get("content")
    parts = content if isinstance(content, list) else [content]
    return any(
        bool(part.get("text") or part.get("refusal")) if isinstance(part, dict) else bool(part)
        for part in parts
    )
