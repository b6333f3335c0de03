"""What goes on beside requests: tasks with an owner, which ends them, and says when one fails.

What each of them does is its own module's business.
"""

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger("gatewayctl.daemon")


class Background:
    """Runs tasks until it is closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run work until it ends or is cancelled; ``name`` is for the log."""
        task = asyncio.create_task(self._run(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel all of it and wait for its end."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        try:
            await work
        except Exception:  # nobody awaits it before the end, so it must be told here
            log.exception("%s ended with an error; requests are still answered", name)
