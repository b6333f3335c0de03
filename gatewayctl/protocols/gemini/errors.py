"""Errors as Gemini's clients know them: Google's status object."""

from typing import assert_never

import msgspec

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.protocols import errors, sse
from gatewayctl.protocols.codec import WireError

_RETRY = "type.googleapis.com/google.rpc.RetryInfo"
_VAIN = 86_400.0
"""Seconds told where no waiting helps: Gemini CLI stops at over 300, and asks again at none."""
_OWN = "type.gatewayctl/Error"


def whole(error: ApiError, too_large_status: int | None) -> WireError:
    """Render an error reply; a client waits as long as its ``RetryInfo`` says."""
    status = errors.http_status(error.kind)
    if error.kind is ErrorKind.TOO_LARGE:
        status = too_large_status or 400
    details: list[dict[str, object]] = [{"@type": _OWN, "gatewayctl": errors.details(error)}]
    delay = error.retry_after
    if delay is None and error.kind is ErrorKind.RATE_LIMITED and not error.should_retry:
        delay = _VAIN
    if delay is not None:
        details.append({"@type": _RETRY, "retryDelay": f"{max(0.0, delay):.3f}s"})
    body = {
        "code": status,
        "message": _message(error),
        "status": _status(error.kind),
        "details": details,
    }
    return WireError(
        status=status, body=msgspec.json.encode({"error": body}), headers=errors.headers(error)
    )


def frame(error: ApiError) -> bytes:
    """Render an error after the headers: the same object, in a frame of the stream."""
    return sse.write("", whole(error, None).body)


def _message(error: ApiError) -> str:
    """Return the message; a refusal by size has Google's own words."""
    if error.kind is not ErrorKind.TOO_LARGE or error.tokens is None or error.limit is None:
        return error.message
    return (
        f"The input token count ({error.tokens}) exceeds the maximum number of tokens allowed "
        f"({error.limit})."
    )


def _status(kind: ErrorKind) -> str:  # noqa: C901, PLR0911 - one exhaustive table
    match kind:
        case ErrorKind.TOO_LARGE | ErrorKind.MALFORMED | ErrorKind.UNSUPPORTED:
            return "INVALID_ARGUMENT"
        case ErrorKind.BODY_TOO_LARGE:
            return "INVALID_ARGUMENT"
        case ErrorKind.METHOD_NOT_ALLOWED:
            return "UNIMPLEMENTED"
        case ErrorKind.UNAUTHORIZED:
            return "UNAUTHENTICATED"
        case ErrorKind.FORBIDDEN:
            return "PERMISSION_DENIED"
        case ErrorKind.UNKNOWN_MODEL | ErrorKind.NOT_FOUND:
            return "NOT_FOUND"
        case ErrorKind.RATE_LIMITED:
            return "RESOURCE_EXHAUSTED"
        case ErrorKind.UNAVAILABLE:
            return "UNAVAILABLE"
        case ErrorKind.UPSTREAM_TIMEOUT:
            return "DEADLINE_EXCEEDED"
        case ErrorKind.UPSTREAM_AUTH | ErrorKind.UPSTREAM_FAILED | ErrorKind.INTERNAL:
            return "INTERNAL"
    assert_never(kind)
