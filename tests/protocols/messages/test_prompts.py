"""Messages requests, read as prompts of the IR."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import (
    Format,
    Message,
    Mode,
    Prompt,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
USER = {"role": "user", "content": "hi"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def prompt(*messages: dict[str, Any], **fields: Any) -> Prompt:
    """Return the prompt that a request with these messages and fields is read as."""
    body = {"model": "m", "max_tokens": 9, "messages": list(messages or (USER,))} | fields
    return CODEC.read_prompt(msgspec.json.encode(body))


def refused(*messages: dict[str, Any], **fields: Any) -> str | None:
    """Return the path at which a request is refused."""
    with pytest.raises(RequestInvalid) as caught:
        prompt(*messages, **fields)
    return caught.value.path


def test_the_fields_of_a_request() -> None:
    """Everything that has a place in the IR goes there, and nothing is recorded as dropped."""
    found = prompt(
        system="Be brief.",
        stream=True,
        temperature=0,
        top_p=0.5,
        top_k=4,
        stop_sequences=["x"],
        metadata={"user_id": "me"},
        service_tier="standard_only",
        speed="fast",
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
    )
    assert found == Prompt(
        protocol=WireProtocol.MESSAGES,
        model="m",
        messages=(
            Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
            Message(role=Role.USER, parts=(Text(text="hi"),)),
        ),
        stream=True,
        output_budget=9,
        sampling=Sampling(temperature=0, top_p=0.5, top_k=4),
        stop=("x",),
        user="me",
        tier="default",
        fast=True,
        format=Format(schema=b'{"type":"object"}'),
    )


def test_claude_codes_system_messages_keep_their_place() -> None:
    """A system array beside ``messages``, and messages of the role system among the others."""
    system = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {}}]
    later = {"role": "system", "content": [{"type": "text", "text": "c"}]}
    assert prompt(USER, later, system=system).messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="a"), Text(text="b"))),
        Message(role=Role.USER, parts=(Text(text="hi"),)),
        Message(role=Role.SYSTEM, parts=(Text(text="c"),)),
    )


def test_tools_that_clients_run_are_kept_and_others_recorded() -> None:
    """Hosted tools are told by their type, hints that mean something here by their name."""
    found = prompt(
        tools=[
            {**TOOL, "description": "d", "strict": True, "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "name": "g", "eager_input_streaming": True, "defer_loading": False},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "bash_20250124", "name": "bash"},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    )
    assert found.tools == (
        Tool(name="f", description="d", parameters=b'{"type":"object"}', strict=True, cache="5m"),
        Tool(name="g"),
    )
    assert found.tool_choice == ToolChoice(mode=Mode.REQUIRED, names=("f",))
    assert found.parallel is False
    assert found.dropped == (
        "eager_input_streaming",
        "tools[web_search_20250305]",
        "tools[bash_20250124]",
    )


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"type": "auto"}, ToolChoice(mode=Mode.AUTO)),
        ({"type": "any"}, ToolChoice(mode=Mode.REQUIRED)),
        ({"type": "none"}, ToolChoice(mode=Mode.NONE)),
        (None, None),
    ],
)
def test_the_choice_of_a_tool(choice: Any, found: ToolChoice | None) -> None:
    """Each kind of choice has its mode."""
    assert prompt(tools=[TOOL], tool_choice=choice).tool_choice == found


def test_a_choice_without_tools_that_are_left_is_none() -> None:
    """What may be called or must not be is nothing, where there is nothing to call."""
    for kind in ("auto", "none"):
        assert prompt(tools=[], tool_choice={"type": kind}).tool_choice is None


@pytest.mark.parametrize(
    ("thinking", "effort", "found"),
    [
        (None, None, None),
        (None, "low", Thinking(effort="low")),
        ({"type": "disabled"}, "high", Thinking(off=True)),
        ({"type": "enabled", "budget_tokens": 2000}, None, Thinking(budget=2000)),
        (
            {"type": "adaptive", "display": "summarized"},
            "high",
            Thinking(effort="high", adaptive=True, visible=True),
        ),
        ({"type": "adaptive", "display": "omitted"}, None, Thinking(adaptive=True, visible=False)),
    ],
)
def test_how_much_may_be_thought(thinking: Any, effort: Any, found: Thinking | None) -> None:
    """Budgets, effort and whether what is thought is to be seen."""
    config = {"effort": effort}
    assert prompt(thinking=thinking, output_config=config).thinking == found


def test_what_the_ir_cannot_hold_is_recorded_by_name() -> None:
    """Unknown and Anthropic's own fields, unless they say nothing."""
    found = prompt(
        {"role": "user", "content": [{"type": "hologram"}, {"type": "text", "text": "a"}]},
        context_management={"edits": [{"type": "clear_thinking_20251015"}]},
        mcp_servers=[{"type": "url"}],
        container="c",
        betas=[],
        diagnostics=None,
        metadata={"user_id": "me", "other": 1},
        output_config={"task_budget": {"type": "tokens", "total": 1}},
        service_tier="unheard-of",
        thinking={"type": "between_tools"},
        x=0,
    )
    assert set(found.dropped) == {
        "content[hologram]",
        "context_management",
        "mcp_servers",
        "container",
        "metadata",
        "output_config.task_budget",
        "service_tier",
        "thinking[between_tools]",
        "x",
    }


def test_messages_that_say_nothing_are_left_out() -> None:
    """Empty text and blocks that were dropped leave no message behind."""
    assert prompt({"role": "user", "content": ""}, USER, system="").messages == (
        Message(role=Role.USER, parts=(Text(text="hi"),)),
    )


@pytest.mark.parametrize(
    ("message", "fields", "path"),
    [
        ({"role": "robot", "content": "hi"}, {}, "$.messages[0].role"),
        (
            {"role": "user", "content": [{"type": "tool_use", "name": "f"}]},
            {},
            "$.messages[0].content[0].id",
        ),
        (
            {"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": 3}]},
            {},
            "$.messages[0].content[0].input",
        ),
        (
            {"role": "user", "content": [{"type": "tool_result"}]},
            {},
            "$.messages[0].content[0].tool_use_id",
        ),
        (
            {"role": "user", "content": [{"type": "tool_result", "content": [3]}]},
            {},
            "$.messages[0].content[0].content[0]",
        ),
        (
            {"role": "user", "content": [{"type": "image", "source": {"type": "fax"}}]},
            {},
            "$.messages[0].content[0].source",
        ),
        (USER, {"tools": [{"input_schema": {}}]}, "$.tools[0].name"),
        (USER, {"tools": [{"name": "f", "input_schema": 3}]}, "$.tools[0].input_schema"),
        (USER, {"tools": [TOOL], "tool_choice": {"type": "x"}}, "$.tool_choice.type"),
        (USER, {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "$.tool_choice"),
        (USER, {"tools": [], "tool_choice": {"type": "any"}}, "$.tool_choice"),
        (USER, {"output_format": {"type": "json_object"}}, "$.output_format"),
        (USER, {"output_config": {"format": {"type": "x"}}}, "$.output_config.format"),
        (USER, {"temperature": "hot"}, "$.temperature"),
        (USER, {"top_k": 1.5}, "$.top_k"),
        (USER, {"stop_sequences": [1]}, "$.stop_sequences"),
        (USER, {"model": 3}, "$.model"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_is(
    message: dict[str, Any], fields: dict[str, Any], path: str
) -> None:
    """Nothing is guessed: the path at fault is told."""
    assert refused(message, **fields) == path
