"""A recording tap between a client and a server: passes every byte on, and keeps the client's.

It reads no HTTP while it passes bytes on, so it cannot change what it watches; the record is read
afterwards. One tap stands in front of one server.
"""

import asyncio
from typing import Final, Self

from support.upstream import RawRequest, read_request

_PIECE: Final = 64 * 1024


class Tap:
    """Forwards connections to ``host:port``; used with ``async with``."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._sent: list[bytearray] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, where the client is sent."""
        return f"http://127.0.0.1:{self.port}"

    async def requests(self) -> list[RawRequest]:
        """Return every whole request so far, connection by connection, each in its order."""
        found: list[RawRequest] = []
        for number, sent in enumerate(self._sent, start=1):
            reader = asyncio.StreamReader(limit=len(sent) + 1)
            reader.feed_data(bytes(sent))
            reader.feed_eof()
            try:
                while (request := await read_request(reader, number)) is not None:
                    found.append(request)
            except asyncio.IncompleteReadError:
                continue  # the client went away in the middle of this one
        return found

    async def posts(self, path: str) -> list[RawRequest]:
        """Return the POST requests to a path, whatever their query."""
        return [
            each
            for each in await self.requests()
            if each.head.startswith(b"POST ") and each.target.partition("?")[0] == path
        ]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = bytearray()
        self._sent.append(sent)
        there, back = await asyncio.open_connection(*self._target)
        try:
            await asyncio.gather(_pump(reader, back, sent), _pump(there, writer))
        finally:
            back.close()
            writer.close()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, record: bytearray | None = None
) -> None:
    """Pass bytes on until the source ends; its end, clean or not, is passed on too."""
    try:
        while piece := await source.read(_PIECE):
            if record is not None:
                record += piece
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:  # broken off on either side; what had come is on record
        sink.transport.abort()
