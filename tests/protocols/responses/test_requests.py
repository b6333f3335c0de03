"""Prompts written for upstreams that speak the Responses protocol."""

import json
from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Format,
    Image,
    Inline,
    Message,
    Mode,
    Part,
    Prompt,
    Refusal,
    Result,
    Role,
    Sampling,
    Seal,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolChoice,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.losses import Loss
from gatewayctl.protocols.responses import requests
from gatewayctl.protocols.responses.codec import ResponsesCodec

ORIGIN = "openai/gpt"
HELLO = Message(role=Role.USER, parts=(Text(text="hi"),))
PNG = Inline(media_type="image/png", data="AAAA")
CODEC = ResponsesCodec()
CHANGES = Changes(model="gpt")


def write(
    *messages: Message, changes: Changes = CHANGES, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write a prompt; return the body, and what was left out."""
    said = {"protocol": WireProtocol.MESSAGES, **fields}
    prompt = Prompt(model="m", messages=messages or (HELLO,), **said)
    written = requests.write(prompt, Target(origin=ORIGIN, changes=changes))
    assert CODEC.shape(written.body).model == "gpt"
    return json.loads(written.body), written.dropped


def items(*messages: Message) -> list[dict[str, Any]]:
    """Return the input items of a prompt's messages, of which nothing is left out."""
    body, dropped = write(*messages)
    assert dropped == ()
    found: list[dict[str, Any]] = body["input"]
    return found


def user(*parts: Part) -> Message:
    """Return a message of the user's."""
    return Message(role=Role.USER, parts=parts)


def assistant(*parts: Part) -> Message:
    """Return a turn of the model's."""
    return Message(role=Role.ASSISTANT, parts=parts)


def test_the_shortest_request_keeps_nothing_and_says_nothing_else() -> None:
    """A server that knows little is sent little."""
    assert write() == (
        {
            "model": "gpt",
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "hi"}],
                }
            ],
            "stream": False,
            "store": False,
        },
        (),
    )


def test_system_messages_that_come_first_are_the_instructions() -> None:
    """A later one stays where it is, as the developer's."""
    body, dropped = write(
        Message(role=Role.SYSTEM, parts=(Text(text="one"), Text(text="two"))),
        Message(role=Role.DEVELOPER, parts=(Text(text="three"),)),
        HELLO,
        Message(role=Role.SYSTEM, parts=(Text(text="four"),)),
    )
    assert body["instructions"] == "one\n\ntwo\n\nthree"
    assert [item["role"] for item in body["input"]] == ["user", "developer"]
    assert dropped == ()


def test_instructions_alone_are_asked_as_a_message() -> None:
    """OpenAI wants an input with something in it."""
    body, dropped = write(Message(role=Role.SYSTEM, parts=(Text(text="Say hi."),)))
    assert "instructions" not in body
    said = {"role": "developer", "content": [{"type": "input_text", "text": "Say hi."}]}
    assert body["input"] == [{"type": "message", **said}]
    assert dropped == ()


def test_a_turn_of_the_models_becomes_items_in_order() -> None:
    """Texts and refusals are one message up to the next call."""
    assert items(
        assistant(
            Text(text="a"),
            Refusal(text="no"),
            Call(id="c1", name="read", arguments='{"x": 1}'),
            Text(text="b"),
        )
    ) == [
        {
            "type": "message",
            "id": "msg_0",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": []},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "read",
            "arguments": '{"x": 1}',
            "status": "completed",
        },
        {
            "type": "message",
            "id": "msg_2",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "b", "annotations": []}],
        },
    ]


def test_results_are_text_or_parts_in_their_order() -> None:
    """One text is a string, which every server takes; anything else is a list."""
    found = items(
        user(
            Result(id="c1", content=(Text(text="one"),)),
            Result(id="c2", content=(Text(text="a"), Image(source=PNG))),
            Result(id="c3"),
            Text(text="so?"),
        )
    )
    assert [item["type"] for item in found] == ["function_call_output"] * 3 + ["message"]
    assert [item.get("output") for item in found] == [
        "one",
        [
            {"type": "input_text", "text": "a"},
            {
                "type": "input_image",
                "image_url": "data:image/png;base64,AAAA",
                "detail": "auto",
            },
        ],
        "",
        None,
    ]


def test_ids_that_openai_refuses_are_replaced_alike_everywhere() -> None:
    """A call and its result still belong together."""
    for given in ("functions.read:0", "x" * 65, ""):
        call, result = items(assistant(Call(id=given, name="f")), user(Result(id=given)))
        assert call["call_id"] == result["call_id"]
        assert 5 < len(call["call_id"]) <= 64
        assert call["call_id"].replace("_", "").isalnum()


def test_a_models_own_thoughts_go_back_as_it_gave_them() -> None:
    """Encrypted with its id, or in the plain text that it was, in summary or content."""
    body, dropped = write(
        assistant(
            Thought(
                text="why",
                seal=Seal(form="responses.encrypted", data="rs_9:gAA:A", origin=ORIGIN),
            ),
            Thought(text="t", seal=Seal(form="responses.text", data="rs_8", origin=ORIGIN)),
            Thought(text="s", seal=Seal(form="text", data="", origin=ORIGIN)),
            Text(text="so"),
        )
    )
    assert body["input"][:3] == [
        {
            "type": "reasoning",
            "id": "rs_9",
            "summary": [{"type": "summary_text", "text": "why"}],
            "encrypted_content": "gAA:A",
        },
        {
            "type": "reasoning",
            "id": "rs_8",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "t"}],
        },
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "s"}]},
    ]
    assert body["include"] == ["reasoning.encrypted_content"]
    assert dropped == ()


def test_reasoning_that_nothing_follows_is_left_out() -> None:
    """OpenAI refuses it without the message or the call that it was for."""
    seal = Seal(form="responses.encrypted", data="rs_1:x", origin=ORIGIN)
    body, dropped = write(HELLO, assistant(Thought(seal=seal)), user(Text(text="go on")))
    assert [item["role"] for item in body["input"]] == ["user", "user"]
    assert dropped == (Loss.REASONING_ALONE,)
    assert "include" not in body
    body, dropped = write(HELLO, assistant(Thought(seal=seal), Call(id="c", name="f")))
    assert [item["type"] for item in body["input"]] == ["message", "reasoning", "function_call"]
    assert dropped == ()


@pytest.mark.parametrize(
    "seal",
    [
        None,
        Seal(form="responses.encrypted", data="rs_1:x"),
        Seal(form="responses.encrypted", data="rs_1:x", origin="openai/other"),
        Seal(form="messages.signature", data="x", origin=ORIGIN),
    ],
)
def test_a_thought_of_another_model_is_left_out(seal: Seal | None) -> None:
    """Its provider would refuse it; that it is gone is said once."""
    thought = Thought(text="t", seal=seal)
    body, dropped = write(assistant(thought, thought, Text(text="so")))
    assert [item["type"] for item in body["input"]] == ["message"]
    assert dropped == (Loss.REASONING_OF_ANOTHER,)
    assert "include" not in body


def test_tools_are_not_strict_unless_they_say_so() -> None:
    """The default here is the opposite of every other protocol's."""
    body, _ = write(
        tools=(
            Tool(name="a"),
            Tool(name="b", description="B.", parameters=b'{"type":"object"}', strict=True),
            Tool(name="c", strict=False),
        ),
        parallel=False,
        tool_choice=ToolChoice(mode=Mode.REQUIRED, names=("a",)),
    )
    assert [tool["strict"] for tool in body["tools"]] == [False, True, False]
    assert body["tools"][0] == {
        "type": "function",
        "name": "a",
        "description": None,
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }
    assert body["parallel_tool_calls"] is False
    assert body["tool_choice"] == {"type": "function", "name": "a"}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode=Mode.AUTO), "auto"),
        (ToolChoice(mode=Mode.NONE), "none"),
        (ToolChoice(mode=Mode.REQUIRED), "required"),
        (
            ToolChoice(mode=Mode.AUTO, names=("a",)),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "a"}],
            },
        ),
    ],
)
def test_choices_of_tools_are_written(choice: ToolChoice, written: object) -> None:
    """Every choice of the IR can be said here."""
    body, dropped = write(tools=(Tool(name="a"), Tool(name="b")), tool_choice=choice)
    assert body["tool_choice"] == written
    assert dropped == ()


@pytest.mark.parametrize(
    ("thinking", "reasoning", "encrypted", "dropped"),
    [
        (None, None, False, ()),
        (Thinking(effort="high"), {"effort": "high", "summary": "auto"}, True, ()),
        (Thinking(adaptive=True), {"summary": "auto"}, True, ()),
        (Thinking(adaptive=True, visible=False), None, True, ()),
        (
            Thinking(budget=5000, detail="detailed", visible=True),
            {"effort": "medium", "summary": "detailed"},
            True,
            (),
        ),
        (Thinking(off=True), None, False, (Loss.REASONING,)),
        (Thinking(off=True, effort="none"), {"effort": "none"}, False, ()),
    ],
)
def test_thinking_is_an_effort_and_comes_back_encrypted(
    thinking: Thinking | None,
    reasoning: dict[str, str] | None,
    encrypted: bool,
    dropped: tuple[str, ...],
) -> None:
    """A model that is not asked to think is not asked for encrypted thoughts either."""
    body, left_out = write(thinking=thinking)
    assert body.get("reasoning") == reasoning
    assert ("include" in body) is encrypted
    assert left_out == dropped


def test_a_summary_is_asked_for_only_where_the_clients_protocol_shows_thoughts() -> None:
    """OpenAI gives summaries to verified organisations alone."""
    body, _ = write(thinking=Thinking(effort="low"), protocol=WireProtocol.CHAT_COMPLETIONS)
    assert body["reasoning"] == {"effort": "low"}


def test_the_form_of_the_answer_and_its_length_are_said() -> None:
    """A schema needs a name here."""
    body, _ = write(format=Format(schema=b'{"type":"object"}'), verbosity="low", logprobs=3)
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}},
        "verbosity": "low",
    }
    assert (body["top_logprobs"], body["include"]) == (3, ["message.output_text.logprobs"])
    body, _ = write(format=Format())
    assert body["text"] == {"format": {"type": "json_object"}}


def test_whatever_has_no_place_is_named() -> None:
    """In the words that all codecs use."""
    call = Call(id="c", name="f", seal=Seal(form="gemini.call", data="x", origin="g/m"))
    _, dropped = write(
        Message(role=Role.SYSTEM, parts=(Text(text="s", cache="5m"),)),
        Message(role=Role.USER, parts=(Image(source=PNG, detail="medium"),), name="ann"),
        assistant(Image(source=PNG), call),
        user(Result(id="c", failed=True)),
        sampling=Sampling(top_k=3, seed=1, presence_penalty=0.5, frequency_penalty=0),
        user="u" * 65,
        verbosity="endless",
        tier="batch",
        output_budget=1,
    )
    assert dropped == (
        Loss.CACHE,
        Loss.NAME_OF_SPEAKER,
        Loss.IMAGE_DETAIL,
        Loss.IMAGE_OF_ASSISTANT,
        Loss.REASONING_OF_ANOTHER,
        Loss.IS_ERROR,
        "an output budget below 16",
        Loss.VERBOSITY,
        Loss.TOP_K,
        Loss.SEED,
        Loss.PRESENCE_PENALTY,
        Loss.TIER,
        Loss.USER,
    )


def test_cache_markers_are_named_wherever_they_stand() -> None:
    """This protocol's servers find out by themselves what to keep."""
    marked = Text(text="a", cache="5m")
    for message in (
        user(marked),
        user(Result(id="c", content=(marked,))),
        assistant(Call(id="c", name="f", cache="1h")),
    ):
        assert write(message)[1] == (Loss.CACHE,)
    assert write(tools=(Tool(name="f", cache="5m"),))[1] == (Loss.CACHE,)


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"stop": ("x",)},
        {"messages": (user(Audio(source=Inline(media_type="audio/wav", data="AA=="))),)},
        {"messages": (user(Image(source=Uploaded(id="file-1"))),)},
    ],
)
def test_what_may_not_be_left_out_is_refused(fields: dict[str, Any]) -> None:
    """As planning knows, so that it never comes to this."""
    said = {"model": "m", "protocol": WireProtocol.MESSAGES, "messages": (HELLO,), **fields}
    with pytest.raises(RequestInvalid):
        requests.write(
            msgspec.convert(said, Prompt),
            Target(origin=ORIGIN, changes=CHANGES),
        )


def test_the_planners_and_the_configs_changes_are_made() -> None:
    """The budget takes the prompt's place; what the config sets or drops has the last word."""
    changes = Changes(
        model="gpt", output_budget=100, set={"store": b"true", "x": b"1"}, drop=("stream",)
    )
    body, dropped = write(changes=changes, output_budget=5000, fast=True, user="u")
    assert body["max_output_tokens"] == 100
    assert (body["store"], body["x"], body["service_tier"], body["user"]) == (
        True,
        1,
        "priority",
        "u",
    )
    assert "stream" not in body
    assert dropped == ()
