"""Replies of Chat Completions servers, whole and streamed, read as events of the IR."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import (
    Begun,
    Choice,
    Ended,
    Event,
    Finished,
    Metered,
    Reply,
    Stop,
    TextDelta,
    ThoughtDelta,
    TokenProbability,
    Usage,
    fold,
)
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.sse import BadFrame, SseEvent, SseParser, write

CODEC = ChatCompletionsCodec()
HEAD = {"id": "chatcmpl-1", "created": 17, "model": "m"}


def data(value: Any) -> SseEvent:
    """Return one event."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return SseParser(1 << 20).feed(write("", raw))[0]


def chunk(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    """Return a chunk with one delta."""
    return {**HEAD, "choices": [{"index": 0, "delta": delta, **choice}]}


def events(chunks: Iterable[Any]) -> list[Event]:
    """Return what a stream of these chunks says, with a ``[DONE]`` at its end."""
    reader = CODEC.event_reader()
    return [event for it in (*chunks, b"[DONE]") for event in reader.read(data(it))]


def streamed(*deltas: dict[str, Any], **last: Any) -> Choice:
    """Return the choice that a stream of these deltas amounts to."""
    chunks = [chunk(delta) for delta in deltas]
    (choice,) = fold(events([*chunks, chunk({}, **({"finish_reason": "stop"} | last))])).choices
    return choice


def whole(message: dict[str, Any], **fields: Any) -> Reply:
    """Return what a whole reply with this message says."""
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**HEAD, "choices": [choice]} | fields
    return fold(CODEC.read_events(msgspec.json.encode(body)))


def call(**fields: Any) -> dict[str, Any]:
    """Return a delta of one tool call; ``name`` and ``arguments`` are the function's."""
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return {"tool_calls": [{"function": function, **fields}]}


def test_each_chunk_is_told_at_once() -> None:
    """What it says comes out with it; the end waits for ``[DONE]``, which alone proves it."""
    reader = CODEC.event_reader()
    assert reader.read(data(chunk({"role": "assistant", "content": ""}))) == [
        Begun(id="chatcmpl-1", model="m", created=17)
    ]
    assert reader.read(data(chunk({"reasoning_content": "hm"}))) == [ThoughtDelta(text="hm")]
    assert reader.read(data(chunk({"content": "a"}))) == [TextDelta(text="a")]
    assert reader.read(data(chunk({}, finish_reason="length"))) == []
    assert reader.read(SseEvent(raw=b": keepalive\n\n")) == ()
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    assert reader.read(data({**HEAD, "choices": [], "usage": usage})) == [
        Metered(usage=Usage(input=3, output=2))
    ]
    assert reader.read(data(b"[DONE]")) == [Finished(stop=Stop.BUDGET), Ended()]


def test_thinking_never_becomes_text_litellm_32357() -> None:
    """Row 12 of the bug table: thoughts were put in a block of text.

    Every field in which servers tell thoughts, alone, twice, or as parts of the content.
    """
    hm = (Thought(text="hm"), Text(text="a"))
    assert (
        streamed({"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "a"}).parts
        == hm
    )
    assert streamed({"reasoning": "hm"}, {"content": "a"}).parts == hm
    assert streamed({"reasoning": "hm", "reasoning_content": "hm", "content": "a"}).parts == hm
    details = [{"type": "reasoning.text", "text": "hm", "index": 0}]
    assert streamed({"reasoning_details": details}, {"content": "a"}).parts == hm
    assert streamed({"reasoning": "hm", "reasoning_details": details}, {"content": "a"}).parts == hm
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert (
        streamed({"content": [thinking]}, {"content": [{"type": "text", "text": "a"}]}).parts == hm
    )
    assert whole({"content": [thinking, {"type": "text", "text": "a"}]}).choices[0].parts == hm
    assert whole({"reasoning_content": "hm", "content": "a"}).choices[0].parts == hm


def test_what_proves_a_routers_thought_is_kept_with_it() -> None:
    """OpenRouter wants its details back as they came, in whatever pieces they did."""
    text = {"type": "reasoning.text", "index": 0, "format": "x"}
    hidden = {"type": "reasoning.encrypted", "index": 1, "data": "enc"}
    found = streamed(
        {"reasoning": "h", "reasoning_details": [text | {"text": "h"}]},
        {"reasoning": "m", "reasoning_details": [text | {"text": "m"}]},
        {"reasoning_details": [text | {"text": "", "signature": "sig"}, hidden]},
        {"content": "a"},
    )
    complete = [text | {"text": "hm", "signature": "sig"}, hidden]
    assert (
        found
        == whole({"content": "a", "reasoning": "hm", "reasoning_details": complete}).choices[0]
    )
    (thought, said) = found.parts
    assert isinstance(thought, Thought)
    assert thought.text == "hm"
    assert thought.seal is not None
    assert thought.seal.form == "chat_completions.details"
    assert msgspec.json.decode(thought.seal.data) == complete
    assert said == Text(text="a")


def test_a_proof_that_comes_last_is_kept_too() -> None:
    """Then it is a thought without words, behind what it proves."""
    hidden = {"type": "reasoning.encrypted", "data": "enc", "id": "c1"}
    found = streamed(call(id="c1", name="f", arguments="{}"), {"reasoning_details": [hidden]})
    assert isinstance(found.parts[0], Call)
    assert isinstance(found.parts[1], Thought)
    assert found.parts[1].seal is not None


def test_a_proof_beside_a_call_is_the_calls() -> None:
    """Google's compatible API refuses the next request without it."""
    extra = {"google": {"thought_signature": "sig"}}
    (found,) = streamed(call(id="c", name="f", arguments="{}", extra_content=extra)).parts
    assert isinstance(found, Call)
    assert found.seal == Seal(
        form="chat_completions.extra_content", data='{"google":{"thought_signature":"sig"}}'
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"finish_reason": "stop"}, Stop.END),
        ({"finish_reason": "length"}, Stop.BUDGET),
        ({"finish_reason": "tool_calls"}, Stop.CALLS),
        ({"finish_reason": "function_call"}, Stop.CALLS),
        ({"finish_reason": "content_filter"}, Stop.FILTER),
        ({"finish_reason": "STOP"}, Stop.END),
        ({"finish_reason": "MAX_TOKENS"}, Stop.BUDGET),
        ({"finish_reason": "model_length"}, Stop.WINDOW),
        ({"finish_reason": "end_turn"}, Stop.END),
        ({"finish_reason": "something_new"}, Stop.OTHER),
        ({"finish_reason": ""}, Stop.END),
        ({"finish_reason": 7}, Stop.END),
        ({"finish_reason": "stop", "stop_reason": 128009}, Stop.END),
        ({"finish_reason": "stop", "stop_reason": "END"}, Stop.SEQUENCE),
        ({"finish_reason": "stop", "matched_stop": "END"}, Stop.SEQUENCE),
        ({"finish_reason": "length", "stop_reason": "END"}, Stop.BUDGET),
    ],
)
def test_why_an_answer_ends(told: dict[str, Any], expected: Stop) -> None:
    """OpenAI's words, other servers', and the stop sequence where vLLM and SGLang tell it."""
    found = streamed({"content": "a"}, **told)
    assert found.stop is expected
    assert found.sequence == ("END" if expected is Stop.SEQUENCE else None)


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource", "abort"])
def test_an_answer_that_broke_off_is_none(reason: str) -> None:
    """The server says so in its reason alone; in another protocol it would look whole."""
    with pytest.raises(BadFrame, match=reason):
        streamed({"content": "a"}, finish_reason=reason)


def test_what_comes_after_a_finish_reason_is_still_said() -> None:
    """Some servers tell the reason with each chunk, or before the last words."""
    said = chunk({"content": "a"}, finish_reason="stop")
    more = chunk(call(index=0, id="c", name="f", arguments="{}"), finish_reason="tool_calls")
    (found,) = fold(events([said, more])).choices
    assert found.parts == (Text(text="a"), Call(id="c", name="f"))
    assert found.stop is Stop.CALLS


def test_a_refusal_is_one_though_its_reason_is_stop() -> None:
    """OpenAI tells it by the field alone."""
    expected = Choice(parts=(Refusal(text="no!"),), stop=Stop.REFUSAL)
    assert streamed({"refusal": "no"}, {"refusal": "!"}) == expected
    assert whole({"content": None, "refusal": "no!"}).choices == (expected,)


def test_answers_side_by_side_stay_apart() -> None:
    """With ``n`` the deltas of several answers come in any order."""
    first, second = {"index": 0}, {"index": 1}
    chunks = [
        {"choices": [first | {"delta": {"content": "a"}}, second | {"delta": {"content": "x"}}]},
        {"choices": [second | {"delta": {"content": "y"}, "finish_reason": "length"}]},
        {"choices": [first | {"delta": {"content": "b"}, "finish_reason": "stop"}]},
    ]
    assert fold(events(chunks)).choices == (
        Choice(parts=(Text(text="ab"),), stop=Stop.END),
        Choice(parts=(Text(text="xy"),), stop=Stop.BUDGET),
    )


def test_probabilities_come_with_their_text() -> None:
    """What has another form than OpenAI's is left out, and no reason to break off an answer."""
    other = {"token": "b", "logprob": -2.5, "bytes": None}
    told = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [other]}]}
    expected = (
        TokenProbability(token="a", logprob=-0.5, top=(TokenProbability(token="b", logprob=-2.5),)),
    )
    for logprobs, found in ((told, expected), ({"tokens": ["a"]}, ()), ([1], ()), (None, ())):
        reply = fold(events([chunk({"content": "a"}, logprobs=logprobs)]))
        assert reply.choices[0].logprobs == found


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
        {
            "choices": [
                {"index": 0, "delta": {}, "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
            ]
        },
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 2}}},
        {"choices": [], "timings": {"prompt_n": 4, "cache_n": 5, "predicted_n": 2}},
    ],
)
def test_usage_wherever_a_server_tells_it(last: dict[str, Any]) -> None:
    """In a chunk of its own, in the choice, or in a field of the server's."""
    usage = fold(events([chunk({"content": "a"}), last])).usage
    assert (usage.input or 0) + (usage.input_cache_read or 0) == 9
    assert usage.output == 2


def test_what_a_whole_reply_says_of_itself() -> None:
    """Cached tokens are apart from the others, and the tier is the upstream's word."""
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert whole({"content": "a"}, usage=usage, service_tier="flex") == Reply(
        id="chatcmpl-1",
        model="m",
        created=17,
        choices=(Choice(parts=(Text(text="a"),), stop=Stop.END),),
        usage=Usage(input=4, input_cache_read=6, output=4, reasoning_output=3),
        tier="flex",
    )


def test_a_server_that_says_nothing_of_itself_is_understood() -> None:
    """No id, a model that is no text, a time of another kind."""
    found = whole({"content": "a"}, id=None, model=7, created="now")
    assert (found.id, found.model, found.created) == (None, None, None)
    assert whole({"content": "a"}, created=17.5).created == 17


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"choices":1}', b"<html>", b"[" * 5000])
def test_what_is_no_reply_is_a_bad_frame(body: bytes) -> None:
    """Whole or in a stream, it is never taken for an empty answer."""
    with pytest.raises(BadFrame):
        CODEC.read_events(body)
    if body not in (b"", b"{}"):
        with pytest.raises(BadFrame):
            CODEC.event_reader().read(data(body))


def test_an_answer_without_any_choice_is_none() -> None:
    """A client would be told that the model had nothing to say; another candidate may have."""
    with pytest.raises(BadFrame):
        CODEC.read_events(b'{"choices": []}')
    reader = CODEC.event_reader()
    reader.read(data({**HEAD, "choices": [], "usage": {"prompt_tokens": 1}}))
    with pytest.raises(BadFrame):
        reader.read(data(b"[DONE]"))
