"""How a stream's end is told in the log: clients that leave, upstreams that fail in a stream.

Found with genuine agents, whose users press Ctrl-C.
"""

import asyncio
import json
import logging
import socket
import struct

import pytest
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import demo
from support.waiting import until

RESET = struct.pack("ii", 1, 0)


async def _leave_early(url: str, body: bytes, *, reset: bool) -> None:
    """Ask for a stream, read its beginning and be gone, with a FIN or with a RST."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + b"\r\n" + body)
    await reader.readuntil(b"data: ")
    if reset:
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    else:
        writer.close()


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_clients_that_leave_a_stream_leave_no_traceback(
    caplog: pytest.LogCaptureFixture, *, reset: bool
) -> None:
    """Whether a write or the loop notices it first, one plain line per request is logged."""
    caplog.set_level(logging.INFO)
    body = encoded("chat_completions", "demo/large!words=3000", "Hi", stream=True)
    async with demo() as (running, _):
        for _round in range(4):
            leaving = (_leave_early(running.url, body, reset=reset) for _ in range(8))
            await asyncio.gather(*leaving)

        def lines() -> list[str]:
            told = (record for record in caplog.records if record.name == "gatewayctl.requests")
            return [record.getMessage() for record in told]

        await until(lambda: len(lines()) == 32)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert any("was left by the client" in line for line in lines())


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_upstreams_own_error_in_a_stream_is_not_logged_as_an_answer(
    caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    """The event is forwarded as it came, and the log says that the reply broke off."""
    caplog.set_level(logging.INFO, "gatewayctl.requests")
    body = encoded(protocol, "demo/large!stream-error=9", "Hi there", stream=True)
    async with demo() as (running, _):
        async with running.client.post(running.url + PATHS[protocol], data=body) as reply:
            text = await reply.text()
        await until(lambda: bool(caplog.records))
    last = json.loads(text.rstrip().rpartition("data: ")[2])
    assert "The simulator is overloaded." in json.dumps(last)
    assert "broke off (" in caplog.records[-1].getMessage()
