"""A recording tap between a client and a server: passes every byte on, and keeps the client's.

It reads no HTTP while it passes bytes on, so it cannot change what it watches; the record is read
afterwards. One tap stands in front of one server.
"""

import asyncio
from typing import Final

from support.listener import Listener
from support.upstream import RawRequest, read_request

_PIECE: Final = 64 * 1024


class Tap(Listener):
    """Forwards connections to ``host:port``; used with ``async with``."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._target = (host, port)
        self._sent: list[bytearray] = []

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

    async def converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        """Pass bytes both ways, and keep the client's."""
        del connection
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
