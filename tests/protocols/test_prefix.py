"""Which earlier request a request begins with, in every protocol, and what was added since."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.conversations import SYSTEM, request, turn

from gatewayctl.core.anchors import Anchor
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Measured, Segment, TextStats
from gatewayctl.protocols.prefix import (
    LOOKED_BACK,
    SIZE,
    anchored,
    matches,
    measured_after,
    prefixes,
    recalled,
    to_measure,
)
from gatewayctl.protocols.readers import READERS

KEY = b"k" * 32
PROTOCOLS = sorted(WireProtocol)


def digests(protocol: str, *texts: str, key: bytes = KEY, **more: Any) -> tuple[bytes, ...]:
    """Return the digests of such a request, without that of chat's system message."""
    found = of(protocol, request(protocol, *texts, **more), key)
    return found[1:] if protocol == "chat_completions" else found


def of(protocol: str, body: Any, key: bytes = KEY) -> tuple[bytes, ...]:
    """Return the digests of a body."""
    return prefixes(READERS[WireProtocol(protocol)], msgspec.json.encode(body), key)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_conversation_that_goes_on_begins_with_what_it_was(protocol: str) -> None:
    """Each request's last digest is in the next one's, before the model's own turn."""
    first, second, third = (
        digests(protocol, *["Hello", "Hi!", "And now?", "Now this.", "Then?"][: 2 * turns + 1])
        for turns in range(3)
    )
    assert third[: len(second)] == second
    assert second[: len(first)] == first
    assert (len(first), len(second), len(third)) == (1, 3, 5)
    assert len(set(third)) == 5
    assert {len(each) for each in third} == {SIZE}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "other",
    [
        {"system": SYSTEM + " Ever."},
        {"tools": 2},
        {"key": b"another"},
    ],
)
def test_another_head_or_key_is_another_conversation(protocol: str, other: dict[str, Any]) -> None:
    """Instructions and tools stand before every message, and are in every digest."""
    assert not set(digests(protocol, "Hello", "Hi!", "Go on")) & set(
        digests(protocol, "Hello", "Hi!", "Go on", **other)
    )


@pytest.mark.parametrize(
    ("protocol", "format_"),
    [
        ("chat_completions", {"response_format": {"type": "json_schema", "json_schema": {"a": 1}}}),
        ("responses", {"text": {"format": {"type": "json_schema", "schema": {"a": 1}}}}),
        ("messages", {"output_config": {"format": {"type": "json_schema", "schema": {"a": 1}}}}),
        ("gemini", {"generationConfig": {"responseSchema": {"a": 1}}}),
        ("responses", {"previous_response_id": "resp_1"}),
        ("responses", {"conversation": "conv_1"}),
        ("responses", {"prompt": {"id": "pmpt_1"}}),
    ],
)
def test_what_else_stands_before_the_messages_is_in_them_too(
    protocol: str, format_: dict[str, Any]
) -> None:
    """The format of the reply, and what is only named: stored prompts, earlier responses."""
    assert not set(digests(protocol, "Hello")) & set(digests(protocol, "Hello", **format_))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("line", "later"),
    [
        ("Today's date: 2026-01-05", "Today's date: 2026-01-06"),
        (
            "x-anthropic-billing-header: cc=1; cch=a1b2c;",
            "x-anthropic-billing-header: cc=1; cch=fffff;",
        ),
        ("Working directory: /home/ada", "Working directory: /home/bob"),
    ],
)
def test_lines_that_change_each_turn_do_not_end_a_conversation(
    protocol: str, line: str, later: str
) -> None:
    """Their length is what counts, so that a page of them is not taken for another page."""
    text = "Be brief.\n{}\nNever guess."
    first = digests(protocol, "Hello", system=text.format(line))
    assert digests(protocol, "Hello", system=text.format(later)) == first
    assert digests(protocol, "Hello", system=text.format(line + " and much more")) != first
    assert digests(protocol, "Hello", system=text.format(line).replace("brief", "quick")) != first


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_edited_history_has_a_shorter_prefix_in_common(protocol: str) -> None:
    """A branch goes off where it goes off; what is compacted has nothing in common."""
    whole = digests(protocol, "Hello", "Hi!", "And now?", "Now this.", "Then?")
    branch = digests(protocol, "Hello", "Hi!", "And then?", "Now this.", "Then?")
    assert branch[:2] == whole[:2]
    assert not set(branch[2:]) & set(whole)
    assert not set(digests(protocol, "In short: hello", "Hi!", "Then?")) & set(whole)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_texts_do_not_run_into_one_another(protocol: str) -> None:
    """What moves from one message to the next makes another conversation."""
    assert digests(protocol, "ab", "c")[-1] != digests(protocol, "a", "bc")[-1]
    assert digests(protocol, "ab")[-1] != digests(protocol, "a", "b")[-1]


def test_two_messages_are_not_one_with_two_texts() -> None:
    """Each has a frame, which costs tokens."""
    one, two = request("messages", "a"), request("messages", "a", "b")
    blocks = [{"type": "text", "text": text} for text in "ab"]
    one["messages"][0]["content"] = blocks
    assert of("messages", one)[-1] != of("messages", two)[-1]


def test_marks_of_caches_may_move_and_a_text_may_become_a_list_with_it() -> None:
    """Claude Code marks the last messages, and a string with a mark has to be a list."""
    plain = request("messages", "Hello", "Hi!", "Go on")
    marked = request("messages", "Hello", "Hi!", "Go on")
    mark = {"type": "ephemeral"}
    block = {"type": "text", "text": "Go on", "cache_control": mark}
    marked["messages"][2]["content"] = [block]
    marked["system"] = [{"type": "text", "text": SYSTEM, "cache_control": mark}]
    marked["tools"][-1]["cache_control"] = mark
    assert of("messages", plain) == of("messages", marked)


@pytest.mark.parametrize(
    ("protocol", "part"), [("chat_completions", "text"), ("responses", "input_text")]
)
def test_a_text_counts_the_same_alone_and_in_a_list(protocol: str, part: str) -> None:
    """Clients write the history anew as they like; tokens do not change by that."""
    field = "messages" if protocol == "chat_completions" else "input"
    listed = request(protocol, "Hello", "Hi!")
    listed[field][-2]["content"] = [{"type": part, "text": "Hello"}]
    assert of(protocol, listed) == of(protocol, request(protocol, "Hello", "Hi!"))


CALL = '{"path":"a.py"}'
TOOL_TURNS: dict[str, tuple[list[dict[str, Any]], list[bool]]] = {
    "chat_completions": (
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "t", "arguments": CALL}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "42 lines"},
        ],
        [True, False],
    ),
    "responses": (
        [
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "c", "name": "t", "arguments": CALL},
            {"type": "function_call_output", "call_id": "c", "output": "42 lines"},
        ],
        [True, True, False],
    ),
    "messages": (
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Let me look.", "signature": "s"},
                    {"type": "tool_use", "id": "c", "name": "t", "input": {"path": "a.py"}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42 lines"}],
            },
        ],
        [True, False],
    ),
    "gemini": (
        [
            {"role": "model", "parts": [{"functionCall": {"name": "t", "args": {"path": "a"}}}]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "t", "response": {"lines": 42}}}],
            },
        ],
        [True, False],
    ),
}
MESSAGES_OF = {
    "chat_completions": "messages",
    "responses": "input",
    "messages": "messages",
    "gemini": "contents",
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_calls_and_results_are_added_and_the_call_is_the_models_own(protocol: str) -> None:
    """In a tool loop the reply comes back as calls, thinking and all; its results are the rest."""
    added, own = TOOL_TURNS[protocol]
    before = request(protocol, "Hello", "Hi!", "Read it")
    after = request(protocol, "Hello", "Hi!", "Read it")
    after[MESSAGES_OF[protocol]] += added
    early, late = of(protocol, before), of(protocol, after)
    assert late[: len(early)] == early
    assert len(late) == len(early) + len(added)
    reader, body = READERS[WireProtocol(protocol)], msgspec.json.encode(after)
    assert reader.own_turns(body)[len(early) :] == own
    found = measured_after(reader, body, len(early))
    assert found.replied.messages == sum(own)
    assert found.rest.messages == len(own) - sum(own)
    assert found.replied.segments
    assert found.rest.segments


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_added_and_what_was_there_make_the_whole(protocol: str) -> None:
    """Each message is in one of the two, the head in neither but the prefix's own measure."""
    texts = ["Hello there", "Hi! How may I help?", "Count to three.", "1, 2, 3.", "Thanks!"]
    reader = READERS[WireProtocol(protocol)]
    whole = msgspec.json.encode(request(protocol, *texts))
    shorter = msgspec.json.encode(request(protocol, *texts[:3]))
    skip = len(of(protocol, request(protocol, *texts[:3])))
    found = measured_after(reader, whole, skip)
    assert total(found.replied + found.rest + reader.measure(shorter)) == total(
        reader.measure(whole)
    )
    assert total(found.replied).chars == len("1, 2, 3.")
    assert total(found.rest).chars == len("Thanks!")


def total(measured: Measured) -> TextStats:
    """Return all text of a measure."""
    return sum(measured.segments.values(), TextStats())


def test_only_the_first_of_the_models_turns_is_the_reply() -> None:
    """From an older anchor on, later turns of the model's were metered by nobody."""
    reader = READERS[WireProtocol.MESSAGES]
    texts = ["Hello", "Hi!", "And now?", "Now this.", "Then?"]
    found = measured_after(reader, msgspec.json.encode(request("messages", *texts)), 1)
    assert total(found.replied).chars == len("Hi!")
    assert (found.replied.messages, found.rest.messages) == (1, 3)


def test_images_are_told_apart_by_their_data_and_measured_where_they_are() -> None:
    """Another picture is another message."""

    def body(data: str, *more: str) -> bytes:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png"}}
        image["source"]["data"] = data  # type: ignore[index]
        turns = [{"role": "user", "content": [image]}, *(turn("m", "user", it) for it in more)]
        return msgspec.json.encode({"model": "m", "max_tokens": 5, "messages": turns})

    reader = READERS[WireProtocol.MESSAGES]
    one, other = (prefixes(reader, body(data), KEY) for data in ("AAAA", "AAAB"))
    assert one != other
    assert len(measured_after(reader, body("AAAA", "and?"), 0).rest.images) == 1
    assert measured_after(reader, body("AAAA", "and?"), 1).rest.images == ()


def known(**anchors: bytes) -> Callable[[str, bytes], Anchor | None]:
    """Return a look-up: by model the digest that an anchor of its length is known for."""
    return lambda model, digest: (
        Anchor(tokens=len(model), raw=0) if anchors.get(model) == digest else None
    )


def test_each_model_has_its_own_longest_prefix() -> None:
    """What one model metered says nothing of another; a model without any is left out."""
    chain = tuple(bytes([at]) * SIZE for at in range(6))
    found = matches(chain, 6, ["one", "two", "three"], known(one=chain[1], two=chain[5]))
    assert {model: match.skip for model, match in found.items()} == {"one": 2, "two": 6}


def test_long_conversations_keep_and_look_back_for_so_many_digests() -> None:
    """Memory and look-ups are bounded, and the place of a match is right all the same."""
    count = LOOKED_BACK + 500
    body = request("messages", *["hi"] * count, tools=0)
    found = of("messages", body)
    assert len(found) == LOOKED_BACK
    (match,) = matches(found, count, ["m"], known(m=found[-3])).values()
    assert match.skip == count - 2
    assert of("messages", request("messages", *["hi"] * (count - 2), tools=0))[-1] == found[-3]


def test_all_steps_one_after_another() -> None:
    """What the command line does in one go."""
    reader = READERS[WireProtocol.CHAT_COMPLETIONS]
    early = of("chat_completions", request("chat_completions", "Hello"))
    body = msgspec.json.encode(request("chat_completions", "Hello", "Hi!", "Go on"))
    found = recalled(reader, body, KEY, ["one", "two"], known(one=early[-1]))
    assert set(found) == {"one"}
    assert found["one"].anchor.tokens == 3
    assert total(found["one"].added.replied).chars == len("Hi!")


def test_a_request_that_is_sent_again_is_not_walked_through_again() -> None:
    """Nothing was added to it, which is known without a look."""
    reader, body = READERS[WireProtocol("messages")], request("messages", "Hello", "Hi!", "And?")
    data = msgspec.json.encode(body)
    whole = Anchor(tokens=9, raw=9)
    known = {prefixes(reader, data, KEY)[-1]: whole}
    found = matches(prefixes(reader, data, KEY), 3, ["a"], lambda _, digest: known.get(digest))
    assert to_measure(found) == frozenset()
    assert anchored(found, {})["a"].added == measured_after(reader, data, 3)


def test_a_request_without_messages_has_no_digests() -> None:
    """There is nothing to go on from."""
    assert of("messages", {"model": "m", "max_tokens": 5, "messages": []}) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "text", "type", "parts", "cache_control", "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(value=JSON)
def test_whatever_a_body_holds_it_is_read_or_refused(protocol: str, value: Any) -> None:
    """A digest after each message, as many as were measured; refused only where ``shape`` does."""
    body = request(protocol, "Hello", tools=0)
    body[MESSAGES_OF[protocol]].append(value)
    reader, data = READERS[WireProtocol(protocol)], msgspec.json.encode(body)
    try:
        reader.shape(data)
    except RequestInvalid:
        return
    measured = reader.measure(data)
    assert len(prefixes(reader, data, KEY)) == measured.messages == len(reader.own_turns(data))
    after = measured_after(reader, data, measured.messages - 1)
    assert after.replied.messages + after.rest.messages == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_last_turn_is_measured_without_counting_messages(protocol: str) -> None:
    """The model's own last words, and what came after them; all there is where it said nothing."""
    reader = READERS[WireProtocol(protocol)]
    texts = ["Hello", "Hi!", "And now?", "Now this.", "Then?"]
    last = measured_after(reader, msgspec.json.encode(request(protocol, *texts)), None)
    assert total(last.replied).chars == len("Now this.")
    assert total(last.rest).chars == len("Then?")
    first = measured_after(reader, msgspec.json.encode(request(protocol, "Hello")), None)
    assert first.replied.messages == 0
    assert first.rest.segments[Segment.MESSAGES].chars == len("Hello")
