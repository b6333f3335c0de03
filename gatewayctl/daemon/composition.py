"""The daemon's only place where its parts are wired. Nothing is decided here."""

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable

from gatewayctl.config.settings import ServerSettings, Settings
from gatewayctl.daemon import demo, lifecycle
from gatewayctl.daemon.app import App
from gatewayctl.daemon.listing import Listing
from gatewayctl.daemon.pipeline import Pipeline
from gatewayctl.daemon.trying import Tries
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.lookup import Registry
from gatewayctl.simulator.server import start as start_simulator
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.credentials import Credentials


def run(
    settings: Settings, registry_for: Callable[[Settings], Registry], say: Callable[[str], None]
) -> None:
    """Run the daemon until it is told to stop; raise ``CannotListen``.

    ``say`` shows a line to the person who started it.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, registry_for(settings), say))


def run_demo(
    server: ServerSettings, registry_for: Callable[[Settings], Registry], say: Callable[[str], None]
) -> None:
    """Run the daemon in front of the embedded simulator."""

    async def main() -> None:
        simulator = await start_simulator()
        try:
            settings = demo.demo_settings(simulator.base_url, server)

            def announce(line: str) -> None:
                say(line)
                say("")
                say(demo.guide(line.rpartition(" ")[2]))

            await _serve(settings, registry_for(settings), announce)
        finally:
            await simulator.close()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


@contextlib.asynccontextmanager
async def composed(settings: Settings, registry: Registry) -> AsyncIterator[App]:
    """Wire a daemon inside a running loop; its upstream connections end with the context."""
    credentials = Credentials(os.environ)
    directory = Directory(settings, registry, credentials.available)
    upstream = AiohttpUpstream(os.environ)
    try:
        tries = Tries(settings, upstream, credentials)
        pipeline = Pipeline(settings, directory, tries, chance=lambda: secrets.randbits(64))
        yield App(settings, pipeline, Listing(directory))
    finally:
        await upstream.close()
        await credentials.close()


async def _serve(settings: Settings, registry: Registry, say: Callable[[str], None]) -> None:
    sockets = lifecycle.bind(settings.server.host, settings.server.port)
    async with composed(settings, registry) as app:
        await lifecycle.serve(app, sockets, lambda url: say(f"gatewayctl listening on {url}"))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory where there is one (not on Windows)."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - absent on Windows

    return uvloop.new_event_loop
