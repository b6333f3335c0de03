"""Gemini replies and streams read as events of the IR, and written of them."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strict

from gatewayctl.core.conversation import Call, Prompt, Refusal, Seal, Text, Thinking, Thought
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Choice,
    Ended,
    Event,
    Finished,
    Metered,
    RefusalDelta,
    Reply,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    TokenProbability,
    Usage,
    fold,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import BadFrame, ReplyContext
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.sse import SseEvent, SseParser

CODEC = GeminiCodec()
CALL = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c1"}
SEAL = Seal(form="messages.signature", data="s")


def context(thinking: Thinking | None = None) -> ReplyContext:
    """Return what a reply is written with."""
    prompt = Prompt(protocol=WireProtocol.GEMINI, model="asked", messages=(), thinking=thinking)
    return ReplyContext(id="req_1", origin="up/m", prompt=prompt, now=lambda: 0.0)


def body(*parts: Any, index: int = 0, reason: str | None = "STOP", **fields: Any) -> bytes:
    """Return a reply of one candidate."""
    candidate = {"content": {"role": "model", "parts": parts}, "index": index}
    if reason is not None:
        candidate["finishReason"] = reason
    return json.dumps({"candidates": [candidate], "responseId": "r", **fields}).encode()


def read(*frames: bytes) -> list[Event]:
    """Return what a stream of these frames says."""
    reader = CODEC.event_reader()
    found: list[Event] = []
    for frame in frames:
        found += reader.read(SseEvent(raw=b"", data=frame))
    return [*found, *reader.end()]


def written(events: Sequence[Event], *, together: bool = True, **fields: Any) -> bytes:
    """Return the stream that says these events, at once or one at a time."""
    writer = CODEC.event_writer(context(**fields))
    if together:
        return writer.write(events)
    return b"".join(writer.write([event]) for event in events)


def told(stream: bytes) -> list[dict[str, Any]]:
    """Return all parts of a stream's first candidate."""
    frames = [msgspec.json.decode(data) for _, data in strict.frames("gemini", stream)]
    return [part for frame in frames for part in frame["candidates"][0]["content"]["parts"]]


def test_a_frame_is_read_part_by_part() -> None:
    """Thoughts, text and whole calls, each with the signature that it came with."""
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}
    found = read(
        body({"text": "hm", "thought": True}, reason=None, modelVersion="m-1"),
        body({"text": "a"}, {"text": "b", "thoughtSignature": "t1"}, reason=None),
        body(CALL, {"functionCall": {"id": "x", "name": "g"}}, usageMetadata=usage),
    )
    assert found == [
        Begun(id="r", model="m-1"),
        ThoughtDelta(text="hm"),
        TextDelta(text="a"),
        TextDelta(text="b"),
        ThoughtEnded(seal=Seal(form="gemini.text", data="t1")),
        Metered(usage=Usage(input=9, output=5, reasoning_output=3)),
        CallBegun(call=0, id="", name="f", seal=Seal(form="gemini.call.0", data="c1")),
        CallDelta(call=0, arguments='{"a":1}'),
        CallBegun(call=1, id="x", name="g"),
        CallDelta(call=1, arguments="{}"),
        Finished(stop=Stop.CALLS),
        Ended(),
    ]


def test_a_signature_behind_a_thought_is_not_that_thoughts() -> None:
    """An empty part has its own, which goes back in a part of its own."""
    reply = fold(read(body({"text": "hm", "thought": True}, {"text": "", "thoughtSignature": "p"})))
    assert reply.choices[0].parts == (
        Thought(text="hm"),
        Thought(seal=Seal(form="gemini.part", data="p")),
    )


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", Stop.END),
        ("MAX_TOKENS", Stop.BUDGET),
        ("SAFETY", Stop.FILTER),
        ("RECITATION", Stop.FILTER),
        ("SOMETHING_NEW", Stop.OTHER),
    ],
)
def test_why_an_answer_ends(reason: str, stop: Stop) -> None:
    """Reasons nobody else knows, and new ones, are another reason."""
    (choice,) = fold(read(body({"text": "a"}, reason=reason))).choices
    assert choice.stop is stop


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_an_answer_that_broke_off_is_none(reason: str) -> None:
    """Google's own clients ask again; any other would take it for an answer that is whole."""
    with pytest.raises(BadFrame, match=reason):
        read(body({"text": "a"}, reason=reason))
    with pytest.raises(BadFrame, match=reason):
        CODEC.read_events(body(reason=reason))


def test_a_refused_prompt_is_an_answer_cut_by_the_filter() -> None:
    """There is no candidate then, only why."""
    frame = b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}'
    assert read(frame)[-2:] == [Finished(stop=Stop.FILTER), Ended()]
    assert CODEC.read_events(frame)[-2:] == [Finished(stop=Stop.FILTER), Ended()]
    assert CODEC.read_reply(frame).usage == Usage(input=4, output=0)


def test_candidates_end_when_the_stream_does() -> None:
    """A reason in the middle ends none of them: the last one holds, at the very end."""
    both = {
        "candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
            {"content": {"parts": [{"text": "b"}]}, "index": 1},
        ]
    }
    end = body({"text": "c"}, index=1)
    more = body({"text": "d"}, index=0)
    found = read(json.dumps(both).encode(), end, more)
    reply = fold(found)
    assert [choice.parts for choice in reply.choices] == [(Text(text="ad"),), (Text(text="bc"),)]
    assert found[-3:] == [
        Finished(stop=Stop.END, choice=0),
        Finished(stop=Stop.END, choice=1),
        Ended(),
    ]


def test_probabilities_belong_to_the_text_of_their_frame() -> None:
    """Zero is left out by Google's servers."""
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}]}, {}],
    }
    frame = json.loads(body({"text": "ab"}))
    frame["candidates"][0]["logprobsResult"] = result
    (choice,) = fold(read(json.dumps(frame).encode())).choices
    assert choice.logprobs == (
        TokenProbability(token="a", logprob=-0.5, top=(TokenProbability(token="a", logprob=-0.5),)),
        TokenProbability(token="b", logprob=0.0),
    )


@pytest.mark.parametrize(
    "wrong", [b"", b"{", b"[]", b"{}", b'{"candidates":[]}', b'{"error":{"message":"x"}}']
)
def test_what_is_no_reply_is_a_bad_frame(wrong: bytes) -> None:
    """Nothing is made of it."""
    with pytest.raises(BadFrame):
        CODEC.read_events(wrong)


def test_each_event_is_told_at_once_and_a_call_whole() -> None:
    """The arguments are gathered; the last frame has the reason and the usage."""
    events: list[Event] = [
        Begun(id="x", model="m-1"),
        TextDelta(text="a"),
        CallBegun(call=0, id="c", name="f"),
        CallDelta(call=0, arguments='{"a"'),
        CallDelta(call=0, arguments=":1.0}"),
        Metered(usage=Usage(input=3, input_cache_read=2, output=5, reasoning_output=1)),
        Finished(stop=Stop.CALLS),
        Ended(),
    ]
    stream = written(events)
    parsed = strict.events("gemini", stream)
    strict.complete_events("gemini", stream)
    assert told(stream)[:2] == [
        {"text": "a"},
        {"functionCall": {"id": "c", "name": "f", "args": {"a": 1.0}}},
    ]
    last = parsed[-1]
    assert last.candidates[0].finish_reason == "STOP"
    assert (last.model_version, last.response_id) == ("m-1", "req_1")
    usage = last.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (5, 2)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (4, 1)
    assert usage.total_token_count == 10


def test_thoughts_stand_in_the_signature_of_the_call_that_follows() -> None:
    """Where a client keeps them; before a text they have a part of their own."""
    events: list[Event] = [
        ThoughtDelta(text="hm"),
        ThoughtEnded(seal=SEAL),
        CallBegun(call=0, id="c", name="f"),
        Finished(stop=Stop.CALLS),
        Ended(),
    ]
    thought, call = told(written(events))
    assert thought == {"text": "hm", "thought": True}
    assert "thoughtSignature" in call
    events[2:4] = [TextDelta(text="a"), Finished(stop=Stop.END)]
    thought, signature, text, _ = told(written(events))
    assert (signature["thought"], signature["text"]) == (True, "")
    assert text == {"text": "a"}


def test_thoughts_before_a_text_are_kept_by_the_call_behind_it() -> None:
    """Gemini CLI leaves out whatever is a thought, and most models say a word before they call."""
    events: list[Event] = [
        ThoughtDelta(text="hm"),
        ThoughtEnded(seal=SEAL),
        TextDelta(text="Let me see."),
        CallBegun(call=0, id="c", name="f"),
        CallBegun(call=1, id="d", name="f"),
        Finished(stop=Stop.CALLS),
        Ended(),
    ]
    every = [part for part in told(written(events)) if part.get("text") != "" or "thought" in part]
    kept = [part for part in every if "thought" not in part]
    for parts in (every, kept):
        turn = {"role": "model", "parts": parts}
        prompt = CODEC.read_prompt(json.dumps({"contents": [turn]}).encode())
        assert prompt.messages[0].parts == (
            Thought(text="hm", seal=msgspec.structs.replace(SEAL, origin="up/m")),
            Text(text="Let me see."),
            Call(id="c", name="f"),
            Call(id="d", name="f"),
        )


def test_a_client_that_wants_no_thoughts_is_told_their_proof_alone() -> None:
    """It comes back, and costs no reader anything."""
    events: list[Event] = [
        ThoughtDelta(text="secret"),
        ThoughtEnded(seal=SEAL),
        TextDelta(text="a"),
        Finished(stop=Stop.END),
        Ended(),
    ]
    stream = written(events, thinking=Thinking(visible=False))
    assert b"secret" not in stream
    assert [part["text"] for part in told(stream)] == ["", "a", ""]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [(Stop.BUDGET, "MAX_TOKENS"), (Stop.CALLS, "MALFORMED_FUNCTION_CALL"), (Stop.FILTER, "SAFETY")],
)
def test_a_call_that_was_cut_is_not_told(stop: Stop, reason: str) -> None:
    """Nobody could carry it out, and half of its arguments must not look like all of them."""
    events: list[Event] = [
        CallBegun(call=0, id="c", name="f"),
        CallDelta(call=0, arguments='{"a":'),
        Finished(stop=stop),
        Ended(),
    ]
    stream = written(events)
    assert told(stream) == [{"text": ""}]
    assert json.loads(stream[6:])["candidates"][0]["finishReason"] == reason
    assert b'"f"' not in CODEC.write_reply(fold(events), context())


def test_an_answer_without_a_reason_ends_for_another() -> None:
    """It is whole, and nobody says why."""
    assert written([Ended()]).startswith(b'data: {"candidates":[{"content":')
    assert b'"finishReason":"OTHER"' in written([TextDelta(text="a"), Ended()])


def test_an_error_is_a_frame_in_googles_words() -> None:
    """The daemon breaks the connection off behind it."""
    writer = CODEC.event_writer(context())
    (event,) = SseParser(1 << 20).feed(
        writer.error(ApiError(kind=ErrorKind.UNAVAILABLE, message="m", retry_after=2))
    )
    error = json.loads(event.data)["error"]
    assert (error["code"], error["status"], error["message"]) == (503, "UNAVAILABLE", "m")
    assert error["details"][1]["retryDelay"] == "2.000s"
    assert writer.keepalive() == b"\n"


def test_a_whole_reply_has_every_field_and_candidate() -> None:
    """Validated by Google's own types."""
    found = CODEC.write_reply(
        Reply(
            id="x",
            model="m-1",
            choices=(
                Choice(
                    parts=(Thought(text="hm", seal=SEAL), Text(text="a"), Refusal(text="no")),
                    stop=Stop.REFUSAL,
                    logprobs=(TokenProbability(token="a", logprob=-1.0),),
                ),
                Choice(parts=(Call(id="", name="f", arguments="{}"),), stop=Stop.CALLS),
                Choice(),
            ),
        ),
        context(),
    )
    strict.complete("gemini", found)
    parsed = strict.reply("gemini", found)
    assert [it.finish_reason for it in parsed.candidates] == ["SAFETY", "STOP", "OTHER"]
    assert parsed.candidates[0].content.parts[-1].text == "ano"
    assert parsed.candidates[0].logprobs_result.chosen_candidates[0].token == "a"
    assert parsed.usage_metadata.total_token_count is None


TEXTS = st.text(max_size=6)
SEALS = st.none() | st.builds(
    Seal, form=st.sampled_from(["text", "gemini.part", "messages.signature"]), data=TEXTS
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Return the events of a whole answer of one or two candidates."""
    events: list[Event] = [Begun(id="x", model="m")]
    for choice in range(draw(st.integers(1, 2))):
        calls = 0
        for kind in draw(st.lists(st.sampled_from("trhc"), max_size=5)):
            text = draw(TEXTS)
            match kind:
                case "t":
                    events.append(TextDelta(text=text, choice=choice))
                case "r":
                    events.append(RefusalDelta(text=text, choice=choice))
                case "h":
                    events.append(ThoughtDelta(text=text, choice=choice))
                    events.append(ThoughtEnded(seal=draw(SEALS), choice=choice))
                case _:
                    begun = CallBegun(call=calls, id=f"c{choice}{calls}", name="f", choice=choice)
                    arguments = json.dumps({"a": text})
                    cut = draw(st.integers(0, len(arguments)))
                    deltas = (arguments[:cut], arguments[cut:])
                    events.append(begun)
                    events += (
                        CallDelta(call=calls, arguments=each, choice=choice) for each in deltas
                    )
                    calls += 1
        events.append(Finished(stop=Stop.CALLS if calls else Stop.END, choice=choice))
    usage = Usage(input=draw(st.integers(0, 9)), output=draw(st.integers(0, 9)))
    return [*events, Metered(usage=usage), Ended()]


@settings(max_examples=80)
@given(answers())
def test_a_stream_folds_to_the_whole_reply_however_it_comes(events: list[Event]) -> None:
    """At once or one event at a time the bytes are the same, and so is what they say."""
    stream = written(events)
    assert stream == written(events, together=False)
    strict.events("gemini", stream)
    frames = [data for _, data in strict.frames("gemini", stream)]
    whole = CODEC.write_reply(fold(events), context())
    strict.reply("gemini", whole)
    assert fold(read(*frames)) == fold(CODEC.read_events(whole))


@settings(max_examples=40)
@given(answers(), st.integers(1, 40))
def test_any_chunking_gives_the_same_events(events: list[Event], size: int) -> None:
    """Bytes are cut anywhere on their way."""
    stream = written(events)
    parser, reader = SseParser(1 << 20), CODEC.event_reader()
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    found = [
        each for chunk in chunks for event in parser.feed(chunk) for each in reader.read(event)
    ]
    frames = [data for _, data in strict.frames("gemini", stream)]
    assert [*found, *reader.end()] == read(*frames)
