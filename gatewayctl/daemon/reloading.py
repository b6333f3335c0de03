"""Keeps the registry in memory what the cache on disk is, whoever refreshed it.

When sources are asked anew is ``refreshing``'s business. Nothing here delays a request: files are
read in a thread, and the newer table takes the place of the older one in a single step.
"""

import asyncio
import logging

from gatewayctl.core.happened import Happened
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.live import Live

log = logging.getLogger("gatewayctl.registry")

EVERY = 2.0
"""Seconds between two looks at the cache's file."""


class Reloader:
    """Loads the merged table again whenever its file is another one than at the last look."""

    def __init__(self, cache: Cache, live: Live) -> None:
        self._cache = cache
        self._live = live
        self._told = asyncio.Event()
        self._changed = asyncio.Event()
        self._stamp: object = cache.stamp()

    def soon(self) -> None:
        """Have the file looked at now: it was just written."""
        self._told.set()

    async def change(self) -> None:
        """Return as soon as another table is in use."""
        await self._changed.wait()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._told.wait()
            except TimeoutError:
                log.debug("nobody said that the cache was written; looking all the same")
            self._told.clear()
            await self.look()

    async def look(self) -> None:
        """Load the table if its file has changed."""
        stamp = await asyncio.to_thread(self._cache.stamp)
        if stamp == self._stamp:
            return
        table = await asyncio.to_thread(self._cache.load)
        self._stamp = stamp
        self._live.renew(table)
        self._changed.set()
        self._changed = asyncio.Event()
        log.info(Happened("registry_reloaded", {"models": len(table)}))
