"""How the daemon fares, as JSON: what ``GET /api/status`` answers and ``gatewayctl status`` shows.

Field names are a contract (``schema_version`` 1, docs/attempts.md). Nothing is decided or counted
here: the parts that are looked at do that.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from gatewayctl import __version__
from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core.health import State
from gatewayctl.core.learning import Cap, Truncation, Truncations
from gatewayctl.core.model import Auth
from gatewayctl.core.periods import iso
from gatewayctl.registry.freshness import SourceStatus
from gatewayctl.registry.live import Live
from gatewayctl.registry.told import Sources
from gatewayctl.storage.ledger import LedgerState

SCHEMA_VERSION = 1
OPEN = "open"


class LastError(msgspec.Struct, frozen=True, kw_only=True):
    """The last failure at a provider; ``at`` is in seconds since 1970, ``said`` can be kept."""

    at: float
    model: str
    kind: str
    said: str


class Fared(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider fared since the daemon started; ``origin`` is where it is reached."""

    origin: str
    breakers: tuple[State, ...] = ()
    last_error: LastError | None = None
    calls: int = 0
    failures: int = 0


class ToldError(msgspec.Struct, frozen=True, kw_only=True):
    """The last failure at a provider as it is told: ``at`` is ISO 8601 UTC."""

    at: str
    model: str
    kind: str
    said: str


class ProviderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One provider; ``has_key`` is None where it takes no key of the gateway's."""

    name: str
    origin: str
    auth: str
    has_key: bool | None
    breakers: tuple[State, ...]
    last_error: ToldError | None
    calls: int
    failures: int


class RegistryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh what is known of models is."""

    sources: tuple[SourceStatus, ...]


class LedgerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``LedgerState`` as it is told: ``last_written`` is ISO 8601 UTC."""

    path: str
    bytes: int
    pending: int
    lost: int
    last_written: str | None
    degraded: str | None


class LearnedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A window, in tokens, that a model's upstream gave away: ``cause``, when, and the evidence."""

    model: str
    window: int
    cause: str
    at: str
    evidence: str


class TruncatedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a model's requests its upstream truncated, and the last of them."""

    model: str
    count: int
    last: Truncation


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole status; ``uptime`` is seconds, ``config`` None without a file."""

    schema_version: int = SCHEMA_VERSION
    version: str
    url: str
    pid: int
    started_at: str
    uptime: float
    config: str | None
    ready: bool
    degraded: tuple[str, ...]
    in_flight: int
    providers: tuple[ProviderStatus, ...]
    registry: RegistryStatus
    learned: tuple[LearnedStatus, ...]
    truncated: tuple[TruncatedStatus, ...]
    ledger: LedgerStatus


class Board(Protocol):
    """How the upstreams fare."""

    def rendered(self, now: float) -> Mapping[str, Fared]:
        """Return it by provider; ``now`` is a time of the loop's clock."""
        ...


class Degradable(Protocol):
    """What can fall short."""

    @property
    def degraded(self) -> str | None:
        """Say what does not work as it should, None when all does."""
        ...


class Ledger(Degradable, Protocol):
    """What keeps the records, seen from outside."""

    def state(self) -> LedgerState:
        """Return how it fares."""
        ...


class Knowledge(Degradable, Protocol):
    """What replies taught, seen from outside."""

    def models(self) -> tuple[str, ...]:
        """Return the models of which anything is known."""
        ...

    def cap(self, model: str) -> Cap | None:
        """Return the window that was learned."""
        ...

    def truncations(self, model: str) -> Truncations | None:
        """Return how many replies were truncated."""
        ...


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at. ``has_key`` tells whether a provider's credential is at hand.

    ``sources`` tells how fresh each source of the registry is; ``others`` may fall short, too.
    """

    settings: Settings
    live: Live
    planner: Degradable
    board: Board
    ledger: Ledger
    knowledge: Knowledge
    has_key: Callable[[ProviderSettings], bool]
    sources: Sources
    others: tuple[Degradable, ...] = ()


class Status:
    """Tells how the daemon fares. ``clock`` is the loop's, ``wall`` seconds since 1970."""

    def __init__(self, parts: Parts, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._parts = parts
        self._clock = clock
        self._began = clock()
        self._started_at = iso(wall())
        path = parts.settings.path
        self._config = None if path is None else str(Path(path).absolute())

    async def document(self, url: str, *, unready: str | None, in_flight: int) -> Document:
        """Return the whole status.

        ``unready`` says why no request is to be sent, ``in_flight`` how many are being answered.
        Disk is read in a thread: everything else goes on meanwhile.
        """
        parts, now = self._parts, self._clock()
        fared = parts.board.rendered(now)
        sources = await self.sources()
        keys = await asyncio.to_thread(self._keys)
        return Document(
            version=__version__,
            url=url,
            pid=os.getpid(),
            started_at=self._started_at,
            uptime=round(now - self._began, 3),
            config=self._config,
            ready=unready is None,
            degraded=tuple(self._shortcomings(fared, unready)),
            in_flight=in_flight,
            providers=tuple(
                _provider(each, fared[name], has_key=keys[name])
                for name, each in parts.settings.providers.items()
            ),
            registry=RegistryStatus(sources=sources),
            learned=tuple(_learned(parts.knowledge)),
            truncated=tuple(_truncated(parts.knowledge)),
            ledger=_ledger(parts.ledger.state()),
        )

    async def sources(self) -> tuple[SourceStatus, ...]:
        """Return how fresh each source of the registry is; disk is read in a thread."""
        return await asyncio.to_thread(self._parts.sources.told, self._parts.live.current.table)

    def _keys(self) -> dict[str, bool]:
        parts = self._parts
        return {name: parts.has_key(each) for name, each in parts.settings.providers.items()}

    def _shortcomings(self, fared: Mapping[str, Fared], unready: str | None) -> Iterator[str]:
        """Yield all that keeps the daemon from being at its best, upstreams that cool included."""
        parts = self._parts
        watched = (parts.planner, parts.ledger, parts.knowledge, *parts.others)
        told = (unready, *(each.degraded for each in watched))
        yield from (each for each in told if each is not None)
        # an origin may be several providers'
        breakers = {each: None for it in fared.values() for each in it.breakers}
        for each in breakers:
            if each.state == OPEN:
                yield f"{each.name} cools for {each.remaining:.0f} s more ({each.kind})"


def _provider(settings: ProviderSettings, fared: Fared, *, has_key: bool) -> ProviderStatus:
    return ProviderStatus(
        name=settings.provider.name,
        origin=fared.origin,
        auth=settings.provider.auth.value,
        has_key=has_key if settings.provider.auth in {Auth.KEY, Auth.OAUTH} else None,
        breakers=tuple(
            msgspec.structs.replace(each, remaining=round(each.remaining, 3))
            for each in fared.breakers
        ),
        last_error=None if fared.last_error is None else _told(fared.last_error),
        calls=fared.calls,
        failures=fared.failures,
    )


def _told(error: LastError) -> ToldError:
    return ToldError(at=iso(error.at), model=error.model, kind=error.kind, said=error.said)


def _learned(knowledge: Knowledge) -> Iterator[LearnedStatus]:
    for model in knowledge.models():
        if (cap := knowledge.cap(model)) is not None:
            yield LearnedStatus(
                model=model,
                window=cap.window,
                cause=cap.cause.value,
                at=cap.at,
                evidence=cap.evidence,
            )


def _truncated(knowledge: Knowledge) -> Iterator[TruncatedStatus]:
    for model in knowledge.models():
        if (found := knowledge.truncations(model)) is not None:
            yield TruncatedStatus(model=model, count=found.count, last=found.last)


def _ledger(state: LedgerState) -> LedgerStatus:
    written = None if state.last_written is None else iso(state.last_written)
    return LedgerStatus(
        path=state.path,
        bytes=state.bytes,
        pending=state.pending,
        lost=state.lost,
        last_written=written,
        degraded=state.degraded,
    )
