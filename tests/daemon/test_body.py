"""Request bodies: every content coding, bounded before it is made large."""

import asyncio
import gzip
import json
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import brotli
import pytest
import zstandard
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from support.dialects import encoded
from support.gateway import demo

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.daemon import body

TEXT = json.dumps({"text": "Hello, wörld! " * 5000}).encode()


def raw_deflate(data: bytes) -> bytes:
    """Return deflate without the zlib wrapper, as some clients send it."""
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(data) + made.flush()


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


async def read(data: bytes, encoding: str, limit: int = 10**6) -> bytes:
    """Read a body as the daemon does."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    reader.feed_data(data)
    reader.feed_eof()
    return await body.read(reader, encoding, limit)


class _Threads(ThreadPoolExecutor):
    """Counts what is handed to it."""

    handed = 0

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Count, and do as asked."""
        self.handed += 1
        return super().submit(*args, **kwargs)


async def test_a_body_of_megabytes_is_put_together_off_the_loop() -> None:
    """Copying 60 MB holds up everybody for 20 ms and more; a small body is worth no thread."""
    with _Threads(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        assert await _in_pieces(TEXT) == TEXT
        assert threads.handed == 0
        large = TEXT * (8 * 1024 * 1024 // len(TEXT))
        assert await _in_pieces(large) == large
        assert threads.handed == 1


async def _in_pieces(data: bytes) -> bytes:
    """Read a body that comes in several pieces."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    reader = StreamReader(protocol, len(data), loop=loop)
    reading = asyncio.ensure_future(body.read(reader, "", 10**8))
    for start in range(0, len(data), 2**18):
        reader.feed_data(data[start : start + 2**18])
        await asyncio.sleep(0)
    reader.feed_eof()
    return await reading


@pytest.mark.parametrize("coding", CODINGS)
async def test_every_coding_is_undone(coding: str) -> None:
    """Whatever a client compresses with, the body is the same."""
    assert await read(CODINGS[coding](TEXT), coding) == TEXT
    assert await read(CODINGS[coding](TEXT), coding.upper()) == TEXT


async def test_raw_deflate_and_several_gzip_members_are_understood() -> None:
    """Both are seen in the wild."""
    assert await read(raw_deflate(TEXT), "deflate") == TEXT
    assert await read(gzip.compress(TEXT) + gzip.compress(TEXT), "gzip") == TEXT * 2


async def test_stacked_codings_are_undone_last_first() -> None:
    """Content-Encoding names them in the order in which they were applied."""
    assert await read(brotli.compress(gzip.compress(TEXT)), "gzip, br") == TEXT
    assert await read(TEXT, "identity") == TEXT
    with pytest.raises(RequestInvalid, match="more than 3"):
        await read(TEXT, "gzip, gzip, gzip, gzip")


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_bomb_is_refused_before_it_goes_off(coding: str) -> None:
    """A few kilobytes that would become 64 MB stop at the limit."""
    bomb = CODINGS[coding](b"\0" * 64 * 1024 * 1024)
    assert len(bomb) < 100_000
    with pytest.raises(body.BodyTooLarge, match="when decompressed"):
        await read(bomb, coding)


@pytest.mark.parametrize("coding", CODINGS)
async def test_garbage_is_the_clients_mistake(coding: str) -> None:
    """What is not of the coding is named as such."""
    with pytest.raises(RequestInvalid, match=f"not valid {coding}"):
        await read(b"this is no compressed body at all", coding)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd"])
async def test_a_body_that_ends_too_early_is_the_clients_mistake(coding: str) -> None:
    """Half a body is not half an answer."""
    whole = CODINGS[coding](TEXT)
    with pytest.raises(RequestInvalid, match=f"not valid {coding}"):
        await read(whole[: len(whole) // 2], coding)


async def test_an_unknown_coding_is_named_with_those_that_are_known() -> None:
    """So that the caller knows what to send instead."""
    with pytest.raises(RequestInvalid, match=r'"lzma" is not one of br, deflate, gzip'):
        await read(TEXT, "lzma")


@pytest.mark.parametrize("coding", CODINGS)
async def test_compressed_requests_are_answered(coding: str) -> None:
    """Over HTTP, and what goes up is not compressed."""
    plain = encoded("chat_completions", "demo/small", "Hello")
    async with demo() as (it, simulator):
        async with it.client.post(
            f"{it.url}/v1/chat/completions",
            data=CODINGS[coding](plain),
            headers={"content-encoding": coding},
        ) as answer:
            assert answer.status == 200
        received = simulator.journal.requests[-1]
        assert received.body == plain.replace(b"demo/small", b"small")
        assert received.header("content-encoding") is None


async def test_a_body_over_the_limit_is_refused_with_413_in_the_callers_dialect() -> None:
    """Declared or compressed, the limit of the config holds."""
    async with demo('[server]\nbody_limit = "8K"') as (it, simulator):
        big = encoded("messages", "demo/small", "x" * 9000)
        for data, headers in (
            (big, {}),
            (gzip.compress(big), {"content-encoding": "gzip"}),
        ):
            url = f"{it.url}/v1/messages"
            async with it.client.post(url, data=data, headers=headers) as answer:
                assert answer.status == 413
                error = json.loads(await answer.read())["error"]
                assert error["type"] == "request_too_large"
        assert simulator.journal.connections == 0
