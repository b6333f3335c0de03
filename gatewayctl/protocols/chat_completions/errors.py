"""Errors as Chat Completions clients know them: OpenAI's error object, alone or as an event."""

import msgspec

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.protocols import errors, sse
from gatewayctl.protocols.codec import WireError


def whole(error: ApiError, too_large_status: int | None) -> WireError:
    """Render an error reply. 413 with OpenAI's code for "too large" makes agents compact."""
    status = errors.http_status(error.kind)
    if error.kind is ErrorKind.TOO_LARGE and too_large_status is not None:
        status = too_large_status
    return WireError(status=status, body=_body(error), headers=errors.headers(error))


def frame(error: ApiError) -> bytes:
    """Render an error after the headers. No ``[DONE]`` follows: it would say "complete"."""
    return sse.write("", _body(error))


def _body(error: ApiError) -> bytes:
    return msgspec.json.encode({"error": errors.openai_object(error, size_param="messages")})
