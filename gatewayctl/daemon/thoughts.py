"""What models thought before their calls, kept for the next turn of a tool loop.

In memory alone, and bounded: the latest calls, so many characters in all. What is kept for how long
a client stays away is not said anywhere; a loop whose thoughts are gone goes on without them.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial

from gatewayctl.core.conversation import Remembered, Seal
from gatewayctl.protocols.remembering import Keep, called

MOST = 512
"""Calls whose thoughts are kept."""

MOST_CHARACTERS = 2 * 1024 * 1024
"""Characters that are kept of all of them."""


class Thoughts:
    """Keeps what was thought before calls, by the model and the call."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Remembered] = OrderedDict()
        self._size = 0

    def keeping(self, model: str) -> Keep:
        """Return what takes the thoughts of a model; ``model`` is its full id."""
        return partial(self._keep, model)

    def recalled(self, model: str, body: bytes) -> Mapping[str, Remembered]:
        """Return what a model thought before the calls whose results are in a body."""
        if not self._kept:
            return {}
        found = ((name, self._kept.get((model, name))) for name in called(body))
        return {name: known for name, known in found if known is not None}

    def _keep(self, model: str, call: str, thought: Remembered) -> None:
        self._forget((model, call))
        self._kept[model, call] = thought
        self._size += _size(thought)
        while len(self._kept) > MOST or self._size > MOST_CHARACTERS:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[str, str]) -> None:
        gone = self._kept.pop(key, None)
        self._size -= 0 if gone is None else _size(gone)


def _size(thought: Remembered) -> int:
    texts = sum(len(each.text) + _length(each.seal) for each in thought.thoughts)
    return texts + _length(thought.seal)


def _length(seal: Seal | None) -> int:
    return 0 if seal is None else len(seal.data)
