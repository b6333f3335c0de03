"""The side parser of a Messages stream: phases, usage, errors. It changes nothing.

``message_stop`` alone proves that the answer is whole.
"""

from typing import Any

import msgspec

from gatewayctl.core.events import Phase
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.messages import response, wire
from gatewayctl.protocols.sse import SseEvent
from gatewayctl.protocols.watching import Watching

_EVENT = msgspec.json.Decoder(wire.Event)
_EVENT_TYPE = msgspec.json.Decoder(wire.EventType)
_KNOWN = frozenset(
    {"message_start", "message_delta", "message_stop", "error"}
    | {"content_block_start", "content_block_delta", "content_block_stop"}
)


class MessagesWatcher(Watching):
    """Sees each event of one stream once, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self._terms: dict[str, str] = {}

    def see(self, event: SseEvent) -> Phase:
        """Return what the event means; raise ``BadFrame`` when it is not of the protocol."""
        if not event.data or event.data == b"[DONE]":  # some compatible servers add the latter
            return Phase.LIFECYCLE
        read = read_event(event)
        match read.type or event.event:
            case "content_block_delta":
                return self._says(read.delta, says=_adds(read.delta))
            case "content_block_start":
                return self._says(read.content_block, says=_begins(read.content_block))
            case "message_start":
                self._metered(read.message.usage if read.message else None)
            case "message_delta":
                self._metered(read.usage)
            case "message_stop":
                return Phase.TERMINAL
            case "error":
                return self._fails(read.error)
        return Phase.LIFECYCLE

    def release(self, event: SseEvent) -> bytes:
        """Return the event's bytes."""
        return event.raw

    def _says(self, part: wire.Delta | wire.ContentBlock | None, *, says: bool) -> Phase:
        if part is None or not says:
            return Phase.LIFECYCLE
        self.written += response.length(part)
        return Phase.CONTENT

    def _metered(self, usage: Any) -> None:
        self._counts = metering.newer(self._counts, response.counted(usage))
        self.usage = response.usage_of(self._counts)
        self._terms = response.terms(usage, self._terms)
        self.tier = response.tier(self._terms)


def read_event(event: SseEvent) -> wire.Event:
    """Decode an event, one of an unknown type whatever its fields are; raise ``BadFrame``."""
    try:
        return _EVENT.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        name = frame.read(_EVENT_TYPE, event.data, "a Messages event").type or event.event
        if name in _KNOWN:
            return frame.read(_EVENT, event.data, f"a {name} event")
        return wire.Event(type=name)


def _adds(delta: wire.Delta | None) -> bool:
    """Tell whether a delta adds text, thinking or tool input; a signature is none of them."""
    return delta is not None and bool(
        delta.text or delta.thinking or delta.partial_json or delta.content
    )


def _begins(block: wire.ContentBlock | None) -> bool:
    """Tell whether a block says something at its start: a tool's name, or content at once."""
    if block is None:
        return False
    if block.type.endswith("tool_use") and (block.id or block.name):
        return True
    return bool(block.text or block.thinking or block.data or block.content)
