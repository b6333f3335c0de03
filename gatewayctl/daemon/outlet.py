"""The client's side of a streamed reply: headers once, whole frames, and signs of life in silence.

Headers go out with the first frame, or by themselves after ``silence`` seconds in which nothing
could be sent: a client's own wait for them may be as short as a minute. What is sent is ``relay``'s
business; here is only when, and what happens to a client that does not read.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from gatewayctl.core.errors import ApiError
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.gemini import array, paths
from gatewayctl.protocols.translation import Passage

SILENCE = 15.0
"""Seconds of silence after which a client is told that its answer is still being made."""

CLIENT_STALL = 600.0
"""Seconds after which a client that does not read its stream is given up on."""

MOST_AT_ONCE = 128 * 1024 * 1024
"""Bytes of frames that are written at once: an answer that is released only whole, and more."""

_STREAM = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-store"))


async def sent(response: web.Response, request: web.BaseRequest) -> None:
    """Send a whole reply; the connection of a client that does not take it is broken off."""
    try:
        async with asyncio.timeout(CLIENT_STALL):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()


class Outlet:
    """One streamed reply to one client.

    ``headers`` returns the gateway's own, for a stream that opens before its upstream's.
    ``passage`` is what a keepalive goes on from: the stream under way, None while there is none.
    ``opened``: the codec's opening was sent before anything of a stream.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        codec: Codec,
        request_id: str,
        headers: Callable[[], Mapping[str, str]],
        silence: float,
    ) -> None:
        self.passage: Passage | None = None
        self.opened = False
        self.response: web.StreamResponse | None = None
        self._request = request
        self._codec = codec
        self._headers = headers
        self._form = _form(request, codec)
        self._silence = silence
        # Stainless makes OpenAI's SDKs, whose accumulators check that a response keeps its id.
        checks = "x-stainless-lang" in request.headers
        self._unsent = None if checks else request_id
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer = self._loop.call_at(self._last + silence, self._look)
        self._beating: asyncio.Task[None] | None = None
        self._writing = False
        self._over = False

    async def open(
        self, status: int, upstream: Iterable[tuple[str, str]], own: Mapping[str, str]
    ) -> web.StreamResponse:
        """Send status and headers unless some went out already; return the reply."""
        if self._beating is not None:
            await asyncio.wait({self._beating})
        if self.response is None:
            response = web.StreamResponse(status=status)
            response.headers.extend((*upstream, *own.items()))
            if self._form is not None:
                response.content_type = array.TYPE
            self.response = response
            await response.prepare(self._request)
        return self.response

    async def write(self, data: bytes) -> None:
        """Send whole frames; raise ``TimeoutError`` when the client does not take them."""
        if not data or self.response is None:
            return
        self._last = self._loop.time()
        self._writing = True
        try:
            async with asyncio.timeout(CLIENT_STALL):
                await self.response.write(data if self._form is None else self._form.write(data))
        finally:
            self._writing = False
            self._last = self._loop.time()

    async def told(self, error: ApiError) -> bool:
        """End a stream that is open with an error; False, and nothing sent, when none is."""
        if self._beating is not None:
            await asyncio.wait({self._beating})
        if self.response is None:
            self._timer.cancel()
            return False
        await self.write(self._codec.stream_error(error, seen=None))
        await self.end(broken=True)
        return True

    async def end(self, *, broken: bool = False) -> None:
        """End the body properly: nothing follows. Raise ``TimeoutError`` as ``write`` does.

        ``broken``: it ended with an error frame, behind which some dialects break off.
        """
        self._timer.cancel()
        self._over = True
        if broken and self._codec.breaks_off:
            if self._request.transport is not None:
                self._request.transport.close()  # what was written still goes out
        elif self.response is not None:
            last = b"" if self._form is None else self._form.end()
            async with asyncio.timeout(CLIENT_STALL):
                await self.response.write_eof(last)

    def cut(self) -> None:
        """Break the connection off without the final chunk, so that nothing looks complete."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def close(self) -> None:
        """Stop the signs of life."""
        self._timer.cancel()
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating

    def _look(self) -> None:
        """See whether it was silent for long enough, and look again when that may be."""
        now = self._loop.time()
        due = self._last + self._silence
        if now >= due and not self._writing and self._beating is None:
            self._beating = self._loop.create_task(self._beat())
            self._last = now
        self._timer = self._loop.call_at(max(due, now) + self._silence * (now >= due), self._look)

    async def _beat(self) -> None:
        try:
            if self._over or self._writing:
                return  # what ended the silence came between the look at the clock and this
            opening = b""
            if self.response is None:
                await self._open_early()
                opening = self._codec.opening(self._unsent)
                self.opened = bool(opening) and self._unsent is not None
            await self.write(opening + self._alive())
        except (ConnectionError, TimeoutError):
            # Nobody is there, or nobody reads: the server cancels whoever answers this request.
            self.cut()
        finally:
            self._beating = None

    def _alive(self) -> bytes:
        if self.passage is None:
            return self._codec.keepalive(seen=None, unsent=self._unsent)
        return self.passage.keepalive(self._unsent)

    async def _open_early(self) -> None:
        """Send the headers before it is known who answers."""
        response = web.StreamResponse(status=200)
        response.headers.extend((*_STREAM, *self._headers().items()))
        if self._form is not None:
            response.content_type = array.TYPE
        self.response = response
        await response.prepare(self._request)


def _form(request: web.BaseRequest, codec: Codec) -> array.ArrayForm | None:
    """Return what turns frames into a JSON array, None for a client that wants events."""
    wants = codec.protocol is WireProtocol.GEMINI
    wants = wants and paths.wants_array(request.rel_url.raw_query_string)
    return array.ArrayForm(MOST_AT_ONCE) if wants else None
