"""Streams and whole replies of upstreams that speak the Responses protocol, read as events."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strict
from support.golden import CASES

from gatewayctl.core.conversation import Call, Prompt, Refusal, Seal, Text, Thought
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Stop,
    TextDelta,
    ThoughtEnded,
    TokenProbability,
    Usage,
    fold,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import BadFrame, ReplyContext
from gatewayctl.protocols.responses import reading
from gatewayctl.protocols.responses.codec import ResponsesCodec
from gatewayctl.protocols.sse import SseEvent, SseParser

CODEC = ResponsesCodec()
PROMPT = Prompt(protocol=WireProtocol.RESPONSES, model="m", messages=())
Data = dict[str, Any]


def read(events: Iterable[Data]) -> list[Event]:
    """Return what the events of one stream say."""
    reader = CODEC.event_reader()
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


GOLDEN = [
    case
    for case in CASES
    if case.protocol is WireProtocol.RESPONSES and case.name != "error_in_stream"
]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_a_stream_amounts_to_the_reply_without_one(case: Any) -> None:
    """OpenAI's own form, for everything that it can say."""
    reader = CODEC.event_reader()
    events = [found for frame in SseParser(10**7).feed(case.stream) for found in reader.read(frame)]
    assert fold(events) == fold(CODEC.read_events(case.reply))
    assert isinstance(events[0], Begun)
    assert isinstance(events[-1], Ended)


def test_everything_of_a_reply_is_read() -> None:
    """Thoughts with their seal, text, refusals, calls, usage, tier and why it ended."""
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": part} for part in ("one", "two")],
        "encrypted_content": "gAAA",
    }
    refusal = {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
    }
    body = {
        "id": "resp_1",
        "model": "small-1",
        "created_at": 1000.0,
        "status": "completed",
        "service_tier": "flex",
        "usage": usage,
        "output": [reasoning, message("a"), {"type": "web_search_call"}, refusal, call("f", "{}")],
    }
    reply = fold(CODEC.read_events(msgspec.json.encode(body)))
    [choice] = reply.choices
    assert choice.parts == (
        Thought(
            text="one\n\ntwo",
            seal=Seal(form="responses.encrypted", data="rs_1:gAAA"),
            id="rs_1",
        ),
        Text(text="a"),
        Refusal(text="no"),
        Call(id="call_1", name="f", arguments="{}"),
    )
    assert choice.stop is Stop.CALLS
    assert reply.usage == Usage(
        input=3, input_cache_read=4, input_cache_write_5m=2, output=5, reasoning_output=3
    )
    assert (reply.id, reply.model, reply.created, reply.tier) == ("resp_1", "small-1", 1000, "flex")


@pytest.mark.parametrize(
    ("fields", "stop"),
    [
        ({"status": "completed", "output": [message("a")]}, Stop.END),
        ({"status": "completed", "output": [call("f")]}, Stop.CALLS),
        (
            {
                "status": "completed",
                "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}],
            },
            Stop.REFUSAL,
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Stop.BUDGET,
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Stop.FILTER,
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, Stop.OTHER),
        ({"status": "incomplete"}, Stop.OTHER),
    ],
)
def test_why_an_answer_ended_is_read(fields: Data, stop: Stop) -> None:
    """From the status, the details, and what was said."""
    body = msgspec.json.encode({"output": [], **fields})
    assert fold(CODEC.read_events(body)).choices[0].stop is stop


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"output":null}', b'{"output":[],"status":"in_progress"}', b"\xff"],
)
def test_what_is_no_whole_reply_is_refused(body: bytes) -> None:
    """A response that is still under way is not taken for an answer."""
    with pytest.raises(BadFrame):
        CODEC.read_events(body)


def test_pieces_are_told_as_they_come() -> None:
    """And nothing twice, though everything is repeated whole."""
    place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    found = read(
        [
            {"type": "response.created", "response": {"id": "resp_1", "model": "m"}},
            {"type": "response.in_progress", "response": {"id": "resp_1"}},
            added(message(), output_index=0),
            {"type": "response.content_part.added", "part": {"type": "output_text"}, **place},
            text("Hel", **place),
            text("lo", **place),
            {"type": "response.output_text.done", "text": "Hello", **place},
            {
                "type": "response.content_part.done",
                "part": {"type": "output_text", "text": "Hello"},
                **place,
            },
            done(message("Hello"), output_index=0),
            completed(message("Hello")),
        ]
    )
    assert found[:3] == [
        Begun(id="resp_1", model="m"),
        TextDelta(text="Hel"),
        TextDelta(text="lo"),
    ]
    assert found[-2:] == [Finished(stop=Stop.END), Ended()]
    assert sum(isinstance(event, TextDelta) for event in found) == 2


@pytest.mark.parametrize(
    "events",
    [
        [added(message(), output_index=0), done(message("Hello"), output_index=0)],
        [done(message("Hello"), output_index=0)],
        [text("Hel", output_index=0), done(message("Hello"), output_index=0)],
        [text("Hel"), text("lo")],
        [text("Hel", item_id="a"), text("lo", item_id="a")],
        [text("Hel", output_index=0, item_id="a"), text("lo", output_index=0, item_id="b")],
        [text("Hel", output_index=4), text("lo", output_index=4)],
        [{"type": "response.output_text.done", "text": "Hello"}],
        [text("Hel"), completed(message("Hello"))],
        [completed(message("Hello"))],
        [
            added(message(name="a")),
            text("Hello", item_id="b"),
            completed(message("Hello", name="c")),
        ],
    ],
)
def test_servers_that_leave_things_out_are_understood(events: list[Data]) -> None:
    """No deltas, whole items alone, no numbers, changing ids, or everything at the end."""
    assert parts(events) == (Text(text="Hello"),)


def test_calls_are_told_in_pieces_or_whole() -> None:
    """A name that comes late is waited for; arguments may be JSON that is no text."""
    nameless = {**call(""), "name": None}
    assert read(
        [
            added(call("f"), output_index=0),
            arguments('{"a"', output_index=0),
            arguments(":1}", output_index=0),
            done(call("f", '{"a":1}'), output_index=0),
        ]
    )[1:] == [
        CallBegun(call=0, id="call_1", name="f"),
        CallDelta(call=0, arguments='{"a"'),
        CallDelta(call=0, arguments=":1}"),
    ]
    assert parts(
        [
            added(nameless, output_index=0),
            arguments('{"a"', output_index=0),
            done(call("f", '{"a":1}'), output_index=0),
            done({**call("g", number=2), "arguments": {"b": 2}}, output_index=1),
            done(
                {"type": "custom_tool_call", "call_id": "c3", "name": "h", "input": "x"},
                output_index=2,
            ),
        ]
    ) == (
        Call(id="call_1", name="f", arguments='{"a":1}'),
        Call(id="call_2", name="g", arguments='{"b":2}'),
        Call(id="c3", name="h", arguments='{"input":"x"}'),
    )


def test_items_side_by_side_are_told_by_their_number() -> None:
    """Whichever comes first, and whichever is over first."""
    first, second, third = call("f", "[1]"), call("g", "[2]", 2), message("so")
    events = [
        added(second, output_index=1),
        arguments("[2", output_index=1),
        added(third, output_index=2),
        added(first, output_index=0),
        text("so", output_index=2),
        done(third, output_index=2),
        arguments("]", output_index=1),
        arguments("[1]", output_index=0),
        done(second, output_index=1),
        done(first, output_index=0),
    ]
    assert parts(events) == (
        Call(id="call_1", name="f", arguments="[1]"),
        Call(id="call_2", name="g", arguments="[2]"),
        Text(text="so"),
    )


def test_items_that_only_the_provider_knows_take_their_turn() -> None:
    """A search that it carried out holds up nothing."""
    search = {"type": "web_search_call", "id": "ws_1"}
    found = read(
        [
            added(search, output_index=0),
            {"type": "response.web_search_call.searching", "output_index": 0},
            done(search, output_index=0),
            added(message(), output_index=1),
            text("a", output_index=1),
        ]
    )
    assert found[1:] == [TextDelta(text="a")]


def test_an_item_whose_number_is_too_high_is_not_held_for_long() -> None:
    """Some servers count from 1: their streams go on being streams."""
    pieces = [text("a", output_index=1) for _ in range(reading.AHEAD + 1)]
    assert read(pieces[:-1])[1:] == []
    assert len(read([*pieces, text("b", output_index=1)])) == 1 + reading.AHEAD + 2


def test_an_item_that_nothing_ends_is_over_when_another_begins() -> None:
    """Its own part said that it was over, and the rest is told at the end."""
    assert parts(
        [
            added(message(), output_index=0),
            text("a", output_index=0),
            {"type": "response.output_text.done", "text": "a", "output_index": 0},
            added(call("f"), output_index=1),
            arguments("{}", output_index=1),
        ]
    ) == (Text(text="a"), Call(id="call_1", name="f", arguments="{}"))


def test_thoughts_are_told_with_what_proves_them() -> None:
    """In summaries part by part, in plain text, or hidden; each is a thought by itself."""
    place = {"output_index": 0, "item_id": "rs_1"}
    summed = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": part} for part in ("one", "two")],
        "encrypted_content": "AA",
    }
    plain = {
        "type": "reasoning",
        "id": "rs_2",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "three"}],
    }
    hidden = {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "BB"}
    empty = {"type": "reasoning", "id": "rs_4", "summary": []}
    found = read(
        [
            added({**summed, "summary": [], "encrypted_content": "A"}, output_index=0),
            {
                "type": "response.reasoning_summary_text.delta",
                "delta": "one",
                "summary_index": 0,
                **place,
            },
            {
                "type": "response.reasoning_summary_text.done",
                "text": "one",
                "summary_index": 0,
                **place,
            },
            {
                "type": "response.reasoning_summary_part.done",
                "part": {"type": "summary_text", "text": "two"},
                "summary_index": 1,
                **place,
            },
            done(summed, output_index=0),
            {"type": "response.reasoning_text.delta", "delta": "thr", "output_index": 1},
            done(plain, output_index=1),
            done(hidden, output_index=2),
            done(empty, output_index=3),
            completed(summed, plain, hidden, empty),
        ]
    )
    [choice] = fold(found).choices
    assert choice.parts == (
        Thought(
            text="one\n\ntwo", seal=Seal(form="responses.encrypted", data="rs_1:AA"), id="rs_1"
        ),
        Thought(text="three", seal=Seal(form="responses.text", data="rs_2"), id="rs_2"),
        Thought(seal=Seal(form="responses.encrypted", data="rs_3:BB"), id="rs_3"),
    )


def test_a_thought_is_not_ended_after_others_were_told() -> None:
    """What proves it comes too late to stand where it belongs."""
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}],
        "encrypted_content": "AA",
    }
    found = read(
        [
            {
                "type": "response.reasoning_summary_text.done",
                "text": "a",
                "output_index": 0,
                "summary_index": 0,
            },
            text("b", output_index=1),
            completed(thought, message("b")),
        ]
    )
    assert not any(isinstance(event, ThoughtEnded) for event in found)


def test_probabilities_are_told_once() -> None:
    """With their text, or all at its end; those of an unknown form are none."""
    given = [
        {"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": [{"token": "b"}]},
        {"token": "b", "logprob": -2.0, "top_logprobs": [{"token": "c", "logprob": -3.0}]},
        {"token": "x", "logprob": 10**400},
    ]
    expected = (
        TokenProbability(token="a", logprob=-1.0),
        TokenProbability(token="b", logprob=-2.0, top=(TokenProbability(token="c", logprob=-3.0),)),
    )
    whole = {"type": "response.output_text.done", "text": "ab", "logprobs": given[:2]}
    for events in ([text("ab", logprobs=given), whole], [text("ab", logprobs=[]), whole]):
        [choice] = fold(read([*events, completed()])).choices
        assert choice.parts == (Text(text="ab"),)
        assert choice.logprobs == expected


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.unheard_of", "output_index": 0, "delta": "x"},
        {"type": "response.output_text.annotation.added", "output_index": 0},
        {"type": "response.failed", "response": {"error": {"message": "x"}}},
        {"type": "error", "message": "x"},
        {"type": "ping"},
        {"type": 3},
        {},
    ],
)
def test_events_that_say_nothing_of_an_answer_are_passed_over(event: Data) -> None:
    """Unknown ones too, and errors, which are the watcher's to tell."""
    assert [each for each in read([event]) if not isinstance(each, Begun)] == []


def test_only_a_terminal_event_is_an_end() -> None:
    """Whatever else was said before."""
    found = read([added(message(), output_index=0), done(message("a"), output_index=0)])
    assert not any(isinstance(event, Finished | Ended) for event in found)
    reader = CODEC.event_reader()
    assert reader.read(SseEvent(raw=b"", data=b"[DONE]")) == ()
    with pytest.raises(BadFrame):
        reader.read(SseEvent(raw=b"", data=b"{"))


KEYS = st.sampled_from(
    ["type", "text", "summary", "content", "name", "call_id", "arguments", "id", "logprobs"]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.completed",
    ]
)
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "reasoning", "custom_tool_call"])},
    optional=dict.fromkeys(
        ("id", "name", "call_id", "arguments", "content", "summary", "input"), ANY
    ),
)
EVENTS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={
        "output_index": st.integers(-1, 3) | ANY,
        "item_id": st.sampled_from(["a", "b"]) | ANY,
        "delta": st.text(max_size=3) | ANY,
        "text": st.text(max_size=3) | ANY,
        "item": ITEMS | ANY,
        "part": ANY,
        "logprobs": ANY,
        "arguments": ANY,
        "content_index": ANY,
        "name": ANY,
        "response": st.fixed_dictionaries(
            {}, optional={"output": st.lists(ITEMS, max_size=3) | ANY, "usage": ANY, "id": ANY}
        )
        | ANY,
    },
)


@settings(max_examples=80)
@given(events=st.lists(EVENTS, max_size=8))
def test_whatever_comes_is_read_or_refused(events: list[Data]) -> None:
    """Nothing that an upstream sends breaks more than its own reply, and all of it can be told."""
    reader = CODEC.event_reader()
    writer = CODEC.event_writer(ReplyContext(id="r", origin="p/m", prompt=PROMPT, now=float))
    written = b""
    with suppress(BadFrame):
        for event in events:
            frame = SseEvent(raw=b"", data=msgspec.json.encode(event))
            written += writer.write(reader.read(frame))
    for frame in SseParser(10**7).feed(written):
        strict.event("responses", frame.data)
