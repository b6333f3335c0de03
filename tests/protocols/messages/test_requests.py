"""Prompts, written as Messages requests."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Format,
    Image,
    Inline,
    Linked,
    Message,
    Mode,
    Prompt,
    Result,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.events import CallBegun
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
HELLO = Message(role=Role.USER, parts=(Text(text="hi"),))
TOOL = Tool(name="f", parameters=b'{"type":"object","properties":{}}')
OLDER, NEWER, NEWEST, OTHER = (
    "claude-sonnet-4-5-20250929",
    "claude-opus-4-6",
    "claude-opus-5",
    "kimi-k2",
)


def written(
    *messages: Message,
    model: str = OTHER,
    changes: dict[str, Any] | None = None,
    most_output: int | None = None,
    **fields: Any,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body that is sent to a model of this name, and what was dropped."""
    prompt = Prompt(
        protocol=WireProtocol.CHAT_COMPLETIONS,
        model="asked",
        messages=messages or (HELLO,),
        **{"output_budget": 9000} | fields,
    )
    target = Target(
        origin="p/m", changes=Changes(model=model, **changes or {}), most_output=most_output
    )
    found = CODEC.write_prompt(prompt, target)
    return msgspec.json.decode(found.body), found.dropped


def refused(**fields: Any) -> str:
    """Return the words with which a prompt is refused."""
    with pytest.raises(RequestInvalid) as caught:
        written(**fields)
    return str(caught.value)


def test_a_small_request() -> None:
    """Nothing is said that was not asked for."""
    system = Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),))
    assert written(system, HELLO) == (
        {
            "model": OTHER,
            "max_tokens": 9000,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        },
        (),
    )


def test_a_full_request() -> None:
    """Every field that has a place here is in it."""
    body, dropped = written(
        model="claude-opus-4-0",
        stream=True,
        tools=(TOOL, Tool(name="g", description="d", parameters=b'{"properties":{}}')),
        tool_choice=ToolChoice(mode=Mode.AUTO),
        parallel=True,
        format=Format(schema=b'{"type":"object"}'),
        sampling=Sampling(temperature=0, top_p=0.5, top_k=0),
        stop=("x",),
        user="someone",
        tier="default",
        fast=True,
    )
    assert dropped == ()
    assert body == {
        "model": "claude-opus-4-0",
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "tools": [
            {"name": "f", "input_schema": {"type": "object", "properties": {}}},
            {"name": "g", "description": "d", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "auto"},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 0,
        "stop_sequences": ["x"],
        "metadata": {"user_id": "someone"},
        "service_tier": "standard_only",
        "speed": "fast",
        "stream": True,
    }


def test_a_tool_without_parameters_has_an_empty_schema() -> None:
    """The field is required, and its type as well."""
    body, _ = written(tools=(Tool(name="f"), Tool(name="g", parameters=b"{}")))
    empty = {"type": "object", "properties": {}}
    assert [tool["input_schema"] for tool in body["tools"]] == [empty, empty]


def test_the_output_budget_is_always_said() -> None:
    """The planner's, else the client's, else the model's own limit; without any: a refusal."""
    assert written(changes={"output_budget": 5})[0]["max_tokens"] == 5
    assert written(output_budget=None, most_output=7)[0]["max_tokens"] == 7
    assert "$.max_tokens" in refused(output_budget=None)


def test_what_the_config_sets_and_drops_has_the_last_word() -> None:
    """Fields of the written body are replaced, added and removed."""
    changes = {"set": {"top_k": b"3", "x": b"[1.0]"}, "drop": ("temperature", "y")}
    body, _ = written(changes=changes, sampling=Sampling(temperature=1, top_k=9))
    assert (body["top_k"], body["x"], "temperature" in body) == (3, [1.0], False)


@pytest.mark.parametrize(
    ("choice", "parallel", "found"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode=Mode.NONE), False, {"type": "none"}),
        (ToolChoice(mode=Mode.REQUIRED), None, {"type": "any"}),
        (
            ToolChoice(mode=Mode.REQUIRED, names=("f",)),
            False,
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_the_choice_of_a_tool(choice: Any, parallel: Any, found: Any) -> None:
    """Whether tools are called, and whether several at once, is one field here."""
    body, _ = written(tools=(TOOL,), tool_choice=choice, parallel=parallel)
    assert body.get("tool_choice") == found


def test_names_of_tools_are_spelled_in_letters_that_anthropic_takes() -> None:
    """The same in the definition, the choice and the history; a call comes back as it was."""
    name = "github.search"
    history = (
        Message(role=Role.ASSISTANT, parts=(Call(id="c", name=name),)),
        Message(role=Role.USER, parts=(Result(id="c"),)),
    )
    choice = ToolChoice(mode=Mode.REQUIRED, names=(name,))
    body, _ = written(HELLO, *history, tools=(Tool(name=name),), tool_choice=choice)
    found = {
        body["tools"][0]["name"],
        body["tool_choice"]["name"],
        body["messages"][1]["content"][0]["name"],
    }
    assert found == {"github_u002E_search"}
    block = {"type": "tool_use", "id": "t", "name": "github_u002E_search", "input": {}}
    reply = msgspec.json.encode({"type": "message", "content": [block]})
    assert any(isinstance(it, CallBegun) and it.name == name for it in CODEC.read_events(reply))


def test_a_choice_without_tools_is_not_said() -> None:
    """Anthropic refuses it."""
    body, dropped = written(tool_choice=ToolChoice(mode=Mode.AUTO), parallel=False)
    assert "tool_choice" not in body
    assert dropped == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"format": Format()},
        {"tools": (TOOL,), "tool_choice": ToolChoice(mode=Mode.AUTO, names=("f",))},
        {"tools": (TOOL,), "tool_choice": ToolChoice(mode=Mode.REQUIRED, names=("f", "g"))},
        {"tool_choice": ToolChoice(mode=Mode.REQUIRED)},
    ],
)
def test_what_may_not_be_dropped_is_refused(fields: dict[str, Any]) -> None:
    """Dropping it would change what is asked."""
    assert "cannot be said" in refused(**fields)


@pytest.mark.parametrize(
    "part",
    [
        Audio(source=Inline(media_type="audio/wav", data="AA")),
        Image(source=Uploaded(id="file-1")),
    ],
)
def test_content_that_this_protocol_has_no_words_for_is_refused(part: Any) -> None:
    """Sound, and files of another provider."""
    with pytest.raises(RequestInvalid):
        written(Message(role=Role.USER, parts=(part,)))


def test_what_cannot_be_said_is_recorded() -> None:
    """In the words that all protocols share."""
    _, dropped = written(
        Message(role=Role.USER, parts=(Image(source=Linked(url="u"), detail="high"),), name="x"),
        sampling=Sampling(temperature=1.5, seed=0, presence_penalty=1, frequency_penalty=0),
        tools=(Tool(name="f", strict=True),),
        format=Format(schema=b"{}", name="n", strict=False),
        logprobs=0,
        verbosity="low",
        store=True,
        metadata={"a": "b"},
        user="me@example.org",
        tier="flex",
        stop=("\n", "x"),
    )
    assert set(dropped) == {
        "detail of an image",
        "name of a speaker",
        "temperature",
        "seed",
        "presence_penalty",
        "strict of a tool",
        "name of a response format",
        "strict of a response format",
        "logprobs",
        "verbosity",
        "store",
        "metadata",
        "user",
        "service_tier",
        "blank stop sequence",
    }


def test_a_tool_is_strict_where_the_model_can_be_held_to_it() -> None:
    """Newer models of Anthropic's are, others need not know the field."""
    body, dropped = written(model=OLDER, tools=(Tool(name="f", strict=True),))
    assert body["tools"][0]["strict"] is True
    assert dropped == ()


@pytest.mark.parametrize(
    ("model", "thinking", "found", "effort"),
    [
        (OTHER, Thinking(effort="high"), {"type": "enabled", "budget_tokens": 7200}, None),
        (OTHER, Thinking(effort="low"), {"type": "enabled", "budget_tokens": 1024}, None),
        (OTHER, Thinking(adaptive=True), {"type": "enabled", "budget_tokens": 8192}, None),
        (OTHER, Thinking(off=True), {"type": "disabled"}, None),
        (OTHER, Thinking(visible=True), None, None),
        (
            OLDER,
            Thinking(budget=2000, visible=False),
            {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
            None,
        ),
        (OLDER, Thinking(effort="none"), None, None),
        (NEWER, Thinking(effort="xhigh"), {"type": "adaptive"}, "high"),
        (NEWER, Thinking(effort="none"), None, None),
        (
            NEWEST,
            Thinking(effort="xhigh", visible=True),
            {"type": "adaptive", "display": "summarized"},
            "xhigh",
        ),
        (NEWEST, Thinking(effort="minimal"), {"type": "adaptive"}, "low"),
        (NEWEST, Thinking(budget=5000), {"type": "adaptive"}, "medium"),
        (NEWEST, Thinking(adaptive=True), {"type": "adaptive"}, None),
        (NEWEST, Thinking(off=True), {"type": "disabled"}, None),
    ],
)
def test_thinking_is_said_as_the_model_wants_it(
    model: str, thinking: Thinking, found: Any, effort: str | None
) -> None:
    """Newer models are told an effort, older ones a budget below the whole one."""
    body, dropped = written(model=model, thinking=thinking)
    assert body.get("thinking") == found
    assert body.get("output_config", {}).get("effort") == effort
    assert dropped == ()


@pytest.mark.parametrize(
    ("model", "fields", "lost"),
    [
        (OTHER, {"output_budget": 1024}, "reasoning budget"),
        (OLDER, {"tool_choice": ToolChoice(mode=Mode.REQUIRED)}, "reasoning"),
        (NEWEST, {"tool_choice": ToolChoice(mode=Mode.REQUIRED, names=("f",))}, "reasoning"),
    ],
)
def test_thinking_that_would_be_refused_is_left_out(
    model: str, fields: dict[str, Any], lost: str
) -> None:
    """No room for an answer, or a tool that must be called: said without thinking, and recorded."""
    body, dropped = written(model=model, tools=(TOOL,), thinking=Thinking(effort="low"), **fields)
    assert "thinking" not in body
    assert dropped == (lost,)


def test_efforts_that_a_model_cannot_be_told_are_recorded() -> None:
    """Words from nowhere, and thinking that cannot be switched off."""
    assert written(model=NEWEST, thinking=Thinking(effort="so-so"))[1] == ("reasoning effort",)
    assert written(model=OTHER, thinking=Thinking(effort="so-so"))[1] == ("reasoning effort",)
    body, dropped = written(model="claude-fable-5", thinking=Thinking(off=True))
    assert ("thinking" in body, dropped) == (False, ("reasoning effort",))


@pytest.mark.parametrize(
    ("model", "thinking", "sampling", "kept", "lost"),
    [
        (OTHER, None, {"temperature": 0.5, "top_p": 0.5}, {"temperature", "top_p"}, ()),
        (OLDER, None, {"temperature": 0.5, "top_p": 0.5}, {"temperature"}, ("top_p",)),
        (NEWER, None, {"top_p": 0.5, "top_k": 3}, {"top_p", "top_k"}, ()),
        (NEWEST, None, {"temperature": 1, "top_p": 1}, set(), ()),
        (
            NEWEST,
            None,
            {"temperature": 0, "top_p": 0.5, "top_k": 3},
            set(),
            ("temperature", "top_p", "top_k"),
        ),
        (
            OTHER,
            "low",
            {"temperature": 0, "top_p": 0.5, "top_k": 3},
            set(),
            ("temperature", "top_p", "top_k"),
        ),
        (OTHER, "low", {"temperature": 1, "top_p": 0.95}, {"temperature", "top_p"}, ()),
    ],
)
def test_sampling_is_said_as_far_as_the_model_takes_it(
    model: str,
    thinking: str | None,
    sampling: dict[str, float],
    kept: set[str],
    lost: tuple[str, ...],
) -> None:
    """The newest models take none, those that think hardly any, some not two at once."""
    effort = None if thinking is None else Thinking(effort=thinking)
    body, dropped = written(
        model=model, thinking=effort, sampling=msgspec.convert(sampling, Sampling)
    )
    assert body.keys() & {"temperature", "top_p", "top_k"} == kept
    assert dropped == lost


def test_a_temperature_beyond_the_scale_is_the_highest() -> None:
    """The scale ends at 1 here, at 2 elsewhere."""
    body, dropped = written(sampling=Sampling(temperature=1.5))
    assert (body["temperature"], dropped) == (1, ("temperature",))


def test_four_cache_markers_are_the_most() -> None:
    """The first and the last ones stay, since each stands for all that is before it."""
    texts = [Text(text=str(number), cache="5m") for number in range(5)]
    system = Message(role=Role.SYSTEM, parts=(Text(text="s", cache="1h"),))
    body, dropped = written(system, Message(role=Role.USER, parts=tuple(texts)))
    marked = ["cache_control" in block for block in body["messages"][0]["content"]]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert marked == [False, False, True, True, True]
    assert dropped == ("cache_control",)
