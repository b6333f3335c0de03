"""Requests for a count (``countTokens``): their bodies and replies. Their paths are in ``paths``.

Google counts ``contents`` alone, unless a whole request for an answer is given; so one is sent
whatever form came.
"""

from typing import Annotated

import msgspec

from gatewayctl.protocols import patch

_WHOLE = ("generateContentRequest", "generate_content_request")


class _Reply(msgspec.Struct):
    total: Annotated[int, msgspec.Meta(ge=1)] = msgspec.field(name="totalTokens")


_REPLY = msgspec.json.Decoder(_Reply)


def request(body: bytes, model: str) -> bytes:
    """Return the body that counts all of a request, for the upstream's name of the model.

    Raises ``RequestInvalid`` for a field given twice.
    """
    layout = patch.members(body)
    for name in _WHOLE:
        inner = patch.value(body, layout, name)
        if inner != b"null":
            body = inner
            break
    edits: dict[str, bytes | None] = dict.fromkeys(_WHOLE)
    named = patch.splice(body, edits | {"model": msgspec.json.encode(f"models/{model}")})
    return b'{"generateContentRequest":' + named + b"}"


def tokens(reply: bytes) -> int | None:
    """Return the count that a reply says, None where it says none."""
    try:
        return _REPLY.decode(reply).total
    except (msgspec.DecodeError, RecursionError):
        return None


def reply(count: int) -> dict[str, int]:
    """Return what a client is answered, ready for JSON."""
    return {"totalTokens": count}
