"""How many of anything there were in the last minute, whatever the minute on the clock.

What may be, and who asks, does not belong here.
"""

from collections import deque
from typing import Final

import msgspec

MINUTE: Final = 60.0
"""Seconds that rates are counted over: the last ones, whatever the minute on the clock."""

_SLOT: Final = 0.1
"""Seconds that are counted as one moment: what happens in them leaves the minute together."""


class Slot(msgspec.Struct):
    """What was counted in one moment of the last minute, and when the last of it was."""

    moment: int
    amount: int = 0
    last: float = 0.0

    @property
    def over(self) -> float:
        """When the last of it is a minute ago: the first of it leaves with it, later."""
        return self.last + MINUTE


class Rate:
    """Counts what happened in the last minute: never too little, and to a tenth of a second."""

    def __init__(self) -> None:
        self.total = 0
        self._slots: deque[Slot] = deque()

    def wait(self, amount: int, limit: int, clock: float) -> float | None:
        """Return the seconds until so much more fits; 0 is now, None is never."""
        self._leave(clock)
        if amount > limit:
            return None
        left = self.total
        if left + amount <= limit:
            return 0.0
        for slot in self._slots:
            left -= slot.amount
            if left + amount <= limit:
                return max(slot.over - clock, 0.001)
        return 0.0

    def count(self, amount: int, clock: float) -> Slot:
        """Count so much now; what it is counted in can be corrected."""
        self._leave(clock)
        moment = int(clock / _SLOT)
        if not self._slots or self._slots[-1].moment != moment:
            self._slots.append(Slot(moment))
        slot = self._slots[-1]
        slot.last = clock
        self._add(slot, amount)
        return slot

    def correct(self, slot: Slot, by: int, clock: float) -> None:
        """Count more or less than was; more comes about now, and so does not leave before."""
        self._leave(clock)
        if by > 0:
            self.count(by, clock)
        elif slot.over > clock:
            self._add(slot, by)

    def _add(self, slot: Slot, amount: int) -> None:
        slot.amount += amount
        self.total += amount

    def _leave(self, clock: float) -> None:
        while self._slots and self._slots[0].over <= clock:
            self.total -= self._slots.popleft().amount
