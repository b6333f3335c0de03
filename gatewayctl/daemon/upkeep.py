"""The registry while the daemon runs: sources asked in time, and what came of it in use.

When a source is due is ``refreshing``'s business, when the table is loaded again ``reloading``'s.
"""

from collections.abc import Callable

from gatewayctl.config.settings import Settings, source_name
from gatewayctl.config.sources import is_local
from gatewayctl.daemon.background import Background
from gatewayctl.daemon.refreshing import Headers, Refresher
from gatewayctl.daemon.reloading import Reloader
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.live import Live


class Upkeep:
    """Refreshes and reloads. ``headers`` are what providers are asked with, see ``refreshing``.

    ``busy`` tells whether a provider is answering now.
    """

    def __init__(
        self,
        settings: Settings,
        live: Live,
        cache: Cache,
        headers: Headers,
        wall: Callable[[], float],
        busy: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._reloader = Reloader(cache, live)
        soon = self._reloader.soon
        self._refresher = Refresher(settings, cache, headers, wall, busy=busy, on_refreshed=soon)

    def start(self, background: Background) -> None:
        """Begin, once the daemon listens."""
        background.start(self._reloader.run(), "reloading the registry")
        background.start(self._refresher.run(), "refreshing the registry")

    def soon(self, provider: str) -> None:
        """Have a server of one's own asked what it serves now."""
        if is_local(self._settings.providers[provider]):
            self._refresher.soon(source_name(provider))

    async def change(self) -> None:
        """Return as soon as another table is in use."""
        await self._reloader.change()
