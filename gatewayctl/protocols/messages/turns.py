"""The turns of a prompt written as Messages: user and assistant in turn, results behind calls.

Anthropic refuses what other protocols let pass: empty text, two turns of one speaker that do not
fit together, a call without its result right behind it, a result without its call. What is said
stays; where it stands is changed as little as that allows. Fields beside the messages are written
in ``requests``.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import (
    Call,
    Message,
    Part,
    Refusal,
    Result,
    Role,
    Text,
    Thought,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance, tool_names
from gatewayctl.protocols.losses import Loss, Losses
from gatewayctl.protocols.messages import ids, replies
from gatewayctl.protocols.messages.blocks import REDACTED
from gatewayctl.protocols.messages.shown import marked, shown, text_block

Block = dict[str, Any]

_INSTRUCTIONS: Final = (Role.SYSTEM, Role.DEVELOPER)
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
MOST_MARKERS: Final = 4
"""How many cache markers Anthropic takes."""


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of a prompt's messages. ``bare`` as in ``effort.Situation``."""

    system: list[Block]
    messages: list[dict[str, Any]]
    bare: bool


class _Turn(msgspec.Struct):
    """Everything that one speaker says in a row."""

    own: bool
    parts: list[Part]


class _Answered(msgspec.Struct):
    """A call under the id that it goes out with, and what came of it."""

    id: str
    result: Result | None = None


def written(messages: Sequence[Message], origin: str, losses: Losses) -> Turns:
    """Return the messages for the model ``origin``; raise ``RequestInvalid`` as ``write_prompt``.

    A prompt of instructions alone asks them as a user would, since there must be a message.
    """
    leading = 0
    while leading < len(messages) and messages[leading].role in _INSTRUCTIONS:
        leading += 1
    if leading == len(messages) and leading:
        leading -= 1
    system = [
        block
        for message in messages[:leading]
        for part in message.parts
        for block in _instruction(part, losses)
    ]
    writing = _Writing(origin, losses)
    found = _merged(writing.blocks(_turns(messages[leading:], losses)))
    found = _merged(_without_loose_thoughts(found, losses))
    if found and found[-1][0]:
        _without_loose_end(found)
    return Turns(
        system=system,
        messages=[
            {"role": "assistant" if own else "user", "content": blocks} for own, blocks in found
        ],
        bare=_is_bare(found),
    )


def _instruction(part: Part, losses: Losses) -> Iterator[Block]:
    if isinstance(part, Text):
        yield from text_block(part)
    else:
        losses.add(Loss.IMAGE)


def _turns(messages: Iterable[Message], losses: Losses) -> list[_Turn]:
    """Return who speaks in turn; whoever is not the assistant speaks as the user.

    So does an assistant that speaks first, since Anthropic wants the user to.
    """
    found: list[_Turn] = []
    for message in messages:
        if message.role in _INSTRUCTIONS:
            losses.add(Loss.ROLE_OF_LATER_SYSTEM)
        if message.name is not None:
            losses.add(Loss.NAME_OF_SPEAKER)
        own = message.role is Role.ASSISTANT
        if found and found[-1].own == own:
            found[-1].parts += message.parts
        else:
            found.append(_Turn(own=own, parts=list(message.parts)))
    found = [turn for turn in found if not all(map(_is_blank, turn.parts))]
    for turn in takewhile(lambda turn: turn.own, found):
        turn.own = False
        losses.add(Loss.ROLE_OF_FIRST_ASSISTANT)
    return found


def _is_blank(part: Part) -> bool:
    return isinstance(part, Text) and not part.text.strip()


_Place = tuple[int, int]  # of a part: its turn, and where in it, since ids may be used again


class _Writing:
    """Writes turns: calls under ids that are unlike each other, results right behind them."""

    def __init__(self, origin: str, losses: Losses) -> None:
        self._origin = origin
        self._losses = losses
        self._calls: dict[_Place, _Answered] = {}
        self._used: set[str] = set()
        self._told: set[_Place] = set()

    def blocks(self, turns: list[_Turn]) -> Iterator[tuple[bool, list[Block]]]:
        """Yield each turn's blocks, of calls that were answered alone."""
        self._pair(turns)
        for at, turn in enumerate(turns):
            write = self._of_assistant if turn.own else self._of_user
            places = [(at, place) for place in range(len(turn.parts))]
            parts = zip(places, turn.parts, strict=True)
            yield turn.own, [block for place, part in parts for block in write(place, part)]
            calls = [self._calls[place] for place in places if place in self._calls]
            yield False, [self._result(it, it.result) for it in calls if it.result is not None]

    def _pair(self, turns: list[_Turn]) -> None:
        """Find for each call the first result of its id behind it that is of no earlier call."""
        waiting: dict[str, list[_Answered]] = {}
        for at, turn in enumerate(turns):
            for place, part in enumerate(turn.parts):
                if isinstance(part, Call) and turn.own:
                    call = self._calls[at, place] = _Answered(id=self._fresh(part.id))
                    waiting.setdefault(part.id, []).append(call)
                elif isinstance(part, Result) and (open_calls := waiting.get(part.id)):
                    open_calls.pop(0).result = part
                    self._told.add((at, place))

    def _fresh(self, call_id: str) -> str:
        found = ids.fitting(call_id or f"toolu_{len(self._used)}")
        if found in self._used:
            found = ids.fitting(f"{found}_{len(self._used)}")
        self._used.add(found)
        return found

    def _of_user(self, place: _Place, part: Part) -> Iterator[Block]:
        match part:
            case Result():
                if place not in self._told:  # as plain content, so that nothing is lost
                    self._losses.add(Loss.RESULT_WITHOUT_CALL)
                    for inner in part.content:
                        yield from shown(inner, self._losses)
            case Call():
                self._losses.add(Loss.CALL_WITHOUT_RESULT)
            case Thought():
                self._losses.add(Loss.REASONING_OF_ANOTHER)
            case Refusal():
                yield from text_block(Text(text=part.text))
            case _:
                yield from shown(part, self._losses)

    def _of_assistant(self, place: _Place, part: Part) -> Iterator[Block]:
        match part:
            case Text():
                yield from text_block(part)
            case Refusal():
                self._losses.add(Loss.REFUSAL)
                yield from text_block(Text(text=part.text))
            case Thought():
                yield from self._thought(part)
            case Call():
                yield from self._call(self._calls[place], part)
            case Result():
                return
            case _:
                self._losses.add(Loss.IMAGE_OF_ASSISTANT)

    def _thought(self, part: Thought) -> Iterator[Block]:
        seal = part.seal
        if seal is None or not provenance.returns(seal, WireProtocol.MESSAGES, self._origin):
            self._losses.add(Loss.REASONING_OF_ANOTHER)
        elif seal.form == REDACTED:
            yield {"type": "redacted_thinking", "data": seal.data}
        else:
            yield {"type": "thinking", "thinking": part.text, "signature": seal.data}

    def _call(self, call: _Answered, part: Call) -> Iterator[Block]:
        if call.result is None:
            self._losses.add(Loss.CALL_WITHOUT_RESULT)
            return
        if part.seal is not None:  # this protocol has none on its calls
            self._losses.add(Loss.REASONING_OF_ANOTHER)
        given = replies.arguments(part.arguments)
        name = tool_names.fitting(part.name)
        block = {"type": "tool_use", "id": call.id, "name": name, "input": given}
        yield marked(block, part.cache)

    def _result(self, call: _Answered, result: Result) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": call.id}
        match result.content:
            case (Text(text=text),):
                block["content"] = text
            case content:
                inside = [block for part in content for block in shown(part, self._losses)]
                for inner in inside:
                    inner.pop("cache_control", None)  # the marker is the whole result's
                if inside:
                    block["content"] = inside
        if result.failed:
            block["is_error"] = True
        return marked(block, result.cache)


def _merged(turns: Iterable[tuple[bool, list[Block]]]) -> list[tuple[bool, list[Block]]]:
    """Return the turns without empty ones, those of one speaker in a row as one."""
    found: list[tuple[bool, list[Block]]] = []
    for own, blocks in turns:
        if not blocks:
            continue
        if found and found[-1][0] == own:
            found[-1][1].extend(blocks)
        else:
            found.append((own, blocks))
    return found


def _without_loose_thoughts(
    turns: Iterable[tuple[bool, list[Block]]], losses: Losses
) -> Iterator[tuple[bool, list[Block]]]:
    """Yield the turns without thoughts at their ends, which Anthropic refuses wherever they are."""
    for own, blocks in turns:
        while own and blocks and blocks[-1]["type"] in _THOUGHTS:
            blocks.pop()
            losses.add(Loss.REASONING_ALONE)
        yield own, blocks


def _without_loose_end(turns: list[tuple[bool, list[Block]]]) -> None:
    """Take white space off the end of what the assistant is to go on from."""
    last = turns[-1][1][-1]
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _is_bare(turns: list[tuple[bool, list[Block]]]) -> bool:
    match turns:
        case [*_, (True, before), (False, last)]:
            told = last[0]["type"] == "tool_result"
            return bool(told and before[0]["type"] not in _THOUGHTS)
        case [*_, (True, last)]:
            return last[0]["type"] not in _THOUGHTS
    return False
