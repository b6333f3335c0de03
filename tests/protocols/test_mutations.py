"""Valid requests and replies with anything in the place of any part of them: no codec fails."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialects import PROTOCOLS, request, tool

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import BadFrame, Changes
from gatewayctl.protocols.sse import SseEvent

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "text"]), inner),
    max_leaves=8,
)
EVENTS: dict[str, list[dict[str, Any]]] = {
    "chat_completions": [
        {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f"}}]}}], "usage": {}},
        {"error": {"message": "m", "code": "c"}},
    ],
    "messages": [
        {"type": "message_start", "message": {"usage": {"cache_creation": {}}}},
        {"type": "content_block_start", "content_block": {"type": "text", "text": "x"}},
        {"type": "error", "error": {"type": "api_error", "message": "m"}},
    ],
    "responses": [
        {"type": "response.completed", "response": {"id": "r", "usage": {}, "output": []}},
        {"type": "response.output_item.added", "item": {"name": "f", "content": [{}]}},
        {"type": "response.failed", "response": {"error": {"code": "c"}}},
    ],
}


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """Draw the value with one part of it, at any depth, replaced by anything."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 5)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        inner = draw(mutated(value[key]))
        return (
            {**value, key: inner}
            if isinstance(value, dict)
            else [*value[:key], inner, *value[key + 1 :]]
        )
    return draw(ANYTHING)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.data())
def test_a_request_is_read_measured_and_patched_or_refused(
    protocol: str, data: st.DataObject
) -> None:
    """``RequestInvalid`` is all that leaves a codec, and what it patches is JSON."""
    whole = request(protocol, "m", "text", stream=True, tools=[tool(protocol, "f")])
    body = msgspec.json.encode(data.draw(mutated(whole)))
    codec = CODECS[WireProtocol(protocol)]
    with contextlib.suppress(RequestInvalid):
        codec.shape(body)
        codec.measure(body)
        codec.usage_requested(body)
        patched = codec.patch(body, Changes(model="n", include_usage=True, set={"x": b"1"}))
        assert msgspec.json.decode(patched)["model"] == "n"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.data())
def test_an_event_or_reply_is_read_or_bad(protocol: str, data: st.DataObject) -> None:
    """``BadFrame`` is all that leaves a side parser and the reader of whole replies."""
    event = msgspec.json.encode(data.draw(mutated(data.draw(st.sampled_from(EVENTS[protocol])))))
    codec = CODECS[WireProtocol(protocol)]
    watcher = codec.watcher(usage_requested=False)
    seen = SseEvent(raw=b"data: " + event + b"\n\n", data=event)
    with contextlib.suppress(BadFrame):
        watcher.see(seen)
        assert watcher.release(seen) in {b"", seen.raw}
    with contextlib.suppress(BadFrame):
        codec.read_reply(event)
