"""What the simulator refuses, and how three vendors say so. Faults on demand are ``faults``."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

_SERVER_ERRORS: Final = 500
_RATE_LIMITED: Final = 429
_UNAVAILABLE: Final = 503
_OVERLOADED: Final = 529
"""Anthropic's alone; others say 503."""

_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


_GOOGLE_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}
_GOOGLE_TYPES: Final = "type.googleapis.com/google.rpc."


class Vendor(StrEnum):
    """Whose dialect a protocol's errors are in."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "gemini"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal before it is put in a dialect. ``code`` and ``param`` are OpenAI's fields.

    ``kind`` is OpenAI's ``type`` where it is not the usual one of the status; ``body`` is the
    whole body where it is in nobody's dialect but the server's own. ``retry_after`` is in seconds,
    as text, empty for none; ``details`` are Google's, by their type.
    """

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    kind: str | None = None
    retry_after: str = ""
    details: Mapping[str, Mapping[str, Any]] = {}
    body: bytes | None = None


class Refused(Exception):
    """Raised while a request is read or weighed; ``problem`` is what the caller is told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def invalid(message: str, param: str | None = None) -> Refused:
    """Return a refusal of a malformed request, to be raised."""
    return Refused(Problem(status=400, message=message, param=param))


def openai_body(problem: Problem) -> bytes:
    """Return an error reply's body as OpenAI's protocols have it."""
    if problem.kind is not None:
        kind = problem.kind
    elif problem.status == _RATE_LIMITED:
        kind = "requests"
    elif problem.status >= _SERVER_ERRORS:
        kind = "server_error"
    else:
        kind = "invalid_request_error"
    error = {
        "message": problem.message,
        "type": kind,
        "param": problem.param,
        "code": problem.code,
    }
    return msgspec.json.encode({"error": error})


def anthropic_body(problem: Problem) -> bytes:
    """Return an error reply's body, or an ``error`` event's data, as the Messages API has it."""
    default = "api_error" if problem.status >= _SERVER_ERRORS else "invalid_request_error"
    kind = _ANTHROPIC_TYPES.get(problem.status, default)
    return msgspec.json.encode(
        {
            "type": "error",
            "error": {"type": kind, "message": problem.message},
            "request_id": "req_simulated",
        }
    )


def google_body(problem: Problem) -> bytes:
    """Return an error reply's body, or an error frame's data, as the Gemini API has it."""
    default = "UNAVAILABLE" if problem.status >= _SERVER_ERRORS else "INVALID_ARGUMENT"
    details = dict(problem.details)
    if problem.retry_after:
        details["RetryInfo"] = {"retryDelay": f"{problem.retry_after}s"}
    error: dict[str, Any] = {
        "code": _UNAVAILABLE if problem.status == _OVERLOADED else problem.status,
        "message": problem.message,
        "status": _GOOGLE_STATUSES.get(problem.status, default),
    }
    if details:
        error["details"] = [
            {"@type": _GOOGLE_TYPES + name, **fields} for name, fields in details.items()
        ]
    return msgspec.json.encode({"error": error})


def openai_unknown_model(model: str) -> Problem:
    """Return the refusal of a model as OpenAI's protocols word it."""
    return Problem(
        status=404,
        message=f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def openai_overflow(window: int, tokens: int, budget: int, param: str) -> Problem:
    """Return the refusal of ``tokens`` input and ``budget`` output as OpenAI words it."""
    return Problem(
        status=400,
        message=(
            f"This model's maximum context length is {window} tokens. However, you requested "
            f"{tokens + budget} tokens ({tokens} in the {param}, {budget} in the completion). "
            f"Please reduce the length of the {param} or completion."
        ),
        code="context_length_exceeded",
        param=param,
    )


def openai_excessive_output(asked: int, most: int, param: str) -> Problem:
    """Return the refusal of an output limit of ``asked`` tokens as OpenAI words it."""
    return Problem(
        status=400,
        message=(
            f"{param} is too large: {asked}. This model supports at most {most} completion "
            f"tokens, whereas you provided {asked}."
        ),
        code="invalid_value",
        param=param,
    )


def anthropic_unknown_model(model: str) -> Problem:
    """Return the refusal of a model as Anthropic words it."""
    return Problem(status=404, message=f"model: {model}")


def google_unknown_model(model: str) -> Problem:
    """Return the refusal of a model as Google words it."""
    return Problem(
        status=404,
        message=(
            f"models/{model} is not found for API version v1beta, or is not supported for "
            "generateContent. Call ListModels to see the list of available models and their "
            "supported methods."
        ),
    )
