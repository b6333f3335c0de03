"""The IR of a reply: its events as they come, the reply that they fold into, and what was metered.

A stream that is not translated needs only to know its ``Phase`` and its ``Usage``. Where two
protocols meet, each upstream event becomes events of this module, and they the client's. A whole
reply is read into the same events, so that ``fold`` makes of both the same ``Reply``.
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import assert_never

import msgspec

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought


class Phase(IntEnum):
    """What one stream event means for the stream contract, in the order a stream goes through.

    LIFECYCLE frames are held back before the commit; CONTENT is the first text, reasoning,
    refusal or tool-call delta of non-zero length and commits; TERMINAL is the only proof that the
    answer is whole; ERROR is the upstream's own in-stream error.
    """

    LIFECYCLE = 0
    CONTENT = 1
    TERMINAL = 2
    ERROR = 3


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the upstream metered them, in disjoint dimensions; None is unknown, never 0.

    ``reasoning_output``, ``output_image`` and ``output_audio`` are parts of ``output``.
    """

    input: int | None = None
    input_cache_read: int | None = None
    input_cache_write_5m: int | None = None
    input_cache_write_1h: int | None = None
    output: int | None = None
    reasoning_output: int | None = None
    output_image: int | None = None
    output_audio: int | None = None
    image: int | None = None
    audio: int | None = None


class Stop(StrEnum):
    """Why an answer ends. ``other`` is a reason that no other protocol knows."""

    END = "end"
    BUDGET = "budget"
    CALLS = "calls"
    SEQUENCE = "sequence"
    FILTER = "filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    WINDOW = "window"
    OTHER = "other"


class TokenProbability(msgspec.Struct, frozen=True, kw_only=True):
    """A token, the logarithm of its probability, and the likeliest ones in its place."""

    token: str
    logprob: float
    top: tuple["TokenProbability", ...] = ()


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The answer begins: its id and model as the upstream says, ``created`` in seconds of 1970."""

    id: str | None = None
    model: str | None = None
    created: int | None = None


class TextDelta(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """More text."""

    text: str
    choice: int = 0
    logprobs: tuple[TokenProbability, ...] = ()


class ThoughtDelta(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """More of what the model thinks."""

    text: str
    choice: int = 0


class ThoughtEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A thought is over, and what proves it; without text before it, it was hidden.

    Sent only where there is a seal or an id, or where another thought follows at once: else what
    comes next ends a thought.
    """

    seal: Seal | None = None
    id: str | None = None
    choice: int = 0


class RefusalDelta(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """More of the model's words for why it does not answer."""

    text: str
    choice: int = 0


class CallBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A call of a tool begins. ``call`` counts the calls of a choice from 0.

    ``id`` is empty where the upstream gives none: whoever writes the reply makes one.
    """

    call: int
    id: str
    name: str
    seal: Seal | None = None
    choice: int = 0


class CallDelta(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """More of a call's arguments. Calls may be told side by side (``protocols.sequence``)."""

    call: int
    arguments: str
    choice: int = 0


class Metered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was metered so far, all of it; ``tier`` as the upstream calls it."""

    usage: Usage
    tier: str | None = None


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A choice is over. ``sequence`` is the stop sequence that ended it."""

    stop: Stop
    sequence: str | None = None
    choice: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The answer is whole: the upstream's terminal frame was read to its end."""


Event = (
    Begun
    | TextDelta
    | ThoughtDelta
    | ThoughtEnded
    | RefusalDelta
    | CallBegun
    | CallDelta
    | Metered
    | Finished
    | Ended
)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: what it says in order, and why it ends (None: it does not say)."""

    parts: tuple[Text | Thought | Refusal | Call, ...] = ()
    stop: Stop | None = None
    sequence: str | None = None
    logprobs: tuple[TokenProbability, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply; ``choices`` in order, one unless several were asked for."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    choices: tuple[Choice, ...] = ()
    usage: Usage = Usage()
    tier: str | None = None


def fold(events: Iterable[Event]) -> Reply:
    """Return the reply that a stream's events amount to."""
    folding = _Folding()
    for event in events:
        folding.take(event)
    return folding.reply()


class _Open(msgspec.Struct):
    """A choice in the making: ``calls`` are the places of its calls in ``parts``."""

    parts: list[Text | Thought | Refusal | Call]
    texts: list[list[str]]
    calls: dict[int, int]
    logprobs: list[TokenProbability]
    thought_over: bool = False
    stop: Stop | None = None
    sequence: str | None = None


class _Folding:
    """Collects events; texts are joined once, at the end."""

    def __init__(self) -> None:
        self._begun = Begun()
        self._metered = Metered(usage=Usage())
        self._choices: dict[int, _Open] = {}

    def take(self, event: Event) -> None:  # noqa: C901 - one line an event
        """Take one more event."""
        match event:
            case Begun():
                self._begun = event
            case TextDelta():
                self._add(event.choice, Text(text=""), event.text)
                self._choice(event.choice).logprobs.extend(event.logprobs)
            case RefusalDelta():
                self._add(event.choice, Refusal(text=""), event.text)
            case ThoughtDelta():
                self._add(event.choice, Thought(), event.text)
            case ThoughtEnded():
                self._thought_ended(event)
            case CallBegun():
                self._call_begun(event)
            case CallDelta():
                choice = self._choice(event.choice)
                choice.texts[choice.calls[event.call]].append(event.arguments)
            case Metered():
                self._metered = event
            case Finished():
                choice = self._choice(event.choice)
                choice.stop, choice.sequence = event.stop, event.sequence
            case Ended():
                return
            case _:
                assert_never(event)

    def reply(self) -> Reply:
        """Return what it all amounts to."""
        return Reply(
            id=self._begun.id,
            model=self._begun.model,
            created=self._begun.created,
            choices=tuple(_closed(self._choices[index]) for index in sorted(self._choices)),
            usage=self._metered.usage,
            tier=self._metered.tier,
        )

    def _choice(self, index: int) -> _Open:
        found = self._choices.get(index)
        if found is None:
            found = self._choices[index] = _Open(parts=[], texts=[], calls={}, logprobs=[])
        return found

    def _add(self, index: int, empty: Text | Thought | Refusal, text: str) -> None:
        """Add text to the part under way, or to a new one where another kind of part is.

        Nothing at all is no part: some upstreams begin with an empty piece, others do not.
        """
        choice = self._choice(index)
        if not text:
            return
        last = choice.parts[-1] if choice.parts else None
        over = choice.thought_over and isinstance(last, Thought)
        if last is None or over or last.__class__ is not empty.__class__:
            choice.parts.append(empty)
            choice.texts.append([])
            choice.thought_over = False
        choice.texts[-1].append(text)

    def _thought_ended(self, event: ThoughtEnded) -> None:
        choice = self._choice(event.choice)
        last = choice.parts[-1] if choice.parts else None
        if not isinstance(last, Thought) or choice.thought_over:
            choice.parts.append(Thought())
            choice.texts.append([])
        choice.parts[-1] = Thought(seal=event.seal, id=event.id)
        choice.thought_over = True

    def _call_begun(self, event: CallBegun) -> None:
        choice = self._choice(event.choice)
        choice.calls[event.call] = len(choice.parts)
        choice.parts.append(Call(id=event.id, name=event.name, arguments="", seal=event.seal))
        choice.texts.append([])


def _closed(choice: _Open) -> Choice:
    parts = tuple(
        msgspec.structs.replace(part, arguments=text or "{}")
        if isinstance(part, Call)
        else msgspec.structs.replace(part, text=text)
        for part, text in zip(choice.parts, map("".join, choice.texts), strict=True)
    )
    return Choice(
        parts=parts,
        stop=choice.stop,
        sequence=choice.sequence,
        logprobs=tuple(choice.logprobs),
    )
