"""What is said in prompts, written for upstreams that speak the Responses protocol."""

import pytest
from support.asking_responses import HELLO, ORIGIN, PNG, assistant, items, user, write

from gatewayctl.core.conversation import (
    Call,
    Image,
    Message,
    Refusal,
    Result,
    Role,
    Seal,
    Text,
    Thought,
)
from gatewayctl.protocols.losses import Loss


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
