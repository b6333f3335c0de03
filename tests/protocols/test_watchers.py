"""What stream events and replies mean, beyond the golden files: odd servers and bad ones."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.events import Phase, Usage
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import BadFrame, Codec, StreamWatcher
from gatewayctl.protocols.sse import SseEvent

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
RESPONSES = CODECS[WireProtocol.RESPONSES]
MESSAGES = CODECS[WireProtocol.MESSAGES]

every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))


def event(data: Any, name: str = "") -> SseEvent:
    """Return an event with JSON data, or with data as given in bytes."""
    encoded = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return SseEvent(raw=b"data: " + encoded + b"\n\n", event=name, data=encoded)


def watcher(codec: Codec) -> StreamWatcher:
    """Return a fresh watcher."""
    return codec.watcher(usage_requested=False)


def chunk(**delta: Any) -> SseEvent:
    """Return a chat chunk with one delta."""
    return event({"choices": [{"index": 0, "delta": delta}]})


@pytest.mark.parametrize(
    ("delta", "phase"),
    [
        ({"content": "a"}, Phase.CONTENT),
        ({"content": ""}, Phase.LIFECYCLE),
        ({"content": [{"type": "thinking"}]}, Phase.CONTENT),
        ({"reasoning": "a"}, Phase.CONTENT),
        ({"reasoning_content": ""}, Phase.LIFECYCLE),
        ({"role": "assistant"}, Phase.LIFECYCLE),
        ({"tool_calls": []}, Phase.LIFECYCLE),
        ({"tool_calls": [{"index": 0}]}, Phase.LIFECYCLE),
        ({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}, Phase.LIFECYCLE),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, Phase.CONTENT),
        ({"tool_calls": [{"index": 0, "custom": {"input": "x"}}]}, Phase.CONTENT),
        ({"function_call": {"name": "f"}}, Phase.CONTENT),
        ({"audio": {"data": "x"}}, Phase.CONTENT),
    ],
)
def test_a_chat_delta_is_content_when_it_says_something(
    delta: dict[str, Any], phase: Phase
) -> None:
    """Roles and empty strings commit nothing."""
    assert watcher(CHAT).see(chunk(**delta)) is phase


@pytest.mark.parametrize("data", [b"[DONE]", b" [DONE] ", b"[DONE]\r"])
def test_done_ends_a_chat_stream_and_no_other(data: bytes) -> None:
    """Some servers of the other protocols add a ``[DONE]``, which proves nothing there."""
    assert watcher(CHAT).see(event(data)) is Phase.TERMINAL
    assert watcher(RESPONSES).see(event(b"[DONE]")) is Phase.LIFECYCLE
    assert watcher(MESSAGES).see(event(b"[DONE]")) is Phase.LIFECYCLE


def test_a_usage_chunk_is_withheld_only_where_nobody_asked_and_it_says_nothing_else() -> None:
    """Usage beside a choice passes, and so does a chunk without choices that has no usage."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 3}
    alone = event({"choices": [], "usage": usage})
    beside = event({"choices": [{"index": 0, "delta": {}}], "usage": usage})
    filtered = event({"choices": [], "usage": None, "prompt_filter_results": []})
    unasked = watcher(CHAT)
    assert [unasked.see(each) for each in (alone, beside, filtered)] == [Phase.LIFECYCLE] * 3
    assert [unasked.release(each) for each in (alone, beside, filtered)] == [
        b"",
        beside.raw,
        filtered.raw,
    ]
    assert unasked.usage == Usage(input=2, input_cache_read=3, output=2)
    assert CHAT.watcher(usage_requested=True).release(alone) == alone.raw


@pytest.mark.parametrize("asked", [True, False])
def test_only_the_clients_own_wish_makes_usage_requested(*, asked: bool) -> None:
    """The chunk that was asked for on the client's behalf is not the client's."""
    body = msgspec.json.encode({"stream_options": {"include_usage": asked}})
    assert CHAT.usage_requested(body) is asked
    assert CHAT.usage_requested(b'{"stream_options":null}') is False
    assert RESPONSES.usage_requested(b"{}") is True
    assert MESSAGES.usage_requested(b"{}") is True


@pytest.mark.parametrize(
    ("data", "phase"),
    [
        ({"type": "ping"}, Phase.LIFECYCLE),
        ({"type": "vendor_event", "delta": "x", "usage": 3}, Phase.LIFECYCLE),
        ({"type": "content_block_delta", "delta": {"type": "x"}}, Phase.LIFECYCLE),
        ({"type": "content_block_delta", "delta": {"signature": "x"}}, Phase.LIFECYCLE),
        ({"type": "content_block_delta", "delta": {"partial_json": "{"}}, Phase.CONTENT),
        ({"type": "content_block_start", "content_block": {"type": "text"}}, Phase.LIFECYCLE),
        (
            {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t"}},
            Phase.CONTENT,
        ),
        (
            {"type": "content_block_start", "content_block": {"type": "redacted_thinking"}},
            Phase.LIFECYCLE,
        ),
        (
            {"type": "content_block_start", "content_block": {"type": "x", "data": "A"}},
            Phase.CONTENT,
        ),
    ],
)
def test_a_messages_event_is_content_when_it_says_something(
    data: dict[str, Any], phase: Phase
) -> None:
    """Signatures, pings and unknown events commit nothing."""
    assert watcher(MESSAGES).see(event(data)) is phase


def test_messages_usage_is_cumulative_and_a_later_zero_never_overwrites() -> None:
    """Figures replace; the input that only the start told stays."""
    seen = watcher(MESSAGES)
    start = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 1,
    }
    seen.see(event({"type": "message_start", "message": {"usage": start}}))
    late = {"input_tokens": 0, "cache_creation_input_tokens": 30, "output_tokens": 7}
    seen.see(event({"type": "message_delta", "usage": late}))
    seen.see(event({"type": "message_delta", "usage": {"output_tokens": 9}}))
    assert seen.usage == Usage(input=10, input_cache_write_5m=10, input_cache_write_1h=20, output=9)


@pytest.mark.parametrize(
    ("data", "phase"),
    [
        ({"type": "response.vendor", "delta": 0, "response": 3, "item": "x"}, Phase.LIFECYCLE),
        ({"type": "response.output_text.delta", "delta": ""}, Phase.LIFECYCLE),
        ({"type": "response.custom_tool_call_input.delta", "delta": "x"}, Phase.CONTENT),
        ({"type": "response.output_item.added", "item": {"type": "reasoning"}}, Phase.LIFECYCLE),
        ({"type": "response.output_item.added", "item": {"name": "f"}}, Phase.CONTENT),
        (
            {"type": "response.output_item.done", "item": {"content": [{"text": "x"}]}},
            Phase.CONTENT,
        ),
        ({"type": "response.output_text.done", "text": ""}, Phase.LIFECYCLE),
        ({"type": "response.output_text.done", "text": "x"}, Phase.CONTENT),
        ({"type": "response.incomplete", "response": {}}, Phase.TERMINAL),
        ({"type": "response.cancelled", "response": {}}, Phase.LIFECYCLE),
    ],
)
def test_a_responses_event_is_content_when_it_says_something(
    data: dict[str, Any], phase: Phase
) -> None:
    """Whole items count like deltas, for servers that send no deltas."""
    assert watcher(RESPONSES).see(event(data)) is phase


@pytest.mark.parametrize(
    ("codec", "data", "error", "code"),
    [
        (CHAT, {"error": "broken"}, "broken", None),
        (CHAT, {"error": {"message": "m", "code": 502}}, "m", "502"),
        (CHAT, {"choices": [], "error": {"type": "t"}}, "t", "t"),
        (RESPONSES, {"type": "error", "code": "c", "message": "m"}, "m", "c"),
        (RESPONSES, {"type": "error", "error": {"code": "c", "message": "m"}}, "m", "c"),
        (RESPONSES, {"type": "response.failed", "response": {}}, "the response failed", None),
        (MESSAGES, {"type": "error", "error": {"type": "t", "message": "m"}}, "m", "t"),
    ],
)
def test_errors_inside_a_stream_are_told_with_their_code(
    codec: Codec, data: dict[str, Any], error: str, code: str | None
) -> None:
    """Failure kinds are decided by the code, so it must be found wherever servers put it."""
    seen = watcher(codec)
    assert seen.see(event(data)) is Phase.ERROR
    assert (seen.error, seen.error_code) == (error, code)


@pytest.mark.parametrize("name", ["message_stop", "error", "response.completed"])
def test_the_events_name_counts_where_the_data_has_no_type(name: str) -> None:
    """Servers that leave the type to the event's name are understood."""
    codec = RESPONSES if name.startswith("response") else MESSAGES
    assert watcher(codec).see(event({}, name)) in {Phase.TERMINAL, Phase.ERROR}


@every_codec
@pytest.mark.parametrize(
    "data", [b"{", b"nope", b"3", b'"x"', b"[]", b'{"type":3,"choices":4,"candidates":5}']
)
def test_an_event_that_is_not_of_the_protocol_is_a_bad_frame(codec: Codec, data: bytes) -> None:
    """Malformed JSON and wrong types end the reply instead of passing as something."""
    with pytest.raises(BadFrame):
        watcher(codec).see(event(data))


@every_codec
@pytest.mark.parametrize(
    "body", [b"", b"{", b"{}", b"[]", b"<html>", b'{"object":"x"}', b'{"type":"message"}']
)
def test_what_is_no_reply_is_a_bad_frame(codec: Codec, body: bytes) -> None:
    """A truncated or foreign body is never taken for an answer."""
    with pytest.raises(BadFrame):
        codec.read_reply(body)


@every_codec
@given(data=st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode)))
def test_no_bytes_whatever_raise_anything_but_a_bad_frame(codec: Codec, data: bytes) -> None:
    """Whatever an upstream sends, it is understood or it is a bad frame."""
    for reads in (watcher(codec).see, watcher(codec).release):
        try:
            reads(event(data))
        except BadFrame as error:
            assert str(error) != ""  # noqa: PT017 - any outcome is fine, any other error is not
    try:
        codec.read_reply(data)
    except BadFrame as error:
        assert str(error) != ""  # noqa: PT017 - as above
