"""Puts the events of a reply in an order that every protocol can tell: one part after another.

Upstreams may write the arguments of parallel calls side by side; most clients know a part only as
something that begins, goes on and ends before the next begins. The arguments of a call are held
back while another one is unfinished. How parts are written is each protocol's business.
"""

from collections.abc import Iterable, Iterator

import msgspec

from gatewayctl.core.events import CallBegun, CallDelta, Ended, Event, Finished

_Key = tuple[int, int]


class Sequence:
    """Takes events and returns them in order, call by call; all other events pass at once.

    A call is over when its arguments are whole JSON and another begins, or when the choice ends.
    ``MOST`` characters are held at the most; beyond that a call counts as over.
    """

    MOST = 16 * 1024 * 1024

    def __init__(self) -> None:
        self._open: _Key | None = None
        self._told: list[str] = []
        self._over: set[_Key] = set()
        self._waiting: dict[_Key, list[CallBegun | CallDelta]] = {}
        self._held = 0

    def ordered(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield what can be told by now."""
        for event in events:
            match event:
                case CallBegun() | CallDelta():
                    yield from self._call(event)
                case Finished() | Ended():
                    yield from self._rest()
                    yield event
                case _:
                    yield event

    def _call(self, event: CallBegun | CallDelta) -> Iterator[Event]:
        key = (event.choice, event.call)
        if key in self._over:
            return  # white space behind arguments that were whole
        if self._open is None and not self._waiting:
            self._begin(key)
        if key == self._open:
            if isinstance(event, CallDelta):
                self._told.append(event.arguments)
            yield event
            if self._waiting and self._is_over():
                yield from self._next()
            return
        if isinstance(event, CallBegun) and not self._waiting and self._is_over():
            self._begin(key)
            yield event
            return
        self._waiting.setdefault(key, []).append(event)
        self._held += len(event.arguments) if isinstance(event, CallDelta) else 0
        if self._held > self.MOST:
            yield from self._rest()

    def _begin(self, key: _Key) -> None:
        if self._open is not None:
            self._over.add(self._open)
        self._open = key
        self._told = []

    def _is_over(self) -> bool:
        """Tell whether the call under way has said all that it can say."""
        try:
            msgspec.json.decode("".join(self._told))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def _next(self) -> Iterator[Event]:
        """Tell the calls that waited, up to the first that is unfinished."""
        while self._waiting and self._is_over():
            key = next(iter(self._waiting))
            self._begin(key)
            for event in self._waiting.pop(key):
                if isinstance(event, CallDelta):
                    self._told.append(event.arguments)
                    self._held -= len(event.arguments)
                yield event

    def _rest(self) -> Iterator[Event]:
        """Tell everything that waited, since nothing more of the call under way can come."""
        for key, events in list(self._waiting.items()):
            del self._waiting[key]
            self._begin(key)
            yield from events
        self._held = 0
