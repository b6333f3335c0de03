"""Thoughts before a tool call that a client may not send back, and their place in its next request.

Some models go on from a tool's result only with the thought that led to the call, and many clients
keep none: they have no field for it, or leave it out where a reply names another model than was
asked for. So what a translated reply thought is kept by the id of the call that followed. How long
it is kept is the daemon's business; the history that a client does send back has the last word.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from gatewayctl.core.conversation import (
    Call,
    Message,
    Part,
    Prompt,
    Remembered,
    Role,
    Seal,
    Thought,
)
from gatewayctl.core.events import CallBegun, Event, ThoughtDelta, ThoughtEnded
from gatewayctl.protocols.messages import ids

Keep = Callable[[str, Remembered], None]
"""Takes what was thought before the call of an id."""


class Listener:
    """Hears the events of one reply of the model ``origin``; ``reply`` names calls without ids."""

    def __init__(self, origin: str, reply: str, keep: Keep) -> None:
        self._origin = origin
        self._reply = reply
        self._keep = keep
        self._text: list[str] = []
        self._thoughts: list[Thought] = []
        self._calls = 0

    def heard(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the events as they come, every call with an id that it is known by again."""
        for event in events:
            match event:
                case ThoughtDelta(choice=0):
                    self._text.append(event.text)
                case ThoughtEnded(choice=0):
                    self._over(event.seal, event.id)
                case CallBegun(choice=0):
                    named = self._named(event)
                    self._called(named)
                    yield named
                    continue
            yield event

    def _named(self, call: CallBegun) -> CallBegun:
        number, self._calls = self._calls, self._calls + 1
        if call.id:
            return call
        return msgspec.structs.replace(call, id=f"call_{self._reply}_{number}")

    def _over(self, seal: Seal | None, named: str | None) -> None:
        text, self._text = "".join(self._text), []
        self._thoughts.append(Thought(text=text, seal=self._own(seal), id=named))

    def _called(self, call: CallBegun) -> None:
        if self._text:
            self._over(None, None)
        thoughts, self._thoughts = self._thoughts, []
        if thoughts or call.seal is not None:
            seal = None if call.seal is None else self._own(call.seal)
            self._keep(known_as(call.id), Remembered(thoughts=tuple(thoughts), seal=seal))

    def _own(self, seal: Seal | None) -> Seal:
        if seal is None:
            return Seal(form="text", data="", origin=self._origin)
        return msgspec.structs.replace(seal, origin=self._origin)


def known_as(call_id: str) -> str:
    """Return what a call is known by, in whichever form its id comes back."""
    return ids.original(ids.fitting(call_id))


def called(body: bytes) -> Iterator[str]:
    """Yield what the calls are known by whose results stand in a request's body."""
    for name in _RESULTS:
        at = body.find(name)
        while at >= 0:
            at += len(name)
            found = _VALUE.match(body, at)
            if found is not None:
                yield ids.original(found[1].decode(errors="replace"))
            at = body.find(name, at)


def restored(prompt: Prompt, remembered: Mapping[str, Remembered], origin: str) -> Prompt:
    """Return the prompt with what is remembered of the model's thoughts before its calls.

    Where the client sent any thought of this model's itself, between two turns of the user's, none
    is added there.
    """
    if not remembered:
        return prompt
    messages: list[Message] = []
    kept = False
    for number, message in enumerate(prompt.messages):
        if message.role is not Role.ASSISTANT:
            kept = False
        elif not kept:
            kept = _keeps(prompt.messages, number, origin)
        add = message.role is Role.ASSISTANT and not kept
        messages.append(_with_thoughts(message, remembered) if add else message)
    return msgspec.structs.replace(prompt, messages=tuple(messages))


_RESULTS = (b'"tool_use_id"', b'"tool_call_id"', b'"call_id"')
_VALUE = re.compile(rb'\s*:\s*"([^"\\]{1,512})"')


def _keeps(messages: tuple[Message, ...], start: int, origin: str) -> bool:
    """Tell whether a run of the model's messages holds a thought of its own."""
    for message in messages[start:]:
        if message.role is not Role.ASSISTANT:
            return False
        for part in message.parts:
            match part:
                case Thought() | Call():
                    if part.seal is not None and part.seal.origin == origin:
                        return True
    return False


def _with_thoughts(message: Message, remembered: Mapping[str, Remembered]) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, Call) and (known := remembered.get(known_as(part.id))) is not None:
            parts += known.thoughts
            parts.append(msgspec.structs.replace(part, seal=known.seal or part.seal))
        else:
            parts.append(part)
    return msgspec.structs.replace(message, parts=tuple(parts))
