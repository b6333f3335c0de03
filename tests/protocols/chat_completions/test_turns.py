"""Chat Completions messages, read as turns of the IR."""

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
from gatewayctl.protocols import provenance
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec

CODEC = ChatCompletionsCodec()
SEAL = Seal(form="messages.signature", data="s1", origin="a/claude")
TAG = provenance.tag(SEAL, "a/claude")
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def prompt(*messages: Any) -> Prompt:
    """Return the prompt that a request with these messages is read as."""
    return CODEC.read_prompt(msgspec.json.encode({"model": "m", "messages": list(messages)}))


def parts(**message: Any) -> tuple[Any, ...]:
    """Return the parts that one message is read as; it is the user's unless it says otherwise."""
    (turn,) = prompt({"role": "user"} | message).messages
    return turn.parts


def content(*pieces: Any) -> tuple[Any, ...]:
    """Return the parts that pieces of content are read as."""
    return parts(content=list(pieces))


def refused(*messages: Any) -> str | None:
    """Return the path at which messages are refused."""
    with pytest.raises(RequestInvalid) as caught:
        prompt(*messages)
    return caught.value.path


def test_every_role_speaks_in_its_place() -> None:
    """Nothing is moved: where instructions may stand is for whoever writes them."""
    found = prompt(
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d", "name": "ops"},
        {"role": "user", "content": "u", "name": "ann"},
        {"role": "assistant", "content": "a"},
        {"role": "system", "content": "later"},
    )
    assert found.messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="s"),)),
        Message(role=Role.DEVELOPER, parts=(Text(text="d"),), name="ops"),
        Message(role=Role.USER, parts=(Text(text="u"),), name="ann"),
        Message(role=Role.ASSISTANT, parts=(Text(text="a"),)),
        Message(role=Role.SYSTEM, parts=(Text(text="later"),)),
    )


def test_parts_of_content() -> None:
    """Text, pictures, sound and files, in the body or elsewhere."""
    image = {"url": "data:image/png;base64,iVBO", "detail": "low"}
    assert content(
        {"type": "text", "text": "t"},
        {"type": "image_url", "image_url": image},
        {"type": "image_url", "image_url": "https://a.example/x.png"},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JV"},
        },
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERi0="}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "YQ=="}},
        {"type": "file", "file": {"file_data": "https://a.example/a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ) == (
        Text(text="t"),
        Image(source=Inline(media_type="image/png", data="iVBO"), detail="low"),
        Image(source=Linked(url="https://a.example/x.png")),
        Audio(source=Inline(media_type="audio/wav", data="UklG")),
        Audio(source=Inline(media_type="audio/mpeg", data="SUQz")),
        Document(source=Inline(media_type="application/pdf", data="JV"), name="a.pdf"),
        Document(source=Inline(media_type="application/pdf", data="JVBERi0="), name="a.pdf"),
        Document(source=Inline(media_type="text/plain", data="YQ=="), name="a.txt"),
        Document(source=Linked(url="https://a.example/a.pdf")),
        Document(source=Uploaded(id="file-1")),
    )


def test_text_in_pieces_and_no_text_at_all() -> None:
    """Empty texts are none: other protocols refuse them."""
    assert parts(content=["a", "", {"type": "text", "text": ""}]) == (Text(text="a"),)
    assert parts(content=None) == parts(content="") == parts() == ()


def test_cache_markers_are_kept_for_those_that_know_them() -> None:
    """Routers to Anthropic's models take them on parts, on messages, on calls."""
    marker = {"type": "ephemeral"}
    hour = marker | {"ttl": "1h"}
    assert content({"type": "text", "text": "t", "cache_control": hour}) == (
        Text(text="t", cache="1h"),
    )
    assert parts(content="t", cache_control=marker) == (Text(text="t", cache="5m"),)
    (_, turn) = prompt(
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "r", "cache_control": marker},
    ).messages
    assert turn.parts == (Result(id="c1", content=(Text(text="r"),), cache="5m"),)


def test_parts_that_nothing_is_known_of_are_recorded_by_their_type() -> None:
    """So are fields of messages that no protocol here knows."""
    found = prompt(
        {"role": "user", "content": [{"type": "hologram"}], "weight": 1, "annotations": []}
    )
    assert found.messages[0].parts == ()
    assert found.dropped == ("messages.weight", "content[hologram]")


def test_a_turn_of_the_model() -> None:
    """Thoughts first, then what it said, then its calls."""
    assert parts(
        role="assistant",
        content=[{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
        refusal="never",
        reasoning_content="hm",
        tool_calls=[
            CALL,
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
            {"id": "c3", "type": "function", "function": {"name": "g", "arguments": {"b": 2}}},
            {"id": "c4", "type": "custom", "custom": {"name": "h", "input": "free text"}},
        ],
    ) == (
        Thought(text="hm"),
        Text(text="a"),
        Refusal(text="no"),
        Refusal(text="never"),
        Call(id="c1", name="f", arguments='{"a":1}'),
        Call(id="c2", name="g"),
        Call(id="c3", name="g", arguments='{"b":2}'),
        Call(id="c4", name="h", arguments='{"input":"free text"}'),
    )


def test_results_in_a_row_are_one_turn_of_the_user() -> None:
    """What the user says next is a turn of its own."""
    found = prompt(
        {"role": "assistant", "content": None, "tool_calls": [CALL, CALL | {"id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "name": "f",
            "content": [{"type": "text", "text": "2"}],
        },
        {"role": "user", "content": "and?"},
    )
    assert found.messages[1:] == (
        Message(
            role=Role.USER,
            parts=(
                Result(id="c1", content=(Text(text="one"),)),
                Result(id="c2", name="f", content=(Text(text="2"),)),
            ),
        ),
        Message(role=Role.USER, parts=(Text(text="and?"),)),
    )


def test_calls_in_the_older_form_find_their_results_by_name() -> None:
    """They have no ids, so each gets one that is the same in the whole request."""
    call = {"name": "f", "arguments": "{}"}
    found = prompt(
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "f", "content": "2"},
    )
    calls = [part.id for turn in found.messages for part in turn.parts if isinstance(part, Call)]
    results = [
        part.id for turn in found.messages for part in turn.parts if isinstance(part, Result)
    ]
    assert calls == results == ["call_function_0", "call_function_1"]


def test_tags_say_whose_thoughts_come_back() -> None:
    """Each detail of ours is a thought by itself; others' prove nothing here."""
    hidden = Seal(form="messages.redacted", data="r", origin="a/claude")
    details = [
        {"type": "reasoning.text", "text": "one", "signature": TAG, "index": 0},
        {"type": "reasoning.encrypted", "data": provenance.tag(hidden, "a/claude"), "index": 1},
        {"type": "reasoning.text", "text": "two", "signature": "another's", "index": 2},
        {"type": "reasoning.unknown", "index": 3},
        "not an object",
    ]
    assert parts(role="assistant", reasoning_content="onetwo", reasoning_details=details) == (
        Thought(text="one", seal=SEAL),
        Thought(seal=hidden),
        Thought(text="two"),
    )


def test_a_tag_under_the_id_of_a_call_is_that_calls() -> None:
    """Some models prove the thought behind a call on the call itself; the text is theirs too."""
    seal = Seal(form="gemini.call.0", data="sig", origin="g/gemini")
    detail = {"type": "reasoning.encrypted", "data": provenance.tag(seal, "g/gemini"), "id": "c1"}
    found = parts(
        role="assistant",
        reasoning_content="hm",
        reasoning_details=[detail],
        tool_calls=[CALL, CALL | {"id": "c2"}],
    )
    assert found == (
        Thought(text="hm", seal=Seal(form="text", data="", origin="g/gemini")),
        Call(id="c1", name="f", arguments='{"a":1}', seal=seal),
        Call(id="c2", name="f", arguments='{"a":1}'),
    )


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"role": "critic"}, "$.messages[0].role"),
        ({"role": None}, "$.messages[0].role"),
        ({"role": []}, "$.messages[0].role"),
        ({"content": 1}, "$.messages[0].content"),
        ({"content": [1]}, "$.messages[0].content[0]"),
        ({"content": [{"type": "text"}]}, "$.messages[0].content[0].text"),
        ({"content": [{"type": "image_url"}]}, "$.messages[0].content[0].image_url"),
        (
            {"content": [{"type": "image_url", "image_url": {"url": "data:;base64,aa"}}]},
            "$.messages[0].content[0].image_url.url",
        ),
        ({"content": [{"type": "input_audio"}]}, "$.messages[0].content[0].input_audio"),
        ({"content": [{"type": "file"}]}, "$.messages[0].content[0].file"),
        ({"content": [{"type": "file", "file": {}}]}, "$.messages[0].content[0].file.file_data"),
        ({"role": "tool", "content": "r"}, "$.messages[0].tool_call_id"),
        ({"name": 1}, "$.messages[0].name"),
        ({"role": "assistant", "tool_calls": [{}]}, "$.messages[0].tool_calls[0].id"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c"}]},
            "$.messages[0].tool_calls[0].function",
        ),
        ({"role": "assistant", "function_call": []}, "$.messages[0].function_call"),
        ({"content": [{"type": "video_url"}]}, "$.messages[0].content[0]"),
        ({"role": "assistant", "audio": {"id": "a"}}, "$.messages[0].audio"),
    ],
)
def test_a_message_is_refused_where_it_is_wrong(message: dict[str, Any], path: str) -> None:
    """Malformed, or of a kind that may not be dropped: video, sound that the provider keeps."""
    assert refused({"role": "user"} | message) == path
