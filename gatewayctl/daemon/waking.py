"""Has a local server load a model, and say what it serves it with, before a request is refused.

Some servers tell the window only of models that are loaded; until then a small one is assumed. A
request that fits the assumed window is sent and loads the model by the way. One that does not
would be refused for ever, were the model not loaded first: with an empty request, as the server's
own tools do it. What a model serves is then asked as ever: see ``refreshing``.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import ProviderSettings, Settings, Timeouts
from gatewayctl.core.errors import UpstreamFailed
from gatewayctl.core.model import Auth
from gatewayctl.core.routing.decision import Decision, Skipped, SkipReason
from gatewayctl.core.routing.place import ASSUMED
from gatewayctl.daemon.background import Background
from gatewayctl.daemon.upkeep import Upkeep
from gatewayctl.registry.sources.asking import Origin
from gatewayctl.upstream.client import Call, Upstream
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.listing import headers_for

log = logging.getLogger("gatewayctl.learning")

PATIENCE: Final = 45.0
"""Seconds that a refusal waits for a model to be loaded; loading goes on beyond."""

LOADING: Final = 600.0
"""Seconds that a server may take to load a model."""

TOLD: Final = 15.0
"""Seconds until what the server serves is expected to be known, once the model is loaded."""

AGAIN: Final = 60.0
"""Seconds in which a model is not loaded a second time for this."""

_JSON: Final = ("Content-Type", "application/json")
_MOST: Final = 256
_OK: Final = 200
_REPLY_LIMIT: Final = 64 * 1024


class Waker:
    """Wakes models."""

    def __init__(
        self,
        settings: Settings,
        upstream: Upstream,
        credentials: Credentials,
        upkeep: Upkeep,
        background: Background,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._credentials = credentials
        self._upkeep = upkeep
        self._background = background
        self._woken: dict[str, float] = {}
        self._loading: dict[str, asyncio.Event] = {}

    async def woken(self, decision: Decision) -> bool:
        """Wake what was skipped by an assumed window alone; tell whether to plan anew.

        Whoever has another candidate is not kept waiting: the next request will know.
        """
        wanted = list(self._wanted(decision.skipped))
        if not wanted:
            return False
        events = [self._wake(each) for each in wanted]
        if decision.attempts:
            return False
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            done, _ = await asyncio.wait(waits, timeout=PATIENCE)
        finally:
            for wait in waits:
                wait.cancel()
        return bool(done)

    def _wanted(self, skipped: Iterable[Skipped]) -> Iterator[Skipped]:
        now = asyncio.get_running_loop().time()
        for each in skipped:
            cap = each.place.limits.cap
            if each.reason is not SkipReason.TOO_LARGE or cap is None or cap.source != ASSUMED:
                continue
            if not kinds()[self._settings.providers[each.place.provider].provider.kind].load:
                continue
            lately = self._woken.get(each.model)
            if each.model in self._loading or lately is None or now - lately >= AGAIN:
                yield each

    def _wake(self, skipped: Skipped) -> asyncio.Event:
        """Return what is set when it is known what a model serves, or that it will not be."""
        model = skipped.model
        event = self._loading.get(model)
        if event is None:
            event = self._loading[model] = asyncio.Event()
            if len(self._woken) >= _MOST:
                self._woken.clear()
            self._woken[model] = asyncio.get_running_loop().time()
            self._background.start(self._load(skipped, event), f"loading {model}")
        return event

    async def _load(self, skipped: Skipped, event: asyncio.Event) -> None:
        provider = self._settings.providers[skipped.place.provider]
        try:
            changed = asyncio.ensure_future(self._upkeep.change())
            try:
                status = await self._send(provider, skipped.place.upstream_model)
                if status == _OK:
                    self._upkeep.soon(provider.provider.name)
                    await asyncio.wait((changed,), timeout=TOLD)
                else:
                    log.info("%s was not loaded: HTTP %d", skipped.model, status)
            finally:
                changed.cancel()
        except UpstreamFailed as error:
            log.info("%s was not loaded: %s", skipped.model, error.failure.said)
        finally:
            del self._loading[skipped.model]
            event.set()

    async def _send(self, provider: ProviderSettings, model: str) -> int:
        """Have a model loaded; return the status that the server answers with once it is."""
        kind = kinds()[provider.provider.kind]
        credential = None
        if provider.provider.auth is Auth.KEY:
            credential = await self._credentials.get(provider)
        reply = await self._upstream.send(
            Call(
                provider=provider,
                url=f"{Origin(base_url=provider.base_url).root}{kind.load}",
                headers=(*headers_for(provider, credential).items(), _JSON),
                body=msgspec.json.encode({"model": model, "stream": False}),
                stream=False,
                timeouts=Timeouts(first_token=None, idle=LOADING, total=LOADING),
            )
        )
        try:
            await reply.read(_REPLY_LIMIT)
        finally:
            reply.abort()
        return reply.status
