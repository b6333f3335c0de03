"""Reading an upstream's JSON: stream events and whole replies, or ``BadFrame``.

What the values mean belongs to each protocol's ``stream`` and ``response`` modules.
"""

import re
from typing import Final, TypeVar

import msgspec

from gatewayctl.protocols.sse import BadFrame

T = TypeVar("T")

_ESCAPES: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Escapes in JSON; the group is half of a surrogate pair whose other half is not beside it."""


def read(decoder: msgspec.json.Decoder[T], data: bytes, what: str) -> T:
    """Decode ``data``; raise ``BadFrame`` when it is not ``what`` (such as "a chunk").

    Half of a surrogate pair is read as U+FFFD: servers that cut a text anywhere send such halves,
    and the rest of the answer is none the worse for it.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        mended = _mended(data)
        if mended != data:
            return read(decoder, mended, what)
        raise BadFrame(f"the upstream sent something that is not {what}") from error


def _mended(data: bytes) -> bytes:
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], data)
