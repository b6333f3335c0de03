import asyncio
import gzip
import re
from typing import Any

import aiohttp
import pytest
from support import strict
from support.dialects import DIALECTS, address, encoded
from support.faulty import BREAKS, call
from support.waiting import until

from gatewayctl.simulator import Simulator
from gatewayctl.simulator.journal import Ending

CONTENT = {
    "chat_completions": re.compile(rb'"content":"[^"]'),
    "messages": re.compile(rb'"type":"text_delta"'),
    "responses": re.compile(rb'"type":"response.output_text.delta"'),
    "gemini": re.compile(rb'"parts":\[\{"text":"[^"]'),
}


def tokens(protocol: str, body: bytes) -> int:
    """Return how many events of a stream carry content."""
    return len(CONTENT[protocol].findall(body))


@pytest.mark.parametrize("fault", ["reset", "close", "cut-head"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_break_before_the_end_of_the_headers(
    simulator: Simulator, protocol: str, stream: bool, fault: str
) -> None:
    """The connection breaks before the caller has a status to go by."""
    told = await call(simulator, protocol, fault, stream=stream)
    assert (told.status, told.body, told.clean) == (None, b"", False)
    assert simulator.journal.calls()[0].ending is Ending.BROKEN


async def test_half_a_head_is_on_the_wire(simulator: Simulator) -> None:
    """``cut-head`` sends a status line and part of a header, ``close`` nothing at all."""
    for fault, expected in (("cut-head", b"HTTP/1.1 200 OK\r\ncontent-ty"), ("close", b"")):
        reader, writer = await asyncio.open_connection(simulator.host, simulator.port)
        body = encoded("messages", f"small!{fault}", "hello")
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        assert await reader.read() == expected
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_reset_before_the_content(simulator: Simulator, protocol: str) -> None:
    """Headers and lifecycle events come, then a reset; no text does."""
    told = await call(simulator, protocol, "reset-before-content")
    assert not told.clean
    assert tokens(protocol, told.body) == 0
    before = simulator.journal.calls()[0].frames
    assert before > 0 or protocol == "gemini"  # whose first frame has content


@pytest.mark.parametrize("fault", ["cut=300", "cut-reset=300"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_cut_ends_the_body_at_the_byte(
    simulator: Simulator, protocol: str, fault: str, stream: bool
) -> None:
    """So many bytes come, never more, and the body has no proper end."""
    told = await call(simulator, protocol, fault, stream=stream)
    assert not told.clean
    # A reset may overtake what was sent before it.
    assert len(told.body) == 300 if fault.startswith("cut=") else len(told.body) <= 300


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_cut_between_events(simulator: Simulator, protocol: str) -> None:
    """So many whole events come before the connection closes."""
    told = await call(simulator, protocol, "cut-events=4")
    assert not told.clean
    assert told.body.count(b"\n\n") == 4


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_cut_between_tokens(simulator: Simulator, protocol: str, count: int) -> None:
    """So many events with content come, of however many there are, and the stream has no end."""
    told = await call(simulator, protocol, f"cut-tokens={count}")
    assert not told.clean
    assert tokens(protocol, told.body) == count
    whole = await call(simulator, protocol, "tag=1")
    assert tokens(protocol, whole.body) > count
    assert whole.lasting.startswith(told.lasting)


@pytest.mark.parametrize("fault", ["cut-tokens=3", "reset-tokens=3"])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_whole_reply_is_cut_in_half(
    simulator: Simulator, protocol: str, fault: str
) -> None:
    """Where there are no events, half of the body's bytes come, and no proper end."""
    told = await call(simulator, protocol, fault, stream=False)
    whole = await call(simulator, protocol, "tag=1", stream=False)
    assert not told.clean
    assert len(told.body) <= len(whole.body) // 2


@pytest.mark.parametrize("fault", ["silence", "headers-then-nothing", "stall=3", "stall-tokens=1"])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_silence_lasts_until_the_caller_leaves(
    simulator: Simulator, http: aiohttp.ClientSession, protocol: str, fault: str
) -> None:
    """Before the headers, after them or inside the stream: nothing more comes, and none stays."""
    seen: list[Any] = []

    async def listen() -> None:
        body = encoded(protocol, "small", "hello", stream=True)
        headers = {"x-sim-fault": fault}
        path = address(protocol, "small", stream=True)
        async with http.post(path, data=body, headers=headers) as response:
            seen.append(response.status)
            async for line in response.content:
                seen.append(line)  # noqa: PERF401 - what came so far must survive the cancelling

    listening = asyncio.ensure_future(listen())
    before = {"chat_completions": 1, "messages": 3, "responses": 4, "gemini": 0}[protocol]
    expected = {"silence": 0, "headers-then-nothing": 0, "stall=3": 3}.get(fault, before + 1)
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
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_slowness_changes_nothing_else(
    simulator: Simulator, protocol: str, fault: str
) -> None:
    """A slow first token and slow events still make a whole, valid stream."""
    told = await call(simulator, protocol, fault)
    assert told.clean
    assert strict.events(protocol, told.body)


@pytest.mark.parametrize("stream", [False, True])
async def test_slowness_takes_the_time_it_was_given(simulator: Simulator, stream: bool) -> None:
    """The first content comes no sooner than the argument says."""
    await call(simulator, "messages", "slow=0.2", stream=stream)
    journalled = simulator.journal.calls()[0]
    assert journalled.ended is not None
    assert journalled.ended - journalled.at >= 0.19


@pytest.mark.parametrize("fault", ["malformed=2", "malformed-tokens=1"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_malformed_json(
    simulator: Simulator, protocol: str, stream: bool, fault: str
) -> None:
    """One event's JSON does not end, or that of the whole reply; all around it is as it was."""
    told = await call(simulator, protocol, fault, stream=stream)
    assert told.clean
    parse = strict.events if stream else strict.reply
    with pytest.raises(ValueError, match=r"truncated|EOF|Invalid JSON"):
        parse(protocol, told.body)
    if fault == "malformed-tokens=1":
        whole = await call(simulator, protocol, "tag=1", stream=stream)
        assert len(whole.lasting) == len(told.lasting) + 1


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_no_terminal_frame(simulator: Simulator, protocol: str) -> None:
    """The body ends properly, the protocol's stream does not."""
    told = await call(simulator, protocol, "no-terminal")
    assert told.clean
    with pytest.raises(AssertionError):
        strict.events(protocol, told.body)


@pytest.mark.parametrize("fault", ["stream-error", "failed"])
@pytest.mark.parametrize("where", ["=3", "-tokens=0", "-tokens=4"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_an_error_inside_a_200(
    simulator: Simulator, protocol: str, stream: bool, where: str, fault: str
) -> None:
    """The status says all is well; the body, or its last event, says it is not."""
    told = await call(simulator, protocol, fault + where, stream=stream)
    assert (told.status, told.clean) == (200, True)
    assert b"overloaded" in told.body
    if not stream:
        assert told.content_type == "application/json"
        assert b'"error":{' in told.body
    elif where == "=3":
        assert told.body.count(b"\n\n") == 4
    else:
        assert tokens(protocol, told.body) == int(where.removeprefix("-tokens="))


async def test_responses_can_fail_in_two_ways(simulator: Simulator) -> None:
    """A bare ``error`` event, or ``response.failed`` with the response it began."""
    bare = await call(simulator, "responses", "stream-error=3")
    failed = await call(simulator, "responses", "failed=3")
    events = [
        strict.event("responses", told.body.split(b"\n\n")[index].split(b"data: ")[1])
        for told, index in ((bare, 3), (failed, 0), (failed, 3))
    ]
    assert [event.type for event in events] == ["error", "response.created", "response.failed"]
    assert events[1].response.id == events[2].response.id
    assert events[2].response.status == "failed"
    assert events[2].response.error.code == "server_error"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_wrong_content_type(simulator: Simulator, protocol: str, stream: bool) -> None:
    """A right body under a wrong label."""
    told = await call(simulator, protocol, "wrong-type", stream=stream)
    assert told.content_type == "text/html"
    assert (strict.events if stream else strict.reply)(protocol, told.body)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_bodies_that_are_no_reply(simulator: Simulator, protocol: str, stream: bool) -> None:
    """A 200 with a page, with nothing, or with what its encoding says it is not."""
    page = await call(simulator, protocol, "page", stream=stream)
    assert (page.status, page.content_type, page.clean) == (200, "text/html", True)
    assert page.body.startswith(b"<!doctype html>")
    empty = await call(simulator, protocol, "empty", stream=stream)
    kind = "text/event-stream" if stream else "application/json"
    assert (empty.status, empty.content_type, empty.body, empty.clean) == (200, kind, b"", True)
    packed = await call(simulator, protocol, "gzip-garbage", stream=stream)
    assert (packed.status, packed.content_type, packed.clean) == (200, kind, True)
    assert packed.headers["content-encoding"] == "gzip"
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(packed.body)


@pytest.mark.parametrize("stream", [False, True])
async def test_flaky_fails_every_other_call(http: aiohttp.ClientSession, stream: bool) -> None:
    """A 503, an answer, a reset before any content, an answer; and so on."""

    async def once() -> str:
        body = encoded("chat_completions", "flaky", "hello", stream=stream)
        try:
            async with http.post("/v1/chat/completions", data=body) as response:
                text = await response.text()
                return str(response.status) if "simulated" in text else f"{response.status} error"
        except BREAKS:
            return "reset"

    assert [await once() for _ in range(6)] == [
        "503 error", "200", "reset", "200", "503 error", "200",
    ]  # fmt: skip
