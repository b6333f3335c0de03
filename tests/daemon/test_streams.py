"""The stream contract over real sockets: cut anywhere, a reply never looks complete."""

import asyncio
import os
import re
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest
from support import strict, verdicts
from support.dialects import DIALECTS, PATHS, PROTOCOLS, address, encoded
from support.gateway import demo, gateway, upstream_config
from support.upstream import (
    SSE,
    FakeUpstream,
    Fin,
    Hold,
    Pause,
    RawRequest,
    Rst,
    Step,
    chunked,
    cut,
    delimited,
    head,
    sized,
)
from support.waiting import until

SOAK = bool(os.environ.get("GATEWAYCTL_SOAK"))
LIMITS: dict[str, dict[str, Any]] = {
    "chat_completions": {"max_tokens": 4},
    "responses": {"max_output_tokens": 4},
    "messages": {"max_tokens": 4},
    "gemini": {"generationConfig": {"maxOutputTokens": 4}},
}
COMPLETE = {
    "chat_completions": re.compile(rb"^data: \[DONE\]\r?\n\r?\n", re.MULTILINE),
    "messages": re.compile(rb'^data: \{"type":"message_stop"\}\n\n', re.MULTILINE),
    "responses": re.compile(rb'^data: \{"type":"response\.(completed|incomplete)"', re.MULTILINE),
}
TYPED = {
    "chat_completions": re.compile(rb'^data: \{"error":\{.*\}\}\n\n\Z', re.MULTILINE),
    "messages": re.compile(rb'^event: error\ndata: \{"type":"error",.*\}\n\n\Z', re.MULTILINE),
    "responses": re.compile(
        rb'^event: response\.failed\ndata: \{"type":"response\.failed",.*\}\n\n\Z', re.MULTILINE
    ),
}
TWO = """
[providers.spare]
kind = "openai-compatible"
base_url = "{spare}/v1"
auth = "none"
protocols = ["chat_completions", "responses", "messages"]

[[cascades]]
id = "both"
[[cascades.steps]]
model = "up/m"
[[cascades.steps]]
model = "spare/large"
"""


async def golden(protocol: str) -> bytes:
    """Return a short whole stream, as the simulator speaks it."""
    async with demo() as (running, simulator):
        body = encoded(protocol, "large", "Hi", stream=True, **LIMITS[protocol])
        url = simulator.base_url + address(protocol, "large", stream=True)
        async with running.client.post(url, data=body) as answer:
            return await answer.read()


async def received(answer: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """Return what came of a body, and whether its connection was broken off."""
    told = b""
    try:
        async for piece in answer.content.iter_any():
            told += piece
    except aiohttp.ClientPayloadError:
        return told, True
    return told, False


def offsets(size: int, *, translated: bool) -> list[int]:
    """Return where a stream is cut: with soak everywhere, else at some places.

    The codecs are cut everywhere in any case, without sockets.
    """
    step = 1 if SOAK else size // (40 if translated else 250) | 1  # odd: all remainders of four
    return list(range(0, size, step))


@pytest.mark.soak
@pytest.mark.parametrize("upstream", DIALECTS)
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_stream_cut_at_any_byte_never_looks_complete_portkey_1797(
    protocol: str, upstream: str
) -> None:
    """At every offset: an HTTP error before the commit, a typed error event after it."""
    whole = await golden(upstream)
    seen: set[int] = set()

    def cut_short(request: RawRequest) -> Sequence[Step]:
        offset = int(re.findall(rb"cut at (\d+)", request.body)[-1])
        # some end the body with the connection, others break its chunked framing
        if offset % 4 < 2:
            return delimited(whole[:offset])
        return [*chunked([whole[:offset]])[:-1], Fin()]

    async def ask(offset: int) -> tuple[int, bytes, bool]:
        body = encoded(protocol, "up/m", f"cut at {offset}", stream=True)
        url = it.url + address(protocol, "up/m", stream=True)
        async with at_once, it.client.post(url, data=body) as answer:
            return answer.status, *await received(answer)

    async def try_at(offset: int) -> None:
        status, told, torn = await ask(offset)
        seen.add(status)
        if status == 200:
            assert not verdicts.looks_complete(protocol, told), offset
            verdicts.broken(protocol, told, torn=torn)
        else:
            assert status == 502, offset
            verdicts.refused(protocol, status, told)

    at_once = asyncio.Semaphore(64)
    async with (
        FakeUpstream(choose=cut_short) as source,
        gateway(upstream_config(source.base_url, protocols=[upstream])) as it,
    ):
        cuts = offsets(len(whole), translated=upstream != protocol)
        await asyncio.gather(*map(try_at, [*cuts, len(whole) - 1]))
        status, told, torn = await ask(-(-len(whole) // 4) * 4)
    assert (status, torn) == (200, False)
    assert strict.events(protocol, told)
    assert upstream != protocol or told == whole
    assert seen == {200, 502}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("trouble", ["reset", "empty", "malformed", "html", "error inside"])
async def test_a_stream_that_breaks_before_its_content_falls_back_unseen_litellm_40404(
    protocol: str, trouble: str
) -> None:
    """Lifecycle frames are held back, so the next candidate answers as if nothing had been."""
    whole = await golden(protocol)
    lifecycle = whole[: whole.index(b"\n\n") + 2]
    replies: dict[str, list[Step]] = {
        "reset": cut(delimited(lifecycle), at=10**6, end=Rst()),
        "empty": delimited(lifecycle),
        "malformed": delimited(lifecycle + b"data: {oops\n\n"),
        "html": sized(b"<html>busy</html>", headers=[("content-type", "text/html")]),
        "error inside": delimited(
            lifecycle + b'event: error\ndata: {"type":"error","error":'
            b'{"type":"overloaded_error","message":"busy","code":"overloaded"}}\n\n'
        ),
    }
    async with (
        demo() as (_, simulator),
        FakeUpstream([replies[trouble]]) as upstream,
        gateway(upstream_config(upstream.base_url) + TWO.format(spare=simulator.base_url)) as it,
    ):
        body = encoded(protocol, "both", "Hi", stream=True)
        async with it.client.post(it.url + PATHS[protocol], data=body) as answer:
            told = await answer.read()
            assert answer.status == 200
            assert answer.headers["x-gatewayctl-attempts"] == "2"
            assert answer.headers["x-gatewayctl-model"] == "spare/large"
    assert COMPLETE[protocol].search(told)
    assert lifecycle not in told


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_error_event_of_the_upstream_after_the_commit_ends_the_stream(
    protocol: str,
) -> None:
    """What the upstream says in its own dialect passes as it is, and nothing follows it."""
    whole = await golden(protocol)
    split = [match.end() for match in re.finditer(rb"\n\n", whole)]
    error = {
        "chat_completions": b'data: {"error":{"message":"boom","type":"server_error"}}\n\n',
        "messages": b'event: error\ndata: {"type":"error","error":'
        b'{"type":"api_error","message":"boom"}}\n\n',
        "responses": b'event: error\ndata: {"type":"error","sequence_number":9,"code":"x",'
        b'"message":"boom","param":null}\n\n',
    }[protocol]
    half = whole[: split[-3]]
    async with (
        FakeUpstream([delimited(half + error + whole[split[-3] :])]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        body = encoded(protocol, "up/m", "Hi", stream=True)
        async with it.client.post(it.url + PATHS[protocol], data=body) as answer:
            assert await answer.read() == half + error


async def test_events_reach_the_client_as_they_come() -> None:
    """A stream is not gathered: the first content is there while the upstream still holds on."""
    whole = await golden("chat_completions")
    first = whole.index(b"\n\n", whole.index(b'"content":"T')) + 2
    reply = cut(chunked([whole[:first], whole[first:]]), at=10**6, end=Hold())
    reply.insert(2, Hold())
    async with (
        FakeUpstream([reply]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        body = encoded("chat_completions", "up/m", "Hi", stream=True)
        async with it.client.post(f"{it.url}/v1/chat/completions", data=body) as answer:
            got = b""
            while len(got) < first:
                got += await asyncio.wait_for(answer.content.readany(), 5)
            assert got == whole[:first]
            answer.close()
        await until(lambda: upstream.requests[0].abandoned)


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("protocol", ["chat_completions", "messages"])
async def test_usage_is_asked_for_unless_that_is_refused(protocol: str, *, refused: bool) -> None:
    """Mistral refuses a stream that is to tell its usage, which it tells unasked."""
    more = f"flags = {{ mistral_rules = {str(refused).lower()} }}"
    async with (
        FakeUpstream([chunked([await golden("chat_completions")])]) as upstream,
        gateway(
            upstream_config(upstream.base_url, more=more, protocols=["chat_completions"])
        ) as it,
    ):
        body = encoded(protocol, "up/m", "Hi", stream=True)
        async with it.client.post(it.url + PATHS[protocol], data=body) as answer:
            assert answer.status == 200
            await answer.read()
    assert (b"stream_options" in upstream.requests[0].body) is not refused


async def test_a_whole_stream_ends_for_the_client_before_its_upstream_lets_go() -> None:
    """A server that keeps its reply open after the terminal frame delays nobody but itself.

    The next request on the same connection is answered while the first upstream is waited for.
    """
    whole = await golden("chat_completions")
    open_end: list[Step] = [*chunked([whole])[:-1], Hold()]
    body = encoded("chat_completions", "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([open_end, open_end]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as alone,
    ):
        for _ in range(2):
            async with alone.post(f"{it.url}/v1/chat/completions", data=body) as answer:
                assert COMPLETE["chat_completions"].search(await answer.read())
        assert not upstream.requests[0].abandoned
        await until(lambda: all(each.abandoned for each in upstream.requests))


@pytest.mark.parametrize("streams", [True, False])
async def test_a_client_that_leaves_cancels_the_upstream_at_once(*, streams: bool) -> None:
    """Before any reply byte, streamed or not, the upstream's connection is closed."""
    async with (
        FakeUpstream([[Hold()]]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        body = encoded("chat_completions", "up/m", "Hi", stream=streams)
        leaving = aiohttp.ClientTimeout(total=0.3)
        with pytest.raises(TimeoutError):
            await it.client.post(f"{it.url}/v1/chat/completions", data=body, timeout=leaving)
        await until(lambda: upstream.requests[0].abandoned)


async def test_a_slow_client_slows_its_upstream_down() -> None:
    """Nobody reads, so the upstream cannot write: 64 MB do not gather in the gateway."""
    whole = await golden("chat_completions")
    event = next(each for each in whole.split(b"\n\n") if b'"content":"T' in each) + b"\n\n"
    block = event * 4096
    blocks = 64 * 1024 * 1024 // len(block)
    reply: list[Step] = [head(200, SSE, ("connection", "close"))]
    reply += [block] * blocks

    async with (
        FakeUpstream([reply]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        body = encoded("chat_completions", "up/m", "Hi", stream=True)
        async with it.client.post(f"{it.url}/v1/chat/completions", data=body) as answer:
            written = 0
            while written != upstream.written or not written:  # until it gets rid of no more
                written = upstream.written
                await asyncio.sleep(0.5)
            assert written < 24 * 1024 * 1024
            answer.close()
        await until(lambda: upstream.requests[0].abandoned)


async def test_an_upstream_that_never_replies_is_given_up_on_bifrost_7034() -> None:
    """Waiting for the reply's head has a limit of its own, and the next candidate follows."""
    async with (
        demo() as (_, simulator),
        FakeUpstream([[Pause(seconds=30)]]) as upstream,
        gateway(
            upstream_config(upstream.base_url, more='timeouts = { first_token = "300ms" }')
            + TWO.format(spare=simulator.base_url)
        ) as it,
    ):
        body = encoded("messages", "both", "Hi", stream=True)
        async with it.client.post(f"{it.url}/v1/messages", data=body) as answer:
            assert answer.headers["x-gatewayctl-attempts"] == "2"
            assert COMPLETE["messages"].search(await answer.read())


async def test_a_stream_that_stalls_after_its_commit_ends_with_a_typed_error() -> None:
    """The idle timeout exposes a dead upstream."""
    whole = await golden("messages")
    half = whole[: whole.index(b"\n\n", whole.index(b"text_delta")) + 2]
    async with (
        FakeUpstream([[*chunked([half])[:-1], Hold()]]) as upstream,
        gateway(upstream_config(upstream.base_url, more='timeouts = { idle = "300ms" }')) as it,
    ):
        body = encoded("messages", "up/m", "Hi", stream=True)
        async with it.client.post(f"{it.url}/v1/messages", data=body) as answer:
            told = await answer.read()
        assert told.startswith(half)
        assert TYPED["messages"].search(told)
        await until(lambda: upstream.requests[0].abandoned)
