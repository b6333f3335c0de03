"""Request bodies: read to a limit, and decompressed to the same limit.

A body may be gzip, deflate, br or zstd, or several of them stacked; what it becomes is bounded
before it is made, so a small body cannot become a large one. What a body says is the codecs'
business.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterator

import brotli
import zstandard
from aiohttp import StreamReader

from gatewayctl.core.errors import GatewayctlError, RequestInvalid

READ_TIMEOUT = 60.0
"""Seconds of silence after which a client that is still sending its body is given up on."""

MAX_CODINGS = 3
"""How many content codings may be stacked on one body."""

_PIECE = 256 * 1024
# Small chunks lie among everything else in the heap, which cannot shrink before all of it is free;
# blocks of this size are mapped by themselves, and given back as soon as they are.
_BLOCK = 1024 * 1024
_SIP = 256  # bytes of zstd, which become at most 8 MB
_INLINE = 64 * 1024  # compressed bytes from which the work is done off the loop
_INLINE_BECOMES = 1024 * 1024  # bytes that they may become on it
_JOINED_INLINE = 4 * 1024 * 1024  # bytes from which even putting the pieces together takes long


class BodyTooLarge(GatewayctlError):
    """The body is larger than ``body_limit``, before or after decompression."""


class BodyTimeout(GatewayctlError):
    """The client stopped sending its body."""


def check_length(announced: int | None, limit: int) -> None:
    """Raise ``BodyTooLarge`` before anything is read of a body that says it is too large."""
    if announced is not None and announced > limit:
        raise BodyTooLarge(f"the body is larger than {limit} bytes")


async def read(content: StreamReader, encoding: str, limit: int) -> bytes:
    """Return the decompressed body; raise ``BodyTooLarge`` or ``RequestInvalid``."""
    body = await _received(content, limit)
    codings = [it for part in encoding.split(",") if (it := part.strip().lower()) != "identity"]
    codings = [coding for coding in codings if coding]
    if len(codings) > MAX_CODINGS:
        raise RequestInvalid(f"more than {MAX_CODINGS} content codings on one body")
    for coding in reversed(codings):
        if coding not in _DECODERS:
            known = ", ".join(sorted(_DECODERS))
            raise RequestInvalid(f'content-encoding "{coding}" is not one of {known}')
        body = await _decompressed(body, coding, limit)
    return body


async def _received(content: StreamReader, limit: int) -> bytes:
    if content.is_eof():  # it came with the headers, as most do: there is nothing to wait for
        return _within(content.read_nowait(), limit)
    parts: list[bytes] = []
    small: list[bytes] = []
    size = joined = 0
    try:
        while True:
            async with asyncio.timeout(READ_TIMEOUT):
                chunk = await content.readany()
            if not chunk:
                break
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes")
            small.append(chunk)
            if size - joined >= _BLOCK:
                parts.append(b"".join(small))
                small.clear()
                joined = size
    except TimeoutError as error:
        raise BodyTimeout(f"no more of the body came for {READ_TIMEOUT:.0f} s") from error
    parts += small
    if size < _JOINED_INLINE:
        return b"".join(parts)
    return await asyncio.to_thread(b"".join, parts)  # which gives up Python's lock meanwhile


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise BodyTooLarge(f"the body is larger than {limit} bytes")
    return body


async def _decompressed(body: bytes, coding: str, limit: int) -> bytes:
    """Decompress off the loop what is large, or turns out to become so."""
    if len(body) < _INLINE:
        try:
            return _decoded(body, coding, min(limit, _INLINE_BECOMES))
        except BodyTooLarge:
            if limit <= _INLINE_BECOMES:
                raise
    return await asyncio.to_thread(_decoded, body, coding, limit)


def _decoded(body: bytes, coding: str, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        for piece in _DECODERS[coding](body):
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes when decompressed")
            parts.append(piece)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise RequestInvalid(f"the body is not valid {coding}: {error}") from error
    return b"".join(parts)


def _gzip(body: bytes) -> Iterator[bytes]:
    return _inflate(body, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> Iterator[bytes]:
    """Decode zlib-wrapped deflate as the standard says, or raw deflate as some clients send it."""
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0  # noqa: PLR2004 - RFC 1950, 2.2
    return _inflate(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _inflate(body: bytes, window: int) -> Iterator[bytes]:
    rest = body
    while rest:
        decoder = zlib.decompressobj(window)
        while not decoder.eof:
            piece = decoder.decompress(rest, _PIECE)
            rest = decoder.unconsumed_tail
            if not piece and not rest and not decoder.eof:
                raise EOFError("it ends too early")
            yield piece
        rest = decoder.unused_data


def _brotli(body: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    piece = decoder.process(body, output_buffer_limit=_PIECE)
    while True:
        yield piece
        if decoder.is_finished():
            return
        if decoder.can_accept_more_data() and not piece:
            raise EOFError("it ends too early")
        piece = decoder.process(b"", output_buffer_limit=_PIECE)


def _zstd(body: bytes) -> Iterator[bytes]:
    """Feed a few bytes at a time: one call's output is not bounded otherwise."""
    rest = body
    while rest:
        decoder = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
        for start in range(0, len(rest), _SIP):
            yield decoder.decompress(rest[start : start + _SIP])
            if decoder.eof:
                rest = decoder.unused_data + rest[start + _SIP :]
                break
        else:
            raise EOFError("it ends too early")


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
