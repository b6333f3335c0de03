"""What the simulator answers: thoughts, a sentence, calls, a structured reply. No wire formats.

The answer depends on the request alone, and on the ``Wishes`` that come with it. A tool is called
when the choice demands it, or when the user's last words ask for one; a tool that looks like a
shell is given a harmless ``echo``.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from gatewayctl.simulator import tokenizer
from gatewayctl.simulator.request import Ask, Choice, OfferedTool, Thinking
from gatewayctl.simulator.schema import instance

COMMAND: Final = "echo gatewayctl-demo"

_EXCERPT: Final = 160
_DECLINED: Final = "I cannot help with that."
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
    DECLINED = "declined"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call; ``arguments`` satisfy the tool's schema, unless they are ``broken`` off."""

    name: str
    arguments: Mapping[str, Any]
    broken: bool = False

    @property
    def json(self) -> str:
        """The arguments as the wire carries them."""
        whole = msgspec.json.encode(self.arguments).decode()
        return whole[:-1] if self.broken else whole


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller of a simulator wants of an answer, beyond what the protocols can ask.

    ``words`` is a text of so many words instead of a sentence; ``filtered`` has a filter stop it
    half way; ``calls`` wants so many calls at once, where tools are offered and none was used yet;
    ``thoughts`` are so many words of thought, whatever the request says of it; ``hidden`` keeps
    thoughts secret; ``declined`` has the model say that it does not answer; ``cached`` is how much
    of the input is told to come from a cache; ``nameless`` calls have no ids where the protocol can
    do without, ``mixed`` ones are told side by side where it can, ``broken`` ones have arguments
    that do not end; ``strict`` refuses whatever the provider would.
    """

    words: int | None = None
    filtered: bool = False
    calls: int | None = None
    thoughts: int | None = None
    hidden: bool = False
    declined: bool = False
    cached: int = 0
    nameless: bool = False
    mixed: bool = False
    broken: bool = False
    strict: bool = False


_NOTHING: Final = Wishes()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, in this order: ``thoughts``, ``pieces`` of text, ``calls``.

    Thoughts and text are in pieces that are tokens. ``told`` says whether the thoughts may be read.
    ``output_tokens`` is what one choice costs, its ``thought_tokens`` included; ``cached`` are
    those of the input that came from a cache; ``stop_sequence`` is the sequence that ended it.
    ``nameless`` calls have no ids, ``mixed`` ones are told side by side.
    """

    pieces: tuple[str, ...]
    calls: tuple[Call, ...] = ()
    thoughts: tuple[str, ...] = ()
    told: bool = False
    stop: Stop
    input_tokens: int
    output_tokens: int
    thought_tokens: int = 0
    cached: int = 0
    stop_sequence: str | None = None
    nameless: bool = False
    mixed: bool = False

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        """All that was thought."""
        return "".join(self.thoughts)


def answer(
    ask: Ask,
    input_tokens: int,
    *,
    limit: int,
    wishes: Wishes = _NOTHING,
    command: str | None = None,
) -> Answer:
    """Return the answer to ``ask`` in at most ``limit`` tokens.

    ``command`` asks for a call that runs it, where a shell is offered, or for as many as are wished
    for, and an empty one for no call at all.
    """
    thoughts = _thoughts(ask, wishes)[:limit]
    room = limit - len(thoughts)
    silent = wishes.filtered or wishes.declined
    calls = () if silent else _calls(ask, wishes, command)
    cost = sum(tokenizer.count(call.name) + tokenizer.count(call.json) for call in calls)
    if cost > room:
        calls, cost = (), 0
    pieces: list[str] = []
    stop, sequence = Stop.TOOL, None
    if not calls or wishes.words:
        pieces, stop, sequence = _said(ask, input_tokens, wishes, room - cost)
    if calls and stop is not Stop.LENGTH:
        stop, sequence = Stop.TOOL, None
    return Answer(
        pieces=tuple(pieces),
        calls=calls,
        thoughts=thoughts,
        told=ask.thinking is not Thinking.HIDDEN and not wishes.hidden,
        stop=stop,
        input_tokens=input_tokens,
        output_tokens=len(thoughts) + len(pieces) + cost,
        thought_tokens=len(thoughts),
        stop_sequence=sequence,
        cached=min(wishes.cached, input_tokens),
        nameless=wishes.nameless,
        mixed=wishes.mixed,
    )


def _thoughts(ask: Ask, wishes: Wishes) -> tuple[str, ...]:
    """Return what is thought first: where the request or the caller wants it."""
    if wishes.thoughts is not None:
        return tuple(tokenizer.split(" ".join(["thought"] * wishes.thoughts)))
    if ask.thinking is Thinking.NONE:
        return ()
    return tuple(tokenizer.split(f'They wrote: "{_excerpt(ask.prompt)}". I shall answer that.'))


def _said(
    ask: Ask, input_tokens: int, wishes: Wishes, limit: int
) -> tuple[list[str], Stop, str | None]:
    """Return the text in pieces, why it ends, and the sequence that ended it."""
    words = wishes.words
    text = _text(ask, input_tokens) if words is None else " ".join(["word"] * words)
    text, sequence = _stopped(text, ask.stop)
    if wishes.declined:
        text, sequence = _DECLINED, None
    pieces = tokenizer.split(text)
    stop = Stop.END if sequence is None else Stop.SEQUENCE
    if wishes.declined:
        stop = Stop.DECLINED
    if wishes.filtered:
        pieces, stop, sequence = pieces[: len(pieces) // 2], Stop.FILTERED, None
    if len(pieces) > limit:
        pieces, stop, sequence = pieces[:limit], Stop.LENGTH, None
    return pieces, stop, sequence


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


def _calls(ask: Ask, wishes: Wishes, command: str | None) -> tuple[Call, ...]:
    """Return the calls of an answer: none, one, or as many as are wished for and allowed."""
    if not ask.tools or ask.choice is Choice.NONE:
        return ()
    if command is not None:
        shell = _shell(ask.tools) if command else None
        return () if shell is None else _several(shell, command, wishes.calls or 1, ask, wishes)
    wished = wishes.calls if wishes.calls is not None and not ask.results else None
    if wishes.words is not None and wished is None:
        return ()
    must = ask.forced or ask.choice is Choice.REQUIRED or wished
    tool = _forced(ask) if must else _wanted(ask)
    if tool is None or wished == 0:
        return ()
    return _several(tool, COMMAND, wished or 1, ask, wishes)


def _several(
    tool: OfferedTool, command: str, count: int, ask: Ask, wishes: Wishes
) -> tuple[Call, ...]:
    """Return so many calls, as far as they are allowed; each but the first says which it is."""
    numbers = range(count if ask.parallel else 1)
    return tuple(
        Call(
            name=tool.name,
            arguments=_arguments(tool, f"{command} {index}" if index else command),
            broken=wishes.broken,
        )
        for index in numbers
    )


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
    properties = tool.schema.get("properties")
    if not isinstance(properties, dict):
        return None
    return next((name for name in _COMMAND_FIELDS if isinstance(properties.get(name), dict)), None)


def _arguments(tool: OfferedTool, command: str) -> Mapping[str, Any]:
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
