import asyncio

import pytest
import uvloop
from support.upstream import FakeUpstream, Fin, Hold, Rst, Step, chunked, head, sized

from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.upstream.client import AiohttpUpstream, Call

from .conftest import MakeCall, gone, until

EVENTS = [b"data: one\n\n", b"data: two\n\n"]
NETWORK = FailureKind.NETWORK


async def failure_of(client: AiohttpUpstream, call: Call) -> Failure:
    """Send a call that must fail before its reply's head, and return how."""
    with pytest.raises(UpstreamFailed) as caught:
        await client.send(call)
    return caught.value.failure


async def test_connection_is_reused_after_a_reply_was_read_to_its_end(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """Closing a reply that was read keeps its connection for the next call."""
    async with FakeUpstream([sized(b"{}"), chunked(EVENTS)]) as fake:
        for stream in (False, True, True):
            reply = await client.send(call(fake.base_url, stream=stream))
            await reply.read(1000)
            await reply.close()
        assert [request.connection for request in fake.requests] == [1, 1, 1]


async def test_abort_closes_the_connection(client: AiohttpUpstream, call: MakeCall) -> None:
    """The upstream of an abandoned reply sees the end at once; the pool never sees it again."""
    async with FakeUpstream([[*chunked(EVENTS)[:2], Hold()], sized(b"{}")]) as fake:
        reply = await client.send(call(fake.base_url, stream=True))
        await anext(reply.chunks())
        reply.abort()
        reply.abort()
        await gone(fake)
        assert fake.requests[0].abandoned
        await (await client.send(call(fake.base_url))).read(10)
        assert fake.requests[1].connection == 2


async def test_cancelling_a_send_closes_the_connection(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A client that leaves before the reply's head stops the upstream."""
    async with FakeUpstream([[Hold()]]) as fake:
        sending = asyncio.ensure_future(client.send(call(fake.base_url)))
        await until(lambda: bool(fake.requests))
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await gone(fake)
        assert fake.requests[0].abandoned


async def test_cancelling_a_read_closes_the_connection(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A client that leaves in the middle of a stream stops the upstream."""
    async with FakeUpstream([[*chunked(EVENTS)[:2], Hold()]]) as fake:
        reply = await client.send(call(fake.base_url, stream=True))
        chunks = reply.chunks()
        await anext(chunks)
        reading = asyncio.ensure_future(anext(chunks, b""))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await gone(fake)
        assert fake.requests[0].abandoned


async def test_closing_the_client_leaves_no_connection(call: MakeCall) -> None:
    """Idle connections and replies still being read are closed with the client."""
    client = AiohttpUpstream({})
    async with FakeUpstream([sized(b"{}"), [head(), Hold()]]) as fake:
        await (await client.send(call(fake.base_url))).read(10)
        reply = await client.send(call(fake.base_url, stream=True))
        await client.close()
        await gone(fake)
        reply.abort()


async def test_slow_reader_stops_the_upstream(client: AiohttpUpstream, call: MakeCall) -> None:
    """A reader that does not read blocks its upstream's writes; memory stays bounded."""
    offered = 256 * 1024 * 1024
    taken = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head())
        try:
            while taken < offered:
                writer.write(b"x" * 65536)
                await writer.drain()
                taken += 65536
        except ConnectionError:
            writer.transport.abort()
        finally:
            writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reply = await client.send(call(f"http://127.0.0.1:{port}", stream=True))
        before = -1
        while before != taken:
            before = taken
            await asyncio.sleep(0.2)
        assert 0 < taken < offered / 8
        assert reply._response.content._size < 1024 * 1024
        async for _ in reply.chunks():
            if taken > 2 * before:
                break
        reply.abort()


@pytest.mark.parametrize("end", [Fin(), Rst()])
async def test_dead_pooled_connection_is_a_stale_failure(
    client: AiohttpUpstream, call: MakeCall, end: Fin | Rst
) -> None:
    """A keep-alive connection that died before a byte of the reply came tells nothing else.

    It is sent once: whether and when again is the attempt loop's decision, and counted there.
    """
    async with FakeUpstream([sized(b"1"), [end], sized(b"2")]) as fake:
        await (await client.send(call(fake.base_url))).read(10)
        failure = await failure_of(client, call(fake.base_url))
        assert (failure.kind, failure.stale, failure.connecting) == (NETWORK, True, False)
        assert len(fake.requests) == 2


async def test_fresh_call_uses_no_pooled_connection(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """Where one pooled connection is dead the others likely are: the next one is new."""
    async with FakeUpstream([sized(b"1"), sized(b"1"), [Fin()], sized(b"2")]) as fake:
        replies = await asyncio.gather(*(client.send(call(fake.base_url)) for _ in range(2)))
        for reply in replies:
            await reply.read(10)
        assert (await failure_of(client, call(fake.base_url))).stale
        assert await (await client.send(call(fake.base_url, fresh=True))).read(10) == b"2"
        assert fake.requests[3].connection == 3


async def test_fresh_connection_that_dies_is_not_stale(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """On a connection never used before, the upstream may well have acted on the request."""
    async with FakeUpstream([[Fin()], sized(b"{}")]) as fake:
        failure = await failure_of(client, call(fake.base_url))
        assert (failure.kind, failure.stale, failure.connecting) == (NETWORK, False, False)
        assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "begun",
    [[b"HTTP", Fin()], [b"HTTP/1.1 200 OK\r\nx", Fin()], [b"HTTP/1.1 100 Continue\r\n\r\n", Fin()]],
)
async def test_reply_that_began_is_not_stale(
    client: AiohttpUpstream, call: MakeCall, begun: list[Step]
) -> None:
    """One byte of a reply proves that the request was taken."""
    async with FakeUpstream([sized(b"1"), begun, sized(b"2")]) as fake:
        await (await client.send(call(fake.base_url))).read(10)
        assert not (await failure_of(client, call(fake.base_url))).stale


async def test_timeout_on_a_pooled_connection_is_not_stale(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """Silence is no proof of a dead connection."""
    async with FakeUpstream([sized(b"1"), [Hold()], sized(b"2")]) as fake:
        await (await client.send(call(fake.base_url))).read(10)
        failure = await failure_of(client, call(fake.base_url, total=0.1))
        assert (failure.kind, failure.stale) == (FailureKind.TIMEOUT, False)


def test_everything_holds_under_uvloop(call: MakeCall) -> None:
    """Reuse, stale connections, timeouts and aborting work on the daemon's own kind of loop."""

    async def scenario() -> None:
        client = AiohttpUpstream({})
        replies: list[list[Step]] = [
            sized(b"1"),
            [Fin()],
            chunked(EVENTS),
            [Hold()],
            [head(), b"x", Hold()],
        ]
        async with FakeUpstream(replies) as fake:
            assert await (await client.send(call(fake.base_url))).read(10) == b"1"
            with pytest.raises(UpstreamFailed):
                await client.send(call(fake.base_url))
            reply = await client.send(call(fake.base_url, stream=True))
            assert b"".join([chunk async for chunk in reply.chunks()]) == b"".join(EVENTS)
            with pytest.raises(UpstreamFailed, match="no reply headers"):
                await client.send(call(fake.base_url, stream=True, headers=0.1))
            reply = await client.send(call(fake.base_url, stream=True))
            assert await anext(reply.chunks()) == b"x"
            await reply.close()
            await client.close()
            await gone(fake)
            assert [request.connection for request in fake.requests] == [1, 1, 2, 2, 3]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
