"""Responses requests as prompts: every kind of item and field."""

import json
from typing import Any

import pytest

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Document,
    Format,
    Image,
    Inline,
    Linked,
    Message,
    Mode,
    Prompt,
    Refusal,
    Result,
    Role,
    Seal,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolChoice,
    Uploaded,
)
from gatewayctl.protocols import provenance
from gatewayctl.protocols.responses import prompts

FUNCTION = {"type": "function", "name": "read", "strict": False}
OTHER = {"type": "function", "name": "write"}
SEAL = Seal(form="messages.signature", data="sig")
TURNS: tuple[dict[str, Any], ...] = (
    {"role": "user", "content": "go"},
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [
            {"type": "summary_text", "text": "one"},
            {"type": "summary_text", "text": "two"},
        ],
        "content": None,
        "encrypted_content": provenance.tag(SEAL, "p/m"),
    },
    {"type": "message", "role": "assistant", "content": "On it."},
    {"type": "function_call", "call_id": "c1", "name": "read", "arguments": '{"a":1}'},
    {"type": "function_call", "call_id": "c2", "name": "read", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "one"},
    {
        "type": "function_call_output",
        "call_id": "c2",
        "output": [{"type": "input_image", "image_url": "https://example.org/x.png"}],
    },
    {"role": "user", "content": "and?"},
)
CODEX: dict[str, Any] = {
    "instructions": "You are a coding agent.",
    "input": [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "rules"}],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
        {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAA"},
        {
            "type": "function_call",
            "id": "fc_local_1",
            "name": "exec_command",
            "arguments": '{"cmd":"ls"}',
            "call_id": "call_1",
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "x.py"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "exec_command",
            "description": "Runs.",
            "strict": False,
            "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}},
        },
        {"type": "namespace", "name": "agents", "description": "d", "tools": [FUNCTION]},
        {"type": "web_search", "external_web_access": False},
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "d",
            "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
        },
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199",
    "text": {"verbosity": "low"},
}


def read(**fields: Any) -> Prompt:
    """Read a request of these fields."""
    return prompts.read(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def items(*given: dict[str, Any]) -> tuple[Message, ...]:
    """Read a request of these items, in which nothing is left out; return its messages."""
    prompt = read(input=given)
    assert prompt.dropped == ()
    return prompt.messages


def test_text_is_a_message_of_the_users_behind_the_instructions() -> None:
    """The shortest request there is."""
    assert read(instructions="Be brief.").messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
        Message(role=Role.USER, parts=(Text(text="hi"),)),
    )


@pytest.mark.parametrize("kind", [{}, {"type": "message"}])
@pytest.mark.parametrize("role", list(Role))
def test_messages_keep_their_role_in_both_forms(kind: dict[str, str], role: Role) -> None:
    """The type may be left out, and content may be text."""
    assert items({**kind, "role": role.value, "content": "hi"}) == (
        Message(role=role, parts=(Text(text="hi"),)),
    )


def test_the_parts_of_a_message_become_the_irs() -> None:
    """Text, refusals, images and files, in the body, at an address or uploaded."""
    content = [
        {"type": "input_text", "text": "a"},
        {"type": "output_text", "text": "b", "annotations": []},
        {"type": "refusal", "refusal": "no"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"},
        {"type": "input_image", "image_url": "https://example.org/x.png"},
        {"type": "input_image", "file_id": "file-1"},
        {
            "type": "input_file",
            "filename": "x.pdf",
            "file_data": "data:application/pdf;base64,BB==",
        },
        {"type": "input_file", "filename": "x.csv", "file_data": "CC=="},
        {"type": "input_file", "file_url": "https://example.org/x.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "DD==", "format": "wav"}},
    ]
    [message] = items({"role": "user", "content": content})
    assert message.parts == (
        Text(text="a"),
        Text(text="b"),
        Refusal(text="no"),
        Image(source=Inline(media_type="image/png", data="AAAA"), detail="high"),
        Image(source=Linked(url="https://example.org/x.png")),
        Image(source=Uploaded(id="file-1")),
        Document(source=Inline(media_type="application/pdf", data="BB=="), name="x.pdf"),
        Document(source=Inline(media_type="text/csv", data="CC=="), name="x.csv"),
        Document(source=Linked(url="https://example.org/x.pdf")),
        Document(source=Uploaded(id="file-2")),
        Audio(source=Inline(media_type="audio/wav", data="DD==")),
    )


def test_what_the_model_said_in_a_row_is_one_turn_and_so_are_results() -> None:
    """A thought, an answer and parallel calls stay together, and so do their results."""
    assert items(*TURNS) == (
        Message(role=Role.USER, parts=(Text(text="go"),)),
        Message(
            role=Role.ASSISTANT,
            parts=(
                Thought(
                    text="one\n\ntwo",
                    seal=Seal(form="messages.signature", data="sig", origin="p/m"),
                    id="rs_1",
                ),
                Text(text="On it."),
                Call(id="c1", name="read", arguments='{"a":1}'),
                Call(id="c2", name="read", arguments="{}"),
            ),
        ),
        Message(
            role=Role.USER,
            parts=(
                Result(id="c1", content=(Text(text="one"),)),
                Result(
                    id="c2",
                    content=(Image(source=Linked(url="https://example.org/x.png")),),
                ),
            ),
        ),
        Message(role=Role.USER, parts=(Text(text="and?"),)),
    )


def test_reasoning_is_read_in_each_of_its_forms() -> None:
    """OpenAI's own is a seal of no known model; plain text has none, unless our tag says whose."""
    [turn] = items(
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": provenance.tag(None, "p/m")},
    )
    assert turn.parts == (
        Thought(seal=Seal(form="responses.encrypted", data=":gAAAA")),
        Thought(text="t"),
        Thought(seal=Seal(form="text", data="", origin="p/m")),
    )


def test_a_thought_that_was_not_shown_comes_back_with_its_text() -> None:
    """The tag has it, since the item has none."""
    hidden = Seal(form="text", data="why", origin="p/m")
    item = {
        "type": "reasoning",
        "summary": [],
        "encrypted_content": provenance.tag(hidden, "p/m"),
    }
    [turn] = items(item)
    assert turn.parts == (Thought(text="why", seal=Seal(form="text", data="", origin="p/m")),)


def test_calls_of_tools_that_are_no_functions_are_kept_as_calls() -> None:
    """Where the client carried them out, what was called and what came of it is history."""
    found = items(
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** x"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        {
            "type": "local_shell_call",
            "call_id": "c2",
            "action": {"type": "exec", "command": ["ls"]},
        },
        {"type": "local_shell_call_output", "id": "c2", "output": "x.py"},
        {"type": "mcp_call", "id": "m1", "name": "look", "arguments": "{}", "output": "seen"},
        {
            "type": "computer_call_output",
            "call_id": "c3",
            "output": {
                "type": "computer_screenshot",
                "image_url": "https://example.org/screen.png",
            },
        },
    )
    calls = [part for turn in found for part in turn.parts if isinstance(part, Call)]
    assert calls == [
        Call(id="c1", name="apply_patch", arguments='{"input":"*** x"}'),
        Call(id="c2", name="local_shell", arguments='{"type":"exec","command":["ls"]}'),
        Call(id="m1", name="look", arguments="{}"),
    ]
    results = [part.id for turn in found for part in turn.parts if isinstance(part, Result)]
    assert results == ["c1", "c2", "m1", "c3"]


def test_what_has_no_place_is_named() -> None:
    """Items, parts, tools and fields that only this protocol knows: each once."""
    prompt = read(
        input=[
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "web_search_call", "id": "ws_2", "status": "completed"},
            {
                "role": "user",
                "content": [{"type": "hologram"}, {"type": "input_text", "text": "a"}],
            },
        ],
        tools=[FUNCTION, {"type": "web_search"}, {"type": "namespace", "name": "n", "tools": []}],
        include=["reasoning.encrypted_content", "file_search_call.results"],
        truncation="auto",
        prompt_cache_key="k",
        max_tool_calls=3,
        stream_options={"include_obfuscation": False},
        store=False,
        client_metadata={},
    )
    assert prompt.dropped == (
        "tools[web_search]",
        "tools[namespace]",
        "input[web_search_call]",
        "content[hologram]",
        "include[file_search_call.results]",
        "truncation",
        "prompt_cache_key",
        "max_tool_calls",
    )
    assert [tool.name for tool in prompt.tools] == ["read"]


def test_fields_become_the_irs() -> None:
    """Everything that other protocols know in some form."""
    prompt = read(
        stream=True,
        tools=[FUNCTION | {"description": "Reads.", "parameters": {"type": "object"}}],
        parallel_tool_calls=False,
        text={
            "format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True},
            "verbosity": "low",
        },
        reasoning={"effort": "high", "summary": "concise"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        temperature=0.5,
        top_p=1,
        max_output_tokens=99,
        service_tier="flex",
        user="u",
        metadata={"k": "v"},
        store=True,
    )
    assert prompt.tools == (
        Tool(name="read", description="Reads.", parameters=b'{"type":"object"}', strict=False),
    )
    assert prompt.format == Format(schema=b'{"a":1}', name="n", strict=True)
    assert prompt.thinking == Thinking(effort="high", visible=True, detail="concise")
    assert (prompt.stream, prompt.parallel, prompt.verbosity) == (True, False, "low")
    assert (prompt.logprobs, prompt.output_budget, prompt.tier) == (2, 99, "flex")
    assert (prompt.sampling.temperature, prompt.sampling.top_p) == (0.5, 1)
    assert (prompt.user, prompt.metadata, prompt.store) == ("u", {"k": "v"}, True)
    assert prompt.dropped == ()


def test_no_effort_is_thinking_switched_off() -> None:
    """The word stays, since it is this protocol's own."""
    assert read(reasoning={"effort": "none"}).thinking == Thinking(effort="none", off=True)
    assert read(reasoning={}).thinking is None


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (None, None),
        ("auto", ToolChoice(mode=Mode.AUTO)),
        ("none", ToolChoice(mode=Mode.NONE)),
        ("required", ToolChoice(mode=Mode.REQUIRED)),
        ({"type": "function", "name": "read"}, ToolChoice(mode=Mode.REQUIRED, names=("read",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION]},
            ToolChoice(mode=Mode.AUTO, names=("read",)),
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [FUNCTION, OTHER]},
            ToolChoice(mode=Mode.REQUIRED),
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
            ToolChoice(mode=Mode.NONE),
        ),
    ],
)
def test_the_choice_of_a_tool_is_read_in_all_its_forms(
    choice: object, found: ToolChoice | None
) -> None:
    """All functions are no choice among some; where only other tools are allowed, none is."""
    tools = [FUNCTION, OTHER, {"type": "web_search"}]
    assert read(tools=tools, tool_choice=choice).tool_choice == found


def test_what_codex_sends_is_understood() -> None:
    """Its roles, ids of its own making, encrypted reasoning, and tools of every kind."""
    prompt = read(**CODEX)
    assert [message.role for message in prompt.messages] == [
        Role.SYSTEM,
        Role.DEVELOPER,
        Role.USER,
        Role.ASSISTANT,
        Role.USER,
    ]
    assert prompt.tool_choice == ToolChoice(mode=Mode.AUTO)
    assert prompt.dropped == (
        "tools[namespace]",
        "tools[web_search]",
        "tools[custom]",
        "prompt_cache_key",
    )
