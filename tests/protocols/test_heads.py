"""Sizes of images, documents and sound, read from the start of their data."""

import base64
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.shape import Audio, Detail, Document, Image
from gatewayctl.protocols import heads


def encoded(data: bytes) -> str:
    """Return data as a request carries it."""
    return base64.b64encode(data).decode()


def png(width: int, height: int) -> bytes:
    """Return the start of a PNG."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + chunk + struct.pack(">I", zlib.crc32(chunk))


def jpeg(width: int, height: int, *, frame: int = 0xC0, before: int = 0) -> bytes:
    """Return the start of a JPEG with that many segments of 60 KB (EXIF, colours) at first."""
    segment = b"\xff\xe1" + struct.pack(">H", 60_002) + b"\xff\xc0" * 30_000
    size = struct.pack(">BHHB", 8, height, width, 3)
    return b"\xff\xd8" + segment * before + b"\xff\xff" + bytes([frame]) + b"\x00\x11" + size


def webp(kind: bytes, body: bytes) -> bytes:
    """Return the start of a WebP."""
    return b"RIFF\x00\x00\x00\x00WEBP" + kind + b"\x00\x00\x00\x00" + body


SIZED = {
    "png": png(640, 480),
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480) + b"\x00" * 20,
    "jpeg": jpeg(640, 480),
    "progressive jpeg": jpeg(640, 480, frame=0xC2),
    "jpeg from a camera": jpeg(640, 480, before=3),
    "webp": webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480)),
    "lossless webp": webp(b"VP8L", b"/" + struct.pack("<I", 639 | 479 << 14)),
    "extended webp": webp(b"VP8X", b"\x00" * 4 + b"\x7f\x02\x00\xdf\x01\x00"),
}


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_pixels_are_read_from_the_head(name: str, prefix: str) -> None:
    """Of every form that providers take, with and without the URL's prefix."""
    found = heads.image(prefix + encoded(SIZED[name]), "high")
    assert found == Image(width=640, height=480, detail=Detail.HIGH)


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        "",
        "https://example.com/cat.png",
        "data:image/png;base64",
        "!!!",
        encoded(b"BM" + b"\x00" * 60),
        encoded(png(0, 480)),
        encoded(png(2**31, 480)),
        encoded(SIZED["jpeg from a camera"])[:1000],
        encoded(b"\xff\xd8" + b"\xff" * 5000),
    ],
)
def test_what_cannot_be_read_has_an_unknown_size(data: Any) -> None:
    """Broken, unknown, elsewhere or absurd: no error, and no size."""
    assert heads.image(data, None) == Image()


@given(st.one_of(st.text(), st.binary().map(encoded), st.none(), st.integers()))
def test_nothing_that_stands_for_data_raises(data: Any) -> None:
    """Data is the sender's choice."""
    heads.image(data, data)
    heads.document(data)
    heads.audio(data)


def test_pages_of_a_pdf_are_counted() -> None:
    """Those that stand in plain, or what the page tree says, wherever it stands."""
    page = b"1 0 obj << /Type /Page /Parent 9 0 R >> endobj\n"
    filler = b"x" * 300_000
    plain = b"%PDF-1.7\n" + (page + filler) * 3 + b"<< /Type /Pages /Count 3 >>"
    said = b"%PDF-1.7\n" + filler * 20 + b"<< /Type/Pages /Count 42 /Kids [] >>\n%%EOF"
    assert heads.document(encoded(plain)).pages == 3
    assert heads.document(encoded(said)).pages == 42
    packed = b"%PDF-1.7\n" + filler
    assert heads.document(encoded(packed)) == Document(size=len(packed))
    assert heads.document(encoded(plain.replace(b"/Count 3", b"") + filler)).pages == 0
    assert heads.document("https://example.com/a.pdf") == Document()


def test_the_length_of_a_clip_stands_in_its_head() -> None:
    """WAV says it; of what is compressed only the bytes are known."""
    data = b"\x00" * 64_000
    head = struct.pack(
        "<4sI8sIHHIIHH4sI",
        b"RIFF",
        0,
        b"WAVEfmt ",
        16,
        1,
        1,
        16000,
        32000,
        2,
        16,
        b"data",
        len(data),
    )
    assert heads.audio(encoded(head + data)).milliseconds in range(1999, 2002)
    assert heads.audio(encoded(b"ID3" + b"\x00" * 87)) == Audio(size=67 + 23)
