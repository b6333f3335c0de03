"""Replies that are none: each is exactly one typed failure, in words that help, and no hang."""

import asyncio
import gzip

import pytest
from support.upstream import (
    JSON,
    SSE,
    FakeUpstream,
    Fin,
    Hold,
    Pause,
    Rst,
    Step,
    chunked,
    head,
    sized,
)

from gatewayctl.core.errors import Failure, UpstreamFailed
from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import BadFrame
from gatewayctl.protocols.sse import SseParser
from gatewayctl.upstream.client import AiohttpUpstream, Call
from gatewayctl.upstream.failures import classify, in_reply

from .conftest import MakeCall, gone, until

CHAT = WireProtocol.CHAT_COMPLETIONS
GZIP = ("content-encoding", "gzip")
HTML = (("content-type", "text/html; charset=utf-8"),)
ANSWER = b'{"choices":[{"message":{"content":"hello"}}]}'
EVENTS = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n' * 40 + b"data: [DONE]\n\n"
ZIPPED = gzip.compress(EVENTS)
SPOILT = ZIPPED[:30] + b"\x00spoilt" + ZIPPED[37:]


async def whole(client: AiohttpUpstream, call: Call) -> Failure | None:
    """Return why a whole reply is none, None if it is one."""
    try:
        reply = await client.send(call)
        body = await reply.read(1_000_000)
    except UpstreamFailed as error:
        return error.failure
    if reply.status // 100 != 2:
        return classify(CHAT, reply.status, reply.headers, body)
    return in_reply(CHAT, reply.headers, body)


async def ends(client: AiohttpUpstream, call: Call) -> str:
    """Return how a stream ends: with a failure's kind, ``bad frame``, ``cut``, or ``whole``."""
    parser, watcher = SseParser(1 << 20), CODECS[CHAT].watcher(usage_requested=True)
    try:
        reply = await client.send(call)
    except UpstreamFailed as error:
        return str(error.failure.kind)
    try:
        async for chunk in reply.chunks():
            if any(watcher.see(event) is Phase.TERMINAL for event in parser.feed(chunk)):
                return "whole"
    except UpstreamFailed as error:
        return str(error.failure.kind)
    except BadFrame:
        return "bad frame"
    finally:
        reply.abort()
    return "cut"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (sized(b"no gzip at all", headers=(*JSON, GZIP)), "bad_response", "cannot be decompressed"),
        (chunked([b"no", b"ne"], headers=(*JSON, GZIP)), "bad_response", "cannot be decompressed"),
        (sized(SPOILT, headers=(*JSON, GZIP)), "bad_response", "cannot be decompressed"),
        (
            sized(gzip.compress(ANSWER)[:-20], headers=(*JSON, GZIP)),
            "bad_response",
            "not a JSON object",
        ),
        (
            sized(b"x", headers=(*JSON, ("content-encoding", "zstd"))),
            "bad_response",
            "cannot be decompressed",
        ),
        (sized(b"x", headers=(*JSON, ("content-encoding", "rot13"))), "bad_response", "not a JSON"),
        (sized(b""), "bad_response", "the reply is empty"),
        ([head(204, ())], "bad_response", "the reply is empty"),
        ([head(101, (("upgrade", "x"),)), Hold()], "bad_response", "interim status"),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n", Fin()], "network", "before its reply"),
        (sized(b"", 302, (("location", "/x"),)), "bad_response", "a redirect"),
        ([head(304, ())], "bad_response", "a redirect"),
        (sized(b"", 999), "bad_response", "HTTP 999"),
        ([head(200, JSON, ("content-length", "100")) + ANSWER, Fin()], "network", "broke off"),
        (
            [head(200, JSON, ("content-length", "2")) + ANSWER, Fin()],
            "bad_response",
            "not valid HTTP",
        ),
        (
            [head(200, JSON, ("content-length", "many")) + ANSWER, Fin()],
            "bad_response",
            "not valid HTTP",
        ),
        ([b"HTTP/1.1 abc\r\n\r\n", Fin()], "bad_response", "not valid HTTP"),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000, Fin()], "bad_response", "not valid HTTP"),
        (sized(b"null"), "bad_response", "not a JSON object"),
        (sized(b'"hello"'), "bad_response", "not a JSON object"),
        (sized(b'{"choices":['), "bad_response", "not a JSON object"),
        (sized(b"[" * 100_000), "bad_response", "not a JSON object"),
        (sized(b"<html>Login</html>", headers=HTML), "bad_response", "text/html came"),
        (sized(b"<html>Login</html>"), "bad_response", "not a JSON object"),
        (sized(ANSWER, headers=HTML), "bad_response", "text/html came"),
        (sized(ANSWER), None, ""),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n", *sized(ANSWER)], None, ""),
    ],
)
async def test_a_whole_reply_that_is_none_is_one_failure(
    client: AiohttpUpstream, call: MakeCall, reply: list[Step], kind: str | None, words: str
) -> None:
    """Whatever is wrong with its encoding, its framing or its content."""
    async with FakeUpstream([reply]) as fake:
        failure = await whole(client, call(fake.base_url))
        assert (failure and failure.kind) == kind
        assert words in (failure.message if failure else "")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "rest",
    [
        [Hold()],
        [Fin()],
        [b"5\r\nnever gzip", Hold()],
        [b"5\r\nabc", Rst()],
        [Pause(seconds=0.05), b"ZZ\r\n", Fin()],
    ],
)
async def test_a_refusal_is_understood_although_its_page_never_comes_whole(
    client: AiohttpUpstream, call: MakeCall, rest: list[Step], *, stream: bool
) -> None:
    """The status and the headers have said what happened; nobody waits long for the rest."""
    limited = (*JSON, GZIP, ("retry-after", "7"))
    reply: list[Step] = [head(429, limited, ("transfer-encoding", "chunked")), *rest]
    async with FakeUpstream([reply]) as fake:
        failure = await whole(client, call(fake.base_url, stream=stream, idle=0.2, total=0.3))
        assert failure is not None
        assert (failure.kind, failure.retry_after) == ("rate_limited", 7.0)
        await gone(fake)


@pytest.mark.parametrize(
    ("reply", "end"),
    [
        (sized(b"no gzip at all", headers=(*SSE, GZIP)), "bad_response"),
        (chunked([ZIPPED[:30], SPOILT[30:]], headers=(*SSE, GZIP)), "bad_response"),
        (chunked([ZIPPED[:30], ZIPPED[30:-30]], headers=(*SSE, GZIP)), "cut"),
        (chunked([ZIPPED[:30], ZIPPED[30:]], headers=(*SSE, GZIP)), "whole"),
        (sized(b"", headers=SSE), "cut"),
        ([head(204, ())], "cut"),
        (sized(b"data: null\n\n", headers=SSE), "bad frame"),
        (sized(b"data: {\n\n", headers=SSE), "bad frame"),
        (sized(b'data: {"choices":[]}\n\ndata: <html>\n\n', headers=SSE), "bad frame"),
        (sized(b"data: " + b"[" * 100_000 + b"\n\n", headers=SSE), "bad frame"),
        (sized(b"data: " + b"x" * (1 << 21) + b"\n\n", headers=SSE), "bad frame"),
        (sized(b'data: "\xff"\n\n', headers=SSE), "bad frame"),
        (sized(b"<html>Login</html>", headers=SSE), "cut"),
        ([head(200, SSE, ("transfer-encoding", "chunked")), b"5\r\nabc", Fin()], "network"),
        ([head(200, SSE, ("content-length", "9999")), EVENTS[:-2], Fin()], "network"),
    ],
)
async def test_a_stream_that_is_none_never_looks_whole_litellm_28216(
    client: AiohttpUpstream, call: MakeCall, reply: list[Step], end: str
) -> None:
    """Bug row 8: a cut or malformed stream is a failure, which before the commit falls back."""
    async with FakeUpstream([reply]) as fake:
        assert await ends(client, call(fake.base_url, stream=True)) == end


async def test_a_stalled_stream_is_a_failure_litellm_40404(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """Bug row 8: a stream that stops coming is given up on, and its connection is closed."""
    reply: list[Step] = [*chunked([EVENTS[:60]])[:2], Hold()]
    async with FakeUpstream([reply]) as fake:
        assert await ends(client, call(fake.base_url, stream=True, idle=0.1)) == "timeout"
        await gone(fake)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_wait_for_headers_is_limited_bifrost_7034(
    client: AiohttpUpstream, call: MakeCall, *, stream: bool
) -> None:
    """Bug row 10: a connection that stands and says nothing is no reason to wait for ever."""
    async with FakeUpstream([[Hold()]]) as fake:
        failure = await whole(client, call(fake.base_url, stream=stream, headers=0.1))
        assert failure is not None
        assert (failure.kind, failure.connecting) == ("timeout", False)
        await gone(fake)


async def test_what_an_idle_connection_says_is_no_reply_to_the_next_call(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A server may answer twice, or say 408 to a connection that was left alone."""
    twice: list[Step] = [*sized(b"1"), Pause(seconds=0.02), *sized(b"not asked", 408), Hold()]
    async with FakeUpstream([twice, sized(b"2")]) as fake:
        assert await (await client.send(call(fake.base_url))).read(10) == b"1"
        sent = sum(len(step) for step in twice if isinstance(step, bytes))
        await until(lambda: fake.written == sent)
        await asyncio.sleep(0.05)  # for the loop to read what was written
        assert await (await client.send(call(fake.base_url))).read(10) == b"2"
        assert [request.connection for request in fake.requests] == [1, 2]
