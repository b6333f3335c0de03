"""The daemon's only place where its parts are wired. Nothing is decided here."""

import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from gatewayctl.config.every import with_every_provider
from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.settings import ServerSettings, Settings
from gatewayctl.daemon import chance, demo, lifecycle, listening, memory, status
from gatewayctl.daemon.accounts import Accounts
from gatewayctl.daemon.app import App
from gatewayctl.daemon.background import Background
from gatewayctl.daemon.clients import Clients
from gatewayctl.daemon.counting import Counting
from gatewayctl.daemon.flights import Flights
from gatewayctl.daemon.forwarding import Forwarding
from gatewayctl.daemon.health import Board
from gatewayctl.daemon.keyring import Keyring
from gatewayctl.daemon.learning import Learner
from gatewayctl.daemon.load import Load
from gatewayctl.daemon.logins import Logins
from gatewayctl.daemon.outlet import SILENCE
from gatewayctl.daemon.owners import Owners
from gatewayctl.daemon.parts import Parts
from gatewayctl.daemon.pipeline import Pipeline
from gatewayctl.daemon.planning import Planner
from gatewayctl.daemon.probing import Probing
from gatewayctl.daemon.quotas import Quotas
from gatewayctl.daemon.recalling import Recaller
from gatewayctl.daemon.refreshing import headers_by
from gatewayctl.daemon.sending import Sending
from gatewayctl.daemon.sessions import Sessions
from gatewayctl.daemon.standing import Parts as StandingParts
from gatewayctl.daemon.standing import Standings
from gatewayctl.daemon.thoughts import Thoughts
from gatewayctl.daemon.trying import Tries
from gatewayctl.daemon.turns import Turns
from gatewayctl.daemon.upkeep import Upkeep
from gatewayctl.daemon.waking import Waker
from gatewayctl.registry.cache import Cache, usual_folder
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.live import Live
from gatewayctl.registry.told import Sources
from gatewayctl.simulator.server import start as start_simulator
from gatewayctl.storage.credentials import Vault
from gatewayctl.storage.files import usual_state_folder
from gatewayctl.storage.knowledge import Knowledge
from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.spending import Spending
from gatewayctl.tokenizers.counter import Counter
from gatewayctl.upstream.at_hand import askable
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.marks import Marks
from gatewayctl.upstream.oauth import OAuth


def run(settings: Settings, known: Callable[[Settings], Live], say: Callable[[str], None]) -> None:
    """Run the daemon until it is told to stop; raise ``CannotListen``.

    ``say`` shows a line to the person who started it.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, known(settings), say))


def run_demo(
    server: ServerSettings,
    known: Callable[[Settings], Live],
    say: Callable[[str], None],
    *,
    keyed: bool,
) -> None:
    """Run the daemon in front of the embedded simulator; ``keyed``: it asks for client keys."""

    async def main() -> None:
        simulator = await start_simulator()
        try:
            settings = demo.demo_settings(simulator.base_url, server)

            def announce(line: str) -> None:
                say(line)
                say("")
                say(demo.guide(line.rpartition(" ")[2], keyed=keyed))

            await _serve(settings, known(settings), announce)
        finally:
            await simulator.close()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """A wired daemon: what answers, and what is to be called once it listens."""

    app: App
    listening: Callable[[], None]


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What holds files, connections, processes or tasks, and is closed at the end.

    ``state`` is the folder of those files.
    """

    state: Path
    ledger: Ledger
    knowledge: Knowledge
    marks: Marks
    quotas: Quotas
    tokens: OAuth
    credentials: Credentials
    keyring: Keyring
    upstream: AiohttpUpstream
    counter: Counter
    flights: Flights
    background: Background


@contextlib.asynccontextmanager
async def _opened(
    settings: Settings, state: Path, wall: Callable[[], float]
) -> AsyncIterator[_Opened]:
    upstream = AiohttpUpstream(os.environ)
    tokens = OAuth(Vault(state), upstream, wall)
    marks = Marks(settings.providers, os.environ, tokens.identity)
    opened = _Opened(
        state=state,
        ledger=await asyncio.to_thread(Ledger.open, state, wall),
        knowledge=await asyncio.to_thread(Knowledge.open, state, wall),
        marks=marks,
        quotas=await asyncio.to_thread(Quotas.open, state, wall, marks),
        tokens=tokens,
        credentials=Credentials(os.environ, tokens),
        keyring=await asyncio.to_thread(_keyring, settings, state),
        upstream=upstream,
        counter=Counter(),
        flights=Flights(),
        background=Background(),
    )
    try:
        yield opened
    finally:
        await opened.background.close()
        await opened.flights.close()
        await opened.counter.close()
        await opened.tokens.close()
        await opened.upstream.close()
        await opened.credentials.close()
        await opened.quotas.close()
        await opened.knowledge.close()
        await opened.ledger.close()


def _keyring(settings: Settings, state: Path) -> Keyring:
    """Read the client keys; blocks. Beyond loopback a key is asked for even if there is none."""
    beyond = not is_loopback(settings.server.host)
    return Keyring(state, settings.server.keys, time.monotonic, required=beyond)


@contextlib.asynccontextmanager
async def composed(
    settings: Settings,
    live: Live,
    state: Path,
    cache: Cache,
    *,
    wall: Callable[[], float] = time.time,
    silence: float = SILENCE,
) -> AsyncIterator[Daemon]:
    """Wire a daemon inside a running loop; its upstream connections end with the context.

    ``state`` is the folder of the ledger and of what replies teach, ``cache`` that of the registry.
    ``wall`` is the time in seconds since 1970; ``silence`` seconds pass before a keepalive.
    """
    async with _opened(settings, state, wall) as opened:
        grounds = _Grounds(settings=settings, live=live, cache=cache, opened=opened, wall=wall)
        yield _wired(grounds, silence)


class _Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon is made of, and made for."""

    settings: Settings
    live: Live
    cache: Cache
    opened: _Opened
    wall: Callable[[], float]

    def directory(self, settings: Settings) -> Directory:
        """Return what routing looks things up in, over some providers."""
        opened = self.opened
        return Directory(settings, self.live, opened.credentials.available, opened.knowledge)


def _wired(grounds: _Grounds, silence: float) -> Daemon:
    settings, opened, wall = grounds.settings, grounds.opened, grounds.wall
    credentials, upstream = opened.credentials, opened.upstream
    clock = asyncio.get_running_loop().time
    world = grounds.directory(settings)
    worlds = (world, grounds.directory(with_every_provider(settings, os.environ)))
    turns = Turns(credentials.usable, opened.quotas, secrets.token_bytes(16), clock)
    forwarding = Forwarding(settings, secrets.token_bytes(16))
    board = Board(settings, turns, clock, wall, opened.marks.of)
    planner = _planner(grounds, world, board, turns, forwarding)
    load = Load()
    sending = Sending(opened.counter, Owners(), Thoughts(), wall)
    headers = headers_by(credentials, os.environ)
    upkeep = Upkeep(settings, grounds.live, grounds.cache, headers, wall, board.busy)
    learner = Learner(opened.knowledge, planner, wall, load, upkeep.soon)
    opened.background.start(learner.run(), "learning from replies")
    opened.background.start(opened.quotas.run(), "keeping quotas")
    spending = Spending(opened.state, opened.ledger.instance)
    clients = Clients(opened.keyring, world, Accounts(spending, wall, clock), wall)
    tokens, hearing = opened.tokens, opened.quotas.hearing
    parts = Parts(
        background=opened.background,
        settings=settings,
        planner=planner,
        tries=Tries(settings, upstream, credentials, sending, tokens, forwarding, hearing),
        board=board,
        ledger=opened.ledger,
        learner=learner,
        turns=turns,
        clients=clients,
        quotas=opened.quotas,
        logins=Logins(settings, tokens),
        chance=chance.seed,
        silence=silence,
    )
    counting = Counting(
        settings, planner, world, upstream, credentials, forwarding, turns, opened.flights
    )
    waker = Waker(settings, upstream, credentials, upkeep, opened.background)
    pipeline = Pipeline(parts, wall, counting, waker, load)
    told = status.Status(_looked_at(grounds, parts), clock, wall)
    probing = Probing(settings, credentials, opened.quotas, wall, board.forget)
    app = App(settings, planner, pipeline, told, worlds, clients, probing)
    return Daemon(app=app, listening=lambda: upkeep.start(opened.background))


def _planner(
    grounds: _Grounds, world: Directory, board: Board, turns: Turns, forwarding: Forwarding
) -> Planner:
    settings, opened, clock = grounds.settings, grounds.opened, asyncio.get_running_loop().time
    sessions = Sessions(settings.session_ttl, secrets.token_bytes(16), clock)
    recaller = Recaller(opened.knowledge, opened.counter)
    standings = Standings(
        StandingParts(
            settings=settings,
            world=world,
            turns=turns,
            forwarding=forwarding,
            tokens=opened.tokens,
            wall=grounds.wall,
        )
    )
    return Planner(world, opened.counter, sessions, board, recaller, standings, chance=chance.seed)


def _looked_at(grounds: _Grounds, parts: Parts) -> status.Parts:
    settings, opened = grounds.settings, grounds.opened
    return status.Parts(
        settings=settings,
        live=grounds.live,
        planner=parts.planner,
        board=parts.board,
        ledger=opened.ledger,
        knowledge=opened.knowledge,
        has_key=opened.credentials.available,
        sources=Sources(
            settings, grounds.cache, lambda each: askable(each, os.environ), grounds.wall
        ),
        others=(parts.clients, parts.quotas, parts.logins),
    )


async def _serve(settings: Settings, live: Live, say: Callable[[str], None]) -> None:
    memory.give_back()
    sockets = listening.bind(settings.server.host, settings.server.port)
    with lifecycle.signals() as stop:
        async with composed(settings, live, usual_state_folder(), Cache(usual_folder())) as daemon:

            def announce(url: str) -> None:
                say(f"gatewayctl listening on {url}")
                daemon.listening()

            await lifecycle.serve(daemon.app, sockets, announce, stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory where there is one (not on Windows)."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - absent on Windows

    return uvloop.new_event_loop
