import asyncio
import gzip
import json

import pytest
from support.upstream import (
    JSON,
    FakeUpstream,
    Fin,
    Hold,
    Pause,
    Rst,
    Step,
    chunked,
    cut,
    delimited,
    head,
    sized,
)

from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.upstream.client import AiohttpUpstream, Call, Reply

from .conftest import MakeCall, gone

EVENTS = [b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n"]


async def failure_of(client: AiohttpUpstream, call: Call) -> Failure:
    """Send a call that must fail before its reply is whole, and return how."""
    with pytest.raises(UpstreamFailed) as caught:
        await (await client.send(call)).read(1_000_000)
    return caught.value.failure


async def collected(reply: Reply) -> tuple[bytes, Failure | None]:
    """Read a reply piece by piece; return what came and how it broke, if it did."""
    got = b""
    try:
        async for chunk in reply.chunks():
            got += chunk
    except UpstreamFailed as error:
        return got, error.failure
    return got, None


async def test_request_arrives_byte_for_byte(client: AiohttpUpstream, call: MakeCall) -> None:
    """Target, body and the given headers arrive as they are, and none is invented but framing."""
    async with FakeUpstream([sized(b"{}")]) as fake:
        headers = (("content-type", "application/json"), ("x-two", "1"), ("x-two", "2"))
        url = f"{fake.base_url}/v1/messages?beta=true&x=%2F"
        reply = await client.send(call(url, body=b'{ "a":1}', sent=headers))
        assert await reply.read(100) == b"{}"
        (request,) = fake.requests
        assert request.target == "/v1/messages?beta=true&x=%2F"
        assert request.body == b'{ "a":1}'
        names = [line.partition(b":")[0].lower() for line in request.head.split(b"\r\n")[1:-2]]
        assert names == [b"host", b"content-type", b"x-two", b"x-two", b"content-length"]


async def test_large_body_is_sent_whole(client: AiohttpUpstream, call: MakeCall) -> None:
    """A body of several megabytes arrives whole, its length announced."""
    body = json.dumps({"text": "x" * 5_000_000}).encode()
    async with FakeUpstream([sized(b"{}")]) as fake:
        await (await client.send(call(fake.base_url, body=body))).read(100)
        assert fake.requests[0].body == body
        assert fake.requests[0].header("content-length") == str(len(body)).encode()


async def test_reply_head_is_multi_valued_and_case_insensitive(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """Status, repeated headers and the bare media type of a reply can be read."""
    headers = (("Content-Type", "Text/Event-Stream; charset=utf-8"), ("x-a", "1"), ("X-A", "2"))
    async with FakeUpstream([sized(b"", 429, headers)]) as fake:
        reply = await client.send(call(fake.base_url))
        assert (reply.status, reply.content_type) == (429, "text/event-stream")
        assert reply.headers.getall("X-a") == ["1", "2"]


async def test_redirect_is_not_followed(client: AiohttpUpstream, call: MakeCall) -> None:
    """A redirect comes back as it is: a credential must not travel where nobody sent it."""
    async with FakeUpstream([sized(b"", 307, (("location", "/elsewhere"),))]) as fake:
        assert (await client.send(call(fake.base_url))).status == 307
        assert len(fake.requests) == 1


async def test_cookies_are_not_kept(client: AiohttpUpstream, call: MakeCall) -> None:
    """A cookie set by one reply is not sent with the next request."""
    async with FakeUpstream([sized(b"{}", headers=(("set-cookie", "a=b; Path=/"),))]) as fake:
        for _ in range(2):
            await (await client.send(call(fake.base_url))).read(100)
        assert fake.requests[1].header("cookie") is None


async def test_chunks_arrive_as_they_are_sent(client: AiohttpUpstream, call: MakeCall) -> None:
    """A piece can be read while the upstream still holds back the next."""
    reply: list[Step] = [*chunked(EVENTS)[:2], Hold()]
    async with FakeUpstream([reply]) as fake:
        got = await client.send(call(fake.base_url, stream=True))
        assert await anext(got.chunks()) == EVENTS[0]
        got.abort()


async def test_body_delimited_by_the_connection_ends_cleanly(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A body without a length ends with its connection, which is no failure at this level."""
    async with FakeUpstream([delimited(b"".join(EVENTS))]) as fake:
        reply = await client.send(call(fake.base_url, stream=True))
        assert await collected(reply) == (b"".join(EVENTS), None)


async def test_compressed_reply_is_decompressed(client: AiohttpUpstream, call: MakeCall) -> None:
    """A reply in gzip is read as what it says, whether or not it was asked for in gzip."""
    body = gzip.compress(b'{"ok":true}')
    async with FakeUpstream([sized(body, headers=(*JSON, ("content-encoding", "gzip")))]) as fake:
        reply = await client.send(call(fake.base_url))
        assert await reply.read(100) == b'{"ok":true}'


async def test_undecodable_compression_is_a_bad_response(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """Bytes that are not the gzip they claim to be are the upstream's fault, not the network's."""
    async with FakeUpstream([sized(b"{}", headers=(("content-encoding", "gzip"),))]) as fake:
        failure = await failure_of(client, call(fake.base_url))
        assert failure.kind is FailureKind.BAD_RESPONSE


@pytest.mark.parametrize("end", [Fin(), Rst()])
@pytest.mark.parametrize("reply", [sized(b"".join(EVENTS)), chunked(EVENTS)])
async def test_premature_end_is_a_network_failure(
    client: AiohttpUpstream, call: MakeCall, reply: list[Step], end: Fin | Rst
) -> None:
    """A reply cut short of its announced length or of its last chunk never looks whole."""
    whole = sum(len(step) for step in reply if isinstance(step, bytes))
    async with FakeUpstream([cut(reply, whole - 3, end)]) as fake:
        failure = await failure_of(client, call(fake.base_url, stream=True))
        assert failure.kind is FailureKind.NETWORK
        assert fake.base_url in failure.message


async def test_what_came_before_a_break_is_read_before_it(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A reader slower than the break still gets every byte that arrived ahead of it."""
    reply = chunked(EVENTS)
    async with FakeUpstream([[reply[0], reply[1], Pause(seconds=0.05), reply[2], Fin()]]) as fake:
        got = await client.send(call(fake.base_url, stream=True))
        await gone(fake)
        await asyncio.sleep(0.05)
        data, failure = await collected(got)
        assert data == EVENTS[0] + EVENTS[1]
        assert failure is not None


async def test_broken_chunk_framing_is_a_bad_response(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A chunk whose size is no number means that the peer does not speak HTTP."""
    reply: list[Step] = [*chunked(EVENTS)[:2], Pause(seconds=0.05), b"ZZ\r\n", Hold()]
    async with FakeUpstream([reply]) as fake:
        got = await client.send(call(fake.base_url, stream=True))
        data, failure = await collected(got)
        assert data == EVENTS[0]
        assert failure is not None
        assert failure.kind is FailureKind.BAD_RESPONSE


async def test_peer_that_speaks_no_http_is_a_bad_response(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A banner of another protocol is told as such, without quoting it."""
    async with FakeUpstream([[b"SSH-2.0-secret\r\n\r\n", Hold()]]) as fake:
        failure = await failure_of(client, call(fake.base_url))
        assert failure.kind is FailureKind.BAD_RESPONSE
        assert "secret" not in failure.message


async def test_refused_connection_is_a_network_failure(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A dead port is named by origin, and the query, which may hold a key, is not."""
    async with FakeUpstream([[]]) as fake:
        dead = fake.base_url
    failure = await failure_of(client, call(f"{dead}/v1?key=sk-secret"))
    assert (failure.kind, failure.connecting) == (FailureKind.NETWORK, True)
    assert dead in failure.message
    assert "secret" not in failure.message


async def test_user_information_of_a_url_is_not_shown(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A password in a base URL stays out of the message about it."""
    async with FakeUpstream([[]]) as fake:
        dead = fake.base_url.replace("//", "//me:secret@")
    failure = await failure_of(client, call(dead))
    assert "secret" not in failure.message


async def test_malformed_header_is_told_as_a_failure(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A value that would split a header is refused before anything is sent, unquoted."""
    async with FakeUpstream([sized(b"{}")]) as fake:
        headers = (("x-team", "secret\r\nx-evil: 1"),)
        failure = await failure_of(client, call(fake.base_url, sent=headers))
        assert (failure.kind, failure.connecting) == (FailureKind.NETWORK, False)
        assert "secret" not in failure.message
        assert fake.requests == []


@pytest.mark.parametrize("stream", [True, False])
async def test_too_large_reply_is_refused_and_its_error_page_cut(
    client: AiohttpUpstream, call: MakeCall, *, stream: bool
) -> None:
    """Beyond the limit a success is a bad response, while an error's first bytes are enough."""
    async with FakeUpstream([sized(b"x" * 500_000), sized(b"x" * 500_000, 503)]) as fake:
        reply = await client.send(call(fake.base_url, stream=stream))
        with pytest.raises(UpstreamFailed, match="larger than 1000 bytes") as caught:
            await reply.read(1000)
        assert caught.value.failure.kind is FailureKind.BAD_RESPONSE
        reply = await client.send(call(fake.base_url, stream=stream))
        assert await reply.read(1000) == b"x" * 1000


@pytest.mark.parametrize(
    ("reply", "stream", "timeouts", "message"),
    [
        ([Hold()], True, {"first_token": 0.1}, "no reply headers from {} within 0.1 s"),
        ([Hold()], True, {"headers": 0.1}, "no reply headers from {} within 0.1 s"),
        ([Hold()], False, {"headers": 0.1}, "no reply headers from {} within 0.1 s"),
        ([Hold()], False, {"total": 0.1}, "no whole reply from {} within 0.1 s"),
        ([head(), Hold()], True, {"idle": 0.1}, "no further data from {} within 0.1 s"),
        ([head(), Hold()], False, {"total": 0.1}, "no whole reply from {} within 0.1 s"),
        (
            [head(), *[b"x", Pause(seconds=0.02)] * 50],
            True,
            {"idle": 1.0, "total": 0.2},
            "no whole reply from {} within 0.2 s",
        ),
    ],
)
async def test_each_phase_has_its_own_limit(
    client: AiohttpUpstream,
    call: MakeCall,
    reply: list[Step],
    stream: bool,
    timeouts: dict[str, float],
    message: str,
) -> None:
    """A silent upstream is a timeout that names the phase, and its connection is closed."""
    async with FakeUpstream([reply]) as fake:
        failure = await failure_of(client, call(fake.base_url, stream=stream, **timeouts))
        assert failure.kind is FailureKind.TIMEOUT
        assert failure.message == message.format(fake.base_url)
        await gone(fake)


async def test_slow_reply_without_streaming_outlives_the_limits_of_streams(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """Without streaming the headers come after generation: neither first_token nor idle counts."""
    reply: list[Step] = [Pause(seconds=0.1), head(200, JSON, ("content-length", "2"))]
    async with FakeUpstream([[*reply, Pause(seconds=0.1), b"{}"]]) as fake:
        got = await client.send(call(fake.base_url, first_token=0.05, idle=0.05))
        assert await got.read(100) == b"{}"


async def test_stream_outlives_the_total_limit(client: AiohttpUpstream, call: MakeCall) -> None:
    """A stream may last as long as it keeps coming."""
    reply: list[Step] = []
    for step in chunked(EVENTS):
        reply += [step, Pause(seconds=0.05)]
    async with FakeUpstream([reply]) as fake:
        got = await client.send(call(fake.base_url, stream=True, total=0.1))
        assert await collected(got) == (b"".join(EVENTS), None)


async def test_early_error_reply_is_read_although_the_body_was_not(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """An upstream that refuses by the headers alone, reading no body, is still understood."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nlong")
        await understood.wait()
        writer.close()

    understood = asyncio.Event()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reply = await client.send(call(f"http://127.0.0.1:{port}", body=b"x" * 20_000_000))
        assert (reply.status, await reply.read(100)) == (413, b"long")
        await reply.close()
        understood.set()
