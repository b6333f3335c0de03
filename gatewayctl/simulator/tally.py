"""How often, and since when, each model was called with each fault: for faults that do not last."""

from collections import OrderedDict
from typing import Final

import msgspec

_KEPT: Final = 4096


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """``count`` calls so far, this one included; ``age`` is the seconds since the first."""

    count: int
    age: float


class Tally:
    """Counts calls by a key; the keys that were not used for longest are forgotten first."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()

    def call(self, *key: str, now: float) -> Seen:
        """Count a call, ``now`` in seconds of any clock that goes on."""
        count, first = self._calls.pop(key, (0, now))
        self._calls[key] = (count + 1, first)
        if len(self._calls) > _KEPT:
            self._calls.popitem(last=False)
        return Seen(count=count + 1, age=now - first)
