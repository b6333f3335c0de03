"""The side parser of a Chat Completions stream: phases, usage, errors. It changes nothing.

``data: [DONE]`` alone proves that the answer is whole; a ``finish_reason`` does not, because the
usage may still follow and other choices may still be open.
"""

from typing import Any

import msgspec

from gatewayctl.core.events import Phase, Usage
from gatewayctl.protocols import frame
from gatewayctl.protocols.chat_completions import wire
from gatewayctl.protocols.chat_completions.response import read_usage
from gatewayctl.protocols.sse import SseEvent

_CHUNK = msgspec.json.Decoder(wire.Chunk)


class ChatCompletionsWatcher:
    """Sees each event of one stream once, in order."""

    def __init__(self, *, usage_requested: bool) -> None:
        self.usage = Usage()
        self.error: str | None = None
        self.error_code: str | None = None
        self._usage_requested = usage_requested

    def see(self, event: SseEvent) -> Phase:
        """Return what the event means; raise ``BadFrame`` when it is no chunk."""
        if not event.data:
            return Phase.LIFECYCLE
        if event.data == b"[DONE]" or event.data.strip() == b"[DONE]":
            return Phase.TERMINAL
        chunk = _read(event.data)
        if chunk.usage is not None:
            self.usage = read_usage(chunk.usage)
        if chunk.error:
            self.error, self.error_code = frame.error_text(chunk.error)
            return Phase.ERROR
        for choice in chunk.choices or ():
            if choice.delta is not None and _has_content(choice.delta):
                return Phase.CONTENT
        return Phase.LIFECYCLE

    def release(self, event: SseEvent) -> bytes:
        """Return the event's bytes; none for a usage chunk the client did not ask for."""
        if self._usage_requested or b'"usage"' not in event.data:
            return event.raw
        chunk = _read(event.data)
        withheld = chunk.usage is not None and not chunk.choices and not chunk.error
        return b"" if withheld else event.raw


def _read(data: bytes) -> wire.Chunk:
    return frame.read(_CHUNK, data, "a chat completion chunk")


def _has_content(delta: wire.Delta) -> bool:
    """Tell whether a delta adds text, reasoning, a refusal, audio or a part of a tool call."""
    if delta.content or delta.reasoning_content or delta.reasoning or delta.refusal:
        return True
    if delta.audio or (delta.function_call and _calls(delta.function_call)):
        return True
    return bool(delta.tool_calls) and any(_calls(call) for call in _listed(delta.tool_calls))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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
