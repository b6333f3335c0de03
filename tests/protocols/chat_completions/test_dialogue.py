"""Turns of the IR, written as Chat Completions messages."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Document,
    Image,
    Inline,
    Linked,
    Message,
    Part,
    Prompt,
    Refusal,
    Result,
    Role,
    Seal,
    Text,
    Thought,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import Changes, Target

CODEC = ChatCompletionsCodec()
ORIGIN = "up/m"
PNG = Image(source=Inline(media_type="image/png", data="iVBO"))
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
CALL = Call(id="c1", name="f", arguments='{"a":1}')
CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def turn(role: Role, *parts: Part, name: str | None = None) -> Message:
    """Return one turn."""
    return Message(role=role, parts=parts, name=name)


def user(*parts: Part) -> Message:
    """Return a turn of the user."""
    return turn(Role.USER, *parts)


def model(*parts: Part) -> Message:
    """Return a turn of the model."""
    return turn(Role.ASSISTANT, *parts)


def written(*turns: Message, **flags: bool) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the messages that turns are written as, and what was dropped."""
    prompt = Prompt(protocol=WireProtocol.MESSAGES, model="alias", messages=turns)
    target = Target(origin=ORIGIN, changes=Changes(model="m"), flags=flags)
    found = CODEC.write_prompt(prompt, target)
    return msgspec.json.decode(found.body)["messages"], found.dropped


def test_text_goes_out_as_text() -> None:
    """Many servers of this protocol take no list of parts; instructions stay where they are."""
    assert written(
        turn(Role.SYSTEM, Text(text="a"), Text(text="b", cache="5m")),
        turn(Role.DEVELOPER, Text(text="c")),
        turn(Role.USER, Text(text="d"), Text(text="e"), name="ann"),
        model(Text(text="f"), Text(text="g")),
        turn(Role.SYSTEM, Text(text="later")),
    ) == (
        [
            {"role": "system", "content": "a\n\nb"},
            {"role": "system", "content": "c"},
            {"role": "user", "content": "d\n\ne", "name": "ann"},
            {"role": "assistant", "content": "fg"},
            {"role": "system", "content": "later"},
        ],
        ("cache_control",),
    )


def test_what_is_no_text_goes_out_in_parts() -> None:
    """Each in OpenAI's form; a document of plain text is text."""
    pdf = Inline(media_type="application/pdf", data="JV")
    (message,), dropped = written(
        user(
            Text(text="see"),
            Image(source=Linked(url="https://a.example/x.png"), detail="low"),
            PNG,
            Audio(source=Inline(media_type="audio/mpeg", data="SUQz")),
            Audio(source=Inline(media_type="audio/x-wav", data="UklG")),
            Document(source=pdf),
            Document(source=pdf, name="a.pdf"),
            Document(text="plain", name="notes"),
        )
    )
    assert message["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
        PNG_PART,
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {
            "type": "file",
            "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JV"},
        },
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JV"},
        },
        {"type": "text", "text": "plain"},
    ]
    assert dropped == ("name of a document",)


def test_results_stand_right_behind_the_calls() -> None:
    """Their pictures follow in the user's next words, since a tool's message holds only text."""
    results = (
        Text(text="now"),
        Result(id="c1", content=(Text(text="1"), PNG, Text(text="2")), failed=True),
        Result(id="c2", cache="5m"),
    )
    assert written(model(CALL, Call(id="c2", name="g")), user(*results), user(Text(text="go"))) == (
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    CALLED,
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "1\n\n2"},
            {"role": "tool", "tool_call_id": "c2", "content": ""},
            {"role": "user", "content": [PNG_PART, {"type": "text", "text": "now"}]},
            {"role": "user", "content": "go"},
        ],
        ("is_error", "cache_control"),
    )


def test_ids_that_are_too_long_are_told_by_something_shorter() -> None:
    """OpenAI takes forty characters; the call and its result keep the same id."""
    found, _ = written(
        model(
            Call(id="c" * 41, name="f"), Call(id="c" * 40, name="f"), Call(id="c" * 42, name="f")
        ),
        user(Result(id="c" * 41), Result(id="c" * 40)),
    )
    first, second, third = (call["id"] for call in found[0]["tool_calls"])
    assert [message["tool_call_id"] for message in found[1:]] == [first, second]
    assert second == "c" * 40
    assert len({first, second, third}) == 3
    assert max(len(first), len(third)) <= 40


def test_pictures_of_results_alone_are_a_message_of_the_user() -> None:
    """They come behind all results of the turn, however these are cut into turns."""
    found, _ = written(
        model(CALL, Call(id="c2", name="g")),
        user(Result(id="c1", content=(PNG,))),
        user(Result(id="c2", content=(Text(text="2"),))),
        model(Text(text="done")),
    )
    assert [message["role"] for message in found] == [
        "assistant",
        "tool",
        "tool",
        "user",
        "assistant",
    ]
    assert found[3]["content"] == [PNG_PART]


def test_the_models_turns_in_a_row_are_one_message() -> None:
    """All calls must stand in the one message before the results."""
    assert written(
        model(Text(text="I look."), CALL),
        model(Call(id="c2", name="g")),
        model(Text(text="And wait."), Refusal(text="no")),
    )[0] == [
        {
            "role": "assistant",
            "content": "I look.\n\nAnd wait.",
            "refusal": "no",
            "tool_calls": [
                CALLED,
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        }
    ]


def test_a_models_own_thoughts_go_back_to_it() -> None:
    """Plain ones as text, a router's as its own details, a call's proof beside the call."""
    details = [{"type": "reasoning.encrypted", "data": "x", "index": 0}]
    extra = {"google": {"thought_signature": "sig"}}
    own = Seal(form="chat_completions.extra_content", data='{"google":{"thought_signature":"sig"}}')
    assert written(
        model(
            Thought(text="hm", seal=Seal(form="text", data="", origin=ORIGIN)),
            Thought(
                text="x",
                seal=Seal(
                    form="chat_completions.details",
                    data=msgspec.json.encode(details).decode(),
                    origin=ORIGIN,
                ),
            ),
            msgspec.structs.replace(CALL, seal=msgspec.structs.replace(own, origin=ORIGIN)),
            Thought(seal=msgspec.structs.replace(own, origin=ORIGIN)),
            msgspec.structs.replace(CALL, id="c2"),
        )
    ) == (
        [
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "reasoning_details": details,
                "tool_calls": [
                    {**CALLED, "extra_content": extra},
                    {**CALLED, "id": "c2", "extra_content": extra},
                ],
            }
        ],
        (),
    )


@pytest.mark.parametrize(
    "seal",
    [
        None,
        Seal(form="text", data="", origin="up/other"),
        Seal(form="text", data=""),
        Seal(form="messages.signature", data="s", origin=ORIGIN),
    ],
)
def test_thoughts_of_other_models_are_left_out(seal: Seal | None) -> None:
    """Recorded once; a turn of nothing else is no message."""
    call = msgspec.structs.replace(CALL, seal=seal)
    found = written(user(Text(text="a")), model(Thought(text="t", seal=seal)), user(Text(text="b")))
    lost = ("reasoning of another model",)
    assert found == ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], lost)
    said = written(model(Thought(text="t", seal=seal), call))
    assert said == ([{"role": "assistant", "content": None, "tool_calls": [CALLED]}], lost)


@pytest.mark.parametrize("data", ["", "[", "{}", "1", "[" * 5000])
def test_a_tag_that_is_not_what_it_was_does_no_harm(data: str) -> None:
    """A client may send anything as what it was given."""
    seals = [
        Seal(form=f"chat_completions.{form}", data=data, origin=ORIGIN)
        for form in ("details", "extra_content", "unknown")
    ]
    (message,), _ = written(model(*(Thought(seal=seal) for seal in seals), CALL))
    assert message["tool_calls"][0]["id"] == "c1"


def test_pictures_where_none_can_be_are_dropped_and_recorded() -> None:
    """Instructions and the model's own turns are text here."""
    assert written(turn(Role.SYSTEM, Text(text="s"), PNG), model(Text(text="a"), PNG)) == (
        [{"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}],
        ("image", "image of the assistant"),
    )


@pytest.mark.parametrize(
    "part",
    [
        Image(source=Uploaded(id="f")),
        Document(source=Uploaded(id="f")),
        Document(source=Linked(url="https://a.example/a.pdf")),
        Audio(source=Linked(url="https://a.example/a.mp3")),
    ],
)
def test_what_cannot_be_sent_here_is_refused(part: Part) -> None:
    """What a model is shown may not be left out."""
    with pytest.raises(RequestInvalid):
        written(user(part))


OWN = Thought(text="why", seal=Seal(form="text", data="", origin=ORIGIN))
OTHERS = Thought(text="why", seal=Seal(form="text", data="", origin="up/other"))


def test_a_thought_goes_back_under_the_name_that_its_server_takes() -> None:
    """Groq and Cerebras refuse any other, Mistral every one."""
    assert written(model(OWN, CALL))[0][0]["reasoning_content"] == "why"
    (told,), dropped = written(model(OWN, CALL), reasoning_content=False)
    assert (told["reasoning"], dropped) == ("why", ())
    assert "reasoning_content" not in told
    (told,), dropped = written(model(OWN, CALL), mistral_rules=True)
    assert told.keys() == {"role", "content", "tool_calls"}
    assert dropped == ("reasoning in the history",)


def test_thoughts_alone_are_no_message() -> None:
    """Moonshot refuses one that says nothing else, and no server needs it."""
    asked = user(Text(text="hi"))
    messages, dropped = written(asked, model(OWN), asked, reasoning_required=True)
    assert [it["role"] for it in messages] == ["user", "user"]
    assert dropped == ("reasoning that nothing follows",)


def test_calls_without_a_thought_are_told_where_one_is_required() -> None:
    """DeepSeek and Moonshot refuse them, though another model's thought cannot be theirs."""
    messages, dropped = written(
        model(OTHERS, CALL), user(Result(id="c1")), model(OWN, CALL), reasoning_required=True
    )
    assert [it.get("reasoning_content") for it in messages] == [" ", None, "why"]
    assert dropped == ("reasoning of another model",)


def test_ids_of_calls_are_nine_letters_and_digits_where_they_must_be() -> None:
    """Mistral refuses others; the same id is the same one everywhere, and a good one stays."""
    call = Call(id="toolu_01-long", name="f")
    messages, _ = written(
        model(call, Call(id="abcDEF123", name="f")),
        user(Result(id=call.id), Result(id="abcDEF123")),
        mistral_rules=True,
    )
    first, second = (it["id"] for it in messages[0]["tool_calls"])
    assert first.isalnum()
    assert len(first) == 9
    assert second == "abcDEF123"
    assert [it["tool_call_id"] for it in messages[1:]] == [first, second]
