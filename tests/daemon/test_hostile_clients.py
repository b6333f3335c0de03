"""Clients that are hostile, broken or web pages: refused in JSON, none of their bytes logged."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from support.dialects import encoded
from support.gateway import Gateway, demo, gateway

from gatewayctl.daemon.connection import Server
from gatewayctl.daemon.logs import TextFormatter
from gatewayctl.simulator.server import Simulator

Demo = tuple[Gateway, Simulator]
HELLO = encoded("chat_completions", "demo/small", "Hi")


@pytest.fixture
async def running() -> AsyncIterator[Demo]:
    """Run the demo for one test."""
    async with demo('[server]\nbody_limit = "8K"') as both:
        yield both


async def say(gateway: Gateway, said: bytes) -> bytes:
    """Send bytes on a connection of their own; return all that comes until it is closed."""
    where = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(said)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def post(*headers: str, target: str = "/v1/chat/completions", body: bytes = HELLO) -> bytes:
    """Return a whole request with these headers."""
    lines = [f"POST {target} HTTP/1.1", "connection: close", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


@pytest.mark.parametrize(
    "said",
    [
        b"POST / HTTP/1.1\r\nhost: localhost\r\nx-api-key: TOP-SECRET\x01\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\nx-api-key: TOP-SECRET" + b"x" * 70_000,
        b"POST / HTTP/1.1\r\nhost: localhost\r\nTOP SECRET: TOP-SECRET\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\nTOP-SECRET",
        b"POST /" + b"TOP-SECRET" * 1000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\nhost: TOP-SECRET\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"TOP-SECRET\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_in_json_and_never_quoted(
    running: Demo, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A credential or a prompt in a malformed request reaches neither the log nor the answer."""
    caplog.set_level(logging.DEBUG)
    head, _, body = (await say(running[0], said)).partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n")[0]
    assert json.loads(body)["error"]["gatewayctl"]["kind"] == "malformed"
    assert "TOP" not in caplog.text + body.decode()
    assert "Traceback" not in caplog.text


async def test_a_client_that_never_sends_a_request_is_given_up_on() -> None:
    """The limit on silence between requests holds before the first one too."""
    server = Server(lambda _: pytest.fail("no request came"), keepalive_timeout=0.05)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nhost: loc")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    listening.close()
    await server.shutdown()


async def test_a_request_that_outlasts_the_drain_is_cut_off_without_a_reply() -> None:
    """It is waited for once, then cancelled; a reply would blame an upstream that did nothing."""
    began = asyncio.Event()
    cancelled = asyncio.Event()

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    server = Server(handler, handler_cancellation=True)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post("host: localhost"))
    await began.wait()
    listening.close()
    async with asyncio.timeout(5):
        await server.shutdown(0.01)
    assert cancelled.is_set()
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1:8790"]
)
async def test_no_web_page_can_spend_the_keys(running: Demo, origin: str) -> None:
    """A page may POST text/plain anywhere without asking; its Origin gives it away."""
    gateway, simulator = running
    page = post("host: 127.0.0.1", f"origin: {origin}", "content-type: text/plain")
    assert b" 403 " in (await say(gateway, page)).split(b"\r\n")[0]
    assert simulator.journal.connections == 0


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/v1/chat/completions", "127.0.0.1", b"403"),
        ("http://127.0.0.1/v1/chat/completions", "127.0.0.1", b"200"),
        ("/v1/chat/completions", "LOCALHOST:8790", b"200"),
        ("/v1/chat/completions", "[::1]:8790", b"200"),
        ("/v1/chat/completions", "127.0.0.1@evil.example", b"403"),
        ("/v1/chat/completions", "[::1]evil.example", b"403"),
        ("/v1/chat/completions", "localhost.evil.example", b"403"),
    ],
)
async def test_only_names_of_this_machine_are_served(
    running: Demo, target: str, host: str, status: bytes
) -> None:
    """Whether a request names its host in Host or in its target."""
    answer = await say(running[0], post(f"host: {host}", target=target))
    assert answer.split(b" ")[1] == status


async def test_a_body_that_announces_too_much_is_refused_unread(running: Demo) -> None:
    """Nothing of it is waited for, and no 100 Continue asks for it."""
    head = post("host: localhost", "expect: 100-continue", body=b"")
    announced = head.replace(b"content-length: 0", b"content-length: 99999999")
    where = urlsplit(running[0].url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(announced)
    line = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert line.split()[1] == b"413"


async def test_a_models_name_has_a_limit(running: Demo) -> None:
    """A megabyte is no name: it would be searched for its like, and stand in the answer twice."""
    gateway, _ = running
    for protocol, path in (("messages", "messages"), ("responses", "responses")):
        body = encoded(protocol, "x" * 1025, "Hi")
        async with gateway.client.post(f"{gateway.url}/v1/{path}", data=body) as answer:
            told = await answer.text()
            assert answer.status == 400
            assert "$.model" in told
            assert len(told) < 500


async def test_a_mistake_that_only_translation_finds_is_told_with_its_place() -> None:
    """As any other of the client's: 400, the path in ``param``, and nothing is sent."""
    config = """[providers.up]
    kind = "openai-compatible"
    base_url = "http://127.0.0.1:9/v1"
    protocols = ["chat_completions"]
    """
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": 5}
    async with gateway(config) as running:
        url, body = f"{running.url}/v1/responses", {"model": "up/m", "input": [call]}
        async with running.client.post(url, json=body) as answer:
            told = await answer.json()
            assert (answer.status, told["error"]["param"]) == (400, "$.input[0].arguments")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/v1/models"])
async def test_head_is_answered_wherever_get_is(running: Demo, path: str) -> None:
    """Monitors ask with HEAD."""
    gateway, _ = running
    async with gateway.client.head(gateway.url + path) as answer:
        assert answer.status == 200
        assert await answer.read() == b""


def test_a_line_break_in_a_name_forges_no_line_of_the_log() -> None:
    """Control characters are escaped where a record becomes a line."""
    record = logging.LogRecord(
        "x", logging.INFO, "", 0, "asked for %s", ("a\nFORGED\x1b[2J",), None
    )
    assert TextFormatter("%(message)s").format(record) == r"asked for a\x0aFORGED\x1b[2J"
