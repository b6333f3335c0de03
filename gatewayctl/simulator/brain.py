"""What the simulator answers: a sentence, a tool call or a structured reply. No wire formats.

The answer depends on the request alone. A tool is called when the choice demands it, or when the
user's last words ask for one; a tool that looks like a shell is given a harmless ``echo``.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from gatewayctl.simulator import tokenizer
from gatewayctl.simulator.request import Ask, Choice, OfferedTool
from gatewayctl.simulator.schema import instance

COMMAND: Final = "echo gatewayctl-demo"

_EXCERPT: Final = 160
_VERBS: Final = frozenset({"run", "execute", "call", "use", "invoke", "tool", "tools"})
_SHELL: Final = re.compile(r"bash|shell|exec|terminal|command|run", re.IGNORECASE)
_COMMAND_FIELDS: Final = ("command", "cmd", "script")
_SHORTEST_NAME: Final = 4


class Stop(StrEnum):
    """Why an answer ended; each wire has its own word for it."""

    END = "end"
    LENGTH = "length"
    TOOL = "tool"
    SEQUENCE = "sequence"
    FILTERED = "filtered"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call; ``arguments`` satisfy the tool's schema."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def json(self) -> str:
        """The arguments as the wire carries them."""
        return msgspec.json.encode(self.arguments).decode()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: ``pieces`` of text that are tokens, or a ``call``.

    ``output_tokens`` is what one choice costs; ``stop_sequence`` is the sequence that ended it.
    """

    pieces: tuple[str, ...]
    call: Call | None
    stop: Stop
    input_tokens: int
    output_tokens: int
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def answer(
    ask: Ask,
    input_tokens: int,
    *,
    limit: int,
    words: int | None = None,
    filtered: bool = False,
    command: str | None = None,
) -> Answer:
    """Return the answer to ``ask`` in at most ``limit`` tokens.

    ``words`` asks for a text of that many words instead of a sentence; ``filtered`` for a text
    that a filter stops half way; ``command`` for a call that runs it, where a shell is offered,
    and an empty one for no call at all.
    """
    call = None if words is not None or filtered else _call(ask, command)
    if call is not None:
        cost = tokenizer.count(call.name) + tokenizer.count(call.json)
        if cost <= limit:
            return Answer(
                pieces=(),
                call=call,
                stop=Stop.TOOL,
                input_tokens=input_tokens,
                output_tokens=cost,
            )
    text = _text(ask, input_tokens) if words is None else " ".join(["word"] * words)
    text, sequence = _stopped(text, ask.stop)
    pieces = tokenizer.split(text)
    stop = Stop.END if sequence is None else Stop.SEQUENCE
    if filtered:
        pieces, stop, sequence = pieces[: len(pieces) // 2], Stop.FILTERED, None
    if len(pieces) > limit:
        pieces, stop, sequence = pieces[:limit], Stop.LENGTH, None
    return Answer(
        pieces=tuple(pieces),
        call=None,
        stop=stop,
        input_tokens=input_tokens,
        output_tokens=len(pieces),
        stop_sequence=sequence,
    )


def _text(ask: Ask, input_tokens: int) -> str:
    if ask.json_schema is not None:
        return msgspec.json.encode(instance(ask.json_schema)).decode()
    if ask.results:
        said = f'The tool answered: "{_excerpt(ask.results[-1])}".'
    else:
        said = f'You wrote: "{_excerpt(ask.prompt)}".'
    counted = f"counted {input_tokens} input tokens"
    return f"This is the simulated model {ask.model}, which {counted}. {said}"


def _excerpt(text: str) -> str:
    words = " ".join(text[-4 * _EXCERPT :].split())
    return words if len(words) <= _EXCERPT else "…" + words[-_EXCERPT:]


def _stopped(text: str, sequences: tuple[str, ...]) -> tuple[str, str | None]:
    """Cut ``text`` before the first stop sequence in it; also return that sequence."""
    found = [(text.index(sequence), sequence) for sequence in sequences if sequence in text]
    if not found:
        return text, None
    position, sequence = min(found)
    return text[:position], sequence


def _call(ask: Ask, command: str | None) -> Call | None:
    if not ask.tools or ask.choice is Choice.NONE:
        return None
    if command is not None:
        shell = _shell(ask.tools) if command else None
        return (
            None if shell is None else Call(name=shell.name, arguments=_arguments(shell, command))
        )
    tool = _forced(ask) if ask.forced or ask.choice is Choice.REQUIRED else _wanted(ask)
    return None if tool is None else Call(name=tool.name, arguments=_arguments(tool))


def _forced(ask: Ask) -> OfferedTool | None:
    if ask.forced:
        return next((tool for tool in ask.tools if tool.name == ask.forced), None)
    return _wanted(ask) or _shell(ask.tools) or ask.tools[0]


def _wanted(ask: Ask) -> OfferedTool | None:
    """Return the tool that the user's last words ask for, None when they ask for none."""
    if ask.results:
        return None
    words = set(re.findall(r"\w+", ask.prompt.lower()))
    for tool in ask.tools:
        if tool.name.lower() in words:
            return tool
    if words & _VERBS:
        return _shell(ask.tools) or _named(ask.tools, words) or ask.tools[0]
    return _named(ask.tools, words)


def _named(tools: tuple[OfferedTool, ...], words: set[str]) -> OfferedTool | None:
    """Return a tool that has one of the words in its name, such as ``get_weather``."""
    telling = {word for word in words if len(word) >= _SHORTEST_NAME}
    for tool in tools:
        if telling & set(re.split(r"[_\W]+", tool.name.lower())):
            return tool
    return None


def _shell(tools: tuple[OfferedTool, ...]) -> OfferedTool | None:
    for tool in tools:
        if _SHELL.search(tool.name) and _command_field(tool):
            return tool
    return None


def _command_field(tool: OfferedTool) -> str | None:
    properties = tool.schema.get("properties", {})
    return next((name for name in _COMMAND_FIELDS if name in properties), None)


def _arguments(tool: OfferedTool, command: str = COMMAND) -> Mapping[str, Any]:
    arguments = instance(tool.schema)
    if not isinstance(arguments, dict):
        arguments = {}
    field = _command_field(tool)
    if field is not None:
        is_list = tool.schema["properties"][field].get("type") == "array"
        arguments[field] = command.split() if is_list else command
        if "description" in tool.schema["properties"]:
            arguments["description"] = "Print a line"
    return arguments
