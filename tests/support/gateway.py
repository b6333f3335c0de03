"""A whole gateway on a real port inside the test's loop, in front of whatever upstream it names."""

import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiohttp
import msgspec
from support.watch import in_files

from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.load import load_text
from gatewayctl.config.settings import Settings
from gatewayctl.daemon import lifecycle, listening
from gatewayctl.daemon.app import App
from gatewayctl.daemon.composition import composed
from gatewayctl.daemon.outlet import SILENCE
from gatewayctl.registry import snapshot
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.live import Live
from gatewayctl.simulator.demo import demo_config
from gatewayctl.simulator.server import Simulator
from gatewayctl.simulator.server import start as start_simulator

# Databases that end with a test need not reach a disk: that takes hundredths of a second each.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - names are random


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """A running gateway: where it is, its parts, and a client session for raw requests.

    ``state`` is the folder of its ledger.
    """

    url: str
    app: App
    client: aiohttp.ClientSession
    state: Path


def settings_of(config: str) -> Settings:
    """Return a config text's settings; fail with its problems when it is wrong."""
    loaded = load_text(config, name="test.toml", environ={}, catalog=EmptyCatalog())
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


@contextlib.asynccontextmanager
async def gateway(
    config: str,
    silence: float = SILENCE,
    *,
    state: Path | None = None,
    wall: Callable[[], float] = time.time,
    refreshing: bool = False,
) -> AsyncIterator[Gateway]:
    """Run a gateway with this config on a free port.

    Its ledger, what it learns and its cache are its own, or in the folder ``state``. ``wall`` is
    the time in seconds since 1970. ``refreshing``: the sources of its registry are asked.
    """
    settings = settings_of(config)
    live = Live(settings, snapshot.load())
    async with contextlib.AsyncExitStack() as stack:
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_MEMORY)))
        stack.callback(_assert_no_secret_is_kept, state)
        cache = Cache(state / "registry")
        wired = composed(settings, live, state, cache, wall=wall, silence=silence)
        daemon = await stack.enter_async_context(wired)
        sockets = listening.bind("127.0.0.1", 0)
        runner = await lifecycle.start(daemon.app, sockets)
        stack.push_async_callback(runner.cleanup)
        if refreshing:
            daemon.listening()
        client = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        yield Gateway(url=lifecycle.url(sockets[0]), app=daemon.app, client=client, state=state)


def _assert_no_secret_is_kept(state: Path) -> None:
    assert not (found := in_files(state)), found


@contextlib.asynccontextmanager
async def demo(
    extra: str = "", silence: float = SILENCE
) -> AsyncIterator[tuple[Gateway, Simulator]]:
    """Run the demo: a gateway in front of the simulator, ``extra`` added to its config."""
    simulator = await start_simulator()
    try:
        config = f"{extra}\n{demo_config(simulator.base_url)}"
        async with gateway(config, silence=silence) as running:
            yield running, simulator
    finally:
        await simulator.close()


def upstream_config(
    base_url: str,
    *,
    auth: str = "none",
    more: str = "",
    protocols: Sequence[str] = ("chat_completions", "responses", "messages"),
) -> str:
    """Return a config with one provider ``up`` of these protocols and its model ``up/m``."""
    return f"""
[providers.up]
kind = "openai-compatible"
base_url = "{base_url}/v1"
auth = "{auth}"
protocols = {list(protocols)}
{more}
"""
