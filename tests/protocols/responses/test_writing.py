"""Replies and streams written for clients of the Responses protocol."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strict

from gatewayctl.core.conversation import Format, Prompt, Seal, Tool, ToolChoice
from gatewayctl.core.conversation import Mode as Choosing
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    RefusalDelta,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    TokenProbability,
    Usage,
    fold,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.responses.codec import ResponsesCodec
from gatewayctl.protocols.sse import SseParser

CODEC = ResponsesCodec()
PROMPT = Prompt(protocol=WireProtocol.RESPONSES, model="asked", messages=())
SEAL = Seal(form="messages.signature", data="sig")
TOKEN = TokenProbability(token="é", logprob=-0.5, top=(TokenProbability(token="e", logprob=-1.0),))
BEGUN = Begun(id="chatcmpl-1", model="small-1", created=1000)
USAGE = Usage(input=5, input_cache_read=2, input_cache_write_5m=1, output=4, reasoning_output=3)
END = (Metered(usage=USAGE, tier="priority"), Finished(stop=Stop.END), Ended())
ERROR = ApiError(kind=ErrorKind.UPSTREAM_FAILED, message="It broke.", details={"request_id": "r"})


def context(prompt: Prompt = PROMPT, *, opened: bool = False) -> ReplyContext:
    """Return what a reply is written with, at second 2000."""
    return ReplyContext(id="req_1", origin="p/m", prompt=prompt, now=lambda: 2000.5, opened=opened)


def stream(*events: Event, prompt: Prompt = PROMPT) -> bytes:
    """Write a whole stream of these events; check it, and that the whole reply says the same."""
    written = CODEC.event_writer(context(prompt)).write(events)
    strict.events("responses", written)
    strict.complete_events("responses", written)
    whole = CODEC.write_reply(fold(events), context(prompt))
    strict.reply("responses", whole)
    strict.complete("responses", whole)
    assert msgspec.json.decode(whole) == frames(written)[-1]["response"]
    return written


def frames(written: bytes) -> list[dict[str, Any]]:
    """Return the data of a stream's frames."""
    parser = SseParser(10**7)
    return [msgspec.json.decode(event.data) for event in parser.feed(written)]


def output(*events: Event) -> list[dict[str, Any]]:
    """Return the output items of a response that says this."""
    found: list[dict[str, Any]] = frames(stream(BEGUN, *events, *END))[-1]["response"]["output"]
    return found


def test_a_stream_of_text_has_every_event_there_is() -> None:
    """In OpenAI's order, numbered from 0, each piece at once."""
    written = frames(stream(BEGUN, TextDelta(text="Hel"), TextDelta(text="lo"), *END))
    assert [event["type"].removeprefix("response.") for event in written] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in written] == list(range(10))
    assert written[4]["delta"] == "Hel"
    assert written[4]["logprobs"] == []


def test_each_event_is_written_at_once() -> None:
    """Nothing is held back that could be said."""
    writer = CODEC.event_writer(context())
    assert len(frames(writer.write([BEGUN]))) == 2
    assert len(frames(writer.write([TextDelta(text="a")]))) == 3
    assert len(frames(writer.write([TextDelta(text="b")]))) == 1
    assert len(frames(writer.write([CallBegun(call=0, id="c", name="f")]))) == 4
    assert len(frames(writer.write([CallDelta(call=0, arguments="{}")]))) == 1


def test_the_response_has_the_upstreams_model_and_repeats_the_request() -> None:
    """And an id of its own, since the upstream's has another form."""
    prompt = msgspec.structs.replace(
        PROMPT,
        tools=(Tool(name="f", parameters=b'{"type":"object"}'), Tool(name="g", strict=True)),
        tool_choice=ToolChoice(mode=Choosing.REQUIRED, names=("f",)),
        format=Format(schema=b'{"type":"object"}', name="n"),
        verbosity="low",
        output_budget=99,
        metadata={"k": "v"},
        user="u",
    )
    written = frames(stream(BEGUN, *END, prompt=prompt))
    begun, ended = written[0]["response"], written[-1]["response"]
    assert (ended["id"], ended["model"]) == ("resp_req_1", "small-1")
    assert (begun["created_at"], begun["completed_at"]) == (1000, None)
    assert (ended["created_at"], ended["completed_at"]) == (1000, 2000)
    assert [tool["name"] for tool in begun["tools"]] == ["f", "g"]
    assert begun["tool_choice"] == {"type": "function", "name": "f"}
    assert begun["text"]["format"]["schema"] == {"type": "object"}
    assert (begun["max_output_tokens"], begun["metadata"]) == (99, {"k": "v"})
    assert ended["service_tier"] == "priority"


def test_an_upstreams_id_of_the_right_form_is_kept() -> None:
    """Nothing is renamed without need."""
    written = frames(stream(Begun(id="resp_9"), *END))
    assert written[-1]["response"]["id"] == "resp_9"
    assert written[-1]["response"]["model"] == "asked"


def test_usage_counts_everything_once() -> None:
    """Cached input is a part of the input here; unknown usage is null."""
    [*_, last] = frames(stream(BEGUN, TextDelta(text="a"), *END))
    assert last["response"]["usage"] == {
        "input_tokens": 8,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 12,
    }
    [*_, last] = frames(stream(BEGUN, Finished(stop=Stop.END), Ended()))
    assert last["response"]["usage"] is None


def test_thoughts_are_reasoning_items_with_a_tag() -> None:
    """With and without text, proven or not; thinking is never in a message."""
    proven, plain, answer, hidden, call = output(
        ThoughtDelta(text="one"),
        ThoughtEnded(seal=SEAL),
        ThoughtDelta(text="two"),
        TextDelta(text="so"),
        CallBegun(call=0, id="c", name="f", seal=Seal(form="gemini.call", data="x")),
    )
    assert [part["text"] for part in proven["summary"]] == ["one"]
    told = provenance.tagged(proven["encrypted_content"])
    assert told == Seal(form="messages.signature", data="sig", origin="p/m")
    assert [part["text"] for part in plain["summary"]] == ["two"]
    told = provenance.tagged(plain["encrypted_content"])
    assert told == Seal(form="text", data="", origin="p/m")
    assert answer["type"] == "message"
    assert hidden["summary"] == []
    told = provenance.tagged(hidden["encrypted_content"])
    assert told == Seal(form="gemini.call", data="x", origin="p/m")
    assert call["arguments"] == "{}"


def test_calls_without_an_id_get_one_that_stays() -> None:
    """The same in a stream and without one; others keep theirs."""
    first, second, third = output(
        CallBegun(call=0, id="", name="f"),
        CallDelta(call=0, arguments='{"a":1}'),
        CallBegun(call=1, id="functions.f:0", name="f"),
        CallBegun(call=2, id="", name="f"),
    )
    ids = [item["call_id"] for item in (first, second, third)]
    assert ids == ["call_req_1_0", "functions.f:0", "call_req_1_2"]
    assert first["arguments"] == '{"a":1}'


def test_calls_told_side_by_side_come_one_after_another() -> None:
    """Codex knows an item only as something that is over before the next begins."""
    first, second = output(
        CallBegun(call=0, id="a", name="f"),
        CallBegun(call=1, id="b", name="g"),
        CallDelta(call=1, arguments='{"b":'),
        CallDelta(call=0, arguments='{"a":1}'),
        CallDelta(call=1, arguments="2}"),
    )
    assert (first["arguments"], second["arguments"]) == ('{"a":1}', '{"b":2}')


def test_probabilities_stand_with_their_text() -> None:
    """In the delta and in the whole; those of half a character with what follows."""
    written = frames(
        stream(BEGUN, TextDelta(text="", logprobs=(TOKEN,)), TextDelta(text="é"), *END)
    )
    [delta] = [event for event in written if event["type"].endswith("text.delta")]
    expected = {
        "token": "é",
        "logprob": -0.5,
        "bytes": [195, 169],
        "top_logprobs": [{"token": "e", "logprob": -1.0, "bytes": [101]}],
    }
    assert delta["logprobs"] == [expected]
    [message] = written[-1]["response"]["output"]
    assert message["content"][0]["logprobs"] == [expected]


def test_probabilities_of_several_texts_stay_with_their_own() -> None:
    """A whole reply holds them in one list."""
    tokens = [TokenProbability(token=text, logprob=-1.0) for text in ("ab", "cd")]
    first, _, second = output(
        TextDelta(text="ab", logprobs=(tokens[0],)),
        CallBegun(call=0, id="c", name="f"),
        TextDelta(text="cd", logprobs=(tokens[1],)),
    )
    assert [each["token"] for each in first["content"][0]["logprobs"]] == ["ab"]
    assert [each["token"] for each in second["content"][0]["logprobs"]] == ["cd"]


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        (Stop.END, "completed", None),
        (Stop.CALLS, "completed", None),
        (Stop.SEQUENCE, "completed", None),
        (Stop.PAUSE, "completed", None),
        (Stop.OTHER, "completed", None),
        (Stop.BUDGET, "incomplete", "max_output_tokens"),
        (Stop.WINDOW, "incomplete", "max_output_tokens"),
        (Stop.FILTER, "incomplete", "content_filter"),
        (Stop.REFUSAL, "incomplete", "content_filter"),
    ],
)
def test_what_was_cut_never_looks_complete(stop: Stop, status: str, reason: str | None) -> None:
    """The event, the status and the reason all say so."""
    written = frames(stream(BEGUN, TextDelta(text="a"), Finished(stop=stop), Ended()))
    response = written[-1]["response"]
    assert written[-1]["type"] == f"response.{status}"
    assert response["status"] == status
    assert response["incomplete_details"] == (None if reason is None else {"reason": reason})
    assert (response["completed_at"] is None) is (status == "incomplete")


def test_a_refusal_in_words_is_a_complete_answer() -> None:
    """Its words are a part of their own."""
    refusal = (RefusalDelta(text="I "), RefusalDelta(text="won't."), Finished(stop=Stop.REFUSAL))
    [*_, last] = frames(stream(BEGUN, *refusal, Ended()))
    assert last["type"] == "response.completed"
    [message] = last["response"]["output"]
    assert message["content"] == [{"type": "refusal", "refusal": "I won't."}]


def test_signs_of_life_count_on() -> None:
    """The first names the response, which keeps its id; the model is told when it is known."""
    writer = CODEC.event_writer(context())
    written = writer.keepalive() + writer.write([Begun(id="resp_9", model="small-1")])
    written += writer.write([TextDelta(text="a")]) + writer.keepalive() + writer.write(END)
    strict.events("responses", written)
    found = frames(written)
    assert [event["type"] for event in found[:2]] == ["response.created", "response.in_progress"]
    assert {event["response"]["id"] for event in found if "response" in event} == {"resp_req_1"}
    assert found[-1]["response"]["model"] == "small-1"


def test_a_stream_that_was_opened_before_goes_on() -> None:
    """Its client knows the id already, and number 0 is used up."""
    request_id = "req_1"
    opening = CODEC.opening(request_id)
    written = CODEC.event_writer(context(opened=True)).write(
        [Begun(id="resp_9", model="small-1"), TextDelta(text="a"), *END]
    )
    strict.events("responses", opening + written)


@pytest.mark.parametrize("said", [[], [BEGUN], [BEGUN, TextDelta(text="a")]])
def test_an_error_goes_on_from_what_was_written(said: list[Event]) -> None:
    """A failed response of the same id, the next number, and what went wrong."""
    writer = CODEC.event_writer(context())
    written = frames(writer.write(said) + writer.error(ERROR))
    assert [event["sequence_number"] for event in written] == list(range(len(written)))
    assert {event["response"]["id"] for event in written if "response" in event} == {"resp_req_1"}
    assert written[0]["type"] == "response.created"
    last = written[-1]
    assert last["type"] == "response.failed"
    assert (last["response"]["status"], last["response"]["usage"]) == ("failed", None)
    assert last["response"]["error"]["message"] == "It broke."
    assert last["response"]["error"]["gatewayctl"]["request_id"] == "r"
    strict.event("responses", msgspec.json.encode(last))
    assert writer.write(END) == b""


TEXTS = st.text(max_size=4)
PIECES = st.lists(TEXTS, min_size=1, max_size=3)
SEALS = st.none() | st.builds(Seal, form=st.just("messages.signature"), data=TEXTS)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Draw the events of any answer, calls one after another."""
    found: list[Event] = [BEGUN]
    calls = 0
    for kind in draw(st.lists(st.sampled_from("ttrRcc"), max_size=6)):
        pieces = draw(PIECES)
        if kind == "c":
            name, seal = draw(st.sampled_from(["", "a", "b"])), draw(SEALS)
            found.append(CallBegun(call=calls, id=name and f"{name}{calls}", name="f", seal=seal))
            found += [CallDelta(call=calls, arguments=piece) for piece in pieces]
            calls += 1
            continue
        of = {"t": TextDelta, "r": ThoughtDelta, "R": RefusalDelta}[kind]
        found += [of(text=piece) for piece in pieces]
        if kind == "r" and (seal := draw(SEALS)) is not None:
            found.append(ThoughtEnded(seal=seal))
    found += [Metered(usage=USAGE), Finished(stop=draw(st.sampled_from(Stop))), Ended()]
    return found


@settings(max_examples=40)
@given(events=answers(), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_any_answer_is_written_whole_and_read_back(events: list[Event], cuts: list[int]) -> None:
    """Strictly valid, the same as without a stream, and the same however it is cut."""
    written = stream(*events)
    writer = CODEC.event_writer(context())
    edges = [0, *sorted(cuts), len(events)]
    pairs = pairwise(edges)
    assert b"".join(writer.write(events[start:end]) for start, end in pairs) == written
    reader = CODEC.event_reader()
    back = [event for frame in SseParser(10**7).feed(written) for event in reader.read(frame)]
    whole = CODEC.write_reply(fold(events), context())
    assert fold(back) == fold(CODEC.read_events(whole))
