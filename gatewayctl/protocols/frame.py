"""Reading an upstream's JSON: stream events and whole replies, or ``BadFrame``.

What the values mean belongs to each protocol's ``stream`` and ``response`` modules.
"""

from typing import TypeVar

import msgspec

from gatewayctl.protocols.sse import BadFrame

T = TypeVar("T")


def read(decoder: msgspec.json.Decoder[T], data: bytes, what: str) -> T:
    """Decode ``data``; raise ``BadFrame`` when it is not ``what`` (such as "a chunk")."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"the upstream sent something that is not {what}") from error
