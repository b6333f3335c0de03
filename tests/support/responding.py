"""Streams of upstreams that speak the Responses protocol, event by event, and what they say."""

from collections.abc import Iterable
from typing import Any

import msgspec

from gatewayctl.core.events import (
    Event,
    fold,
)
from gatewayctl.protocols.responses.codec import ResponsesCodec
from gatewayctl.protocols.sse import SseEvent

Data = dict[str, Any]


def read(events: Iterable[Data]) -> list[Event]:
    """Return what the events of one stream say."""
    reader = ResponsesCodec().event_reader()
    frames = (SseEvent(raw=b"", data=msgspec.json.encode(event)) for event in events)
    return [found for frame in frames for found in reader.read(frame)]


def parts(events: Iterable[Data]) -> tuple[object, ...]:
    """Return what a stream amounts to that has one answer."""
    [choice] = fold(read([*events, completed()])).choices
    return choice.parts


def completed(*output: Data, **fields: Any) -> Data:
    """Return a terminal event; a server need not repeat the output there."""
    response = {"id": "resp_1", "status": "completed", "output": output, **fields}
    return {"type": "response.completed", "response": response}


def message(*texts: str, name: str = "msg_1") -> Data:
    """Return a whole message."""
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": name, "role": "assistant", "content": content}


def call(name: str, arguments: str = "", number: int = 1) -> Data:
    """Return a whole call."""
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"call_{number}",
        "name": name,
        "arguments": arguments,
    }


def added(item: Data, **place: Any) -> Data:
    """Return the event that begins an item."""
    return {"type": "response.output_item.added", "item": item, **place}


def done(item: Data, **place: Any) -> Data:
    """Return the event that ends an item."""
    return {"type": "response.output_item.done", "item": item, **place}


def text(delta: str, **place: Any) -> Data:
    """Return a piece of text."""
    return {"type": "response.output_text.delta", "delta": delta, **place}


def arguments(delta: str, **place: Any) -> Data:
    """Return a piece of a call's arguments."""
    return {"type": "response.function_call_arguments.delta", "delta": delta, **place}
