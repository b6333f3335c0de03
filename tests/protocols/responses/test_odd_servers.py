"""Streams of servers that leave things out, count in their own way, or tell items at once."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strict
from support.responding import (
    Data,
    added,
    arguments,
    call,
    completed,
    done,
    message,
    parts,
    read,
    text,
)

from gatewayctl.core.conversation import Call, Prompt, Text
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Finished,
    Stop,
    TextDelta,
    ThoughtEnded,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import BadFrame, ReplyContext
from gatewayctl.protocols.responses import reading
from gatewayctl.protocols.responses.codec import ResponsesCodec
from gatewayctl.protocols.sse import SseEvent, SseParser

CODEC = ResponsesCodec()
PROMPT = Prompt(protocol=WireProtocol.RESPONSES, model="m", messages=())


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


@pytest.mark.parametrize("content", ["Hello", [{"type": "text", "text": "Hello"}]])
def test_a_text_in_another_form_is_not_lost(content: object) -> None:
    """Some servers write a message as it is written in a request, or in Chat Completions."""
    said = {"type": "message", "role": "assistant", "content": content}
    assert parts([done(said, output_index=0)]) == (Text(text="Hello"),)


def test_a_type_that_is_empty_is_the_name_of_the_event() -> None:
    """As the watcher takes it: else a stream would end without anything being told of its end."""
    reader = CODEC.event_reader()
    told = b'{"type": "", "response": {"status": "completed", "output": []}}'
    events = reader.read(SseEvent(raw=b"", event="response.completed", data=told))
    assert events[-1] == Ended()


@pytest.mark.parametrize("details", [None, {}, {"reason": "cosmic_rays"}])
def test_an_answer_that_is_incomplete_for_no_known_reason_was_cut_short(details: Data) -> None:
    """Other protocols would else tell it as an end, and the answer as whole."""
    response = {"status": "incomplete", "incomplete_details": details, "output": [message("Hel")]}
    events = read([{"type": "response.incomplete", "response": response}])
    assert Finished(stop=Stop.BUDGET) in events


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
