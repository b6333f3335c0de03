"""Errors as Responses clients know them: OpenAI's error object, or a failed response as an event.

Codex retries six times on 413 and 422, and loses the message of a bare ``error`` event: neither
is sent here, unless the config forces 413 on refusals by size. It waits in silence for as long as
``retry-after`` says, were it a day, unless an error is of a type or code that it stops at at once.
"""

from typing import assert_never

import msgspec

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.protocols import errors, sse
from gatewayctl.protocols.codec import WireError
from gatewayctl.protocols.responses import snapshot, wire
from gatewayctl.protocols.told import error_in

COMMENT = b": keepalive\n\n"
_BAD_REQUEST = 400
_PATIENCE = 60.0
"""Seconds that an agent may be let wait without a word to its user, as Claude Code does."""
_USED_UP = "usage_limit_reached"
_WHY = "x-codex-promo-message"
"""Where Codex looks for words to show with that type; those of the body it passes over."""
_LONGEST_WHY = 1000
_STOPS_AT = frozenset({_USED_UP, "insufficient_quota"})


def whole(error: ApiError, too_large_status: int | None) -> WireError:
    """Render an error reply."""
    status = errors.http_status(error.kind)
    if error.kind is ErrorKind.TOO_LARGE:
        status = too_large_status or _BAD_REQUEST
    elif error.kind is ErrorKind.BODY_TOO_LARGE:
        status = _BAD_REQUEST
    told, headers = errors.openai_object(error, size_param="input"), errors.headers(error)
    if error.kind is ErrorKind.RATE_LIMITED and _is_vain(error):
        told["type"] = _USED_UP
        headers = (*headers, (_WHY, _printable(error.message[:_LONGEST_WHY])))
    return WireError(status=status, body=msgspec.json.encode({"error": told}), headers=headers)


def tells_limit(body: bytes, wait: float | None) -> bool:
    """Tell whether an upstream's refusal for a limit keeps Codex from waiting in silence."""
    short = wait is None or wait <= _PATIENCE
    return short or not _STOPS_AT.isdisjoint(error_in(body).codes)


def _is_vain(error: ApiError) -> bool:
    """Tell whether no wait that is worth it helps."""
    wait = error.retry_after
    return not error.should_retry if wait is None else wait > _PATIENCE


def _printable(text: str) -> str:
    """Return a text that is safe in a header."""
    return "".join(each if " " <= each <= "~" else "?" for each in text)


def failed(error: ApiError, response: wire.Response, sequence_number: int) -> bytes:
    """Render an error after the headers: ``response.failed`` with the response it ends."""
    begun = _known(_named(response, error))
    data = snapshot.response(begun, "failed", None, error=told(error))
    return _event("response.failed", sequence_number, data)


def told(error: ApiError) -> dict[str, object]:
    """Return the error object of a failed response."""
    return {
        "code": _code(error.kind),
        "message": error.message,
        "gatewayctl": errors.details(error),
    }


def _named(response: wire.Response, error: ApiError) -> wire.Response:
    """Return the response with an id and a model, where the upstream has not said them."""
    asked = error.details.get("requested")
    return msgspec.structs.replace(
        response,
        id=response.id or pending(str(error.details.get("request_id", "unknown"))).id,
        model=response.model or (None if asked is None else str(asked)),
    )


def failed_at_once(error: ApiError) -> bytes:
    """Render a response that is created and has failed: a whole stream."""
    begun = _named(wire.Response(), error)
    return created(begun) + failed(error, begun, 1)


def pending(request_id: str) -> wire.Response:
    """Return the response of a request that no upstream has named yet."""
    return wire.Response(id=f"resp_{request_id}")


def created(response: wire.Response) -> bytes:
    """Render the event that begins a response."""
    return _event("response.created", 0, _begun(response))


def in_progress(response: wire.Response, sequence_number: int) -> bytes:
    """Render a frame that says "still here": Codex does not count comments as life."""
    return _event("response.in_progress", sequence_number, _begun(response))


def _begun(response: wire.Response) -> dict[str, object]:
    return snapshot.response(_known(response), "in_progress", None)


def _known(response: wire.Response) -> snapshot.Named:
    created = int(response.created_at or 0)
    return snapshot.Named(id=response.id or "", model=response.model or "unknown", created=created)


def _event(name: str, sequence_number: int, response: dict[str, object]) -> bytes:
    data = {"type": name, "sequence_number": sequence_number, "response": response}
    return sse.write(name, msgspec.json.encode(data))


def _code(kind: ErrorKind) -> str:
    """Return the code of a failed response: one of OpenAI's own, which strict clients check.

    ``context_length_exceeded`` is not in their list, but it is what Codex stops at.
    """
    match kind:
        case ErrorKind.TOO_LARGE:
            return "context_length_exceeded"
        case ErrorKind.RATE_LIMITED:
            return "rate_limit_exceeded"
        case ErrorKind.MALFORMED | ErrorKind.UNSUPPORTED | ErrorKind.BODY_TOO_LARGE:
            return "invalid_prompt"
        case (
            ErrorKind.UNKNOWN_MODEL
            | ErrorKind.UNAUTHORIZED
            | ErrorKind.FORBIDDEN
            | ErrorKind.NOT_FOUND
            | ErrorKind.METHOD_NOT_ALLOWED
            | ErrorKind.UNAVAILABLE
            | ErrorKind.UPSTREAM_AUTH
            | ErrorKind.UPSTREAM_FAILED
            | ErrorKind.UPSTREAM_TIMEOUT
            | ErrorKind.INTERNAL
        ):
            return "server_error"
    assert_never(kind)
