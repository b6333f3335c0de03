"""Events of the IR, written as a stream or as a whole reply for a Messages client."""

from typing import Any

import msgspec
import pytest
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
    Usage,
    fold,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
ORIGIN = "openai/gpt"
SEAL = Seal(form="responses.encrypted", data="AAAA")
BEGUN = Begun(id="chatcmpl-1", model="gpt-5")
USAGE = Usage(input=5, input_cache_read=7, output=9, reasoning_output=4, audio=1, image=2)


def context(thinking: Thinking | None = None) -> ReplyContext:
    """Return what a reply is written with."""
    prompt = Prompt(protocol=WireProtocol.MESSAGES, model="asked", messages=(), thinking=thinking)
    return ReplyContext(id="req_1", origin=ORIGIN, prompt=prompt, now=lambda: 1.0)


def frames(stream: bytes) -> list[dict[str, Any]]:
    """Return the data of a stream's frames, which the vendor's own types take."""
    strict.events("messages", stream)
    return [
        msgspec.json.decode(block.split(b"data: ", 1)[1])
        for block in stream.split(b"\n\n")
        if block
    ]


def streamed(*events: Event, thinking: Thinking | None = None) -> list[dict[str, Any]]:
    """Return the frames of a whole stream, written an event at a time."""
    writer = CODEC.event_writer(context(thinking))
    told = (BEGUN, *events, Ended())
    return frames(b"".join(writer.write([event]) for event in told))


def replied(*events: Event, thinking: Thinking | None = None) -> dict[str, Any]:
    """Return the whole reply that events are written as."""
    body = CODEC.write_reply(fold((BEGUN, *events, Ended())), context(thinking))
    strict.reply("messages", body)
    found: dict[str, Any] = msgspec.json.decode(body)
    return found


def gathered(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the blocks that a client makes of a stream."""
    blocks: list[dict[str, Any]] = []
    arguments: dict[int, str] = {}
    for frame in told:
        match frame:
            case {"type": "content_block_start", "content_block": block}:
                blocks.append(block)
            case {"type": "content_block_delta", "index": at, "delta": {"partial_json": text}}:
                arguments[at] = arguments.get(at, "") + text
            case {"type": "content_block_delta", "index": at, "delta": delta}:
                (name,) = delta.keys() - {"type"}
                blocks[at][name] += delta[name]
    for at, text in arguments.items():
        blocks[at]["input"] = msgspec.json.decode(text)
    return blocks


EVERYTHING = (
    ThoughtDelta(text="hm"),
    ThoughtDelta(text="m"),
    ThoughtEnded(seal=SEAL),
    ThoughtEnded(seal=SEAL),
    ThoughtDelta(text="plain"),
    TextDelta(text="He"),
    TextDelta(text="llo"),
    CallBegun(call=0, id="call_1", name="f"),
    CallDelta(call=0, arguments='{"a":'),
    CallDelta(call=0, arguments="1}"),
    CallBegun(call=1, id="", name="g", seal=SEAL),
    RefusalDelta(text="No."),
    Metered(usage=USAGE, tier="default"),
    Finished(stop=Stop.CALLS),
)


def test_a_stream_opens_and_closes_each_block_once() -> None:
    """In the order of the answer, a thought signed before its end, all of it strictly valid."""
    told = streamed(*EVERYTHING)
    tag = provenance.tag(SEAL, ORIGIN)
    plain = provenance.tag(None, ORIGIN)
    said = [
        (frame["type"], *(frame.get("delta") or frame.get("content_block") or {}).values())
        for frame in told
    ]
    start, delta, stop = "content_block_start", "content_block_delta", "content_block_stop"
    assert said[1:-2] == [
        (start, "thinking", "", ""),
        (delta, "thinking_delta", "hm"),
        (delta, "thinking_delta", "m"),
        (delta, "signature_delta", tag),
        (stop,),
        (start, "redacted_thinking", tag),
        (stop,),
        (start, "thinking", "", ""),
        (delta, "thinking_delta", "plain"),
        (delta, "signature_delta", plain),
        (stop,),
        (start, "text", "", None),
        (delta, "text_delta", "He"),
        (delta, "text_delta", "llo"),
        (stop,),
        (start, "tool_use", "call_1", "f", {}, {"type": "direct"}),
        (delta, "input_json_delta", '{"a":'),
        (delta, "input_json_delta", "1}"),
        (stop,),
        (start, "redacted_thinking", tag),
        (stop,),
        (start, "tool_use", "toolu_req_1_1", "g", {}, {"type": "direct"}),
        (stop,),
        (start, "text", "", None),
        (delta, "text_delta", "No."),
        (stop,),
    ]
    assert [frame["index"] for frame in told if frame["type"] == start] == list(range(8))


def test_a_whole_reply_has_the_blocks_of_its_stream() -> None:
    """The same ids, signatures and arguments, however it was told."""
    assert replied(*EVERYTHING)["content"] == gathered(streamed(*EVERYTHING))


def test_every_field_is_there() -> None:
    """Null where it is unknown, in a stream and without one."""
    body = replied(*EVERYTHING)
    told = streamed(*EVERYTHING)
    usage = {
        "input_tokens": 8,
        "cache_creation_input_tokens": None,
        "cache_read_input_tokens": 7,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": None,
        "cache_creation": None,
        "service_tier": "standard",
        "speed": None,
        "inference_geo": None,
    }
    ending = {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None}
    head = {
        "id": "msg_req_1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-5",
        "container": None,
    }
    content = {"content": body["content"]}
    assert body == head | content | ending | {"usage": usage}
    assert told[0]["message"].keys() == body.keys()
    assert told[0]["message"]["usage"].keys() == body["usage"].keys()
    assert told[-2] == {
        "type": "message_delta",
        "delta": {"container": None} | ending,
        "usage": usage,
    }
    assert told[-1] == {"type": "message_stop"}


def test_what_is_known_at_the_start_is_in_it() -> None:
    """Whatever came before the first content: the message begins with that."""
    writer = CODEC.event_writer(context())
    assert writer.write([Begun(id="msg_9", model="m")]) == b""
    first = writer.write([Metered(usage=USAGE)]) + writer.write([TextDelta(text="a")])
    message = frames(first + writer.write([Finished(stop=Stop.END), Ended()]))[0]["message"]
    assert message["id"] == "msg_9"
    assert message["usage"]["input_tokens"] == 8
    assert message["usage"]["cache_read_input_tokens"] == 7


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (Stop.END, "end_turn"),
        (Stop.BUDGET, "max_tokens"),
        (Stop.CALLS, "end_turn"),
        (Stop.SEQUENCE, "stop_sequence"),
        (Stop.FILTER, "refusal"),
        (Stop.REFUSAL, "refusal"),
        (Stop.PAUSE, "pause_turn"),
        (Stop.WINDOW, "model_context_window_exceeded"),
        (Stop.OTHER, "end_turn"),
    ],
)
def test_why_an_answer_ends(stop: Stop, reason: str) -> None:
    """Each reason in Anthropic's words, calls only where there were some."""
    finished = Finished(stop=stop, sequence="x")
    body, delta = replied(finished), streamed(finished)[-2]["delta"]
    assert body["stop_reason"] == delta["stop_reason"] == reason
    sequence = "x" if reason == "stop_sequence" else None
    assert body["stop_sequence"] == delta["stop_sequence"] == sequence
    assert body["stop_details"] == delta["stop_details"]
    assert (body["stop_details"] is not None) is (reason == "refusal")


def test_an_answer_with_calls_ends_in_them() -> None:
    """Clients run tools for that reason alone, and some upstreams only say that they stop."""
    call = CallBegun(call=0, id="c", name="f")
    for finished in ((Finished(stop=Stop.END),), ()):
        assert streamed(call, *finished)[-2]["delta"]["stop_reason"] == "tool_use"
        assert replied(call, *finished)["stop_reason"] == "tool_use"
    assert replied(call, Finished(stop=Stop.BUDGET))["stop_reason"] == "max_tokens"


def test_thinking_is_never_in_a_block_of_text_litellm_32357() -> None:
    """However text and thoughts take turns, each is told in a block of its own."""
    events = (
        TextDelta(text="a"),
        ThoughtDelta(text="b"),
        TextDelta(text="c"),
        ThoughtDelta(text="d"),
        ThoughtEnded(seal=SEAL),
        ThoughtDelta(text="e"),
    )
    kinds = [
        (it["type"], it.get("text") or it.get("thinking")) for it in replied(*events)["content"]
    ]
    assert kinds == [
        ("text", "a"),
        ("thinking", "b"),
        ("text", "c"),
        ("thinking", "d"),
        ("thinking", "e"),
    ]
    assert gathered(streamed(*events)) == replied(*events)["content"]


def test_arguments_are_told_whole_however_they_come_litellm_25321() -> None:
    """Side by side, in pieces, or in a form that is no object: nothing of them is lost."""
    events = (
        CallBegun(call=0, id="a", name="f"),
        CallBegun(call=1, id="b", name="g"),
        CallDelta(call=1, arguments='{"y":'),
        CallDelta(call=0, arguments='{"x":1}'),
        CallDelta(call=1, arguments="2}"),
        Finished(stop=Stop.CALLS),
    )
    assert [block["input"] for block in gathered(streamed(*events))] == [{"x": 1}, {"y": 2}]
    assert replied(*events)["content"] == gathered(streamed(*events))
    cut = replied(CallBegun(call=0, id="a", name="f"), CallDelta(call=0, arguments='{"x":'))
    assert cut["content"][0]["input"] == {"arguments": '{"x":'}


def test_thoughts_are_not_shown_to_a_client_that_wants_them_left_out() -> None:
    """Their proof is, and a text that its model wants back is in there."""
    hidden = Thinking(adaptive=True, visible=False)
    events = (ThoughtDelta(text="hm"), ThoughtEnded(seal=SEAL), ThoughtDelta(text="plain"))
    blocks = gathered(streamed(*events, thinking=hidden))
    assert blocks == replied(*events, thinking=hidden)["content"]
    assert [block["thinking"] for block in blocks] == ["", ""]
    seals = [provenance.tagged(block["signature"]) for block in blocks]
    assert seals == [
        Seal(form="responses.encrypted", data="AAAA", origin=ORIGIN),
        Seal(form="text", data="plain", origin=ORIGIN),
    ]


def test_proofs_behind_the_last_text_are_left_out() -> None:
    """Gemini's last part may only prove a thought; Claude Code would show that as the answer."""
    text, proof = TextDelta(text="Hello"), ThoughtEnded(seal=SEAL)
    for events, kinds in (
        ((text, proof, proof), ["text"]),
        ((proof, text, proof), ["redacted_thinking", "text"]),
        ((proof, proof), ["redacted_thinking", "redacted_thinking"]),
        (
            (text, proof, CallBegun(call=0, id="a", name="f")),
            ["text", "redacted_thinking", "tool_use"],
        ),
    ):
        assert [block["type"] for block in gathered(streamed(*events))] == kinds
        assert [block["type"] for block in replied(*events)["content"]] == kinds


def test_ids_of_calls_are_unlike_and_fit() -> None:
    """Also where an upstream gives none, the same ones twice, or in letters that are refused."""
    events = tuple(
        CallBegun(call=number, id=call_id, name="f")
        for number, call_id in enumerate(("", "x", "x", "functions.f:0", ""))
    )
    found = [block["id"] for block in gathered(streamed(*events, Finished(stop=Stop.CALLS)))]
    assert len(set(found)) == 5
    assert found == [block["id"] for block in replied(*events)["content"]]
    assert all(set(call_id) <= set(MADE_OF) for call_id in found)


MADE_OF = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


def test_another_answer_is_not_told() -> None:
    """No client of this protocol asks for more than one."""
    events = (TextDelta(text="a"), TextDelta(text="b", choice=1), Finished(stop=Stop.END, choice=1))
    assert gathered(streamed(*events)) == [{"type": "text", "text": "a", "citations": None}]


def test_tiers_are_told_where_this_protocol_knows_them() -> None:
    """Others are unknown here."""
    tiers = {"default": "standard", "priority": "priority", "batch": "batch", "flex": None}
    for tier, known in tiers.items():
        assert replied(Metered(usage=USAGE, tier=tier))["usage"]["service_tier"] == known
    fast = replied(Metered(usage=USAGE, tier="fast"))["usage"]
    assert (fast["speed"], fast["service_tier"]) == ("fast", None)


def test_cache_writes_are_told_by_their_life() -> None:
    """The sum, and each of them."""
    written = Usage(input_cache_write_5m=1, input_cache_write_1h=2)
    usage = replied(Metered(usage=written))["usage"]
    assert usage["cache_creation_input_tokens"] == 3
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": 1,
        "ephemeral_1h_input_tokens": 2,
    }


def test_an_empty_reply_is_a_message() -> None:
    """Without an answer, without anything known."""
    body = CODEC.write_reply(Reply(), context())
    strict.reply("messages", body)
    assert msgspec.json.decode(body)["content"] == []
    assert msgspec.json.decode(body)["model"] == "asked"


def test_parts_without_text_are_no_blocks() -> None:
    """Nothing can be said with an empty one."""
    parts = (Text(text=""), Thought(), Thought(id="rs_1"), Refusal(text=""), Call(id="c", name="f"))
    body = CODEC.write_reply(Reply(choices=(Choice(parts=parts),)), context())
    assert [block["type"] for block in msgspec.json.decode(body)["content"]] == ["tool_use"]


def test_errors_and_signs_of_life_may_stand_anywhere() -> None:
    """They are frames of their own, in the dialect's form."""
    writer = CODEC.event_writer(context())
    assert writer.keepalive() == b'event: ping\ndata: {"type":"ping"}\n\n'
    writer.write([BEGUN, TextDelta(text="a")])
    error = writer.error(ApiError(kind=ErrorKind.UPSTREAM_FAILED, message="broke"))
    assert error.startswith(b"event: error\ndata: ")
    assert msgspec.json.decode(error.split(b"data: ")[1])["error"]["message"] == "broke"
