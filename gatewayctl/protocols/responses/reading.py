"""Reads a stream of an upstream: its events become the IR's, item by item.

Compatible servers differ: some give whole items and no deltas, some no numbers, some ids that
change from event to event, some tell items side by side. What was told of each item is counted, so
that whatever comes whole later adds only what is missing. How an item is told is the business of
``telling``.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gatewayctl.core.events import Begun, Ended, Event, Finished, Metered, Stop
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.responses import response
from gatewayctl.protocols.responses.telling import Read, Telling
from gatewayctl.protocols.sse import SseEvent

_EVENT = msgspec.json.Decoder(Read)
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete"})
_FRAMING: Final = frozenset(
    {"response.created", "response.in_progress", "response.queued", "response.failed", "error"}
)
_ITEM: Final = "response.output_item."
_STOPS: Final = {"max_output_tokens": Stop.BUDGET, "content_filter": Stop.FILTER}

AHEAD: Final = 64
"""Events that are held back of an item before whose turn others seem to be missing."""

HELD: Final = 10_000
"""Events that are held back of items that come beside one that is not over."""


_LATEST: Final = 2**40
_MOST: Final = 1_000_000  # no item has a number as high as this


class _Slot(msgspec.Struct):
    """One output item as far as it came: ``held`` are the events that wait for its turn."""

    telling: Telling
    held: list[Read] = []
    over: bool = False


class ResponsesReader:
    """See ``codec.EventReader``. Items are told in the order of their ``output_index``.

    An item that comes beside another waits until that one is over. One whose number is too high
    waits as well, but not for long, since some servers count in their own way.
    """

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}
        self._names: dict[str, int] = {}
        self._current: int | None = None
        self._latest = 0
        self._next = 0
        self._held = 0
        self._waiting: set[int] = set()  # items with events that are held
        self._in_order = True
        self._begun = False
        self._calls = 0
        self._last: Telling | None = None
        self._found: list[Event] = []

    def end(self) -> Sequence[Event]:
        """Return nothing: a terminal frame says all."""
        return ()

    def read(self, event: SseEvent) -> Sequence[Event]:
        """Return what the event says; raise ``BadFrame`` for one that is no JSON object."""
        if not event.data or event.data == b"[DONE]":
            return ()
        read = frame.read(_EVENT, event.data, "a Responses event")
        if not isinstance(read.type, str) or not read.type:
            read.type = event.event
        self._found = []
        if read.type in _TERMINAL:
            self._ends(read.response if isinstance(read.response, dict) else {}, read.type)
        elif read.type in _FRAMING:
            if isinstance(read.response, dict):
                self._begins(read.response)
        elif read.type.startswith("response."):
            self._in_turn(read)
        return self._found

    def whole(self, reply: dict[str, Any]) -> list[Event]:
        """Return the events of a whole reply."""
        self._found = []
        self._ends(reply, f"response.{reply.get('status')}")
        return self._found

    def _begins(self, told: dict[str, Any]) -> None:
        if self._begun:
            return
        self._begun = True
        name, model = told.get("id"), told.get("model")
        self._found.append(
            Begun(
                id=name if isinstance(name, str) and name else None,
                model=model if isinstance(model, str) and model else None,
                created=_seconds(told.get("created_at")),
            )
        )

    def _in_turn(self, read: Read) -> None:
        """Tell an event of an item if it is the item's turn, else hold it."""
        index = self._index(read)
        if index is None:
            return
        slot = self._slots.setdefault(index, _Slot(telling=Telling()))
        self._latest = index
        current = self._current
        if current is not None and current != index and self._slots[current].telling.quiet:
            self._is_over(current)  # its parts are over, though nothing said so of the item
            current = self._current
        if self._in_order and index != current and (current is not None or index > self._next):
            slot.held.append(read)
            self._waiting.add(index)
            self._held += 1
            if self._held > (AHEAD if current is None else HELD):
                self._release()
            return
        self._current = index
        self._tell(slot, read)
        if slot.over:
            self._is_over(index)

    def _index(self, read: Read) -> int | None:
        """Return which item an event is of; None where it is of none."""
        item = read.item if isinstance(read.item, dict) else {}
        name = read.item_id if isinstance(read.item_id, str) else item.get("id")
        name = name if isinstance(name, str) and name else None
        index = read.output_index
        if type(index) is not int or not 0 <= index < _MOST:
            index = None if name is None else self._names.get(name)
            begins = read.type == f"{_ITEM}added" or not self._slots
            if index is None and begins:
                index = max(self._slots, default=-1) + 1
            elif index is None:
                index = self._latest
        if not Telling.knows(read):
            return None
        if name is not None:
            self._names.setdefault(name, index)
        return index

    def _tell(self, slot: _Slot, read: Read) -> None:
        if not self._begun:
            self._begins({})
        telling = slot.telling
        found = telling.take(read, self._calls, is_last=self._last in {None, telling})
        if telling.call is not None:
            self._calls = max(self._calls, telling.call + 1)
        if found:
            self._last = telling
        self._found += found
        slot.over = slot.over or read.type == f"{_ITEM}done"

    def _is_over(self, index: int) -> None:
        """Go on with the items that waited for one, as far as it is their turn."""
        self._current = None
        self._next = max(self._next, index + 1)
        while self._waiting and (waiting := min(self._waiting)) <= self._next:
            self._current = waiting
            self._tell_held(waiting)
            if not self._slots[waiting].over:
                return
            self._current = None
            self._next = max(self._next, waiting + 1)

    def _tell_held(self, index: int) -> None:
        slot = self._slots[index]
        held, slot.held = slot.held, []
        self._waiting.discard(index)
        self._held -= len(held)
        for read in held:
            self._tell(slot, read)

    def _release(self) -> None:
        """Tell everything that was held, in order, and hold nothing from now on."""
        self._in_order = False
        self._current = None
        for index in sorted(self._waiting):
            self._tell_held(index)

    def _ends(self, told: dict[str, Any], name: str) -> None:
        self._begins(told)
        self._release()
        output = told.get("output")
        self._rest(output if isinstance(output, list) else [])
        usage = metering.inclusive(response.counted(told.get("usage")))
        self._found.append(Metered(usage=usage, tier=metering.tier(told.get("service_tier"))))
        self._found += (Finished(stop=self._stop(told, name)), Ended())

    def _rest(self, output: Sequence[Any]) -> None:
        """Tell what the whole items at the end add to those that were told.

        Items are known again by their kind and place among those, since ids and numbers change.
        """
        told: dict[str, list[_Slot]] = {}
        for index in sorted(self._slots):
            slot = self._slots[index]
            told.setdefault(slot.telling.kind, []).append(slot)
        for item in output:
            if not isinstance(item, dict):
                continue
            mine = told.get(str(item.get("type")), [])
            slot = mine.pop(0) if mine else _Slot(telling=Telling())
            if not slot.over:
                self._tell(slot, Read(type=f"{_ITEM}done", item=item))

    def _stop(self, told: dict[str, Any], name: str) -> Stop:
        if name.endswith(".incomplete"):
            details = told.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            return _STOPS.get(str(reason), Stop.BUDGET)  # cut short, whyever: never an end
        if self._calls:
            return Stop.CALLS
        refused = self._last is not None and self._last.refused
        return Stop.REFUSAL if refused else Stop.END


def _seconds(created: Any) -> int | None:
    """Return a time in seconds of 1970, None for what is none."""
    if isinstance(created, bool) or not isinstance(created, int | float):
        return None
    return int(created) if 0 < created < _LATEST else None
