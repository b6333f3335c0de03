"""Sends one call to a provider and hands back its reply, on aiohttp behind a small Protocol.

``Upstream`` and ``Reply`` are the seam: the daemon knows nothing else of how bytes travel. Every
foreign exception leaves here as ``UpstreamFailed``. Which headers travel is ``headers``'s business,
what a failed status means ``failures``'s, which proxy is used ``egress``'s.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from gatewayctl.config.settings import ProviderSettings, Timeouts
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.upstream.egress import Egress
from gatewayctl.upstream.translation import FOREIGN, PhaseTimeout, translated
from gatewayctl.upstream.wire import Exchange, Pool

_READ_BUFFER = 64 * 1024  # bytes; reading from the socket pauses at twice this
_LINE_LIMIT = 64 * 1024  # bytes of one header line of a reply
_LARGE_BODY = 1024 * 1024  # bytes from which a body is written in pieces, so the loop stays free
_PIECE = 128 * 1024  # bytes that are written at once
_ERROR_PAGE = 5.0  # seconds for the body of a reply whose status has said what happened
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One POST to a provider: everything that goes out, and how long each phase may take.

    ``headers`` are final (see ``headers.request_headers``); ``stream`` says whether the reply is
    meant to arrive piece by piece, which decides the timeouts that hold. ``fresh`` sends it on a
    new connection and on no pooled one: where one of those was dead the others likely are.
    """

    provider: ProviderSettings
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stream: bool
    timeouts: Timeouts
    fresh: bool = False

    def __repr__(self) -> str:
        return f"Call(provider={self.provider.provider.name!r}, …)"


class Reply(Protocol):
    """A reply whose head has arrived. ``headers`` are case-insensitive and multi-valued."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> MultiMapping[str]:
        """All headers as they came."""
        ...

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty when there is none."""
        ...

    async def read(self, limit: int) -> bytes:
        """Return the whole body, decompressed.

        Beyond ``limit`` bytes a 2xx raises ``UpstreamFailed`` (bad_response). The body of any other
        status is cut there, and where it breaks off, stalls or cannot be decompressed: the status
        and the headers say what happened, and an error page need not be whole to be understood.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive, decompressed; raise ``UpstreamFailed``.

        Everything that arrived before a break is yielded before the break is raised. Reading no
        further stops the upstream. Cancelling a read closes the connection.
        """
        ...

    @property
    def over(self) -> bool:
        """Whether the body was read to its end."""
        ...

    def abort(self) -> None:
        """Close the connection at once unless the body was read to its end. Idempotent."""
        ...

    async def close(self) -> None:
        """Do what ``abort`` does, and let the loop see to it."""
        ...


class Upstream(Protocol):
    """Whatever can send a call."""

    async def send(self, call: Call) -> Reply:
        """Send and wait for the reply's head; raise ``UpstreamFailed`` (network, timeout …)."""
        ...

    async def close(self) -> None:
        """Close every connection; replies still being read break off."""
        ...


class AiohttpUpstream:
    """``Upstream`` on one aiohttp session. Make it inside a running loop, close it at the end.

    ``environ`` is where the proxy variables are read. Connections are pooled by address, proxy and
    trusted certificates; cookies are never kept, redirects never followed.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._egress = Egress(environ)
        self._session = aiohttp.ClientSession(
            connector=Pool(),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_ADDED,
            read_bufsize=_READ_BUFFER,
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
        )

    async def send(self, call: Call) -> "AiohttpReply":
        """Send the call once; a pooled connection that turns out dead is a ``stale`` failure."""
        url = URL(call.url, encoded=True)
        exchange = Exchange(call.timeouts, stream=call.stream, fresh=call.fresh)
        try:
            response = await self._post(call, url, exchange)
        except FOREIGN as error:
            raise translated(
                error,
                url,
                call.timeouts,
                connected=exchange.connected,
                stale=exchange.found_stale(),
            ) from error
        return AiohttpReply(response, exchange, url)

    async def _post(self, call: Call, url: URL, exchange: Exchange) -> aiohttp.ClientResponse:
        route = self._egress.route(url, call.provider)
        async with exchange:
            return await self._session.post(
                url,
                data=call.body if len(call.body) < _LARGE_BODY else _Steady(call.body),
                headers=CIMultiDict((*call.headers, *route.headers)),
                allow_redirects=False,
                proxy=route.proxy,
                proxy_headers=route.proxy_headers,
                ssl=route.tls,
                timeout=exchange.client_timeout,
            )

    async def close(self) -> None:
        """Close every connection; replies still being read break off."""
        await self._session.close()


class _Steady(aiohttp.Payload):
    """A large body, written from where it stands; aiohttp would copy it whole before the first."""

    _autoclose = True
    _value: bytes

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body, a piece at a time so that others get their turn."""
        view = memoryview(self._value)
        for start in range(0, len(view), _PIECE):
            await writer.write(view[start : start + _PIECE])
            await asyncio.sleep(0)


class AiohttpReply:
    """``Reply`` on an aiohttp response."""

    def __init__(self, response: aiohttp.ClientResponse, exchange: Exchange, url: URL) -> None:
        self._response = response
        self._exchange = exchange
        self._url = url
        self._broken: BaseException | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> MultiMapping[str]:
        """All headers as they came."""
        return self._response.headers

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty when there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def read(self, limit: int) -> bytes:
        """Return the whole body; see ``Reply.read``."""
        parts: list[bytes] = []
        size = 0
        refused = self.status // 100 != 2  # noqa: PLR2004 - the class of success
        try:
            async with asyncio.timeout(_ERROR_PAGE if refused else None):
                while size <= limit and (chunk := await self._next(whole=True)):
                    parts.append(chunk)
                    size += len(chunk)
        except (UpstreamFailed, TimeoutError):
            if not refused:
                raise
        if size > limit:
            self.abort()
            if not refused:
                message = f"the reply of {self._url.origin()} is larger than {limit} bytes"
                raise UpstreamFailed(Failure(kind=FailureKind.BAD_RESPONSE, message=message))
        return b"".join(parts)[:limit]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive; see ``Reply.chunks``."""
        while chunk := await self._next(whole=False):
            yield chunk

    @property
    def over(self) -> bool:
        """Whether the body was read to its end."""
        return self._response.content.at_eof()

    def abort(self) -> None:
        """Close the connection at once unless the body was read to its end. Idempotent."""
        if not self._response.closed:
            self._exchange.abort()
        self._response.close()

    async def close(self) -> None:
        """Do what ``abort`` does, and let the loop see to it."""
        self.abort()
        await asyncio.sleep(0)

    async def _next(self, *, whole: bool) -> bytes:
        """Return what arrived since the last call, waiting for some; nothing at the end."""
        try:
            return await self._receive(whole=whole)
        except FOREIGN as error:
            self.abort()
            # The error is kept with the connection, and its traceback leads to all of the request.
            error.__traceback__ = None
            raise translated(error, self._url, self._exchange.timeouts) from error
        except BaseException:
            self.abort()
            raise

    async def _receive(self, *, whole: bool) -> bytes:
        if self._broken is not None:
            raise self._broken
        content = self._response.content
        self._broken = content.exception()
        if self._broken is not None:
            # aiohttp would raise before handing out what arrived ahead of the break.
            content.set_exception(None)  # type: ignore[arg-type]
            if rest := content.read_nowait():
                return rest
            raise self._broken
        if content.at_eof():
            return b""
        if arrived := content.read_nowait():
            return arrived
        phase = self._exchange.body_limit(whole=whole)
        try:
            async with asyncio.timeout_at(phase.deadline):
                return await content.readany()
        except TimeoutError as error:
            raise PhaseTimeout(phase) from error
