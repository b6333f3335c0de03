"""The side parser of a Chat Completions stream: phases, usage, errors. It changes nothing.

``data: [DONE]`` alone proves that the answer is whole; a ``finish_reason`` does not, because the
usage may still follow and other choices may still be open.
"""

from typing import Any

import msgspec

from gatewayctl.core.events import Phase
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.chat_completions import response, wire
from gatewayctl.protocols.sse import SseEvent
from gatewayctl.protocols.watching import Watching

_CHUNK = msgspec.json.Decoder(wire.Reply)
_ANY = msgspec.json.Decoder(Any)


class ChatCompletionsWatcher(Watching):
    """Sees each event of one stream once, in order."""

    def __init__(self, *, usage_requested: bool) -> None:
        super().__init__()
        self._usage_requested = usage_requested
        self._counts: dict[str, int] = {}
        self._withheld: SseEvent | None = None  # the last event, if it tells the usage alone

    def see(self, event: SseEvent) -> Phase:
        """Return what the event means; raise ``BadFrame`` when it is no chunk."""
        if not event.data:
            return Phase.LIFECYCLE
        if event.data == b"[DONE]" or event.data.strip() == b"[DONE]":
            return Phase.TERMINAL
        chunk = _read(event.data)
        if chunk.service_tier is not None and chunk.service_tier != self.tier:
            self.tier = metering.tier(chunk.service_tier, self.tier)
        if counts := response.counted(chunk):
            self._counts = metering.newer(self._counts, counts)
            self.usage = metering.inclusive(self._counts)
        error = response.error_of(chunk)
        if chunk.usage is not None and not chunk.choices and error is None:
            self._withheld = event
        says = False
        for choice in chunk.choices or ():
            if choice.delta is not None and _has_content(choice.delta):
                self.written += response.length(choice.delta)
                says = True
        if error is not None:
            return self._fails(error)
        if event.event == "error":
            return self._fails(frame.read(_ANY, event.data, "an error event"))
        return Phase.CONTENT if says else Phase.LIFECYCLE

    def release(self, event: SseEvent) -> bytes:
        """Return the bytes of the event seen last; none of a usage chunk nobody asked for."""
        return b"" if event is self._withheld and not self._usage_requested else event.raw


def _read(data: bytes) -> wire.Reply:
    return frame.read(_CHUNK, data, "a chat completion chunk")


def _has_content(delta: wire.Delta) -> bool:
    """Tell whether a delta adds text, reasoning, a refusal, audio or a part of a tool call."""
    if delta.content or delta.reasoning_content or delta.reasoning or delta.refusal:
        return True
    if delta.audio or (delta.function_call and _calls(delta.function_call)):
        return True
    return any(_calls(call) for call in response.listed(delta.tool_calls))


def _calls(call: Any) -> bool:
    """Tell whether a tool-call delta says anything: an id, a name or arguments."""
    if not isinstance(call, dict):
        return bool(call)
    texts: list[Any] = [call.get("id"), call.get("name"), call.get("arguments")]
    for kind in ("function", "custom"):
        inner = call.get(kind)
        if isinstance(inner, dict):
            texts += [inner.get("name"), inner.get("arguments"), inner.get("input")]
    return any(texts)
