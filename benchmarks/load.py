"""A load of keep-alive connections on raw asyncio: how many requests a second, and how long each.

Knows just enough of HTTP to find the end of a reply with a content-length.
"""

import asyncio
import json
import statistics
import time
from typing import NamedTuple


class Load(NamedTuple):
    """What came of a load: requests per second, median seconds of one request."""

    rate: float
    median: float


def request(model: str, size: int) -> bytes:
    """Return a chat request with its head, whose body has about ``size`` bytes."""
    data = body(model, size)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def body(model: str, size: int) -> bytes:
    """Return a chat request's body of about ``size`` bytes."""
    turns = [{"role": "user", "content": "word " * (size // 5)}]
    return json.dumps({"model": model, "max_tokens": 100, "messages": turns}).encode()


async def run(port: int, payload: bytes, *, connections: int, seconds: float) -> Load:
    """Send the payload over and over on each connection for some seconds."""
    times: list[float] = []
    started = time.perf_counter()
    until = started + seconds

    async def converse() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (before := time.perf_counter()) < until:
            writer.write(payload)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head[:16]:
                raise RuntimeError(head.decode())
            mark = head.lower().index(b"content-length:")
            await reader.readexactly(int(head[mark + 15 : head.index(b"\r\n", mark)]))
            times.append(time.perf_counter() - before)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(converse() for _ in range(connections)))
    spent = time.perf_counter() - started
    return Load(rate=len(times) / spent, median=statistics.median(times))
