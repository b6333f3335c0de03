"""A client's connection, below the requests: what is no HTTP, and how it ends.

What is no HTTP is answered as JSON and logged without a byte of it, since any part of it may be a
credential or a prompt. Requests themselves are ``app``'s business.
"""

import asyncio
import contextlib
import logging

from aiohttp import web
from aiohttp.http_exceptions import (
    BadStatusLine,
    HttpProcessingError,
    InvalidURLError,
    LineTooLong,
)

from gatewayctl.config.settings import OverflowStatus
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon.replies import error_reply, new_request_id, own_headers
from gatewayctl.protocols.catalog import CODECS

log = logging.getLogger("gatewayctl.requests")


class Server(web.Server):
    """aiohttp's low-level server with connections of our own."""

    def __call__(self) -> "Connection":
        """Return the protocol of one connection."""
        return Connection(self, loop=self._loop, **self._kwargs)


class Connection(web.RequestHandler):
    """One client connection."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Take what comes, also while draining if it belongs to a request that is under way.

        aiohttp would drop the rest of its body, and the request would wait for it in vain.
        """
        closing = (self._close, self._force_close)
        if self._current_request is not None:
            self._close = self._force_close = False
        try:
            super().data_received(data)
        finally:
            self._close = closing[0] or self._close
            self._force_close = closing[1] or self._force_close

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """Wait ``timeout`` seconds for a request under way, then cut it off without a reply.

        aiohttp would wait twice as long, and the request would see its upstream closed first.
        """
        task = self._task_handler
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await super().shutdown(None)
        self.force_close()
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never became a request, and close."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        log.info("no valid HTTP came from a client: %s", type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionAbortedError("a reply was under way")
        error = ApiError(
            kind=ErrorKind.MALFORMED,
            message=f"this is no valid HTTP/1.1 request: {_why(exc)}",
            should_retry=False,
        )
        response = error_reply(
            CODECS[WireProtocol.CHAT_COMPLETIONS],
            error,
            own_headers(new_request_id()),
            OverflowStatus.AUTO,
        )
        response.force_close()
        return response


def _why(error: HttpProcessingError) -> str:
    """Say what is wrong without quoting: any part of a request may be a credential."""
    if isinstance(error, LineTooLong):
        return "its target or one of its headers is too long"
    if isinstance(error, BadStatusLine | InvalidURLError):
        return "its first line is malformed"
    return "a header is malformed, missing or not alone, or the length of its body is not clear"
