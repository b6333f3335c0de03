"""Connections that know their past: whether they were used before, whether a reply has begun.

aiohttp says neither that a request died with a pooled connection, which tells nothing of the
upstream, nor does it limit the wait for a reply's head from the moment the connection stands. Both
are added to its connector here and nowhere else.
"""

import asyncio
import functools
import math
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError

from gatewayctl.config.settings import Timeouts
from gatewayctl.upstream.translation import Phase, PhaseTimeout

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

_current: ContextVar["Exchange"] = ContextVar("_current")


class Wire(ResponseHandler):
    """One connection. ``uses`` counts requests, ``replying`` says a reply's first byte came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.uses = 0
        self.replying = False

    def data_received(self, data: bytes) -> None:
        """Note that the peer speaks, and parse."""
        if data:
            self.replying = True
        super().data_received(data)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Tell the reader of a body too that the peer stopped speaking HTTP.

        aiohttp tells only whoever waits for the next head, and the reader would wait for ever.
        """
        body = self._payload
        super().set_exception(exc, *(() if exc_cause is None else (exc_cause,)))
        if body is not None and isinstance(exc, HttpProcessingError) and body.exception() is None:
            body.set_exception(exc)


class Pool(aiohttp.TCPConnector):
    """A connector without a limit that tells the exchange under way which connection it got."""

    def __init__(self) -> None:
        super().__init__(limit=0)
        self._factory = functools.partial(  # type: ignore[assignment]  # partial is invariant
            Wire, loop=self._loop
        )

    async def connect(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Return a connection; a pooled one only if it kept silent and need not be new."""
        exchange = _current.get()
        while True:
            connection = await super().connect(req, traces, timeout)
            wire = connection.protocol
            if not isinstance(wire, Wire):
                raise TypeError(f"unexpected connection {wire!r}")
            if not wire.uses or not (exchange.fresh or wire.should_close):
                exchange.use(wire)
                return connection
            connection.close()  # also what spoke unasked: that would pass for this call's reply


class Exchange:
    """One sending of one call: on which connection, in which phase, until when.

    Entered around the wait for the reply's head, it raises ``PhaseTimeout`` naming the phase that
    ran out. ``connect`` is enforced by the connector, through ``client_timeout``.
    """

    def __init__(self, timeouts: Timeouts, *, stream: bool, fresh: bool = False) -> None:
        self.timeouts = timeouts
        self.fresh = fresh
        self._stream = stream
        started = asyncio.get_running_loop().time()
        self._total = Phase("no whole reply", timeouts.total, started + timeouts.total)
        self._wire: Wire | None = None
        self._reused = False
        self._phase = Phase() if stream else self._total
        self._timer = asyncio.timeout_at(self._phase.deadline)
        self._token: Token[Exchange] | None = None

    @property
    def client_timeout(self) -> aiohttp.ClientTimeout:
        """The limits that aiohttp itself enforces: the connect phase, to the exact second."""
        return aiohttp.ClientTimeout(
            total=None, connect=self.timeouts.connect, ceil_threshold=math.inf
        )

    @property
    def connected(self) -> bool:
        """Whether a connection stood: whatever fails before it says that nothing is reached."""
        return self._wire is not None

    def use(self, wire: Wire) -> None:
        """Take note of the connection; from now on the wait for the head is limited."""
        self._wire = wire
        self._reused = wire.uses > 0
        wire.uses += 1
        wire.replying = False
        limits = [self.timeouts.headers]
        if self._stream:
            limits.append(self.timeouts.first_token)
        limit = min((seconds for seconds in limits if seconds is not None), default=None)
        if limit is not None:
            deadline = asyncio.get_running_loop().time() + limit
            if self._phase.deadline is None or deadline < self._phase.deadline:
                self._phase = Phase("no reply headers", limit, deadline)
                self._timer.reschedule(deadline)

    def found_stale(self) -> bool:
        """Tell whether a pooled connection died under the request, before any byte of a reply."""
        wire = self._wire
        return wire is not None and self._reused and not wire.replying and not self._timer.expired()

    def body_limit(self, *, whole: bool) -> Phase:
        """Return until when the next piece of the body must come."""
        if not self._stream:
            return self._total
        now = asyncio.get_running_loop().time()
        idle = Phase("no further data", self.timeouts.idle, now + self.timeouts.idle)
        return min(idle, self._total, key=Phase.until) if whole else idle

    def abort(self) -> None:
        """Close the connection without waiting for anything still to be written."""
        if self._wire is not None:
            self._wire.abort()

    async def __aenter__(self) -> Self:
        self._token = _current.set(self)
        await self._timer.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
        if error is not None:
            self.abort()
        try:
            await self._timer.__aexit__(kind, error, traceback)
        except TimeoutError as expired:
            raise PhaseTimeout(self._phase) from expired
