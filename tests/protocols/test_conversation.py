"""What tells one conversation from another, in bodies as agents send them."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Conversation
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.opening import steady

ACCOUNT = "6e0f2f0a-6a43-4a57-8d2c-0d4f5c1f0a11"
SESSION = "0b8ae9a2-4a6e-4b0f-9f57-3f1d5b8f6c22"
REMINDER = {"type": "text", "text": "<system-reminder>\nRules of the house\n</system-reminder>"}
BILLING = "x-anthropic-billing-header: cc_version=2.1.197.{turn}; cc_entrypoint=cli; cch=0{turn};"


def read(protocol: str, **fields: Any) -> Conversation:
    """Read a body of these fields; with its layout at hand nothing else comes out."""
    codec = CODECS[WireProtocol(protocol)]
    body = msgspec.json.encode({"model": "m", **fields})
    found = codec.conversation(body)
    assert codec.conversation(body, codec.layout(body)) == found
    return found


def result(tool: str) -> dict[str, Any]:
    """Return a tool's result as Claude Code sends it."""
    return {"type": "tool_result", "tool_use_id": tool, "content": "ok", "is_error": False}


def claude(turn: int, messages: list[Any], first: str = "fix the bug") -> Conversation:
    """Read a request like Claude Code's: reminders, attribution, the day and a cache marker."""
    opening = [REMINDER, {"type": "text", "text": first, "cache_control": {"type": "ephemeral"}}]
    return read(
        "messages",
        messages=[{"role": "user", "content": opening}, *messages],
        system=[
            {"type": "text", "text": BILLING.format(turn=turn)},
            {"type": "text", "text": f"You are an agent.\nToday's date: 2026-01-0{turn}\nBe kind."},
        ],
        metadata={"user_id": f"user_{'ab' * 32}_account_{ACCOUNT}_session_{SESSION}"},
        max_tokens=10,
    )


def test_tool_results_are_no_turn_of_claude_codes_user() -> None:
    """A result is the agent's, with reminders and pictures beside it; the next words are a turn."""
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f"}]}
    answered = {"role": "user", "content": [result("t"), REMINDER]}
    note = {"role": "system", "content": "a file was changed"}
    asked = {"role": "user", "content": [{"type": "text", "text": 'what is a "tool_result"?'}]}
    first = claude(1, [])
    later = claude(2, [call, answered, note])
    next_turn = claude(3, [call, answered, note, call, answered, asked])
    assert [first.turn, later.turn, next_turn.turn] == [1, 1, 2]
    assert first.opening == later.opening == next_turn.opening
    assert first.opening is not None
    assert len(first.opening) == 16
    assert {first.session, later.session, next_turn.session} == {SESSION}
    assert claude(1, [], "something else").opening != first.opening


@pytest.mark.parametrize(
    ("metadata", "session"),
    [
        ({"user_id": f"user_ab_account_{ACCOUNT}_session_{SESSION}"}, SESSION),
        ({"user_id": f"user_ab_account__session_{SESSION}"}, SESSION),
        (
            {"user_id": f'{{"device_id":"ab","account_uuid":"","session_id":"{SESSION}"}}'},
            SESSION,
        ),
        ({"user_id": "customer-7"}, None),
        ({"user_id": "user_ab_account_x_session_"}, None),
        ({"user_id": f"user_ab_account_x_session_{'a' * 200}"}, None),
        ({"user_id": '{"session_id":7}'}, None),
        ({"user_id": '{"session_id":""}'}, None),
        ({"user_id": "[1]"}, None),
        ({"user_id": "[" * 900}, None),
        ({"user_id": f'{{"session_id":"{"a" * 2000}"}}'}, None),
        ({"user_id": 7}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_session_is_named_by_the_user_id_of_claude_code(metadata: Any, session: str) -> None:
    """Both of its forms are known; a user's id of another kind is no session's."""
    turns = [{"role": "user", "content": "hi"}]
    found = read("messages", messages=turns, metadata=metadata, max_tokens=1)
    assert found.session == session
    assert found.opening is not None


def test_a_codex_conversation_is_known_by_the_users_own_words() -> None:
    """What Codex writes in the user's place is the same in every conversation of a folder."""

    def codex(words: str, *later: dict[str, Any]) -> Conversation:
        context = "<environment_context>\n  <cwd>/srv</cwd>\n</environment_context>"
        return read(
            "responses",
            instructions="You are a coding agent.",
            input=[
                {"type": "message", "role": "developer", "content": "sandboxed"},
                *(
                    {"type": "message", "role": "user", "content": [{"type": "input_text", **it}]}
                    for it in ({"text": context}, {"text": words})
                ),
                *later,
            ],
        )

    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "ok"}
    again = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}
    one = codex("build it")
    assert codex("build it", call, output).turn == one.turn
    assert codex("build it", call, output, again).turn == one.turn + 1
    assert codex("build it", call, output, again).opening == one.opening
    assert codex("test it").opening != one.opening


def test_a_chat_conversation_is_known_by_its_first_messages() -> None:
    """Tool messages are no turns; another system prompt or another first word is another talk."""
    system = {"role": "system", "content": "Be kind.\nIt is 17:02 on 5 Jan 2026."}
    user = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    answer: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": []}
    tool = {"role": "tool", "tool_call_id": "c", "content": "ok"}
    late = {"role": "system", "content": "Hurry."}
    one = read("chat_completions", messages=[system, user])
    going_on = read("chat_completions", messages=[system, user, answer, tool, late])
    assert going_on == msgspec.structs.replace(one, continues=True)
    assert read("chat_completions", messages=[system, user, answer, user]).turn == 2
    other = {"role": "system", "content": "Be brief."}
    assert read("chat_completions", messages=[other, user]).opening != one.opening
    plain = {"role": "user", "content": "hi"}
    assert read("chat_completions", messages=[system, plain]).opening == one.opening


def test_a_text_as_input_is_one_turn() -> None:
    """The Responses protocol takes a text for a list of one message."""
    whole = [{"role": "user", "content": "hi"}]
    assert read("responses", input="hi") == read("responses", input=whole)
    kept = read("responses", previous_response_id="resp_1")
    assert kept == Conversation()


def test_a_first_message_without_text_stands_for_itself() -> None:
    """Two pictures open two conversations."""

    def picture(url: str) -> bytes | None:
        content = [{"type": "image_url", "image_url": {"url": url}}]
        return read("chat_completions", messages=[{"role": "user", "content": content}]).opening

    assert picture("https://a/1.png") == picture("https://a/1.png") != picture("https://a/2.png")


@pytest.mark.parametrize(
    "line",
    [
        "Today's date: Monday",
        "<date>2026-01-05</date>",
        "It is 9:41",
        "last seen 1/5/26",
        "on 5. Jan",
        "January 5",
        "You have 45,123 tokens left",
        "id 1767600000",
        "e83c516 Fix the parser",
        "abcdef0",
        "Working directory: /srv",
        "cwd: /srv",
        "x-anthropic-billing-header: cc_version=1; cch=0a;",
    ],
)
def test_lines_that_change_each_turn_are_left_out(line: str) -> None:
    """Dates, times, long numbers, hashes, the folder and the line of attribution."""
    assert steady(f"Be kind, é.\n{line}\nStep 1.".encode()) == "Be kind, é.\nStep 1.".encode()


@pytest.mark.parametrize(
    "line", ["", "Use at most 4096 bytes", "1. Read the file", "a defaced decade", "May I? 3 times"]
)
def test_all_other_lines_stay(line: str) -> None:
    """What tells one agent's instructions from another's."""
    assert steady(line.encode()) == line.encode()


@pytest.mark.parametrize("text", ["a" * 300_000, "1" * 300_000, "f0" * 150_000, "Jan" * 100_000])
def test_no_text_takes_long_to_look_through(text: str) -> None:
    """Each pattern looks ahead a few characters at most, so the time grows with the length."""
    assert steady(text.encode()) in {text.encode(), b""}


@pytest.mark.parametrize("protocol", ["chat_completions", "messages"])
@pytest.mark.parametrize("messages", ["hi", None, ["hi"], 3])
def test_what_has_no_messages_is_refused(protocol: str, messages: Any) -> None:
    """With the same path as the shape's refusal."""
    body = msgspec.json.encode({"model": "m", "messages": messages, "max_tokens": 1})
    codec = CODECS[WireProtocol(protocol)]
    with pytest.raises(RequestInvalid) as refused:
        codec.shape(body)
    with pytest.raises(RequestInvalid) as caught:
        codec.conversation(body)
    assert caught.value.path == refused.value.path


def test_nobody_spoke_yet() -> None:
    """Without a user message there is no opening and no turn."""
    assert read("messages", messages=[], max_tokens=1) == Conversation()
    odd = [{"role": ["user"], "content": 3}, {"role": "assistant"}]
    assert read("chat_completions", messages=odd) == Conversation()


CALL = {"type": "tool_use", "id": "t", "name": "read", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
CONTINUED: list[tuple[str, dict[str, Any], bool]] = [
    ("chat_completions", {"messages": [{"role": "user", "content": "a"}]}, False),
    (
        "chat_completions",
        {"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]},
        True,
    ),
    (
        "chat_completions",
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "tool", "content": "b"},
                {"role": "user", "content": "c"},
            ]
        },
        False,
    ),
    (
        "chat_completions",
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        False,
    ),
    (
        "messages",
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [CALL]},
                {"role": "user", "content": [RESULT, {"type": "text", "text": "reminder"}]},
            ]
        },
        True,
    ),
    (
        "messages",
        {
            "messages": [
                {"role": "user", "content": [RESULT]},
                {"role": "user", "content": "and now?"},
            ]
        },
        False,
    ),
    ("responses", {"input": "a"}, False),
    (
        "responses",
        {
            "input": [
                {"type": "message", "role": "user", "content": "a"},
                {"type": "function_call", "call_id": "t", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "t", "output": "x"},
            ]
        },
        True,
    ),
]


@pytest.mark.parametrize(("protocol", "fields", "continues"), CONTINUED)
def test_tool_results_after_the_users_last_words_continue_the_turn(
    protocol: str, fields: dict[str, Any], continues: bool
) -> None:
    """Only then does a blend keep its model: the user's next words are a new turn."""
    assert read(protocol, **fields).continues is continues
