"""Prompts of the IR, written as Chat Completions requests: everything beside the messages."""

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
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import Changes, Target

CODEC = ChatCompletionsCodec()
MESSAGES = (Message(role=Role.USER, parts=(Text(text="hi"),)),)
EMPTY = {"type": "object", "properties": {}}
TOOLS = (Tool(name="f", parameters=b'{"type":"object"}'), Tool(name="g"))


def written(
    *, changes: Changes | None = None, flags: dict[str, bool] | None = None, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of the request beside model and messages, and what was dropped."""
    given = {"protocol": WireProtocol.MESSAGES, "model": "alias", "messages": MESSAGES} | fields
    target = Target(origin="up/m", changes=changes or Changes(model="m"), flags=flags or {})
    found = CODEC.write_prompt(Prompt(**given), target)
    body = msgspec.json.decode(found.body)
    assert body.pop("model") == "m"
    assert body.pop("messages") == [{"role": "user", "content": "hi"}]
    return body, found.dropped


def test_everything_that_this_protocol_can_say() -> None:
    """Each field under OpenAI's name, and nothing dropped."""
    body, dropped = written(
        tools=TOOLS,
        tool_choice=ToolChoice(mode=Mode.AUTO),
        parallel=False,
        format=Format(),
        output_budget=9,
        sampling=Sampling(
            temperature=0.5, top_p=0.9, seed=3, presence_penalty=0.1, frequency_penalty=0.2
        ),
        stop=("a",),
        n=2,
        logprobs=2,
        tier="flex",
        user="u",
        metadata={"a": "b"},
        store=True,
    )
    assert body == {
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": EMPTY}},
            {"type": "function", "function": {"name": "g"}},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": ["a"],
        "n": 2,
        "logprobs": True,
        "top_logprobs": 2,
        "service_tier": "flex",
        "user": "u",
        "metadata": {"a": "b"},
        "store": True,
    }
    assert dropped == ()


def test_nothing_is_said_that_the_client_did_not_say() -> None:
    """Not even OpenAI's own defaults, which other servers may not know."""
    assert written() == ({}, ())


def test_what_only_some_servers_know_is_dropped_and_recorded() -> None:
    """Others refuse a field that they do not know."""
    body, dropped = written(
        tools=(Tool(name="f", cache="5m"),),
        thinking=Thinking(off=True, detail="auto"),
        sampling=Sampling(top_k=5),
        user="u" * 65,
        metadata={"a": "b"},
        store=False,
    )
    assert list(body) == ["tools"]
    assert dropped == (
        "reasoning",
        "cache_control",
        "reasoning summary",
        "top_k",
        "user",
        "metadata",
    )


def test_the_output_budget_goes_by_the_name_that_the_provider_knows() -> None:
    """The planner's budget, where it gives one, in place of the client's."""
    changes = Changes(model="m", output_budget=5)
    newer = {"max_completion_tokens": True}
    assert written(output_budget=9)[0] == {"max_tokens": 9}
    assert written(output_budget=9, changes=changes)[0] == {"max_tokens": 5}
    assert written(flags=newer, changes=changes)[0] == {"max_completion_tokens": 5}


def test_a_stream_is_asked_for_its_usage() -> None:
    """Only a stream, and only where it is wanted."""
    usage = Changes(model="m", include_usage=True)
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    assert written(stream=True, changes=usage)[0] == asked
    assert written(stream=True)[0] == {"stream": True}
    assert written(changes=usage)[0] == {}


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        (Thinking(effort="xhigh"), "xhigh"),
        (Thinking(effort="none", off=True), "none"),
        (Thinking(budget=1024), "low"),
        (Thinking(budget=8192), "medium"),
        (Thinking(budget=30_000), "high"),
        (Thinking(effort="minimal", budget=30_000), "minimal"),
        (Thinking(adaptive=True), None),
        (Thinking(off=True), None),
    ],
)
def test_how_much_is_thought_is_said_in_a_word(thinking: Thinking, effort: str | None) -> None:
    """A budget becomes the nearest word; as much as the model likes is not said at all."""
    assert written(thinking=thinking)[0].get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode=Mode.NONE), "none"),
        (ToolChoice(mode=Mode.NONE, names=("f",)), "none"),
        (ToolChoice(mode=Mode.REQUIRED), "required"),
        (
            ToolChoice(mode=Mode.REQUIRED, names=("f",)),
            {"type": "function", "function": {"name": "f"}},
        ),
        (
            ToolChoice(mode=Mode.AUTO, names=("f",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
    ],
)
def test_which_tools_may_be_called(choice: ToolChoice, expected: object) -> None:
    """One tool that must be called is named; a choice among some is said as such."""
    assert written(tools=TOOLS, tool_choice=choice)[0]["tool_choice"] == expected


def test_a_choice_without_tools_is_not_said() -> None:
    """OpenAI refuses it, and nothing can be called anyway."""
    assert written(tool_choice=ToolChoice(mode=Mode.AUTO), parallel=True)[0] == {}


def test_a_schema_always_has_a_name() -> None:
    """OpenAI demands one; a client of another protocol has none to give."""
    named = Format(schema=b'{"type":"object"}', name="n", description="d", strict=True)
    schema = {"type": "object"}
    assert written(format=named)[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": schema, "strict": True},
    }
    unnamed = written(format=Format(schema=b'{"type":"object"}'))[0]["response_format"]
    assert unnamed["json_schema"] == {"name": "response", "schema": schema}


def test_speed_is_a_tier_here() -> None:
    """A tier that the client names itself wins."""
    assert written(fast=True)[0] == {"service_tier": "priority"}
    assert written(fast=True, tier="flex")[0] == {"service_tier": "flex"}


def test_what_the_config_sets_and_drops_has_the_last_word() -> None:
    """It speaks of the written body, whatever the client's protocol is."""
    changes = Changes(
        model="m", set={"temperature": b"0.20", "x": b"[1]"}, drop=("service_tier", "nothing")
    )
    body, _ = written(tier="flex", sampling=Sampling(temperature=1.0), changes=changes)
    assert body == {"temperature": 0.2, "x": [1]}


def test_what_mistrals_api_does_not_know_is_left_out() -> None:
    """It refuses every field that it does not list, and tells usage unasked."""
    body, dropped = written(
        flags={"mistral_rules": True},
        verbosity="low",
        sampling=Sampling(temperature=0.5, seed=3),
        logprobs=2,
        tier="flex",
        user="u",
        parallel=False,
        tools=TOOLS[:1],
        output_budget=9,
    )
    assert body.keys() == {"tools", "parallel_tool_calls", "temperature", "max_tokens"}
    assert dropped == ("seed", "logprobs", "verbosity", "user", "service_tier")
