"""Errors as Messages clients know them: Anthropic's error object, alone or as an event."""

from typing import assert_never

import msgspec

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.protocols import errors, sse
from gatewayctl.protocols.codec import WireError

_OVERLOADED = 529


def whole(error: ApiError, too_large_status: int | None) -> WireError:
    """Render an error reply. Claude Code waits on 529 and compacts on 413 with its own text."""
    status = errors.http_status(error.kind)
    if error.kind is ErrorKind.UNAVAILABLE:
        status = _OVERLOADED
    elif error.kind is ErrorKind.TOO_LARGE and too_large_status is not None:
        status = too_large_status
    return WireError(status=status, body=_body(error), headers=errors.headers(error))


def frame(error: ApiError) -> bytes:
    """Render an error after the headers."""
    return sse.write("error", _body(error))


def _body(error: ApiError) -> bytes:
    message = _message(error)
    details = errors.details(error)
    if message != error.message:
        details["message"] = error.message
    inner = {"type": _type(error.kind), "message": message, "gatewayctl": details}
    request_id = error.details.get("request_id")
    return msgspec.json.encode({"type": "error", "error": inner, "request_id": request_id})


def _message(error: ApiError) -> str:
    """Return the message; agents recognise a refusal by size from these words and no others."""
    if error.kind is not ErrorKind.TOO_LARGE or error.tokens is None or error.limit is None:
        return error.message
    return f"prompt is too long: {error.tokens} tokens > {error.limit} maximum"


def _type(kind: ErrorKind) -> str:  # noqa: C901, PLR0911 - one exhaustive table
    match kind:
        case ErrorKind.TOO_LARGE | ErrorKind.MALFORMED | ErrorKind.UNSUPPORTED:
            return "invalid_request_error"
        case ErrorKind.METHOD_NOT_ALLOWED:
            return "invalid_request_error"
        case ErrorKind.BODY_TOO_LARGE:
            return "request_too_large"
        case ErrorKind.UNAUTHORIZED:
            return "authentication_error"
        case ErrorKind.FORBIDDEN:
            return "permission_error"
        case ErrorKind.UNKNOWN_MODEL | ErrorKind.NOT_FOUND:
            return "not_found_error"
        case ErrorKind.RATE_LIMITED:
            return "rate_limit_error"
        case ErrorKind.UNAVAILABLE:
            return "overloaded_error"
        case ErrorKind.UPSTREAM_TIMEOUT:
            return "timeout_error"
        case ErrorKind.UPSTREAM_AUTH | ErrorKind.UPSTREAM_FAILED | ErrorKind.INTERNAL:
            return "api_error"
    assert_never(kind)
