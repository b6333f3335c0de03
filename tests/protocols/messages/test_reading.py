"""Replies of a Messages upstream, read as events of the IR."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    Usage,
    fold,
)
from gatewayctl.protocols.messages.codec import MessagesCodec
from gatewayctl.protocols.sse import BadFrame, SseEvent

CODEC = MessagesCodec()
STOP = {"type": "message_stop"}
USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 7,
    "cache_creation_input_tokens": 3,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
    "output_tokens": 9,
    "output_tokens_details": {"thinking_tokens": 4},
    "service_tier": "priority",
}


def started(**usage: Any) -> dict[str, Any]:
    """Return the event that begins a message."""
    return {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": usage}}


def opened(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    """Return the event that begins a block."""
    block = {"type": kind, **fields}
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    """Return the event that adds to a block."""
    added = {"type": f"{kind}_delta", **fields}
    return {"type": "content_block_delta", "index": index, "delta": added}


def closed(index: int) -> dict[str, Any]:
    """Return the event that ends a block."""
    return {"type": "content_block_stop", "index": index}


def stopped(reason: str | None, usage: Any = None, **fields: Any) -> dict[str, Any]:
    """Return the event that says why the message ends."""
    said = {"stop_reason": reason, "stop_sequence": None, **fields}
    return {"type": "message_delta", "delta": said, "usage": usage or {"output_tokens": 1}}


def read(*events: dict[str, Any]) -> list[Event]:
    """Return what a stream of these events is read as."""
    reader = CODEC.event_reader()
    frames = [SseEvent(raw=b"", data=msgspec.json.encode(event)) for event in events]
    return [found for frame in frames for found in reader.read(frame)]


def parts(*events: dict[str, Any]) -> list[Any]:
    """Return the parts that a stream of these events folds to."""
    return list(fold(read(*events, STOP)).choices[0].parts)


def whole(*blocks: dict[str, Any], **fields: Any) -> bytes:
    """Return a whole reply of these blocks."""
    body = {"type": "message", "id": "msg_1", "role": "assistant", "model": "m"}
    ending = {"stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE}
    return msgspec.json.encode(body | {"content": list(blocks)} | ending | fields)


def test_a_stream_is_read_event_by_event() -> None:
    """Each event says at once what it says, and usage is cumulative."""
    found = read(
        started(input_tokens=5, output_tokens=1),
        opened(0, "thinking", thinking="", signature=""),
        delta(0, "thinking", thinking="hm"),
        delta(0, "signature", signature="c2"),
        delta(0, "signature", signature="ln"),
        closed(0),
        opened(1, "text", text=""),
        {"type": "ping"},
        delta(1, "text", text="Hi"),
        closed(1),
        opened(2, "tool_use", id="toolu_1", name="f", input={}),
        delta(2, "input_json", partial_json=""),
        delta(2, "input_json", partial_json='{"a":'),
        delta(2, "input_json", partial_json="1}"),
        closed(2),
        stopped("tool_use", {"output_tokens": 9}),
        STOP,
    )
    assert found == [
        Begun(id="msg_1", model="m"),
        Metered(usage=Usage(input=5, output=1)),
        ThoughtDelta(text="hm"),
        ThoughtEnded(seal=Seal(form="messages.signature", data="c2ln")),
        TextDelta(text="Hi"),
        CallBegun(call=0, id="toolu_1", name="f"),
        CallDelta(call=0, arguments='{"a":'),
        CallDelta(call=0, arguments="1}"),
        Metered(usage=Usage(input=5, output=9)),
        Finished(stop=Stop.CALLS),
        Ended(),
    ]


def test_a_whole_reply_is_the_same_as_its_stream() -> None:
    """Block by block, with its usage in dimensions that do not overlap."""
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "text", "text": "Hi", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]
    reply = fold(CODEC.read_events(whole(*blocks, stop_reason="tool_use")))
    streamed = fold(
        read(
            started(**USAGE),
            opened(0, "thinking", thinking="", signature=""),
            delta(0, "thinking", thinking="hm"),
            delta(0, "signature", signature="c2ln"),
            closed(0),
            opened(1, "redacted_thinking", data="AAAA"),
            closed(1),
            opened(2, "text", text=""),
            delta(2, "text", text="Hi"),
            closed(2),
            opened(3, "tool_use", id="toolu_1", name="f", input={}),
            delta(3, "input_json", partial_json='{"a":1}'),
            closed(3),
            opened(4, "tool_use", id="toolu_2", name="g", input={}),
            closed(4),
            stopped("tool_use", {"output_tokens": 9}),
            STOP,
        )
    )
    assert reply == streamed
    assert reply.choices[0].parts == (
        Thought(text="hm", seal=Seal(form="messages.signature", data="c2ln")),
        Thought(seal=Seal(form="messages.redacted", data="AAAA")),
        Text(text="Hi"),
        Call(id="toolu_1", name="f", arguments='{"a":1}'),
        Call(id="toolu_2", name="g"),
    )
    assert reply.tier == "priority"
    assert reply.usage == Usage(
        input=5,
        input_cache_read=7,
        input_cache_write_5m=1,
        input_cache_write_1h=2,
        output=9,
        reasoning_output=4,
    )


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", Stop.END),
        ("max_tokens", Stop.BUDGET),
        ("stop_sequence", Stop.SEQUENCE),
        ("tool_use", Stop.CALLS),
        ("pause_turn", Stop.PAUSE),
        ("refusal", Stop.REFUSAL),
        ("model_context_window_exceeded", Stop.WINDOW),
        ("unheard-of", Stop.OTHER),
        (None, Stop.END),
    ],
)
def test_why_an_answer_ends(reason: str | None, stop: Stop) -> None:
    """Each reason has its own, in a stream and without one."""
    found = [Finished(stop=stop, sequence="x"), Ended()]
    assert read(started(), stopped(reason, stop_sequence="x"), STOP)[-2:] == found or not reason
    assert CODEC.read_events(whole(stop_reason=reason, stop_sequence="x"))[-2:] == found


def test_an_answer_that_says_no_reason_ends_as_it_looks() -> None:
    """With a call it ends in calls."""
    events = [opened(0, "tool_use", id="t", name="f", input={}), closed(0)]
    assert read(started(), *events, STOP)[-2:] == [Finished(stop=Stop.CALLS), Ended()]
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert CODEC.read_events(whole(block, stop_reason=None))[-2] == Finished(stop=Stop.CALLS)


def test_an_explanation_of_a_refusal_is_a_refusal() -> None:
    """Other protocols have a place for it."""
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    events = read(started(), stopped("refusal", stop_details=details), STOP)
    reply = fold(CODEC.read_events(whole(stop_reason="refusal", stop_details=details)))
    assert fold(events).choices[0].parts == reply.choices[0].parts == (Refusal(text="Not this."),)


def test_arguments_that_are_told_at_once_are_not_lost_litellm_25321() -> None:
    """Some servers tell a call's arguments at its start, and no deltas."""
    call = opened(0, "tool_use", id="t", name="f", input={"city": "Oslo"})
    assert parts(call, closed(0)) == [Call(id="t", name="f", arguments='{"city":"Oslo"}')]
    said = [call, delta(0, "input_json", partial_json='{"city":"Rome"}'), closed(0)]
    assert parts(*said) == [Call(id="t", name="f", arguments='{"city":"Rome"}')]


def test_thinking_never_becomes_text_litellm_32357() -> None:
    """Neither where its block was said to be of text, nor where it never began."""
    found = parts(
        opened(0, "text", text=""),
        delta(0, "thinking", thinking="hm"),
        delta(0, "text", text="Hi"),
        closed(0),
        delta(3, "thinking", thinking="more"),
    )
    assert found == [Thought(text="hm"), Text(text="Hi"), Thought(text="more")]


def test_thoughts_stay_apart_from_one_another() -> None:
    """Also where nothing proves the first, and where blocks are never closed."""
    found = parts(
        opened(0, "thinking", thinking="a"),
        closed(0),
        opened(1, "thinking", thinking="b"),
        opened(2, "thinking", thinking="c", signature="c2ln"),
        opened(3, "redacted_thinking", data="AAAA"),
        opened(4, "text", text="Hi"),
    )
    assert found == [
        Thought(text="a"),
        Thought(text="b"),
        Thought(text="c", seal=Seal(form="messages.signature", data="c2ln")),
        Thought(seal=Seal(form="messages.redacted", data="AAAA")),
        Text(text="Hi"),
    ]


def test_a_thought_that_is_not_shown_is_known_by_its_signature() -> None:
    """``display: omitted`` leaves the text out and nothing else."""
    found = parts(
        opened(0, "thinking", thinking="", signature=""),
        delta(0, "signature", signature="c2ln"),
        closed(0),
    )
    assert found == [Thought(seal=Seal(form="messages.signature", data="c2ln"))]


def test_what_a_providers_own_tools_do_is_passed_over() -> None:
    """Neither their calls nor their results are anything that a client runs."""
    found = parts(
        opened(0, "text", text="a"),
        closed(0),
        opened(1, "server_tool_use", id="srv_1", name="web_search", input={}),
        delta(1, "input_json", partial_json='{"q":1}'),
        closed(1),
        opened(2, "web_search_tool_result", tool_use_id="srv_1", content=[]),
        closed(2),
        opened(3, "text", text="b"),
        delta(3, "citations", citation={"type": "web_search_result_location"}),
        closed(3),
        {"type": "unheard_of", "index": {}, "delta": 3},
    )
    assert found == [Text(text="ab")]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 0, "delta": 3},
        delta(0, "input_json", partial_json="{"),
    ],
)
def test_what_is_not_of_the_protocol_is_a_bad_frame(event: Any) -> None:
    """Wrong types, and arguments of a call that never began."""
    with pytest.raises(BadFrame):
        read(event)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"type":"message"}',
        b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}',
        whole({"type": 3}),
    ],
)
def test_what_is_no_reply_is_a_bad_frame(body: bytes) -> None:
    """Errors are classified elsewhere, before a reply is read."""
    with pytest.raises(BadFrame):
        CODEC.read_events(body)


def test_frames_of_other_servers_are_passed_over() -> None:
    """Comments, and the ``[DONE]`` that some compatible servers add."""
    reader = CODEC.event_reader()
    assert [
        *reader.read(SseEvent(raw=b":\n\n")),
        *reader.read(SseEvent(raw=b"", data=b"[DONE]")),
    ] == []
