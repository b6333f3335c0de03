"""Requests for a count (``countTokens``): the paths they come by, their bodies and replies.

Google counts ``contents`` alone, unless a whole request for an answer is given; so one is sent
whatever form came.
"""

import re
from typing import Annotated

import msgspec

from gatewayctl.protocols import patch

_PATH = re.compile(r"^(?:/v1(?:alpha|beta\d*)?)*/models/(?P<model>.+):countTokens/?$")
_OURS = re.compile(
    r"^(?:/v1)*(?:/v1(?:alpha|beta\d*)/|/models/.+:"
    r"(?:countTokens|generateContent|streamGenerateContent|embedContent|batchEmbedContents)/?$)"
)
_WHOLE = ("generateContentRequest", "generate_content_request")


class _Reply(msgspec.Struct):
    total: Annotated[int, msgspec.Meta(ge=1)] = msgspec.field(name="totalTokens")


_REPLY = msgspec.json.Decoder(_Reply)


def is_gemini(path: str) -> bool:
    """Tell whether a path, without escapes, is one that only Gemini's clients ask for.

    ``/v1/models/…`` alone is others' too, whose ids may have a colon.
    """
    return _OURS.match(path) is not None


def model_in(path: str) -> str | None:
    """Return the model that a path asks to count for, None where it asks for something else.

    ``path`` is without escapes; a name may have slashes and colons.
    """
    found = _PATH.match(path)
    return None if found is None else found["model"].removeprefix("models/")


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
