"""A streamed reply, held until it commits, then brought to the client event by event.

Before the commit nothing of it has been sent, so a failure is an ``UpstreamFailed`` that another
candidate can make good. After it, whatever the upstream does, the client's stream ends with its
protocol's terminal frame or with its typed error event. Only whole events are released.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from gatewayctl.core.errors import ApiError, Failure, FailureKind, UpstreamFailed
from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon.outlet import Outlet
from gatewayctl.protocols.codec import BadFrame
from gatewayctl.protocols.sse import SseEvent, SseParser
from gatewayctl.protocols.translation import Passage
from gatewayctl.upstream.client import Reply
from gatewayctl.upstream.failures import in_json, in_stream
from gatewayctl.upstream.scrub import Scrub

MAX_EVENT = 16 * 1024 * 1024
"""Bytes of one event, and of all that is held before the first content."""

MAX_BUFFERED = 64 * 1024 * 1024
"""Bytes that are held of an answer that is released only whole."""

SLICE = 16 * 1024
"""Bytes that are read without letting others have the loop: some hundred events, 2 ms at most."""

TRAILER = 2.0
"""Seconds to wait for an upstream to end its body after the terminal frame."""


class Stream:
    """One upstream stream on its way to one client.

    ``protocol`` is the upstream's; what becomes of its events is the ``passage``'s business.
    ``buffer``: nothing is released until the answer is whole, so it commits with its last frame.
    ``first`` is called at the first content, ``progress`` whenever events went to the client.
    """

    def __init__(  # noqa: PLR0913 - each is a collaborator
        self,
        reply: Reply,
        protocol: WireProtocol,
        passage: Passage,
        secrets: Callable[[], Scrub],
        *,
        buffer: bool,
        first: Callable[[], None],
        progress: Callable[[], None],
    ) -> None:
        self._reply = reply
        self._secrets = secrets
        self._protocol = protocol
        self._buffer = buffer
        self._first = first
        self._progress = progress
        self._parser = SseParser(MAX_EVENT)
        self._chunks = reply.chunks()
        self._events = self._read()
        self._pending: list[SseEvent] = []
        self.passage = passage
        self.begun = False
        self.ended: Phase | None = None

    @property
    def whole(self) -> bool:
        """Whether all of the answer came, though its body may not have ended yet."""
        watcher = self.passage.watcher
        return self.ended is Phase.TERMINAL or (watcher.complete and not watcher.resumed)

    async def commit(self) -> None:
        """Read until the reply commits, holding its frames; raise ``UpstreamFailed``."""
        size = 0
        async for events in self._events:
            for position, event in enumerate(events):
                phase = self._see(event)
                if phase is Phase.ERROR:
                    raise UpstreamFailed(self._told())
                size += len(event.raw)
                if phase is not Phase.LIFECYCLE and not self.begun:
                    self.begun = True
                    self._first()
                if phase is Phase.TERMINAL or (self.begun and not self._buffer):
                    self.ended = phase if phase is Phase.TERMINAL else None
                    self._pending = events[position + 1 :]
                    return
                self._check_held(size)
        if self.passage.watcher.complete:
            self._finish()
            return
        if (failure := in_json(self._protocol, self._reply.headers, self._parser.tail)) is not None:
            raise UpstreamFailed(failure)
        missing = "terminal frame" if self.begun else "first content"
        raise _bad(f"the stream ended before its {missing}")

    def _check_held(self, size: int) -> None:
        if not self.begun and size > MAX_EVENT:
            raise _bad(f"more than {MAX_EVENT} bytes came before any content")
        if size > MAX_BUFFERED:
            raise _bad(f'with on_break = "buffer" an answer has at most {MAX_BUFFERED} bytes')

    async def forward(self, outlet: Outlet, tell: Callable[[Failure], ApiError]) -> Failure | None:
        """Send what was held and all that follows; return how the upstream broke, if it did.

        ``tell`` makes of a failure the error that ends the stream.
        """
        failure = None
        outlet.passage = self.passage
        try:
            await outlet.write(self._released(opened=outlet.opened))
            if self.ended is None:
                await self._follow(outlet, tell)
        except UpstreamFailed as error:
            failure = error.failure
        if failure is None and self.ended is None and self.passage.watcher.complete:
            self._finish()
            await outlet.write(self._released())
        if failure is None and self.ended is None:
            failure = _bad("the stream ended without its terminal frame").failure
        if failure is not None:
            await outlet.write(self.passage.error(tell(failure)))
        elif self.ended is Phase.ERROR:
            failure = self._told()
        return failure

    async def _follow(self, outlet: Outlet, tell: Callable[[Failure], ApiError]) -> None:
        if self._pending and await self._send(outlet, self._pending, tell):
            return
        async for events in self._events:
            if await self._send(outlet, events, tell):
                return
            self._progress()

    async def _send(
        self, outlet: Outlet, events: list[SseEvent], tell: Callable[[Failure], ApiError]
    ) -> bool:
        """Forward some events in one write; True when the stream has ended with one of them."""
        last = b""
        try:
            for event in events:
                phase = self._see(event)
                if phase is Phase.ERROR:
                    own = self._secrets().raw(event.raw)
                    last = self.passage.broken(own, tell(self._told()))
                if phase is Phase.TERMINAL or phase is Phase.ERROR:
                    self.ended = phase
                    return True
            return False
        finally:
            if out := self._released() + last:
                await outlet.write(out)

    def _finish(self) -> None:
        """Take it that the upstream, which told the whole answer, has ended it."""
        self.ended = Phase.TERMINAL
        self.passage.finish()
        if not self.begun:
            self.begun = True
            self._first()

    async def _read(self) -> AsyncIterator[list[SseEvent]]:
        async for chunk in self._until_over():
            for start in range(0, len(chunk), SLICE):
                if start:
                    await asyncio.sleep(0)  # whoever else waits for the loop goes first
                try:
                    events = self._parser.feed(chunk[start : start + SLICE])
                except BadFrame as error:
                    raise _bad(str(error)) from error
                if events:
                    yield events

    async def _until_over(self) -> AsyncIterator[bytes]:
        """Yield the body's pieces. Where the answer is complete, it need not end as it should.

        Who went on after such a moment may have had more to say when the connection broke.
        """
        watcher = self.passage.watcher
        try:
            async for chunk in self._chunks:
                yield chunk
        except UpstreamFailed as error:
            stalled = error.failure.kind is FailureKind.TIMEOUT
            if not watcher.complete or (watcher.resumed and not stalled):
                raise

    def _told(self) -> Failure:
        """Return what the upstream's own error event says."""
        told = in_stream(self.passage.watcher.told, self._reply.headers)
        return self._secrets().failure(told)

    def _see(self, event: SseEvent) -> Phase:
        """Return what an event means; one that is no error is taken on its way."""
        try:
            phase = self.passage.watcher.see(event)
            if phase is not Phase.ERROR:
                self.passage.take(event)
        except BadFrame as error:
            raise _bad(str(error)) from error
        return phase

    def _released(self, *, opened: bool = False) -> bytes:
        """Return what can be sent of all that was taken; some of it can turn out bad only now."""
        try:
            return self.passage.release(opened=opened)
        except BadFrame as error:
            raise _bad(str(error)) from error

    async def drain(self) -> None:
        """Read the end of a body whose stream is whole, so that its connection can serve again."""
        with contextlib.suppress(UpstreamFailed, TimeoutError):
            async with asyncio.timeout(TRAILER):
                async for _ in self._chunks:
                    continue
        self._reply.abort()


def _bad(message: str) -> UpstreamFailed:
    return UpstreamFailed(Failure(kind=FailureKind.BAD_RESPONSE, message=message))
