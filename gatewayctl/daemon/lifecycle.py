"""The daemon's life: serve, say so, drain, end.

What is served is ``app``'s business, on which sockets ``listening``'s; which parts there are is
``composition``'s.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

from aiohttp import web

from gatewayctl.daemon.app import App
from gatewayctl.daemon.connection import Server
from gatewayctl.daemon.ending import ending
from gatewayctl.daemon.listening import BACKLOG

log = logging.getLogger("gatewayctl.daemon")

DRAIN = 30.0
"""Seconds that requests under way are given to end after SIGTERM; then they are cancelled."""

KEEPALIVE = 75.0
"""Seconds that a client connection is kept while no whole request head comes on it."""

_MAX_FIELD = 64 * 1024  # bytes of one request header: agents send long ones
_MAX_LINE = 8 * 1024  # bytes of a request line, whose longest part is a model's name


async def start(app: App, sockets: list[socket.socket]) -> web.ServerRunner:
    """Accept requests on the sockets; ``cleanup`` of what is returned drains and ends."""
    server = Server(
        app,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_FIELD,
        keepalive_timeout=KEEPALIVE,
    )
    app.url = url(sockets[0])
    runner = web.ServerRunner(server, shutdown_timeout=DRAIN)
    await runner.setup()
    for sock in sockets:
        await web.SockSite(runner, sock, backlog=BACKLOG).start()
    return runner


async def serve(
    app: App, sockets: list[socket.socket], announce: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve until ``stop`` is set, then drain; set for a second time it ends this at once.

    ``announce`` is called with the URL as soon as requests are accepted.
    """
    runner = await start(app, sockets)
    announce(app.url)
    await stop.wait()
    app.unready = "draining: the daemon is stopping"
    log.info("draining: up to %.0f s for requests under way", DRAIN)
    stop.clear()
    ending = asyncio.ensure_future(runner.cleanup())
    forced = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ending, forced}, return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        log.info("second signal: requests under way are cut off")
        ending.cancel()
        if runner.server is not None:
            await runner.server.shutdown(0)
    forced.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ending


def url(sock: socket.socket) -> str:
    """Return the URL at which a socket is reached."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def signals() -> Iterator[asyncio.Event]:
    """Give an event that signals to end set while inside; after it the process ignores them.

    SIGHUP is one, which comes when a terminal is closed, unless it is ignored (``nohup``). What
    is left by then is its end, which a signal more must neither spoil nor fail.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    caught = [*ending(), signal.SIGINT]
    for each in caught:
        try:
            loop.add_signal_handler(each, stop.set)
        except NotImplementedError:  # Windows has no loop signal handlers
            signal.signal(each, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        yield stop
    finally:
        for each in caught:
            with contextlib.suppress(NotImplementedError):  # Windows, as above
                loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_IGN)
