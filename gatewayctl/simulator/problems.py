"""What the simulator refuses, and how two vendors say so. Faults on demand are ``faults``."""

from enum import StrEnum
from typing import Final

import msgspec

_SERVER_ERRORS: Final = 500
_RATE_LIMITED: Final = 429

_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class Vendor(StrEnum):
    """Whose dialect a protocol's errors are in."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal before it is put in a dialect. ``code`` and ``param`` are OpenAI's fields.

    ``kind`` is OpenAI's ``type`` where it is not the usual one of the status; ``body`` is the
    whole body where it is in nobody's dialect but the server's own.
    """

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    kind: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
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
