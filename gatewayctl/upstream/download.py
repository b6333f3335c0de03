"""Downloads of public tables, for ``registry.refresh``: plain GETs that cannot run away.

On urllib, since a few requests a day need no pool, and the CLI must not load aiohttp for them.
Requests to providers go through ``upstream.client``.
"""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO

from gatewayctl import __version__
from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.refresh import Fetched

_MAX_REDIRECTS = 5
_CHUNK = 256 * 1024
_NOT_MODIFIED = 304


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Few redirects, never away from TLS, never to a file."""

    inf_msg = "too many redirects: "

    max_redirections = _MAX_REDIRECTS

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
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in {"https", req.type}:
            raise SourceFailed(f"redirected from {req.type} to {scheme or 'nowhere'}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, *, etag: str | None, timeout: float, limit: int) -> Fetched:
    """GET an http, https or file URL; see ``registry.refresh.Fetch``. Proxies: environment."""
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme not in {"http", "https", "file"}:
        raise SourceFailed(f"{scheme or 'a path without a scheme'} is not http, https or file")
    headers = {"User-Agent": f"gatewayctl/{__version__}", "Accept": "application/json"}
    if etag is not None:
        headers["If-None-Match"] = etag
    # The scheme was checked above, redirects are checked by the handler.
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    deadline = time.monotonic() + timeout
    try:
        with _opener(scheme).open(request, timeout=timeout) as reply:
            return Fetched(
                body=read_body(reply, deadline=deadline, timeout=timeout, limit=limit),
                etag=reply.headers.get("ETag"),
            )
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _NOT_MODIFIED:
                return Fetched(body=None, etag=error.headers.get("ETag") or etag)
            raise SourceFailed(f"HTTP {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise SourceFailed(f"no whole reply within {timeout:g} s") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise SourceFailed(f"no whole reply within {timeout:g} s") from error
        why = getattr(error.reason, "strerror", None) or error.reason
        raise SourceFailed(f"cannot be reached: {why}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SourceFailed(f"the connection failed: {type(error).__name__}: {error}") from error


def _opener(scheme: str) -> urllib.request.OpenerDirector:
    """Make an opener with only the handlers that one scheme needs."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.FileHandler()
        if scheme == "file"
        else urllib.request.ProxyHandler(),  # HTTPS_PROXY, HTTP_PROXY, NO_PROXY
    ]
    if scheme != "file":
        handlers += [
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            _CarefulRedirects(),
        ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def read_body(reply: IO[bytes], *, deadline: float, timeout: float, limit: int) -> bytes:
    """Read a body in pieces, since urllib's own timeout starts anew with each of them.

    ``deadline`` is on the monotonic clock; ``timeout`` is what a message calls it.
    """
    pieces: list[bytes] = []
    size = 0
    read = getattr(reply, "read1", reply.read)
    while piece := read(_CHUNK):
        size += len(piece)
        if size > limit:
            raise SourceFailed(f"it is larger than {limit} bytes")
        if time.monotonic() > deadline:
            raise SourceFailed(f"no whole reply within {timeout:g} s")
        pieces.append(piece)
    if getattr(reply, "length", None):  # what http.client still expects
        raise SourceFailed(f"the connection ended after {size} bytes, before the whole reply")
    return b"".join(pieces)
