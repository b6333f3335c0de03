"""When the registry's sources are asked anew, in the background and in a process of its own.

Nothing is fetched, read or merged here: that is ``upstream.refresher``'s, which is started when a
source is due. No request waits for it, and whatever happens to it leaves what is known as it was.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec

from gatewayctl.config.settings import ProviderSettings, Settings, SourceSettings
from gatewayctl.core.errors import SourceFailed, UpstreamFailed
from gatewayctl.core.happened import Happened
from gatewayctl.registry.cache import Attempt, Cache, Outcome
from gatewayctl.registry.fetching import Access
from gatewayctl.registry.freshness import backoff, due_at
from gatewayctl.registry.quarantine import is_own_server
from gatewayctl.registry.refresh import Refreshed, note_failure
from gatewayctl.tokenizers.counter import ENVIRONMENT
from gatewayctl.upstream.at_hand import askable
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.listing import headers_for
from gatewayctl.upstream.refresher import Job

log = logging.getLogger("gatewayctl.registry")

_LOOK = 2.0  # seconds between looks at what is due
_SOON = 5.0  # seconds between two refreshes of one source that somebody asks for
_KEYLESS = 300.0  # seconds until a credential that was not at hand is looked for again
_SPARE = 30.0  # seconds that the process may take beyond the longest timeout of its sources
_CREDENTIAL = 15.0  # seconds that a provider's credential may take
_PROCESSES = 2
_LONGEST_LINE = 1024 * 1024

# What the process needs besides: how to get out, and whom to trust.
_WAYS_OUT = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR"}) | {
    each
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for each in (name, name.upper())
}

# llama-cpp-python breaks off the stream that it is writing when it is asked anything else.
_BREAKS_OFF = frozenset({"compatible", "llamacpp"})

Headers = Callable[[ProviderSettings], Awaitable[Mapping[str, str] | None]]
"""Returns what a provider's listing is asked with; None where it is not to be asked.

SourceFailed when a credential is named and cannot be had.
"""


def headers_by(credentials: Credentials, environ: Mapping[str, str]) -> Headers:
    """Return how a refresher comes by headers: with the credentials that requests go out with."""

    async def headers(provider: ProviderSettings) -> Mapping[str, str] | None:
        if not askable(provider, environ):
            return None
        try:
            credential = await credentials.get(provider)
        except UpstreamFailed as error:
            raise SourceFailed(error.failure.message) from error
        return headers_for(provider, credential)

    return headers


class Refresher:
    """Keeps the cache up to date; ``run`` is its owner's task.

    ``wall`` is in seconds since 1970; ``on_refreshed`` is called in the loop as soon as a source
    was stored; ``busy`` tells whether a provider is answering now. With ``refresh = "manual"``
    nothing is ever asked.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is a collaborator
        self,
        settings: Settings,
        cache: Cache,
        headers: Headers,
        wall: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        busy: Callable[[str], bool] = lambda _: False,
        on_refreshed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        asked = settings.registry.sources if settings.registry.background else {}
        self._sources = {name: each for name, each in asked.items() if each.url}
        self._cache = cache
        self._headers = headers
        self._wall = wall
        self._sleep = sleep
        self._busy = busy
        self._on_refreshed = on_refreshed
        self._flying: set[str] = set()
        self._wanted: dict[str, float] = {}  # when, since somebody asked for it
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._complained: dict[str, str | None] = {}
        self._last: dict[str, float] = {}
        self._batches: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Refresh what is due, side by side, until cancelled; processes end with it."""
        try:
            while True:
                self._wake.clear()
                due = await self._due()
                if due and len(self._batches) < _PROCESSES:
                    self._start(due)
                await self._rest()
        finally:
            for batch in self._batches:
                batch.cancel()
            await asyncio.gather(*self._batches, return_exceptions=True)

    async def tick(self) -> None:
        """Refresh what is due now, and return when all of it has ended."""
        if due := await self._due():
            await self._fly(due)

    def soon(self, source: str) -> None:
        """Have a source asked now, or in a few seconds if it has just been asked."""
        if source in self._sources and source not in self._wanted:
            self._wanted[source] = max(self._wall(), self._last.get(source, 0.0) + _SOON)
            self._wake.set()

    async def _rest(self) -> None:
        """Wait for a while, or until there is something to do."""
        woken = asyncio.ensure_future(self._wake.wait())
        rested = asyncio.ensure_future(self._sleep(self._until_wanted()))
        try:
            await asyncio.wait((woken, rested), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (woken, rested):
                each.cancel()
            await asyncio.gather(woken, rested, return_exceptions=True)

    def _until_wanted(self) -> float:
        now, wanted = self._wall(), self._wanted.keys() - self._flying
        waiting = (self._wanted[name] - now for name in wanted)
        return max(0.1, min((_LOOK, *waiting)))

    async def _due(self) -> tuple[str, ...]:
        """Return the sources to ask now, by what other processes have stored too."""
        attempts = await asyncio.to_thread(self._cache.attempts)
        now = self._wall()
        return tuple(
            name
            for name, source in self._sources.items()
            if name not in self._flying and self._is_due(name, source, attempts.get(name), now)
        )

    def _is_due(
        self, name: str, source: SourceSettings, attempt: Attempt | None, now: float
    ) -> bool:
        disturbed = source.listing in _BREAKS_OFF and is_own_server(source)
        if disturbed and self._busy(source.provider or ""):
            return False
        if name in self._wanted:
            return now >= self._wanted[name]
        # A time further ahead than any of ours was set by a clock that has been put back since.
        if now < self._not_before.get(name, 0.0) <= now + max(source.ttl, _KEYLESS):
            return False
        return now >= due_at(source, attempt, now)

    def _start(self, names: Collection[str]) -> None:
        batch = asyncio.create_task(self._fly(names), name="refreshing")
        self._batches.add(batch)
        batch.add_done_callback(self._ended)

    def _ended(self, batch: asyncio.Task[None]) -> None:
        self._batches.discard(batch)
        self._wake.set()
        if not batch.cancelled() and (error := batch.exception()) is not None:
            log.error(Happened("registry_refresh_failed", {"reason": type(error).__name__}))

    async def _fly(self, names: Collection[str]) -> None:
        """Have these sources refreshed by a process of their own."""
        self._flying.update(names)
        for name in names:
            self._wanted.pop(name, None)
            self._last[name] = self._wall()
        try:
            access = await self._accessed(names)
            if access:
                await self._refreshed({name: self._sources[name] for name in access}, access)
        finally:
            self._flying.difference_update(names)

    async def _accessed(self, names: Collection[str]) -> dict[str, Access]:
        """Return what it takes to ask each source, without those that lack a credential."""
        found = await asyncio.gather(*(self._access(name) for name in names))
        return {name: each for name, each in zip(names, found, strict=True) if each is not None}

    async def _access(self, name: str) -> Access | None:
        source = self._sources[name]
        if source.provider is None:
            return Access()
        provider = self._settings.providers[source.provider]
        headers, why = None, None
        try:
            async with asyncio.timeout(_CREDENTIAL):
                headers = await self._headers(provider)
        except TimeoutError:
            why = f"no credential within {_CREDENTIAL:g} s"
        except SourceFailed as error:
            why = str(error)
        if headers is not None:
            return Access(headers=headers, proxy=provider.proxy, ca_bundle=provider.ca_bundle)
        if why is not None:
            await self._failed(name, why)
        else:
            self._not_before[name] = self._wall() + _KEYLESS
        return None

    async def _refreshed(
        self, sources: Mapping[str, SourceSettings], access: Mapping[str, Access]
    ) -> None:
        now = self._wall()
        job = Job(folder=str(self._cache.folder), now=now, sources=sources, access=access)
        heard: set[str] = set()

        def hear(result: Refreshed) -> None:
            heard.add(result.source)
            self._noted(result)

        limit = max(source.timeout for source in sources.values()) + _SPARE
        why = await _run(msgspec.json.encode(job), limit, hear)
        for name in sources.keys() - heard:
            await self._failed(name, why)

    async def _failed(self, name: str, why: str) -> None:
        """Take note of a failure that the refreshing process could not."""
        source = self._sources[name]
        result = await asyncio.to_thread(note_failure, name, source, self._cache, self._wall, why)
        self._noted(result)

    def _noted(self, result: Refreshed) -> None:
        """Take note of how a source's refresh ended: in the log, and for when it is asked again."""
        name = result.source
        if result.outcome is Outcome.FETCHED:
            self._failures.pop(name, None)
            self._complained.pop(name, None)
            self._not_before.pop(name, None)
            log.info(
                Happened(
                    "registry_refreshed",
                    {"source": name, "models": result.models, "changed": result.changed},
                )
            )
            self._on_refreshed()
            return
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        self._not_before[name] = self._wall() + backoff(failures, self._sources[name].ttl)
        # a server that is off for the night is told of once
        level = logging.INFO if self._complained.get(name) == result.error else logging.WARNING
        self._complained[name] = result.error
        log.log(
            level,
            Happened(
                "registry_refresh_failed",
                {"source": name, "outcome": result.outcome.value, "reason": result.error},
            ),
        )


async def _run(job: bytes, limit: float, hear: Callable[[Refreshed], None]) -> str:
    """Run the refreshing process for ``limit`` seconds at most; say how it ended."""
    try:
        async with asyncio.timeout(limit):
            return await _conversed(job, hear)
    except TimeoutError:
        return f"the refreshing process took longer than {limit:g} s"
    except (OSError, RuntimeError, msgspec.DecodeError, ValueError) as error:
        return f"the refreshing process failed: {type(error).__name__}"


async def _conversed(job: bytes, hear: Callable[[Refreshed], None]) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing is imported from the folder the daemon was started in
        "-m",
        "gatewayctl.upstream.refresher",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in (ENVIRONMENT | _WAYS_OUT) & os.environ.keys()},
        start_new_session=True,  # so that Ctrl-C is the daemon's alone
        limit=_LONGEST_LINE,
    )
    try:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(job + b"\n")  # and left open: its end is that of the daemon
        async for line in process.stdout:
            hear(msgspec.json.decode(line, type=Refreshed))
        return f"the refreshing process ended with status {await process.wait()}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
