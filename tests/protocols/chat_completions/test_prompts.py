"""Chat Completions requests, read as prompts of the IR: everything beside the messages."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import Format, Mode, Prompt, Sampling, Thinking, Tool, ToolChoice
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec

CODEC = ChatCompletionsCodec()
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
HOSTED = {"type": "web_search"}


def prompt(**fields: Any) -> Prompt:
    """Return the prompt that a request with these fields is read as."""
    body = {"model": "m", "messages": [USER]} | fields
    return CODEC.read_prompt(msgspec.json.encode(body))


def refused(**fields: Any) -> str | None:
    """Return the path at which a request is refused."""
    with pytest.raises(RequestInvalid) as caught:
        prompt(**fields)
    return caught.value.path


def test_the_fields_of_a_request() -> None:
    """Everything that has a place in the IR goes there, and nothing is recorded as dropped."""
    found = prompt(
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        max_completion_tokens=90,
        max_tokens=80,
        n=2,
        stop=["a", "b"],
        temperature=1,
        top_p=0.5,
        top_k=4,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=3,
        verbosity="low",
        service_tier="flex",
        user="u",
        metadata={"a": "b"},
        store=True,
        parallel_tool_calls=False,
    )
    assert msgspec.structs.replace(found, messages=()) == Prompt(
        protocol=WireProtocol.CHAT_COMPLETIONS,
        model="m",
        messages=(),
        stream=True,
        include_usage=True,
        output_budget=90,
        n=2,
        stop=("a", "b"),
        sampling=Sampling(
            temperature=1.0,
            top_p=0.5,
            top_k=4,
            seed=7,
            presence_penalty=0.1,
            frequency_penalty=-0.1,
        ),
        logprobs=3,
        verbosity="low",
        tier="flex",
        user="u",
        metadata={"a": "b"},
        store=True,
        parallel=False,
    )


def test_null_is_nothing_at_all() -> None:
    """SDKs write null for what was not set."""
    names = ("stop", "n", "tools", "tool_choice", "reasoning", "response_format", "max_tokens")
    assert prompt(**dict.fromkeys(names)) == prompt()
    assert prompt(modalities=["text"], logit_bias={}, web_search_options=None) == prompt()


def test_what_no_other_protocol_knows_is_recorded_by_name() -> None:
    """Its own fields and those of its servers, each in the order of the body."""
    found = prompt(
        logit_bias={"1": 5},
        prediction={"type": "content", "content": "x"},
        web_search_options={},
        prompt_cache_key="k",
        min_p=0.1,
        guided_json={"type": "object"},
    )
    assert found.dropped == (
        "logit_bias",
        "prediction",
        "tools[web_search]",
        "prompt_cache_key",
        "min_p",
        "guided_json",
    )
    assert prompt(web_search_options={"search_context_size": "low"}).dropped == (
        "tools[web_search]",
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_effort": "high"}, Thinking(effort="high")),
        ({"reasoning_effort": "none"}, Thinking(effort="none", off=True)),
        ({"reasoning": {"effort": "low"}}, Thinking(effort="low")),
        ({"reasoning": {"max_tokens": 2000}}, Thinking(budget=2000)),
        ({"reasoning": {"enabled": True}}, Thinking(adaptive=True)),
        ({"reasoning": {"enabled": False}}, Thinking(off=True)),
        (
            {"reasoning": {"effort": "low", "exclude": True}},
            Thinking(effort="low", visible=False),
        ),
        ({"reasoning": "medium"}, Thinking(effort="medium")),
        ({"include_reasoning": True}, Thinking(visible=True)),
        ({"thinking": {"type": "disabled"}}, Thinking(off=True)),
        ({"thinking": {"type": "enabled"}}, Thinking(adaptive=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, Thinking(budget=4000)),
        ({"enable_thinking": False}, Thinking(off=True)),
        ({"enable_thinking": True}, None),
        ({}, None),
    ],
)
def test_how_much_is_thought_wherever_it_is_said(
    fields: dict[str, Any], expected: Thinking | None
) -> None:
    """OpenAI's word, OpenRouter's object, and the switches of DeepSeek, Moonshot and Alibaba."""
    assert prompt(**fields).thinking == expected
    assert prompt(**fields).dropped == ()


def test_tools_in_every_form_that_clients_write() -> None:
    """Codex once repeated the name beside the function; some leave the function out."""
    schema = {"type": "object", "properties": {}}
    found = prompt(
        tools=[
            {"type": "function", "name": "stray", "function": {"name": "a", "parameters": schema}},
            {"type": "function", "name": "b", "description": "B", "strict": True},
            {"function": {"name": "c"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            HOSTED,
            {"type": "custom", "custom": {"name": "d"}},
        ]
    )
    assert found.tools == (
        Tool(name="a", parameters=msgspec.json.encode(schema)),
        Tool(name="b", description="B", strict=True),
        Tool(name="c", cache="1h"),
    )
    assert found.dropped == ("tools[web_search]", "tools[custom]")
    assert not found.legacy_functions


def test_functions_are_tools_of_a_client_that_knows_calls_in_the_older_form() -> None:
    """The reply must be written for it: it looks for no ``tool_calls``."""
    found = prompt(functions=[{"name": "f"}], function_call={"name": "f"})
    assert found.tools == (Tool(name="f"),)
    assert found.tool_choice == ToolChoice(mode=Mode.REQUIRED, names=("f",))
    assert found.legacy_functions
    assert found.parallel is False, "such a reply has a place for one call"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice(mode=Mode.AUTO)),
        ("none", ToolChoice(mode=Mode.NONE)),
        ("required", ToolChoice(mode=Mode.REQUIRED)),
        ("any", ToolChoice(mode=Mode.REQUIRED)),
        (
            {"type": "function", "function": {"name": "f"}},
            ToolChoice(mode=Mode.REQUIRED, names=("f",)),
        ),
        ({"type": "function", "name": "f"}, ToolChoice(mode=Mode.REQUIRED, names=("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}, HOSTED],
                },
            },
            ToolChoice(mode=Mode.AUTO, names=("f",)),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [HOSTED]}},
            ToolChoice(mode=Mode.NONE),
        ),
    ],
)
def test_which_tools_may_be_called(choice: Any, expected: ToolChoice) -> None:
    """Every form of a choice; what is left of one among dropped tools is no call at all."""
    assert prompt(tools=[TOOL], tool_choice=choice).tool_choice == expected


def test_a_format_with_a_schema_is_kept_whole() -> None:
    """Its name and strictness too; llama.cpp takes a schema without them."""
    schema = {"type": "object"}
    given = {"name": "n", "description": "d", "schema": schema, "strict": True}
    found = prompt(response_format={"type": "json_schema", "json_schema": given}).format
    raw = msgspec.json.encode(schema)
    assert found == Format(schema=raw, name="n", description="d", strict=True)
    plain = {"type": "json_object", "schema": schema}
    assert prompt(response_format=plain).format == Format(schema=raw)
    assert prompt(response_format={"type": "json_object"}).format == Format()
    assert prompt(response_format={"type": "text"}).format is None


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": None}, "$.model"),
        ({"messages": None}, "$.messages"),
        ({"messages": [1]}, "$.messages[0]"),
        ({"temperature": "warm"}, "$.temperature"),
        ({"stop": ["a", []]}, "$.stop[1]"),
        ({"max_tokens": -1}, "$.max_tokens"),
        ({"n": 0}, "$.n"),
        ({"metadata": {"a": []}}, "$.metadata[...]"),
        ({"tools": [1]}, "$.tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "$.tools[0].function.name"),
        ({"functions": [1]}, "$.functions[0]"),
        ({"tool_choice": "perhaps"}, "$.tool_choice"),
        ({"tool_choice": {"type": "function"}}, "$.tool_choice.function.name"),
        ({"tool_choice": []}, "$.tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": 1}},
            "$.tool_choice.allowed_tools",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x"}}},
            "$.tool_choice.allowed_tools.mode",
        ),
        ({"response_format": {"type": "json_schema"}}, "$.response_format.json_schema"),
        ({"response_format": 1}, "$.response_format"),
    ],
)
def test_a_malformed_field_is_refused_where_it_stands(fields: dict[str, Any], path: str) -> None:
    """The path is the client's own, so that the mistake can be found."""
    assert refused(**fields) == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"modalities": ["text", "audio"]}, "$.modalities"),
        ({"tools": [HOSTED], "tool_choice": "required"}, "$.tool_choice"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "$.tool_choice"),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": [HOSTED]},
                }
            },
            "$.tool_choice.allowed_tools",
        ),
        ({"response_format": {"type": "structural_tag"}}, "$.response_format.type"),
    ],
)
def test_what_may_not_be_dropped_is_refused(fields: dict[str, Any], path: str) -> None:
    """A forced tool that is dropped, or sound that is asked for, would change the meaning."""
    assert refused(**fields) == path
    body = msgspec.json.encode({"model": "m", "messages": [USER]} | fields)
    assert CODEC.shape(body).demands, "planning must know of it too"
