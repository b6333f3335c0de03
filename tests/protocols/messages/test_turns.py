"""The turns of a prompt, written as Anthropic takes them."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import (
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
    Thinking,
    Thought,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
ORIGIN = "anthropic/claude"
OWN = Seal(form="messages.signature", data="c2ln", origin=ORIGIN)


def user(*parts: Part | str) -> Message:
    """Return a user's message."""
    return said(Role.USER, *parts)


def own(*parts: Part | str) -> Message:
    """Return an assistant's message."""
    return said(Role.ASSISTANT, *parts)


def said(role: Role, *parts: Part | str) -> Message:
    """Return a message of these parts, texts as text."""
    found = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    return Message(role=role, parts=found)


def call(call_id: str, name: str = "f", arguments: str = "{}") -> Call:
    """Return a call."""
    return Call(id=call_id, name=name, arguments=arguments)


def result(call_id: str, *parts: Text | Image | Document) -> Result:
    """Return a result."""
    return Result(id=call_id, content=parts or (Text(text=f"of {call_id}"),))


def body(*messages: Message, model: str = "m", **fields: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the body that is written, and what was dropped.

    Where the assistant would speak first, a question is put before it that is not in the body.
    """
    asked = (user("?"),) if messages[0].role is Role.ASSISTANT else ()
    prompt = Prompt(
        protocol=WireProtocol.RESPONSES,
        model="asked",
        messages=(*asked, *messages),
        **{"output_budget": 9000} | fields,
    )
    written = CODEC.write_prompt(prompt, Target(origin=ORIGIN, changes=Changes(model=model)))
    found = msgspec.json.decode(written.body)
    del found["messages"][: len(asked)]
    return found, written.dropped


def turns(*messages: Message) -> list[tuple[str, list[Any]]]:
    """Return who says what, each block told by what is most particular of it."""
    return [
        (message["role"], [_short(block) for block in message["content"]])
        for message in body(*messages)[0]["messages"]
    ]


def _short(block: dict[str, Any]) -> Any:
    match block["type"]:
        case "text":
            return block["text"]
        case "tool_use":
            return ("call", block["id"])
        case "tool_result":
            return ("result", block["tool_use_id"])
        case kind:
            return kind


def dropped(*messages: Message) -> tuple[str, ...]:
    """Return what was dropped."""
    return body(*messages)[1]


def test_speakers_take_turns() -> None:
    """Several messages of one speaker are one turn, empty ones are none."""
    assert turns(user("a"), user("b"), own("c"), own(" "), own("d"), user("", "e")) == [
        ("user", ["a", "b"]),
        ("assistant", ["c", "d"]),
        ("user", ["e"]),
    ]


def test_leading_instructions_are_the_system_prompt() -> None:
    """System and developer messages alike, blank text apart."""
    messages = (said(Role.SYSTEM, "a", " "), said(Role.DEVELOPER, "b"), user("hi"))
    assert body(*messages)[0]["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_later_instructions_are_said_in_their_place() -> None:
    """As a user's words, behind the results that must come first, and recorded."""
    messages = (
        user("hi"),
        own(call("c1")),
        said(Role.SYSTEM, "be quick"),
        user(result("c1")),
    )
    assert turns(*messages) == [
        ("user", ["hi"]),
        ("assistant", [("call", "c1")]),
        ("user", [("result", "c1"), "be quick"]),
    ]
    assert dropped(*messages) == ("role of a later system message",)


def test_the_user_speaks_first() -> None:
    """What an assistant says before is told as the user's words, and recorded."""
    messages = (user(" "), own("Four.", call("c1")), user(result("c1"), "Again."), own("Four."))
    assert turns(*messages) == [("user", ["Four.", "of c1", "Again."]), ("assistant", ["Four."])]
    assert dropped(*messages) == (
        "role of a first message of the assistant",
        "call without a result",
        "result without a call",
    )


def test_a_prompt_of_instructions_alone_asks_them() -> None:
    """There must be a message: the last instruction is the user's."""
    messages = (said(Role.SYSTEM, "a"), said(Role.SYSTEM, "b"))
    assert body(*messages)[0]["system"] == "a"
    assert turns(*messages) == [("user", ["b"])]


def test_results_of_one_turn_stand_together_in_the_order_of_their_calls() -> None:
    """Wherever they stood, they come right behind the calls and before all else."""
    messages = (
        own("x", call("c1"), call("c2")),
        user("meanwhile", result("c2")),
        user(result("c1"), Image(source=Linked(url="u"))),
    )
    assert turns(*messages) == [
        ("assistant", ["x", ("call", "c1"), ("call", "c2")]),
        ("user", [("result", "c1"), ("result", "c2"), "meanwhile", "image"]),
    ]


def test_calls_of_one_turn_may_stand_apart() -> None:
    """A call and its result, then another, told by one speaker in a row."""
    messages = (own(call("c1")), own(call("c2")), user(result("c1")), user(result("c2")))
    assert turns(*messages) == [
        ("assistant", [("call", "c1"), ("call", "c2")]),
        ("user", [("result", "c1"), ("result", "c2")]),
    ]


def test_a_result_that_comes_late_is_moved_up() -> None:
    """Behind its own call, not behind the next one."""
    messages = (own(call("c1")), user("wait"), own("yes"), user(result("c1"), "now"))
    assert turns(*messages) == [
        ("assistant", [("call", "c1")]),
        ("user", [("result", "c1"), "wait"]),
        ("assistant", ["yes"]),
        ("user", ["now"]),
    ]


def test_a_call_without_result_and_a_result_without_call() -> None:
    """Neither may stand alone: the call goes, what the result says stays, both are recorded."""
    messages = (own("x", call("c1")), user(result("c9"), "go on"))
    assert turns(*messages) == [("assistant", ["x"]), ("user", ["of c9", "go on"])]
    assert dropped(*messages) == ("call without a result", "result without a call")


def test_ids_that_are_used_again_are_told_apart() -> None:
    """Some servers count from zero in each turn; Anthropic wants every id once."""
    messages = (
        own(call("call_0")),
        user(result("call_0", Text(text="first"))),
        own(call("call_0"), call("call_0")),
        user(result("call_0", Text(text="second")), result("call_0", Text(text="third"))),
    )
    found = body(*messages)[0]["messages"]
    calls = [block["id"] for turn in (found[0], found[2]) for block in turn["content"]]
    results = [block for turn in (found[1], found[3]) for block in turn["content"]]
    assert len(set(calls)) == 3
    assert [block["tool_use_id"] for block in results] == calls
    assert [block["content"] for block in results] == ["first", "second", "third"]


def test_ids_of_other_servers_are_spelled_alike_everywhere() -> None:
    """A call and its result under the same id, in letters that Anthropic takes."""
    found = turns(own(call("functions.bash:0")), user(result("functions.bash:0")))
    ((_, [(_, call_id)]), (_, [(_, result_id)])) = found
    assert call_id == result_id
    assert "." not in call_id


def test_arguments_of_a_call_are_never_dropped_litellm_25321() -> None:
    """Arguments go out as the model wrote them, and those that are no object as text."""
    messages = (
        own(
            call("c1", arguments='{"city": "Oslo", "n": 1.0}'),
            call("c2", arguments='{"city": "Os'),
            call("c3", arguments="[1]"),
            call("c4", arguments=""),
        ),
        user(*(result(f"c{number}") for number in range(1, 5))),
    )
    found = body(*messages)[0]["messages"][0]["content"]
    assert [block["input"] for block in found] == [
        {"city": "Oslo", "n": 1.0},
        {"arguments": '{"city": "Os'},
        {"arguments": "[1]"},
        {},
    ]


def test_results_say_what_they_show_and_whether_they_failed() -> None:
    """Text alone as text, else blocks; errors by their own field; one marker for all of it."""
    png = Image(source=Inline(media_type="image/png", data="AA"), cache="5m")
    content = (Text(text="a"), Text(text=""), png, Document(text="doc", name="D"))
    messages = (
        own(call("c1"), call("c2"), call("c3")),
        user(
            Result(id="c1", content=(Text(text="no"),), failed=True),
            Result(id="c2", content=content, cache="1h"),
            Result(id="c3"),
        ),
    )
    source = {"type": "base64", "media_type": "image/png", "data": "AA"}
    text = {"type": "text", "media_type": "text/plain", "data": "doc"}
    assert body(*messages)[0]["messages"][1]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True},
        {
            "type": "tool_result",
            "tool_use_id": "c2",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": source},
                {"type": "document", "source": text, "title": "D"},
            ],
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "tool_result", "tool_use_id": "c3"},
    ]


def test_documents_are_shown_in_their_own_form() -> None:
    """Files by their type, text as text, addresses as such, blank ones not at all."""
    found = body(
        user(
            Document(source=Inline(media_type="application/pdf", data="AA")),
            Document(source=Inline(media_type="text/csv", data="YSxi"), name="t.csv"),
            Document(source=Linked(url="https://x.test/a.pdf")),
            Document(text=" "),
        )
    )[0]["messages"][0]["content"]
    assert [block["source"] for block in found] == [
        {"type": "base64", "media_type": "application/pdf", "data": "AA"},
        {"type": "text", "media_type": "text/plain", "data": "a,b"},
        {"type": "url", "url": "https://x.test/a.pdf"},
    ]


def test_a_document_whose_data_cannot_be_read_is_refused() -> None:
    """Text that is no base64 cannot be shown as text."""
    with pytest.raises(RequestInvalid):
        body(user(Document(source=Inline(media_type="text/csv", data="A"))))


def test_json_is_shown_as_the_text_that_it_is() -> None:
    """Anthropic takes no other data of documents than PDF."""
    given = Document(source=Inline(media_type="application/json", data="e30="))
    (block,) = body(user(given))[0]["messages"][0]["content"]
    assert block["source"] == {"type": "text", "media_type": "text/plain", "data": "{}"}


def test_a_models_own_thoughts_go_back_to_it() -> None:
    """With their proof, in their place; hidden ones in their own form."""
    hidden = Seal(form="messages.redacted", data="AAAA", origin=ORIGIN)
    plain = Seal(form="text", data="", origin=ORIGIN)
    thoughts = (
        Thought(text="hm", seal=OWN),
        Thought(seal=hidden),
        Thought(text="so", seal=plain),
    )
    messages = (own(*thoughts, call("c1")), user(result("c1")))
    assert body(*messages)[0]["messages"][0]["content"][:3] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "thinking", "thinking": "so", "signature": ""},
    ]
    assert dropped(*messages) == ()


@pytest.mark.parametrize(
    "seal",
    [
        None,
        Seal(form="messages.signature", data="c2ln"),
        Seal(form="messages.signature", data="c2ln", origin="anthropic/another"),
        Seal(form="responses.encrypted", data="c2ln", origin=ORIGIN),
    ],
)
def test_other_thoughts_are_stripped_and_recorded_once(seal: Seal | None) -> None:
    """A provider refuses proofs that are not its own, and no text is made of them."""
    thought = Thought(text="hm", seal=seal)
    messages = (own(thought, thought, "so"), user("hi"))
    assert turns(*messages) == [("assistant", ["so"]), ("user", ["hi"])]
    assert dropped(*messages) == ("reasoning of another model",)


def test_what_the_assistant_is_to_go_on_from_ends_well() -> None:
    """No white space and no thought at the end, which Anthropic refuses."""
    assert turns(user("hi"), own("So \n")) == [("user", ["hi"]), ("assistant", ["So"])]
    assert turns(user("hi"), own(Thought(text="hm", seal=OWN))) == [("user", ["hi"])]
    assert turns(user("hi"), own("So ", Thought(seal=OWN))) == [
        ("user", ["hi"]),
        ("assistant", ["So"]),
    ]


def test_no_turn_ends_with_a_thought() -> None:
    """Anthropic refuses it anywhere, also where the call behind the thought is left out."""
    thought = Thought(text="hm", seal=OWN)
    alone = (user("hi"), own(thought), user("go on"))
    assert turns(*alone) == [("user", ["hi", "go on"])]
    assert dropped(*alone) == ("reasoning that nothing follows",)
    unanswered = (user("hi"), own("So", thought, call("a")), user("stop"))
    assert turns(*unanswered)[1] == ("assistant", ["So"])
    assert dropped(*unanswered) == ("call without a result", "reasoning that nothing follows")


def test_an_answer_without_thoughts_is_gone_on_from_without_thinking() -> None:
    """Older models that are to think refuse to go on from words that no thought stands before."""
    thinking = Thinking(budget=2000)
    messages = (user("hi"), own("So"))
    older, lost = body(*messages, model="claude-sonnet-4-5", thinking=thinking)
    assert "thinking" not in older
    assert lost == ("reasoning",)
    newer, lost = body(*messages, model="claude-opus-4-6", thinking=thinking)
    assert newer["thinking"]["type"] == "adaptive"
    assert lost == ()


def test_what_an_assistant_cannot_show_is_recorded() -> None:
    """Its refusal is kept as its words, its images are not taken here."""
    picture = Image(source=Linked(url="u"))
    messages = (user("hi"), own(Refusal(text="No."), picture), user("why"))
    assert turns(*messages)[1] == ("assistant", ["No."])
    assert dropped(*messages) == ("refusal", "image of the assistant")


@pytest.mark.parametrize(
    ("model", "thought", "thinks"),
    [
        ("claude-sonnet-4-5", None, False),
        ("claude-sonnet-4-5", Thought(text="hm", seal=OWN), True),
        ("claude-opus-4-6", None, True),
        ("kimi-k2", None, True),
    ],
)
def test_older_models_think_only_where_they_began_with_a_thought(
    model: str, thought: Thought | None, *, thinks: bool
) -> None:
    """While a tool's result is told, Anthropic refuses thinking that did not come first."""
    before = (thought,) if thought else ()
    messages = (user("hi"), own(*before, call("c1")), user(result("c1")))
    found, lost = body(*messages, model=model, thinking=Thinking(effort="low"))
    assert ("thinking" in found) is thinks
    assert lost == (() if thinks else ("reasoning",))
