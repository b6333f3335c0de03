"""Puts the events of a reply in an order that every protocol can tell: one part after another.

Upstreams may write the arguments of parallel calls side by side; most clients know a part only as
something that begins, goes on and ends before the next begins. Whatever comes while a call is
unfinished is held back until it is over. How parts are written is each protocol's business.
"""

import re
from collections.abc import Iterable, Iterator

from gatewayctl.core.events import (
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
)
from gatewayctl.protocols.sse import BadFrame

_Content = TextDelta | ThoughtDelta | ThoughtEnded | RefusalDelta | CallBegun | CallDelta

_MARKS = re.compile(r'[{}\[\]"\\]')
_EVENT = 64


class Sequence:
    """Takes events and returns them in order, part by part, for each choice by itself.

    A call is over when its arguments are a whole JSON object and something else begins, or when
    the choice ends. ``MOST`` characters are held in all; an upstream that makes it more is broken
    (``BadFrame``): to tell a part of the arguments as if they were whole would be worse.
    """

    MOST = 16 * 1024 * 1024

    def __init__(self) -> None:
        self._orders: dict[int, _Order] = {}

    def ordered(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield what can be told by now; raise ``BadFrame`` for more than can be held."""
        for event in events:
            match event:
                case Finished():
                    yield from self._order(event.choice).rest()
                    yield event
                case Ended():
                    for order in self._orders.values():
                        yield from order.rest()
                    yield event
                case _ if isinstance(event, _Content):
                    yield from self._order(event.choice).take(event)
                    if sum(order.held for order in self._orders.values()) > self.MOST:
                        raise BadFrame("too much of an answer beside an unfinished tool call")
                case _:
                    yield event

    def _order(self, choice: int) -> "_Order":
        found = self._orders.get(choice)
        if found is None:
            found = self._orders[choice] = _Order()
        return found


class _Waiting:
    """Events that belong together: a call's, or what stands between two calls (``call`` None)."""

    def __init__(self, call: int | None) -> None:
        self.call = call
        self.events: list[_Content] = []


class _Order:
    """One choice: the call under way, and what waits for it to be over."""

    def __init__(self) -> None:
        self.held = 0
        self._open: int | None = None
        self._arguments = Arguments()
        self._over: set[int] = set()
        self._waiting: list[_Waiting] = []
        self._calls: dict[int, _Waiting] = {}

    def take(self, event: _Content) -> Iterator[_Content]:
        """Yield the event, or nothing yet, and whatever waited for it."""
        call = event.call if isinstance(event, CallBegun | CallDelta) else None
        if call in self._over:
            return  # white space behind arguments that were whole
        if call is not None and call == self._open:
            self._note(event)
            yield event
            if self._waiting and self._arguments.are_whole:
                yield from self._released()
        elif self._waiting or (self._open is not None and not self._arguments.are_whole):
            self._wait(call, event)
        else:
            self._begin(call)
            self._note(event)
            yield event

    def rest(self) -> Iterator[_Content]:
        """Yield everything that waited, since nothing more of any call can come."""
        for waiting in self._waiting:
            self._begin(waiting.call)
            yield from waiting.events
        self._begin(None)
        self._waiting, self._calls, self.held = [], {}, 0

    def _begin(self, call: int | None) -> None:
        if self._open is not None:
            self._over.add(self._open)
        self._open = call
        self._arguments = Arguments()

    def _note(self, event: _Content) -> None:
        if isinstance(event, CallDelta):
            self._arguments.add(event.arguments)

    def _wait(self, call: int | None, event: _Content) -> None:
        found = self._calls.get(call) if call is not None else self._between()
        if found is None:
            found = _Waiting(call)
            self._waiting.append(found)
            if call is not None:
                self._calls[call] = found
        found.events.append(event)
        self.held += _length(event)

    def _between(self) -> _Waiting | None:
        last = self._waiting[-1] if self._waiting else None
        return last if last is not None and last.call is None else None

    def _released(self) -> Iterator[_Content]:
        """Yield what waited, up to the first call that is unfinished, which is now under way."""
        while self._waiting and (self._open is None or self._arguments.are_whole):
            waiting = self._waiting.pop(0)
            self._begin(waiting.call)
            if waiting.call is not None:
                del self._calls[waiting.call]
            for event in waiting.events:
                self._note(event)
                self.held -= _length(event)
                yield event


class Arguments:
    """Tells whether a JSON object is whole, reading each character once and keeping none."""

    def __init__(self) -> None:
        self.are_whole = False
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def add(self, text: str) -> None:
        """Read on."""
        skipped = int(self._escaped)
        for found in _MARKS.finditer(text):
            place = found.start()
            if place < skipped:
                continue
            mark = text[place]
            if mark == "\\":
                skipped = place + 2
            elif mark == '"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._depth += 1 if mark in "{[" else -1
                self.are_whole = self.are_whole or self._depth <= 0
        if text:
            self._escaped = skipped > len(text)


def _length(event: _Content) -> int:
    """Return how much an event holds, roughly: one without any text is not free."""
    match event:
        case CallDelta():
            said = len(event.arguments)
        case TextDelta() | ThoughtDelta() | RefusalDelta():
            said = len(event.text)
        case CallBegun() | ThoughtEnded():
            said = len(event.seal.data) if event.seal else 0
    return _EVENT + said
