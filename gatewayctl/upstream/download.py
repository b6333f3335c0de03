"""Downloads for ``registry.refresh``: small requests that cannot run away.

On urllib, since a few requests an hour need no pool, and the CLI must not load aiohttp for them.
What clients ask for goes through ``upstream.client``.
"""

import functools
import http.client
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from typing import IO, Any, Self

from yarl import URL

from gatewayctl import __version__
from gatewayctl.config.hosts import without_login
from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.fetching import Access, Fetched, Query
from gatewayctl.upstream.egress import BadProxy, as_proxy, basic_login, proxy_for

_MAX_REDIRECTS = 5
_CHUNK = 256 * 1024
_NOT_MODIFIED = 304
_AUTHORIZATION = "Authorization"
_GZIP = 16 + zlib.MAX_WBITS
_ENCODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


def download(query: Query) -> Fetched:
    """Ask an http, https or file URL; see ``registry.fetching.Fetch``."""
    scheme = urllib.parse.urlsplit(query.url).scheme
    if scheme not in {"http", "https", "file"}:
        raise SourceFailed(f"{scheme or 'a path without a scheme'} is not http, https or file")
    try:
        with _Watch(query.timeout) as watch:
            try:
                return _asked(query, scheme, watch)
            finally:
                watch.check()  # whatever a connection that was shut down looked like
    except TimeoutError as error:
        raise SourceFailed(f"no whole reply within {query.timeout:g} s") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise SourceFailed(f"no whole reply within {query.timeout:g} s") from error
        why = getattr(error.reason, "strerror", None) or error.reason
        raise SourceFailed(f"cannot be reached: {why}") from error
    except BadProxy as error:
        raise SourceFailed(str(error)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Not in their words, which may repeat what was sent.
        raise SourceFailed(f"the connection failed: {type(error).__name__}") from error


def _asked(query: Query, scheme: str, watch: "_Watch") -> Fetched:
    # The scheme was checked before, redirects are checked by the handler.
    request = urllib.request.Request(  # noqa: S310
        without_login(query.url), data=query.body, headers=_headers(query)
    )
    bound = bool(query.access.headers) or request.has_header(_AUTHORIZATION)
    try:
        opener = _opener(scheme, query.access, watch, bound=bound)
        with opener.open(request, timeout=query.timeout) as reply:
            return Fetched(
                body=read_body(reply, deadline=watch.deadline, limit=query.limit),
                etag=reply.headers.get("ETag"),
            )
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _NOT_MODIFIED:
                etag = error.headers.get("ETag") or query.etag
                return Fetched(body=b"", etag=etag, status=error.code)
            if error.code < 400:  # noqa: PLR2004 - a redirect that was not followed
                raise SourceFailed(
                    f"HTTP {error.code}: it redirects without an end, or out of the web"
                ) from error
            return Fetched(body=b"", status=error.code)


def _headers(query: Query) -> dict[str, str]:
    headers = {"User-Agent": f"gatewayctl/{__version__}", "Accept": "application/json"}
    if query.body is not None:
        headers["Content-Type"] = "application/json"
    if query.etag is not None:
        headers["If-None-Match"] = query.etag
    for name, value in query.access.headers.items():
        if not (value.isprintable() and value.isascii()):
            raise SourceFailed(f"the header {name} cannot be sent: it has characters none may have")
    headers |= query.access.headers
    login = basic_login(URL(query.url))
    if login is not None and not any(name.title() == _AUTHORIZATION for name in headers):
        headers[_AUTHORIZATION] = login
    return headers


class _Watch:
    """Ends a download at its deadline, whatever the server does until then.

    urllib's own timeout starts anew with each byte. ``check`` raises TimeoutError after the end.
    """

    def __init__(self, timeout: float) -> None:
        self.deadline = time.monotonic() + timeout
        self._timer = threading.Timer(timeout, self._end)
        self._timer.daemon = True
        self._held: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._held:
                each.close()
            self._held.clear()

    def connected(self, address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        """Connect, and hold what is to be shut down."""
        connection = socket.create_connection(address, *args, **kwargs)
        with self._lock:
            # A second handle on it, since TLS takes the first one over.
            self._held.append(connection.dup())
        self.check()
        return connection

    def check(self) -> None:
        """Raise TimeoutError where the time is over."""
        if self._ended:
            raise TimeoutError

    def _end(self) -> None:
        self._ended = True
        with self._lock:
            for each in self._held:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster


class _Plain(http.client.HTTPConnection):
    def __init__(self, host: str, *, watch: _Watch, **kwargs: Any) -> None:
        super().__init__(host, **kwargs)
        self._create_connection = watch.connected


class _Encrypted(http.client.HTTPSConnection):
    def __init__(self, host: str, *, watch: _Watch, **kwargs: Any) -> None:
        super().__init__(host, **kwargs)
        self._create_connection = watch.connected


class _Web(urllib.request.AbstractHTTPHandler):
    """Opens watched connections, by the way out that the URL takes."""

    def __init__(self, access: Access, watch: _Watch) -> None:
        super().__init__()
        self._access = access
        self._watch = watch

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Ask an http URL."""
        self._take_way_out(req)
        return self.do_open(functools.partial(_Plain, watch=self._watch), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Ask an https URL."""
        self._take_way_out(req)
        trusted = _trusted(self._access.ca_bundle)
        opened = functools.partial(_Encrypted, watch=self._watch, context=trusted)
        return self.do_open(opened, req)

    http_request = urllib.request.AbstractHTTPHandler.do_request_
    https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _take_way_out(self, req: urllib.request.Request) -> None:
        address = proxy_for(URL(req.full_url), self._access.proxy, os.environ)
        if address is None:
            return
        proxy = as_proxy(address)
        if (login := basic_login(proxy)) is not None:
            req.add_unredirected_header("Proxy-authorization", login)
        host = f"[{proxy.host}]" if ":" in (proxy.host or "") else proxy.host
        req.set_proxy(f"{host}:{proxy.port}", "http")


def _trusted(bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ValueError) as error:
        raise SourceFailed(f"ca_bundle {bundle} cannot be used: {type(error).__name__}") from error


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Few redirects, never away from TLS, never to a file, and no credential to another host."""

    inf_msg = "too many redirects: "

    max_redirections = _MAX_REDIRECTS

    def __init__(self, *, bound: bool) -> None:
        self._bound = bound

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow a redirect to the same or a safer scheme."""
        try:
            self._check(urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl))
        except SourceFailed:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def _check(self, asked: urllib.parse.SplitResult, target: urllib.parse.SplitResult) -> None:
        if target.scheme not in {"https", asked.scheme}:
            raise SourceFailed(f"redirected from {asked.scheme} to {target.scheme or 'nowhere'}")
        if self._bound and (target.scheme, target.netloc) != (asked.scheme, asked.netloc):
            raise SourceFailed("redirected to another host, to which no credential goes")


def _opener(
    scheme: str, access: Access, watch: _Watch, *, bound: bool
) -> urllib.request.OpenerDirector:
    """Make an opener with only the handlers that one scheme needs.

    ``bound``: the request carries a credential, which is for one host alone.
    """
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ]
    if scheme == "file":
        handlers.append(urllib.request.FileHandler())
    else:
        handlers += [_Web(access, watch), _CarefulRedirects(bound=bound)]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def read_body(reply: Any, *, deadline: float, limit: int) -> bytes:
    """Read a whole body in pieces; raise SourceFailed for what is too large or cut off.

    ``reply`` is as urllib opens it; ``deadline`` is on the monotonic clock, beyond which
    TimeoutError is raised.
    """
    too_large = SourceFailed(f"it is larger than {limit} bytes")
    expected = getattr(reply, "length", None)
    if expected is not None and expected > limit:
        raise too_large
    unpacked = _Unpacked(reply.headers.get("Content-Encoding", "identity"), limit)
    size = 0
    read = getattr(reply, "read1", reply.read)
    while piece := read(_CHUNK):
        size += len(piece)
        if size > limit or not unpacked.take(piece):
            raise too_large
        if time.monotonic() > deadline:
            raise TimeoutError
    if getattr(reply, "length", None):  # what http.client still expects
        raise SourceFailed(f"the connection ended after {size} bytes, before the whole reply")
    return unpacked.whole()


class _Unpacked:
    """A body as it arrives, unpacked where a server packs what it was asked to send as it is."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._pieces: list[bytes] = []
        self._left = limit
        self._unpacker = None
        encoding = encoding.strip().lower()
        if encoding in _ENCODINGS:
            self._unpacker = zlib.decompressobj(_ENCODINGS[encoding])
        elif encoding not in {"", "identity"}:
            raise SourceFailed("it is packed in a way that was not asked for")

    def take(self, piece: bytes) -> bool:
        """Keep a piece; False when the whole is larger than the limit."""
        if self._unpacker is not None:
            try:
                piece = self._unpacker.decompress(piece, self._left + 1)
            except zlib.error as error:
                raise SourceFailed("it cannot be unpacked") from error
        self._left -= len(piece)
        self._pieces.append(piece)
        return self._left >= 0

    def whole(self) -> bytes:
        """Return the body. Raises SourceFailed where a packed one breaks off."""
        if self._unpacker is not None and not self._unpacker.eof:
            raise SourceFailed("it breaks off before the end of what is packed")
        return b"".join(self._pieces)
