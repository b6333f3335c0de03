from typing import Any

import msgspec
import pytest
from support.dialects import SCHEMA

from gatewayctl.simulator.brain import Stop, Wishes, answer
from gatewayctl.simulator.request import Ask, Choice, OfferedTool, Thinking

STRING = {"type": "string"}
READ = OfferedTool(name="Read", schema={"properties": {"path": STRING}, "required": ["path"]})
BASH = OfferedTool(
    name="Bash",
    schema={"properties": {"command": STRING, "description": STRING}, "required": ["command"]},
)
EXEC = OfferedTool(
    name="exec_command", schema={"properties": {"cmd": STRING, "tty": {"type": "boolean"}}}
)
SHELL = OfferedTool(
    name="shell", schema={"properties": {"command": {"type": "array", "items": STRING}}}
)
WEATHER = OfferedTool(name="get_weather", schema=SCHEMA)


def ask(prompt: str, *tools: OfferedTool, **fields: Any) -> Ask:
    """Return a request with a last user text and some tools."""
    return Ask(
        model="small", stream=False, counted=(), turns=1, prompt=prompt, tools=tools, **fields
    )


def called(request: Ask) -> tuple[str, object] | None:
    """Return the call of the answer, None when it is text."""
    calls = answer(request, 10, limit=1000).calls
    return (calls[0].name, calls[0].arguments) if calls else None


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (BASH, {"command": "echo gatewayctl-demo", "description": "Print a line"}),
        (EXEC, {"cmd": "echo gatewayctl-demo"}),
        (SHELL, {"command": ["echo", "gatewayctl-demo"]}),
    ],
)
def test_a_shell_is_given_a_harmless_command(tool: OfferedTool, arguments: object) -> None:
    """Whatever a shell tool is called and however it takes its command, it gets an echo."""
    assert called(ask("run", READ, tool)) == (tool.name, arguments)


@pytest.mark.parametrize("tool", [BASH, EXEC, SHELL])
def test_a_chosen_command_is_called_for_whatever_was_said(tool: OfferedTool) -> None:
    """It goes to the shell, after tool results too; an empty one, or no shell, makes a text."""
    request = ask("hello", READ, tool, results=("done",))
    (call,) = answer(request, 10, limit=1000, command="seq 3").calls
    assert call.name == tool.name
    assert call.arguments.get("command", call.arguments.get("cmd")) in ("seq 3", ["seq", "3"])
    several = answer(request, 10, limit=1000, command="seq 3", wishes=Wishes(calls=2)).calls
    assert len({call.json for call in several}) == 2
    assert answer(ask("hello", READ), 10, limit=1000, command="seq 3").calls == ()
    assert answer(ask("run", tool), 10, limit=1000, command="").calls == ()


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("hello", None),
        ("what is new?", None),
        ("please run it", "Bash"),
        ("use bash, then read", "Read"),
        ("how is the weather today?", "get_weather"),
    ],
)
def test_a_tool_is_called_when_the_last_words_ask_for_it(prompt: str, name: str | None) -> None:
    """A tool's name first, then verbs for a shell, then words of a tool's name; else none."""
    call = called(ask(prompt, READ, BASH, WEATHER))
    assert (call and call[0]) == name


def test_results_are_answered_and_not_called_for_again() -> None:
    """With a result since the last turn, the answer is text that quotes it."""
    answered = answer(ask("run", BASH, results=("first", "gatewayctl-demo")), 10, limit=100)
    assert answered.calls == ()
    assert '"gatewayctl-demo"' in answered.text


def test_choices_are_obeyed() -> None:
    """A forced tool is called, a required call is made, a forbidden one is not."""
    assert called(ask("run", BASH, choice=Choice.NONE)) is None
    assert called(ask("hello", READ, choice=Choice.REQUIRED)) == ("Read", {"path": "example"})
    forced = ask("run", BASH, READ, choice=Choice.REQUIRED, forced="Read")
    assert called(forced) == ("Read", {"path": "example"})


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_the_limit_is_kept_to_the_token(limit: int) -> None:
    """A cut answer has exactly as many tokens as it may have, and a call is never cut."""
    for request in (ask("hello"), ask("run", BASH)):
        cut = answer(request, 10, limit=limit)
        assert (cut.calls, cut.stop, cut.output_tokens) == ((), Stop.LENGTH, limit)


def test_the_same_request_gets_the_same_answer() -> None:
    """Nothing but the request goes into an answer."""
    assert answer(ask("hello"), 10, limit=50) == answer(ask("hello"), 10, limit=50)


def test_as_many_calls_as_are_wished_for() -> None:
    """Where tools are offered and none was used yet; one at a time where that is asked."""
    wishes = Wishes(calls=3)
    commands = [
        call.arguments["command"]
        for call in answer(ask("hello", BASH), 10, limit=100, wishes=wishes).calls
    ]
    assert commands == [
        "echo gatewayctl-demo",
        "echo gatewayctl-demo 1",
        "echo gatewayctl-demo 2",
    ]
    alone = msgspec.structs.replace(ask("hello", BASH), parallel=False)
    assert len(answer(alone, 10, limit=100, wishes=wishes).calls) == 1
    used = ask("hello", BASH, results=("done",))
    assert answer(used, 10, limit=100, wishes=wishes).calls == ()
    assert answer(ask("hello"), 10, limit=100, wishes=wishes).calls == ()


def test_a_text_stands_before_calls_where_both_are_wished_for() -> None:
    """And both are paid for."""
    wished = Wishes(calls=1, words=4)
    answered = answer(ask("hello", BASH), 10, limit=100, wishes=wished)
    assert (answered.text, len(answered.calls)) == ("word word word word", 1)
    alone = answer(ask("hello", BASH), 10, limit=100, wishes=Wishes(calls=1))
    assert answered.output_tokens == alone.output_tokens + 4


def test_arguments_are_broken_off_on_demand() -> None:
    """What a call brings is then no JSON."""
    wishes = Wishes(calls=1, broken=True)
    (call,) = answer(ask("hello", BASH), 10, limit=100, wishes=wishes).calls
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(call.json)


@pytest.mark.parametrize(
    ("thinking", "wishes", "told"),
    [
        (Thinking.NONE, Wishes(), None),
        (Thinking.TOLD, Wishes(), True),
        (Thinking.HIDDEN, Wishes(), False),
        (Thinking.TOLD, Wishes(hidden=True), False),
        (Thinking.NONE, Wishes(thoughts=5), True),
    ],
)
def test_a_model_thinks_where_request_or_caller_want_it(
    thinking: Thinking, wishes: Wishes, told: bool | None
) -> None:
    """Thoughts come first, cost output, and are told or kept."""
    request = msgspec.structs.replace(ask("hello"), thinking=thinking)
    answered = answer(request, 10, limit=200, wishes=wishes)
    assert bool(answered.thoughts) is (told is not None)
    assert answered.thought_tokens == len(answered.thoughts)
    assert answered.output_tokens == len(answered.thoughts) + len(answered.pieces)
    assert told in (None, answered.told)
    if wishes.thoughts:
        assert answered.thought_tokens == wishes.thoughts


def test_thoughts_alone_may_use_up_the_limit() -> None:
    """Then nothing is said."""
    cut = answer(ask("hello"), 10, limit=3, wishes=Wishes(thoughts=5))
    assert (len(cut.thoughts), cut.text, cut.stop) == (3, "", Stop.LENGTH)
