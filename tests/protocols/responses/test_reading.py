"""Streams and whole replies of upstreams that speak the Responses protocol, read as events."""

from typing import Any

import msgspec
import pytest
from support.golden import CASES
from support.responding import Data, added, call, completed, done, message, read, text

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import (
    Begun,
    Ended,
    Finished,
    Stop,
    TextDelta,
    TokenProbability,
    Usage,
    fold,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import BadFrame
from gatewayctl.protocols.responses.codec import ResponsesCodec
from gatewayctl.protocols.sse import SseEvent, SseParser

CODEC = ResponsesCodec()


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
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, Stop.BUDGET),
        ({"status": "incomplete"}, Stop.BUDGET),
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


SUMMED: Data = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": part} for part in ("one", "two")],
    "encrypted_content": "AA",
}
PLAIN: Data = {
    "type": "reasoning",
    "id": "rs_2",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "three"}],
}
HIDDEN: Data = {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "BB"}
EMPTY: Data = {"type": "reasoning", "id": "rs_4", "summary": []}


def test_thoughts_are_told_with_what_proves_them() -> None:
    """In summaries part by part, in plain text, or hidden; each is a thought by itself."""
    place = {"output_index": 0, "item_id": "rs_1"}
    found = read(
        [
            added({**SUMMED, "summary": [], "encrypted_content": "A"}, output_index=0),
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
            done(SUMMED, output_index=0),
            {"type": "response.reasoning_text.delta", "delta": "thr", "output_index": 1},
            done(PLAIN, output_index=1),
            done(HIDDEN, output_index=2),
            done(EMPTY, output_index=3),
            completed(SUMMED, PLAIN, HIDDEN, EMPTY),
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


def test_only_a_terminal_event_is_an_end() -> None:
    """Whatever else was said before."""
    found = read([added(message(), output_index=0), done(message("a"), output_index=0)])
    assert not any(isinstance(event, Finished | Ended) for event in found)
    reader = CODEC.event_reader()
    assert reader.read(SseEvent(raw=b"", data=b"[DONE]")) == ()
    with pytest.raises(BadFrame):
        reader.read(SseEvent(raw=b"", data=b"{"))
