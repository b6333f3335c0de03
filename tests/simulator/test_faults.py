import asyncio
from typing import Any

import aiohttp
import pytest
from support import strict
from support.dialects import PATHS, PROTOCOLS, encoded
from support.waiting import until

from gatewayctl.simulator import Simulator
from gatewayctl.simulator.journal import Ending
from gatewayctl.simulator.problems import Refused

BREAKS = (aiohttp.ClientError, ConnectionError)


async def call(  # one call with a fault, and all that came back
    http: aiohttp.ClientSession, protocol: str, fault: str, *, stream: bool = True
) -> tuple[int, str, bytes, bool]:
    """Return status, content type, the body as far as it came, and whether it ended cleanly."""
    body = encoded(protocol, "small", "hello", stream=stream)
    received = b""
    async with http.post(PATHS[protocol], data=body, headers={"x-sim-fault": fault}) as response:
        try:
            async for piece in response.content.iter_any():
                received += piece
        except BREAKS:
            return response.status, response.content_type, received, False
        return response.status, response.content_type, received, True


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503, 529])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_error_statuses_come_in_the_dialect(
    http: aiohttp.ClientSession, protocol: str, status: int
) -> None:
    """Each status fault answers with an error object of the protocol."""
    got, kind, body, clean = await call(http, protocol, str(status))
    assert (got, kind, clean) == (status, "application/json", True)
    assert b'"error":{' in body
    assert body.startswith(b'{"type":"error"') is (protocol == "messages")


async def test_a_rate_limit_may_say_when_to_come_back(http: aiohttp.ClientSession) -> None:
    """The argument of a status fault becomes ``retry-after``; without one there is none."""
    body = encoded("messages", "small", "hello")
    for fault, header in (("429=7", "7"), ("429", None)):
        async with http.post("/v1/messages", data=body, headers={"x-sim-fault": fault}) as reply:
            assert (reply.status, reply.headers.get("retry-after")) == (429, header)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_reset_before_the_headers(http: aiohttp.ClientSession, protocol: str) -> None:
    """The connection is reset and not one byte comes back."""
    with pytest.raises(BREAKS):
        await call(http, protocol, "reset")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_reset_before_the_content(http: aiohttp.ClientSession, protocol: str) -> None:
    """Headers and lifecycle events come, then a reset; no text does."""
    status, _, body, clean = await call(http, protocol, "reset-before-content")
    assert (status, clean) == (200, False)
    assert b"This" not in body


@pytest.mark.parametrize("fault", ["cut=300", "cut-reset=300"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_cut_ends_the_body_at_the_byte(
    http: aiohttp.ClientSession, protocol: str, fault: str, stream: bool
) -> None:
    """So many bytes come, never more, and the body has no proper end."""
    _, _, body, clean = await call(http, protocol, fault, stream=stream)
    assert not clean
    # A reset may overtake what was sent before it.
    assert len(body) == 300 if fault.startswith("cut=") else len(body) <= 300


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_cut_between_events(http: aiohttp.ClientSession, protocol: str) -> None:
    """So many whole events come before the connection closes."""
    _, _, body, clean = await call(http, protocol, "cut-events=4")
    assert not clean
    assert body.count(b"\n\n") == 4


@pytest.mark.parametrize("fault", ["silence", "headers-then-nothing", "stall=3"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_silence_lasts_until_the_caller_leaves(
    simulator: Simulator, http: aiohttp.ClientSession, protocol: str, fault: str
) -> None:
    """Before the headers, after them or inside the stream: nothing more comes, and none stays."""
    seen: list[Any] = []

    async def listen() -> None:
        body = encoded(protocol, "small", "hello", stream=True)
        headers = {"x-sim-fault": fault}
        async with http.post(PATHS[protocol], data=body, headers=headers) as response:
            seen.append(response.status)
            async for line in response.content:
                seen.append(line)  # noqa: PERF401 - what came so far must survive the cancelling

    listening = asyncio.ensure_future(listen())
    expected = {"silence": 0, "headers-then-nothing": 0, "stall=3": 3}[fault]
    requests = simulator.journal.requests
    await until(lambda: bool(requests) and requests[0].frames == expected)
    done, _ = await asyncio.wait([listening], timeout=0.05)
    assert not done
    listening.cancel()
    await asyncio.wait([listening])
    assert seen.count(b"\n") == expected
    assert bool(seen) is (fault != "silence")
    await until(lambda: requests[0].ending is not Ending.RUNNING)
    assert requests[0].ending is Ending.ABANDONED


@pytest.mark.parametrize("fault", ["slow=0.01", "pace=0.001"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_slowness_changes_nothing_else(
    http: aiohttp.ClientSession, protocol: str, fault: str
) -> None:
    """A slow first token and slow events still make a whole, valid stream."""
    _, _, body, clean = await call(http, protocol, fault)
    assert clean
    assert strict.events(protocol, body)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_malformed_frame(http: aiohttp.ClientSession, protocol: str) -> None:
    """One event's JSON does not end; the stream around it is whole."""
    _, _, broken, clean = await call(http, protocol, "malformed=2")
    assert clean
    with pytest.raises(ValueError, match="truncated"):
        strict.events(protocol, broken)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_no_terminal_frame(http: aiohttp.ClientSession, protocol: str) -> None:
    """The body ends properly, the protocol's stream does not."""
    _, _, body, clean = await call(http, protocol, "no-terminal")
    assert clean
    with pytest.raises(AssertionError):
        strict.events(protocol, body)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_error_inside_a_200(
    http: aiohttp.ClientSession, protocol: str, stream: bool
) -> None:
    """The status says all is well; the body, or its last event, says it is not."""
    status, _, body, clean = await call(http, protocol, "stream-error=3", stream=stream)
    assert (status, clean) == (200, True)
    assert b"overloaded" in body
    assert body.count(b"\n\n") == (4 if stream else 0)


async def test_a_wrong_content_type(http: aiohttp.ClientSession) -> None:
    """A right body under a wrong label."""
    _, kind, body, _ = await call(http, "responses", "wrong-type")
    assert kind == "text/html"
    assert strict.events("responses", body)


async def test_long_answers_on_demand(http: aiohttp.ClientSession) -> None:
    """``words`` is no fault: it asks for an answer of that many tokens."""
    body = encoded("messages", "large", "hi", max_tokens=20_000)
    headers = {"x-sim-fault": "words=5000"}
    async with http.post("/v1/messages", data=body, headers=headers) as response:
        message = strict.reply("messages", await response.read())
    assert message.usage.output_tokens == 5000


async def test_faults_by_model_name_and_by_script(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """A suffix of the model faults that model; a script faults the next calls in turn."""

    async def status(model: str) -> int:
        body = encoded("responses", model, "hello")
        async with http.post("/v1/responses", data=body) as response:
            if response.status == 200:
                assert strict.reply("responses", await response.read()).model == "small"
            return response.status

    assert await status("small!503") == 503
    assert await status("small") == 200
    simulator.script(["500", "", "429=1"])
    assert [await status("small") for _ in range(4)] == [500, 200, 429, 200]


async def test_unknown_faults_are_refused(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """A misspelt fault is an error, not silence about it."""
    with pytest.raises(Refused, match="'cutt'"):
        simulator.script(["cutt=1"])
    status, _, body, _ = await call(http, "messages", "cut=few")
    assert status == 400
    assert b"not a number" in body


@pytest.mark.parametrize("stream", [False, True])
async def test_flaky_fails_every_other_call(http: aiohttp.ClientSession, stream: bool) -> None:
    """A 500, an answer, a reset before any content, an answer; and so on."""

    async def once() -> str:
        body = encoded("chat_completions", "flaky", "hello", stream=stream)
        try:
            async with http.post("/v1/chat/completions", data=body) as response:
                text = await response.text()
                return str(response.status) if "simulated" in text else f"{response.status} error"
        except BREAKS:
            return "reset"

    assert [await once() for _ in range(6)] == [
        "500 error", "200", "reset", "200", "500 error", "200",
    ]  # fmt: skip
