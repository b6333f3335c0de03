"""Sizes of images, documents and sound, read from the start of their data.

Data is base64 or a ``data:`` URL, as requests carry it; only what is looked at is decoded, piece
by piece. What is broken, of an unknown form, or only pointed to has an unknown size: nothing here
refuses, that is the upstream's to do.
"""

import binascii
import re
from collections.abc import Callable
from typing import Any, Final

from gatewayctl.core.shape import Audio, Detail, Document, Image

_PIECE: Final = 128 * 1024  # bytes that are decoded at once
_SEARCHED: Final = 512 * 1024  # bytes at either end of a document that are searched
_SEGMENTS: Final = 256
_WIDEST: Final = 2**20
_PAGE = re.compile(rb"/Type\s{0,9}/Page(?![A-Za-z])")
_PAGES = re.compile(rb"/Count\s{1,9}(\d{1,6})(?!\d)")
_MOST_PAGES: Final = 100_000
_DETAILS: Final = {
    "low": Detail.LOW,
    "medium": Detail.MEDIUM,
    "high": Detail.HIGH,
    "original": Detail.ORIGINAL,
    "ultra_high": Detail.ORIGINAL,
}


class _Data:
    """Base64 that is decoded where it is looked at."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = text.index(",", 0, 1024) + 1 if text.startswith("data:") else 0
        self.size = (len(text) - self._start) * 3 // 4

    def read(self, start: int, count: int) -> bytes:
        """Return bytes of the data, fewer at its end; raise ``ValueError`` where it is broken."""
        skipped = start % 3
        first = self._start + start // 3 * 4
        last = first + -(-(skipped + count) // 3) * 4
        text = self._text[first:last].rstrip("=").translate(_URL_SAFE)
        decoded = binascii.a2b_base64(text + "=" * (-len(text) % 4))
        return decoded[skipped : skipped + count]


_URL_SAFE: Final = str.maketrans("-_", "+/")


def image(data: Any, detail: Any) -> Image:
    """Return the pixels of an image and the detail that is asked for."""
    word = str(detail).lower().removeprefix("media_resolution_") if detail else ""
    wanted = _DETAILS.get(word, Detail.AUTO)
    width, height = _of(data, _pixels) or (0, 0)
    if not (0 < width <= _WIDEST and 0 < height <= _WIDEST):
        width = height = 0
    return Image(width=width, height=height, detail=wanted)


def document(data: Any) -> Document:
    """Return a document's length in bytes, and its pages where they can be found."""
    found = _of(data, lambda held: (held.size, _page_count(held)))
    size, pages = found or (0, 0)
    return Document(size=size, pages=pages)


def audio(data: Any) -> Audio:
    """Return a clip's length in bytes, and in time where its head says it."""
    found = _of(data, lambda held: (held.size, _milliseconds(held)))
    size, milliseconds = found or (0, 0)
    return Audio(size=size, milliseconds=milliseconds)


def _of(data: Any, look: Callable[[_Data], tuple[int, int]]) -> tuple[int, int] | None:
    """Look at data that is at hand; None for what is elsewhere, or broken."""
    if not isinstance(data, str) or data.startswith(("http:", "https:", "gs:", "file:")):
        return None
    try:
        return look(_Data(data))
    except (ValueError, IndexError):
        return None


def _pixels(data: _Data) -> tuple[int, int]:
    head = data.read(0, 32)
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return _big(head[16:20]), _big(head[20:24])
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _little(head[6:8]), _little(head[8:10])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    if head[:2] == b"\xff\xd8":
        return _jpeg(data)
    return 0, 0


def _webp(head: bytes) -> tuple[int, int]:
    match head[12:16]:
        case b"VP8X":
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case b"VP8L" if head[20:21] == b"/":
            bits = _little(head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
        case _:
            return 0, 0


def _jpeg(data: _Data) -> tuple[int, int]:
    """Go from segment to segment, past whatever cameras put first, to the one with the size."""
    at = 2
    for _ in range(_SEGMENTS):
        segment = data.read(at, 9)
        if len(segment) < 9 or segment[0] != 0xFF:  # noqa: PLR2004 - a marker and a frame's head
            break
        marker = segment[1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
        elif marker in _FRAMES:
            return _big(segment[7:9]), _big(segment[5:7])
        else:
            at += 2 + _big(segment[2:4])
    return 0, 0


_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _page_count(data: _Data) -> int:
    """Return a PDF's pages: those that stand in plain, or what its page tree says; 0 unknown."""
    if not data.read(0, 5).startswith(b"%PDF-"):
        return 0
    ends = (
        range(0, min(data.size, _SEARCHED), _PIECE),
        range(max(_SEARCHED, data.size - _SEARCHED) // _PIECE * _PIECE, data.size, _PIECE),
    )
    plain = said = 0
    for start in (*ends[0], *ends[1]):
        piece = data.read(start, _PIECE + 64)
        plain += sum(match.start() < _PIECE for match in _PAGE.finditer(piece))
        said = max([said, *(int(match[1]) for match in _PAGES.finditer(piece))])
    if not said and data.size > 2 * _SEARCHED:
        return 0  # what stands between the ends is not looked at
    return min(max(plain, said), _MOST_PAGES)


def _milliseconds(data: _Data) -> int:
    """Return how long a WAV clip is: its bytes after the head by its bytes per second."""
    head = data.read(0, 44)
    if head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt ":
        return 0
    rate = _little(head[28:32])
    return max(1, (data.size - 44) * 1000 // rate) if rate else 0


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
