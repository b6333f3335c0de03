"""What the dialects' errors have in common: statuses, headers, the ``gatewayctl`` object.

OpenAI's error object is here too, since two protocols share it. Where an error stands in a body
or a stream, and what a dialect calls it, belongs to each protocol's ``errors`` module.
"""

import math
from typing import assert_never

from gatewayctl.core.errors import ApiError, ErrorKind


def http_status(kind: ErrorKind) -> int:  # noqa: C901, PLR0911 - one exhaustive table
    """Return the HTTP status of an error where the dialect has no other wish."""
    match kind:
        case ErrorKind.MALFORMED | ErrorKind.UNSUPPORTED:
            return 400
        case ErrorKind.UNAUTHORIZED:
            return 401
        case ErrorKind.FORBIDDEN:
            return 403
        case ErrorKind.UNKNOWN_MODEL | ErrorKind.NOT_FOUND:
            return 404
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405
        case ErrorKind.TOO_LARGE | ErrorKind.BODY_TOO_LARGE:
            return 413
        case ErrorKind.RATE_LIMITED:
            return 429
        case ErrorKind.INTERNAL:
            return 500
        case ErrorKind.UPSTREAM_AUTH | ErrorKind.UPSTREAM_FAILED:
            return 502
        case ErrorKind.UNAVAILABLE:
            return 503
        case ErrorKind.UPSTREAM_TIMEOUT:
            return 504
    assert_never(kind)


def headers(error: ApiError) -> tuple[tuple[str, str], ...]:
    """Return ``retry-after`` in whole seconds where known, and "do not" where a retry is vain."""
    found = []
    if error.retry_after is not None:
        found.append(("retry-after", str(max(0, math.ceil(error.retry_after)))))
    if not error.should_retry:
        found.append(("x-should-retry", "false"))
    return tuple(found)


def details(error: ApiError) -> dict[str, object]:
    """Return the ``gatewayctl`` object: the error's kind, then everything it came with."""
    return {"kind": error.kind.value, **error.details}


def openai_type(kind: ErrorKind) -> str:
    """Return what OpenAI's dialects call the class of an error."""
    status = http_status(kind)
    if status == 429:  # noqa: PLR2004 - an HTTP status
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004


def openai_code(error: ApiError) -> str | None:
    """Return the machine-readable code of an error in OpenAI's dialects."""
    match error.kind:
        case ErrorKind.TOO_LARGE:
            return "context_length_exceeded"
        case ErrorKind.UNKNOWN_MODEL:
            return "model_not_found"
        case ErrorKind.UNAUTHORIZED:
            return "invalid_api_key"
        case ErrorKind.RATE_LIMITED:
            return "insufficient_quota" if error.exhausted else "rate_limit_exceeded"
        case ErrorKind.MALFORMED:
            return None
        case (
            ErrorKind.UNSUPPORTED
            | ErrorKind.BODY_TOO_LARGE
            | ErrorKind.FORBIDDEN
            | ErrorKind.NOT_FOUND
            | ErrorKind.METHOD_NOT_ALLOWED
            | ErrorKind.UNAVAILABLE
            | ErrorKind.UPSTREAM_AUTH
            | ErrorKind.UPSTREAM_FAILED
            | ErrorKind.UPSTREAM_TIMEOUT
            | ErrorKind.INTERNAL
        ):
            return error.kind.value
    assert_never(error.kind)


def openai_object(error: ApiError, *, size_param: str) -> dict[str, object]:
    """Return OpenAI's error object; ``size_param`` is the field that a refusal by size names."""
    param = size_param if error.kind is ErrorKind.TOO_LARGE else error.param
    return {
        "message": error.message,
        "type": openai_type(error.kind),
        "param": param,
        "code": openai_code(error),
        "gatewayctl": details(error),
    }
