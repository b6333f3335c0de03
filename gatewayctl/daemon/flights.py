"""Questions that cost a call, asked once however many want to know, and their answers for a while.

What is asked, and of whom, is ``counting``'s business.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

KEPT = 256
"""Answers that are kept, the last used ones."""


class _Flight:
    """A question under way, and how many wait for its answer."""

    def __init__(self, task: asyncio.Task[int]) -> None:
        self.task = task
        self.waiting = 0


class Flights:
    """Answers by the digest of the question. Use within one event loop; ``close`` when done."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, int] = OrderedDict()
        self._under_way: dict[bytes, _Flight] = {}
        self._tasks: set[asyncio.Task[int]] = set()

    async def answer(self, key: bytes, ask: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """Return the answer that is known or under way, else ask; what is raised is not kept.

        Who is cancelled leaves the others their answer; without anybody left the asking ends.
        """
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
            return found
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = _Flight(asyncio.create_task(ask(), name="counting"))
            self._tasks.add(flight.task)
            flight.task.add_done_callback(lambda task: self._done(key, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._under_way.pop(key, None)  # whoever asks next does not join what ends
                flight.task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, key: bytes, task: asyncio.Task[int]) -> None:
        self._tasks.discard(task)
        flight = self._under_way.get(key)
        if flight is not None and flight.task is task:
            del self._under_way[key]
        if task.cancelled() or task.exception() is not None:
            return
        self._answers[key] = task.result()
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
