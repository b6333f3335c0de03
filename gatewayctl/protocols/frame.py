"""Reading an upstream's JSON: stream events and whole replies, or ``BadFrame``.

What the values mean belongs to each protocol's ``stream`` and ``response`` modules.
"""

from typing import Any, TypeVar

import msgspec

from gatewayctl.protocols.sse import BadFrame

T = TypeVar("T")


def read(decoder: msgspec.json.Decoder[T], data: bytes, what: str) -> T:
    """Decode ``data``; raise ``BadFrame`` when it is not ``what`` (such as "a chunk")."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"the upstream sent something that is not {what}") from error


def error_text(error: Any) -> tuple[str, str | None]:
    """Return the message of an upstream's error object, and its machine-readable code or type."""
    if not isinstance(error, dict):
        return str(error), None
    code = error.get("code") or error.get("type")
    message = error.get("message")
    return str(message or code or "unknown error"), None if code is None else str(code)
