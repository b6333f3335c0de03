"""Events of the IR, written as a stream of chunks for clients of Chat Completions."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strict

from gatewayctl.core.conversation import Prompt, Seal
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
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.sse import SseParser

CODEC = ChatCompletionsCodec()
BEGUN = Begun(id="chatcmpl-1", model="m", created=17)
END = (Finished(stop=Stop.END), Ended())
SEAL = Seal(form="messages.signature", data="sig", origin="a/claude")


def context(**asked: Any) -> ReplyContext:
    """Return what a stream for a request with these fields is written with."""
    fields = {"protocol": WireProtocol.CHAT_COMPLETIONS, "model": "alias", "messages": ()} | asked
    return ReplyContext(id="req_1", origin="a/claude", prompt=Prompt(**fields), now=lambda: 17.9)


def stream(events: Iterable[Event], **asked: Any) -> bytes:
    """Return the whole stream, each event written by itself."""
    writer = CODEC.event_writer(context(**asked))
    return b"".join(writer.write([event]) for event in events)


def chunks(*events: Event, **asked: Any) -> list[dict[str, Any]]:
    """Return the chunks of a whole stream, each of OpenAI's own type to the letter."""
    written = stream(events, **asked)
    strict.events("chat_completions", written)
    datas = [it.removeprefix(b"data: ") for it in written.split(b"\n\n") if it]
    assert datas.pop() == b"[DONE]"
    return [msgspec.json.decode(it) for it in datas]


def deltas(*events: Event, **asked: Any) -> list[dict[str, Any]]:
    """Return the deltas of a stream's only choice, the role at its start left out."""
    found = [it["choices"][0]["delta"] for it in chunks(BEGUN, *events, *END, **asked)]
    assert found.pop(0) == {"role": "assistant", "content": "", "refusal": None}
    assert found.pop() == {}
    return found


def test_each_event_is_a_chunk_at_once() -> None:
    """Nothing waits for what comes next, and each chunk says all that OpenAI's says."""
    writer = CODEC.event_writer(context())
    common = (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":17,"model":"m",'
        b'"choices":['
    )
    assert writer.write([BEGUN]) == common + (
        b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null},'
        b'"logprobs":null,"finish_reason":null}]}\n\n'
    )
    assert writer.write([TextDelta(text="a")]) == common + (
        b'{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null}]}\n\n'
    )
    assert writer.write([]) == b""
    assert writer.write(END) == common + (
        b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )


def test_usage_comes_last_and_only_if_the_client_asked() -> None:
    """Then every other chunk says that it is not known yet, as OpenAI's do."""
    metered = Metered(usage=Usage(input=1, output=2), tier="flex")
    found = chunks(BEGUN, TextDelta(text="a"), metered, *END, include_usage=True)
    assert [it["usage"] for it in found[:-1]] == [None] * (len(found) - 1)
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] == 3
    assert [it.get("service_tier") for it in found] == [None, None, "flex", "flex"]
    assert all("usage" not in it for it in chunks(BEGUN, TextDelta(text="a"), metered, *END))
    assert chunks(BEGUN, *END, include_usage=True)[-1]["usage"] is None


def test_thoughts_have_a_field_of_their_own_litellm_32357() -> None:
    """Row 12 of the bug table: thoughts are never told as content."""
    found = deltas(ThoughtDelta(text="h"), ThoughtDelta(text="m"), TextDelta(text="a"))
    assert found == [{"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "a"}]


def test_what_proves_a_thought_comes_with_the_whole_of_it() -> None:
    """A client that collects the details has each thought by itself, in one piece."""
    found = deltas(
        ThoughtDelta(text="unproven"),
        TextDelta(text="a"),
        ThoughtDelta(text="h"),
        ThoughtDelta(text="m"),
        ThoughtEnded(seal=SEAL, id="rs_1"),
        ThoughtEnded(seal=SEAL),
        ThoughtDelta(text="more"),
        ThoughtEnded(),
        TextDelta(text="b"),
    )
    details = [it["reasoning_details"][0] for it in found if "reasoning_details" in it]
    assert [(it["type"], it.get("text"), it["index"], it["id"]) for it in details] == [
        ("reasoning.text", "hm", 0, "rs_1"),
        ("reasoning.encrypted", None, 1, None),
    ]


def test_arguments_are_told_as_deltas_litellm_25321() -> None:
    """Row 12 of the bug table: none of them is lost, side by side or not at all."""
    found = deltas(
        CallBegun(call=0, id="a", name="f"),
        CallBegun(call=1, id="", name="g"),
        CallDelta(call=1, arguments='{"x"'),
        CallDelta(call=0, arguments='{"y":1}'),
        CallDelta(call=1, arguments=":2}"),
        CallBegun(call=2, id="c", name="h"),
        CallDelta(call=2, arguments=""),
    )
    calls = [it["tool_calls"][0] for it in found]
    begun = [it for it in calls if "id" in it]
    assert [(it["index"], it["id"], it["type"], it["function"]) for it in begun] == [
        (0, "a", "function", {"name": "f", "arguments": ""}),
        (1, "call_req_1_0_1", "function", {"name": "g", "arguments": ""}),
        (2, "c", "function", {"name": "h", "arguments": ""}),
    ]
    arguments = ["", "", ""]
    for call in calls:
        arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == ['{"y":1}', '{"x":2}', "{}"]


def test_a_proof_of_a_call_comes_before_it() -> None:
    """Under the id that the client knows the call by."""
    found = deltas(CallBegun(call=0, id="", name="f", seal=SEAL))
    assert found[0]["reasoning_details"][0]["id"] == "call_req_1_0_0"
    assert found[1]["tool_calls"][0]["id"] == "call_req_1_0_0"


def test_a_client_of_functions_is_told_a_call_in_the_older_form() -> None:
    """A second call, which it did not expect, is not lost."""
    events = (
        CallBegun(call=0, id="a", name="f"),
        CallDelta(call=0, arguments="{}"),
        CallBegun(call=1, id="b", name="g"),
        CallDelta(call=1, arguments="{}"),
    )
    found = deltas(*events, legacy_functions=True)
    assert found[:2] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    assert found[2]["tool_calls"][0]["index"] == 0
    last = chunks(BEGUN, *events, *END, legacy_functions=True)[-1]
    assert last["choices"][0]["finish_reason"] == "function_call"


def test_probabilities_come_with_their_text() -> None:
    """Null in every other chunk."""
    told = TextDelta(text="a", logprobs=(TokenProbability(token="a", logprob=-1.0),))
    found = [it["choices"][0]["logprobs"] for it in chunks(BEGUN, told, *END)]
    assert [it is None for it in found] == [True, False, True]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([RefusalDelta(text="no"), Finished(stop=Stop.REFUSAL)], "stop"),
        ([Finished(stop=Stop.REFUSAL)], "content_filter"),
        ([CallBegun(call=0, id="a", name="f"), Finished(stop=Stop.END)], "tool_calls"),
        ([TextDelta(text="a"), Finished(stop=Stop.WINDOW)], "length"),
        ([TextDelta(text="a")], "stop"),
        ([], "stop"),
    ],
)
def test_every_choice_ends_with_a_reason(events: list[Event], reason: str) -> None:
    """Once, even where the upstream says none: the answer is whole all the same."""
    found = [it["choices"][0]["finish_reason"] for it in chunks(BEGUN, *events, Ended())]
    assert found == [None] * (len(found) - 1) + [reason]


def test_answers_side_by_side_each_begin_and_end() -> None:
    """The first delta of each tells the role."""
    found = chunks(
        BEGUN,
        TextDelta(text="x", choice=1),
        TextDelta(text="a"),
        Finished(stop=Stop.BUDGET, choice=1),
        *END,
    )
    told = [(it["choices"][0]["index"], it["choices"][0]["delta"]) for it in found]
    role = {"role": "assistant", "content": "", "refusal": None}
    assert told == [
        (0, role),
        (1, role),
        (1, {"content": "x"}),
        (0, {"content": "a"}),
        (1, {}),
        (0, {}),
    ]


def test_an_upstream_that_does_not_begin_is_begun() -> None:
    """The model is the one asked for, the time is now, and a late beginning changes neither."""
    found = chunks(TextDelta(text="a"), BEGUN, *END)
    assert {(it["id"], it["model"], it["created"]) for it in found} == {
        ("chatcmpl-req_1", "alias", 17)
    }


def test_an_error_is_an_object_and_nothing_says_done() -> None:
    """A client must not take what it has for an answer."""
    writer = CODEC.event_writer(context())
    writer.write([BEGUN, TextDelta(text="a")])
    frame = writer.error(ApiError(kind=ErrorKind.UPSTREAM_FAILED, message="gone"))
    assert msgspec.json.decode(frame.removeprefix(b"data: "))["error"]["message"] == "gone"
    assert b"[DONE]" not in frame
    assert writer.keepalive() == b": keepalive\n\n"


TEXTS = st.sampled_from(["", "a", "b\n", "é", '{"x":', "1}"])


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Return the events of an answer in which anything may follow anything."""
    found: list[Event] = [BEGUN]
    calls = 0
    for kind in draw(st.lists(st.sampled_from("tthrsec"), max_size=8)):
        text = draw(TEXTS)
        match kind:
            case "t":
                found.append(TextDelta(text=text))
            case "h":
                found.append(ThoughtDelta(text=text))
            case "s":
                found += [ThoughtDelta(text=f"{text}."), ThoughtEnded(seal=SEAL)]
            case "r":
                found.append(RefusalDelta(text=text))
            case "e":
                found.append(ThoughtEnded(seal=SEAL, id="e"))
            case _:
                found.append(
                    CallBegun(call=calls, id=draw(st.sampled_from(["", f"c{calls}"])), name="f")
                )
                found += [
                    CallDelta(call=calls, arguments=it) for it in draw(st.lists(TEXTS, max_size=2))
                ]
                calls += 1
    found.append(Metered(usage=Usage(input=3, input_cache_read=2, output=1), tier="flex"))
    return [*found, Finished(stop=draw(st.sampled_from(list(Stop)))), Ended()]


def message_of(written: bytes) -> dict[str, Any]:
    """Return the message that a client puts together from a stream, and why it ends."""
    found: dict[str, Any] = {"content": "", "refusal": "", "reasoning_content": ""}
    details: list[Any] = []
    calls: dict[int, list[Any]] = {}
    for delta, reason in _deltas(written):
        for field in ("content", "refusal", "reasoning_content"):
            found[field] += delta.get(field) or ""
        details += delta.get("reasoning_details", [])
        for call in delta.get("tool_calls", []):
            known = calls.setdefault(call["index"], [call.get("id"), "", ""])
            known[1] += call["function"].get("name", "")
            known[2] += call["function"]["arguments"]
        found["finish_reason"] = reason
    return found | {"details": details, "calls": list(calls.values())}


def _deltas(written: bytes) -> Iterator[tuple[dict[str, Any], str | None]]:
    for event in SseParser(1 << 20).feed(written):
        if event.data != b"[DONE]":
            for choice in msgspec.json.decode(event.data)["choices"]:
                yield choice["delta"], choice["finish_reason"]


@settings(max_examples=60)
@given(events=answers())
def test_a_stream_says_what_the_whole_reply_says(events: list[Event]) -> None:
    """Whatever an upstream answers, both validate, and a client ends up with the same message."""
    written = stream(events, include_usage=True)
    strict.events("chat_completions", written)
    whole = CODEC.write_reply(fold(events), context())
    strict.reply("chat_completions", whole)
    reply = msgspec.json.decode(whole)
    choices = reply["choices"] or [{"message": {}, "finish_reason": None}]
    message = choices[0]["message"]
    assert message_of(written) == {
        "content": message.get("content") or "",
        "refusal": message.get("refusal") or "",
        "reasoning_content": message.get("reasoning_content", ""),
        "details": message.get("reasoning_details", []),
        "calls": [
            [call["id"], call["function"]["name"], call["function"]["arguments"]]
            for call in message.get("tool_calls", [])
        ],
        "finish_reason": choices[0]["finish_reason"],
    }
