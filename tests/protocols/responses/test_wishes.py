"""What prompts ask for, written for upstreams that speak the Responses protocol."""

from typing import Any

import msgspec
import pytest
from support.asking_responses import CHANGES, HELLO, ORIGIN, PNG, assistant, user, write

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Format,
    Image,
    Inline,
    Message,
    Mode,
    Prompt,
    Result,
    Role,
    Sampling,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.losses import Loss
from gatewayctl.protocols.responses import requests


def test_tools_are_not_strict_unless_they_say_so() -> None:
    """The default here is the opposite of every other protocol's."""
    body, _ = write(
        tools=(
            Tool(name="a"),
            Tool(name="b", description="B.", parameters=b'{"type":"object"}', strict=True),
            Tool(name="c", strict=False),
        ),
        parallel=False,
        tool_choice=ToolChoice(mode=Mode.REQUIRED, names=("a",)),
    )
    assert [tool["strict"] for tool in body["tools"]] == [False, True, False]
    assert body["tools"][0] == {
        "type": "function",
        "name": "a",
        "description": None,
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }
    assert body["parallel_tool_calls"] is False
    assert body["tool_choice"] == {"type": "function", "name": "a"}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode=Mode.AUTO), "auto"),
        (ToolChoice(mode=Mode.NONE), "none"),
        (ToolChoice(mode=Mode.REQUIRED), "required"),
        (
            ToolChoice(mode=Mode.AUTO, names=("a",)),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "a"}],
            },
        ),
    ],
)
def test_choices_of_tools_are_written(choice: ToolChoice, written: object) -> None:
    """Every choice of the IR can be said here."""
    body, dropped = write(tools=(Tool(name="a"), Tool(name="b")), tool_choice=choice)
    assert body["tool_choice"] == written
    assert dropped == ()


@pytest.mark.parametrize(
    ("thinking", "reasoning", "encrypted", "dropped"),
    [
        (None, None, False, ()),
        (Thinking(effort="high"), {"effort": "high", "summary": "auto"}, True, ()),
        (Thinking(adaptive=True), {"summary": "auto"}, True, ()),
        (Thinking(adaptive=True, visible=False), None, True, ()),
        (
            Thinking(budget=5000, detail="detailed", visible=True),
            {"effort": "medium", "summary": "detailed"},
            True,
            (),
        ),
        (Thinking(off=True), None, False, (Loss.REASONING,)),
        (Thinking(off=True, effort="none"), {"effort": "none"}, False, ()),
    ],
)
def test_thinking_is_an_effort_and_comes_back_encrypted(
    thinking: Thinking | None,
    reasoning: dict[str, str] | None,
    encrypted: bool,
    dropped: tuple[str, ...],
) -> None:
    """A model that is not asked to think is not asked for encrypted thoughts either."""
    body, left_out = write(thinking=thinking)
    assert body.get("reasoning") == reasoning
    assert ("include" in body) is encrypted
    assert left_out == dropped


def test_a_summary_is_asked_for_only_where_the_clients_protocol_shows_thoughts() -> None:
    """OpenAI gives summaries to verified organisations alone."""
    body, _ = write(thinking=Thinking(effort="low"), protocol=WireProtocol.CHAT_COMPLETIONS)
    assert body["reasoning"] == {"effort": "low"}


def test_the_form_of_the_answer_and_its_length_are_said() -> None:
    """A schema needs a name here, and is strict only where it says so."""
    body, _ = write(format=Format(schema=b'{"type":"object"}'), verbosity="low", logprobs=3)
    told = {"type": "json_schema", "name": "response", "schema": {"type": "object"}}
    assert body["text"] == {"format": {**told, "strict": False}, "verbosity": "low"}
    body_of_strict, _ = write(format=Format(schema=b'{"type":"object"}', strict=True))
    assert body_of_strict["text"] == {"format": {**told, "strict": True}}
    assert (body["top_logprobs"], body["include"]) == (3, ["message.output_text.logprobs"])
    body, _ = write(format=Format())
    assert body["text"] == {"format": {"type": "json_object"}}


def test_whatever_has_no_place_is_named() -> None:
    """In the words that all codecs use."""
    call = Call(id="c", name="f", seal=Seal(form="gemini.call", data="x", origin="g/m"))
    _, dropped = write(
        Message(role=Role.SYSTEM, parts=(Text(text="s", cache="5m"),)),
        Message(role=Role.USER, parts=(Image(source=PNG, detail="medium"),), name="ann"),
        assistant(Image(source=PNG), call),
        user(Result(id="c", failed=True)),
        sampling=Sampling(top_k=3, seed=1, presence_penalty=0.5, frequency_penalty=0),
        user="u" * 65,
        verbosity="endless",
        tier="batch",
        output_budget=1,
    )
    assert dropped == (
        Loss.CACHE,
        Loss.NAME_OF_SPEAKER,
        Loss.IMAGE_DETAIL,
        Loss.IMAGE_OF_ASSISTANT,
        Loss.REASONING_OF_ANOTHER,
        Loss.IS_ERROR,
        "an output budget below 16",
        Loss.VERBOSITY,
        Loss.TOP_K,
        Loss.SEED,
        Loss.PRESENCE_PENALTY,
        Loss.TIER,
        Loss.USER,
    )


def test_cache_markers_are_named_wherever_they_stand() -> None:
    """This protocol's servers find out by themselves what to keep."""
    marked = Text(text="a", cache="5m")
    for message in (
        user(marked),
        user(Result(id="c", content=(marked,))),
        assistant(Call(id="c", name="f", cache="1h")),
    ):
        assert write(message)[1] == (Loss.CACHE,)
    assert write(tools=(Tool(name="f", cache="5m"),))[1] == (Loss.CACHE,)


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"stop": ("x",)},
        {"messages": (user(Audio(source=Inline(media_type="audio/wav", data="AA=="))),)},
        {"messages": (user(Image(source=Uploaded(id="file-1"))),)},
    ],
)
def test_what_may_not_be_left_out_is_refused(fields: dict[str, Any]) -> None:
    """As planning knows, so that it never comes to this."""
    said = {"model": "m", "protocol": WireProtocol.MESSAGES, "messages": (HELLO,), **fields}
    with pytest.raises(RequestInvalid):
        requests.write(
            msgspec.convert(said, Prompt),
            Target(origin=ORIGIN, changes=CHANGES),
        )


def test_the_planners_and_the_configs_changes_are_made() -> None:
    """The budget takes the prompt's place; what the config sets or drops has the last word."""
    changes = Changes(
        model="gpt", output_budget=100, set={"store": b"true", "x": b"1"}, drop=("stream",)
    )
    body, dropped = write(changes=changes, output_budget=5000, fast=True, user="u")
    assert body["max_output_tokens"] == 100
    assert (body["store"], body["x"], body["service_tier"], body["user"]) == (
        True,
        1,
        "priority",
        "u",
    )
    assert "stream" not in body
    assert dropped == ()
