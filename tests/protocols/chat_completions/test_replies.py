"""Replies of the IR, written whole for clients of Chat Completions."""

from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion
from support import strict

from gatewayctl.core.conversation import Call, Prompt, Refusal, Seal, Text, Thought
from gatewayctl.core.events import Choice, Reply, Stop, TokenProbability, Usage
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import ReplyContext

CODEC = ChatCompletionsCodec()
ORIGIN = "a/claude"
SEAL = Seal(form="messages.signature", data="sig")
USAGE = Usage(
    input=5,
    input_cache_read=3,
    input_cache_write_5m=2,
    input_cache_write_1h=1,
    image=4,
    output=7,
    reasoning_output=6,
)


def context(**asked: Any) -> ReplyContext:
    """Return what a reply to a request with these fields is written with."""
    fields = {"protocol": WireProtocol.CHAT_COMPLETIONS, "model": "alias", "messages": ()} | asked
    return ReplyContext(id="req_1", origin=ORIGIN, prompt=Prompt(**fields), now=lambda: 17.9)


def written(reply: Reply, **asked: Any) -> dict[str, Any]:
    """Return the fields of a reply, which is of OpenAI's own type to the letter."""
    body = CODEC.write_reply(reply, context(**asked))
    assert isinstance(strict.reply("chat_completions", body), ChatCompletion)
    found: dict[str, Any] = msgspec.json.decode(body)
    return found


def choice(*parts: Any, stop: Stop | None = Stop.END, **asked: Any) -> dict[str, Any]:
    """Return the only choice of a reply with these parts."""
    (found,) = written(Reply(choices=(Choice(parts=parts, stop=stop),)), **asked)["choices"]
    return dict(found)


def test_every_field_that_openai_sends_is_there() -> None:
    """Null where nothing is known, and the details of the usage always."""
    reply = Reply(
        id="msg_1",
        model="claude",
        created=99,
        choices=(Choice(parts=(Text(text="a"),), stop=Stop.END),),
        usage=USAGE,
        tier="priority",
    )
    assert written(reply) == {
        "id": "chatcmpl-req_1",
        "object": "chat.completion",
        "created": 99,
        "model": "claude",
        "service_tier": "priority",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "a",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 15,
            "completion_tokens": 7,
            "total_tokens": 22,
            "prompt_tokens_details": {
                "cached_tokens": 3,
                "cache_write_tokens": 3,
                "audio_tokens": 0,
                "image_tokens": 4,
            },
            "completion_tokens_details": {
                "reasoning_tokens": 6,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_what_is_not_known_is_made_of_the_request() -> None:
    """An id of OpenAI's form stays; the model is the one asked for; the time is now."""
    found = written(Reply(choices=(Choice(),)))
    assert (found["id"], found["model"], found["created"]) == ("chatcmpl-req_1", "alias", 17)
    assert found["usage"] is None
    assert not found.keys() & {"service_tier", "system_fingerprint"}
    assert written(Reply(id="chatcmpl-x"))["id"] == "chatcmpl-x"
    assert "service_tier" not in written(Reply(tier="batch"))
    assert written(Reply(tier="standard"))["service_tier"] == "default"


def test_text_and_calls_and_refusals_have_their_own_fields() -> None:
    """Content is null only where something else is said."""
    assert choice()["message"]["content"] == ""
    assert choice(Thought(text="hm"))["message"]["content"] == ""
    assert choice(Refusal(text="no"))["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "no",
        "annotations": [],
    }
    calls = (Call(id="c", name="f", arguments='{"a":1}'), Call(id="", name="g"))
    message = choice(Text(text="a"), *calls, Text(text="b"))["message"]
    assert message["content"] == "ab"
    assert message["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {
            "id": "call_req_1_0_1",
            "type": "function",
            "function": {"name": "g", "arguments": "{}"},
        },
    ]
    assert choice(*calls)["message"]["content"] is None


def test_thoughts_are_told_beside_the_text_and_proven_by_a_tag() -> None:
    """Whoever sends the details back gives the model its thoughts again; the rest is only shown."""
    hidden = Seal(form="messages.redacted", data="r")
    proof = Seal(form="gemini.call.0", data="g")
    message = choice(
        Thought(text="shown"),
        Text(text="a"),
        Thought(text="proven", seal=SEAL, id="rs_1"),
        Thought(seal=hidden),
        Call(id="c", name="f", seal=proof),
    )["message"]
    assert message["reasoning_content"] == "shownproven"
    assert message["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "proven",
            "signature": provenance.tag(SEAL, ORIGIN),
            "id": "rs_1",
            "format": None,
            "index": 0,
        },
        {
            "type": "reasoning.encrypted",
            "data": provenance.tag(hidden, ORIGIN),
            "id": None,
            "format": None,
            "index": 1,
        },
        {
            "type": "reasoning.encrypted",
            "data": provenance.tag(proof, ORIGIN),
            "id": "c",
            "format": None,
            "index": 2,
        },
    ]


def test_what_was_told_of_thoughts_comes_back_as_it_was() -> None:
    """A client that sends a message back loses nothing that proves a thought."""
    parts = (
        Thought(text="proven", seal=SEAL, id="rs_1"),
        Thought(seal=Seal(form="messages.redacted", data="r")),
        Text(text="a"),
        Call(id="c", name="f", seal=Seal(form="gemini.call.0", data="g")),
    )
    body = {"model": "m", "messages": [choice(*parts)["message"]]}
    (turn,) = CODEC.read_prompt(msgspec.json.encode(body)).messages
    assert turn.parts == tuple(
        part
        if isinstance(part, Text) or part.seal is None
        else msgspec.structs.replace(part, seal=msgspec.structs.replace(part.seal, origin=ORIGIN))
        for part in parts
    )


@pytest.mark.parametrize(
    ("stop", "parts", "reason"),
    [
        (Stop.END, (Text(text="a"),), "stop"),
        (Stop.END, (Call(id="c", name="f"),), "tool_calls"),
        (Stop.CALLS, (Call(id="c", name="f"),), "tool_calls"),
        (Stop.BUDGET, (Call(id="c", name="f"),), "length"),
        (Stop.WINDOW, (), "length"),
        (Stop.SEQUENCE, (), "stop"),
        (Stop.FILTER, (), "content_filter"),
        (Stop.REFUSAL, (), "content_filter"),
        (Stop.REFUSAL, (Refusal(text="no"),), "stop"),
        (Stop.PAUSE, (), "stop"),
        (Stop.OTHER, (), "stop"),
        (None, (), "stop"),
    ],
)
def test_why_an_answer_ends(stop: Stop | None, parts: tuple[Any, ...], reason: str) -> None:
    """In OpenAI's words, where a call is a call whatever the upstream named as its reason."""
    assert choice(*parts, stop=stop)["finish_reason"] == reason


def test_probabilities_have_all_their_fields() -> None:
    """The bytes of a token are not known."""
    top = TokenProbability(token="b", logprob=-1.0)
    told = (TokenProbability(token="a", logprob=-0.5, top=(top,)),)
    (found,) = written(Reply(choices=(Choice(logprobs=told),)))["choices"]
    assert found["logprobs"] == {
        "content": [
            {
                "token": "a",
                "bytes": None,
                "logprob": -0.5,
                "top_logprobs": [{"token": "b", "bytes": None, "logprob": -1.0}],
            }
        ],
        "refusal": None,
    }


def test_a_client_of_functions_is_told_a_call_in_the_older_form() -> None:
    """It looks nowhere else; a second call, which it did not expect, is not lost."""
    calls = (Call(id="c", name="f", arguments='{"a":1}'), Call(id="d", name="g"))
    found = choice(calls[0], stop=Stop.CALLS, legacy_functions=True)
    assert found["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in found["message"]
    assert found["finish_reason"] == "function_call"
    both = choice(*calls, legacy_functions=True)["message"]
    assert both["tool_calls"][0]["id"] == "d"


def test_several_answers_keep_their_numbers() -> None:
    """Ids that are made tell the answers apart."""
    call = Choice(parts=(Call(id="", name="f"),), stop=Stop.CALLS)
    found = written(Reply(choices=(call, call)))["choices"]
    assert [it["index"] for it in found] == [0, 1]
    assert [it["message"]["tool_calls"][0]["id"] for it in found] == [
        "call_req_1_0_0",
        "call_req_1_1_0",
    ]
