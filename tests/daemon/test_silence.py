"""Signs of life: what a client of a stream hears while its answer is still being made."""

import asyncio
import gc
import json
import re

import anthropic
import openai
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import RawTestServer
from anthropic.types import MessageParam
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import demo, gateway, upstream_config
from support.upstream import SSE, FakeUpstream, Fin, Hold, Pause, Step, chunked, head, sized

from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon.outlet import Outlet
from gatewayctl.protocols.catalog import CODECS

ALIVE = {
    "chat_completions": rb"^: keepalive\n\n",
    "messages": rb'^event: ping\ndata: \{"type":"ping"\}\n\n',
    "responses": rb"^event: response\.in_progress\n",
}
ENDED = {
    "chat_completions": rb"^data: \[DONE\]\n\n\Z",
    "messages": rb"^event: message_stop\n",
    "responses": rb"^event: response\.completed\n",
}
CASCADE = """
[[cascades]]
id = "both"
steps = [{ model = "up/m" }, { model = "demo/large" }]
"""
FAILED: list[Step] = sized(b'{"error":{"message":"no","type":"server_error"}}', 500)


def alive(protocol: str, told: bytes) -> int:
    """Return how many signs of life stand in a reply's body."""
    return len(re.findall(ALIVE[protocol], told, re.MULTILINE))


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_headers_and_keepalives_go_out_in_silence_and_the_answer_follows(
    protocol: str,
) -> None:
    """A client with a short wait for headers gets them long before the first token."""
    body = encoded(protocol, "demo/large!slow=0.7", "Hi", stream=True)
    async with demo(silence=0.1) as (running, _):
        answer = await running.client.post(running.url + PATHS[protocol], data=body)
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert "x-gatewayctl-model" not in answer.headers  # nobody knows yet
        told = await answer.read()
    assert alive(protocol, told) >= 2
    assert re.search(ENDED[protocol], told, re.MULTILINE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_silence_between_two_events_is_filled_and_no_event_is_torn(protocol: str) -> None:
    """What the upstream said of an event before it stalled is not released with the keepalive."""
    async with demo() as (running, simulator):
        plain = encoded(protocol, "large", "Hi", stream=True)
        async with running.client.post(simulator.base_url + PATHS[protocol], data=plain) as answer:
            whole = await answer.read()
    middle = whole.rindex(b"\n\n", 0, len(whole) * 2 // 3) + 12  # a few bytes into an event
    pieces = chunked([whole[:middle], whole[middle:]])
    slow = [*pieces[:2], Pause(seconds=0.5), *pieces[2:]]
    body = encoded(protocol, "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([slow]) as upstream,
        gateway(upstream_config(upstream.base_url), silence=0.1) as it,
        it.client.post(it.url + PATHS[protocol], data=body) as answer,
    ):
        told = await answer.read()
    assert alive(protocol, told) - alive(protocol, whole) >= 2
    for event in told.split(b"\n\n"):
        for line in event.splitlines():
            if line.startswith(b"data: {"):
                json.loads(line[6:])
    assert re.search(ENDED[protocol], told, re.MULTILINE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_after_early_headers_the_next_candidate_still_answers(protocol: str) -> None:
    """The first step stalls and fails once the headers are out: the client sees the second's."""
    body = encoded(protocol, "both", "Hi", stream=True)
    stall: list[Step] = [Pause(seconds=0.4), Fin()]
    async with (
        FakeUpstream([stall]) as upstream,
        demo(upstream_config(upstream.base_url) + CASCADE, silence=0.1) as (running, _),
        running.client.post(running.url + PATHS[protocol], data=body) as answer,
    ):
        told = await answer.read()
        assert len(upstream.requests) == 2  # a network failure has one retry
    assert alive(protocol, told) >= 2
    assert re.search(ENDED[protocol], told, re.MULTILINE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_after_early_headers_a_failure_is_told_in_the_stream_litellm_38610(
    protocol: str,
) -> None:
    """Elsewhere 200 and message_start go out and nothing follows; here a typed error ends it."""
    body = encoded(protocol, "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([[Pause(seconds=0.3), *FAILED]]) as upstream,
        gateway(upstream_config(upstream.base_url), silence=0.1) as it,
        it.client.post(it.url + PATHS[protocol], data=body) as answer,
    ):
        told = await answer.read()
        assert answer.status == 200
    last = told.rstrip().rpartition(b"\n")[2]
    error = json.loads(last.removeprefix(b"data: "))
    assert b"message_start" not in told
    if protocol == "responses":
        assert error["type"] == "response.failed"
    else:
        assert error["error"]["gatewayctl"]["attempts"]
    assert not re.search(ENDED[protocol], told, re.MULTILINE)


async def test_an_overflow_after_early_headers_stops_codex_with_its_code() -> None:
    """Responses clients read ``context_length_exceeded`` in the failed response."""
    refused = sized(
        b'{"error":{"message":"long","type":"invalid_request_error",'
        b'"code":"context_length_exceeded"}}',
        400,
    )
    body = encoded("responses", "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([[Pause(seconds=0.3), *refused]]) as upstream,
        gateway(upstream_config(upstream.base_url), silence=0.1) as it,
        it.client.post(it.url + PATHS["responses"], data=body) as answer,
    ):
        told = await answer.read()
    event = json.loads(told.rstrip().rpartition(b"data: ")[2])
    assert event["response"]["error"]["code"] == "context_length_exceeded"


async def test_a_reply_that_is_not_streamed_keeps_silent() -> None:
    """Without a stream nothing may go out before the answer: it carries the status."""
    body = encoded("chat_completions", "demo/large!slow=0.4", "Hi")
    async with (
        demo(silence=0.1) as (running, _),
        running.client.post(running.url + PATHS["chat_completions"], data=body) as answer,
    ):
        assert json.loads(await answer.read())["choices"]


async def test_a_fast_answer_gets_no_keepalive() -> None:
    """The bytes of an upstream that never pauses reach the client alone."""
    body = encoded("chat_completions", "demo/large", "Hi", stream=True)
    async with (
        demo() as (running, _),
        running.client.post(running.url + PATHS["chat_completions"], data=body) as answer,
    ):
        assert b"keepalive" not in await answer.read()


async def test_an_end_that_comes_in_the_instant_of_a_keepalive_is_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whichever of the two is a step ahead, nothing follows the end, and nothing fails."""
    codec = CODECS[WireProtocol.CHAT_COMPLETIONS]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        outlet = Outlet(request, codec, "req_1", dict, silence=0.0)
        response = await outlet.open(200, (), {})
        for _ in range(int(request.path.strip("/"))):
            await asyncio.sleep(0)
        await outlet.write(b"data: [DONE]\n\n")
        await outlet.end()
        await asyncio.sleep(0.01)
        await outlet.close()
        return response

    async with RawTestServer(answer) as server, ClientSession() as client:
        for steps in range(12):
            async with client.get(server.make_url(f"/{steps}")) as reply:
                assert (await reply.read()).endswith(b"data: [DONE]\n\n")
    gc.collect()  # what a task raised in vain is told when it goes
    assert not caplog.records


async def test_a_client_that_leaves_during_the_early_headers_ends_its_attempt() -> None:
    """The upstream is let go, although it has not said a word."""
    body = encoded("chat_completions", "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([[head(200, SSE), Hold()]]) as upstream,
        gateway(upstream_config(upstream.base_url), silence=0.05) as it,
    ):
        answer = await it.client.post(it.url + PATHS["chat_completions"], data=body)
        assert await answer.content.readuntil(b"\n\n") == b": keepalive\n\n"
        answer.close()
        async with asyncio.timeout(5):
            while not upstream.requests[0].abandoned:  # noqa: ASYNC110 - the peer's doing
                await asyncio.sleep(0.01)


async def test_the_official_accumulators_take_an_early_keepalive() -> None:
    """OpenAI's and Anthropic's stream helpers, which check the order of events, go on."""
    async with demo(silence=0.1) as (running, _):
        model = "demo/large!slow=0.4"
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="sk-test") as client:
            async with client.responses.stream(model=model, input="Hi") as stream:
                final = await stream.get_final_response()
            assert final.output_text
            async with client.chat.completions.stream(
                model=model, messages=[{"role": "user", "content": "Hi"}]
            ) as chat:
                assert (await chat.get_final_completion()).choices[0].message.content
        claude = anthropic.AsyncAnthropic(base_url=running.url, api_key="sk-test")
        hi: list[MessageParam] = [{"role": "user", "content": "Hi"}]
        asking = claude.messages.stream(model=model, max_tokens=64, messages=hi)
        async with claude, asking as messages:
            assert await messages.get_final_text()
