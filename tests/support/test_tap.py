import asyncio

from support.tap import Tap
from support.upstream import FakeUpstream, sized


async def test_bytes_pass_and_the_clients_are_kept() -> None:
    """Two requests on one connection arrive as sent, and are on record byte for byte."""
    first = b"POST /v1/a?b=c HTTP/1.1\r\nX-Odd:  a  b\r\ncontent-length: 3\r\n\r\n\x00{}"
    second = b"HEAD / HTTP/1.1\r\n\r\n"
    async with (
        FakeUpstream([sized(b"{}")]) as upstream,
        Tap("127.0.0.1", upstream.port) as tap,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
        for request in (first, second):
            writer.write(request)
            assert await reader.readuntil(b"{}")
        writer.close()
        requests = await tap.requests()
        assert [each.head + each.body for each in requests] == [first, second]
        assert [each.head + each.body for each in upstream.requests] == [first, second]
        assert await tap.posts("/v1/a") == requests[:1]


async def test_a_request_that_was_broken_off_is_no_request() -> None:
    """What a client left unfinished is not on record as if it had been sent."""
    async with FakeUpstream([sized(b"{}")]) as upstream, Tap("127.0.0.1", upstream.port) as tap:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
        writer.write(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert await tap.requests() == []
