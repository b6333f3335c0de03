r"""A fake upstream on raw TCP: says exactly the bytes it is told to, and breaks off where told.

For cruelty below the level of HTTP libraries; for an upstream that behaves, or fails in the ways
of a provider, use ``gatewayctl.simulator``. A reply is a list of steps::

    reply = [*chunked([b"data: {}\n\n", b"data: [DONE]\n\n"]), Pause(seconds=0.01)]
    async with FakeUpstream([cut(reply, at=60, end=Rst())]) as upstream:
        ... upstream.base_url, upstream.requests
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from support.listener import Listener

SSE: Final = (("content-type", "text/event-stream"),)
JSON: Final = (("content-type", "application/json"),)

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Say nothing for some seconds."""

    seconds: float


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Say nothing until the caller closes the connection."""


class Fin(msgspec.Struct, frozen=True, kw_only=True):
    """Close the connection cleanly."""


class Rst(msgspec.Struct, frozen=True, kw_only=True):
    """Reset the connection; bytes not yet read by the caller may be lost, as on a real reset."""


Step = bytes | Pause | Hold | Fin | Rst


class RawRequest(msgspec.Struct, kw_only=True):
    """One request byte for byte: ``head`` with its blank line, ``body`` without chunk framing.

    ``connection`` counts from 1; ``abandoned`` turns True when the caller closed the connection
    before the reply was over.
    """

    head: bytes
    body: bytes
    connection: int
    abandoned: bool = False

    @property
    def target(self) -> str:
        """The request target, with its query."""
        return self.head.split(b" ", 2)[1].decode()

    def header(self, name: str) -> bytes | None:
        """Return the first value of a header, None when it was not sent."""
        wanted = name.lower().encode()
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == wanted:
                return value.strip()
        return None


def head(
    status: int = 200, headers: Iterable[tuple[str, str]] = JSON, *framing: tuple[str, str]
) -> bytes:
    """Return a status line and headers; without ``framing`` the body ends with the connection."""
    lines = [f"HTTP/1.1 {status} Simulated", *(f"{k}: {v}" for k, v in (*headers, *framing))]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def sized(body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = JSON) -> list[Step]:
    """Return a reply with a content-length."""
    return [head(status, headers, ("content-length", str(len(body)))) + body]


def chunked(
    pieces: Iterable[bytes], status: int = 200, headers: Iterable[tuple[str, str]] = SSE
) -> list[Step]:
    """Return a chunked reply, one chunk and one write for each piece."""
    chunks = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return [head(status, headers, ("transfer-encoding", "chunked")), *chunks, b"0\r\n\r\n"]


def delimited(
    body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = SSE
) -> list[Step]:
    """Return a reply whose body ends with the connection."""
    return [head(status, headers, ("connection", "close")) + body, Fin()]


def cut(reply: Iterable[Step], at: int, end: Fin | Rst | Hold) -> list[Step]:
    """Return the first ``at`` bytes of a reply (head included), then ``end``."""
    left = at
    kept: list[Step] = []
    for step in reply:
        if isinstance(step, bytes):
            kept.append(step[:left])
            left -= len(step)
            if left <= 0:
                break
        else:
            kept.append(step)
    return [*kept, end]


class FakeUpstream(Listener):
    """An HTTP/1.1 server that plays ``replies`` in turn, one per request; the last one repeats.

    ``written`` counts the bytes that were taken off its hands; ``replies`` may be replaced while
    it runs, and ``choose`` decides in their place where the request says which reply it wants.
    Used with ``async with``; on exit every connection is broken off.
    """

    def __init__(
        self,
        replies: Sequence[Sequence[Step]] = (),
        *,
        choose: Callable[[RawRequest], Sequence[Step]] | None = None,
    ) -> None:
        super().__init__()
        self.replies = list(replies)
        self._choose = choose or self._next
        self.requests: list[RawRequest] = []
        self.written = 0

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:PORT``, without ``/v1``."""
        return self.url

    async def converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        """Play the next reply for each request of a connection."""
        try:
            while (request := await read_request(reader, connection)) is not None:
                self.requests.append(request)
                if not await self._play(self._choose(request), reader, writer, request):
                    break
        except ConnectionError:
            # The caller broke off: what it had sent is recorded, and there is nobody to tell.
            writer.transport.abort()
        finally:
            writer.close()

    def _next(self, _request: RawRequest) -> Sequence[Step]:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def _play(
        self,
        reply: Sequence[Step],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: RawRequest,
    ) -> bool:
        """Play one reply; return False when the connection is over."""
        for step in reply:
            match step:
                case bytes():
                    writer.write(step)
                    try:
                        await writer.drain()
                        self.written += len(step)
                    except ConnectionError:
                        request.abandoned = True
                        return False
                case Pause(seconds=seconds):
                    await asyncio.sleep(seconds)
                case Hold():
                    await _until_closed(reader)
                    request.abandoned = True
                    return False
                case Fin():
                    return False
                case Rst():
                    connection: socket.socket = writer.get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
                    writer.transport.abort()
                    return False
        return True


async def read_request(reader: asyncio.StreamReader, connection: int) -> RawRequest | None:
    """Read one request; None when the caller has no more."""
    try:
        raw_head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    request = RawRequest(head=raw_head, body=b"", connection=connection)
    if (request.header("transfer-encoding") or b"").lower() == b"chunked":
        while size := int(await reader.readline(), 16):
            request.body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        request.body = await reader.readexactly(int(request.header("content-length") or 0))
    return request


async def _until_closed(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65536):
            continue
    except ConnectionError:
        return
