"""Replies of the daemon's own: errors in the client's dialect, JSON, and the gateway's headers."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from aiohttp import web

from gatewayctl.config.settings import OverflowStatus
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.routing.decision import Candidate, Decision
from gatewayctl.daemon import chance
from gatewayctl.protocols.codec import Teller, WireError

_JSON = msgspec.json.Encoder(decimal_format="number")
_VISIBLE = "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ "


def new_request_id() -> str:
    """Return an id for one request, which nobody can guess."""
    return f"req_{chance.token()}"


def header(value: str) -> str:
    """Return a value that is safe in a header: what is not visible ASCII is percent-encoded."""
    return quote(value, safe=_VISIBLE)


def as_json(value: object) -> bytes:
    """Return a value as JSON, its decimals as numbers, as the command line prints them."""
    return _JSON.encode(value)


def json_reply(
    status: int, value: object, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a JSON reply; bytes are taken as JSON already."""
    return web.Response(
        status=status,
        body=value if isinstance(value, bytes) else as_json(value),
        content_type="application/json",
        headers=headers,
    )


def identified(error: ApiError, request_id: str) -> ApiError:
    """Return an error with the request id among its details."""
    return msgspec.structs.replace(error, details={"request_id": request_id, **error.details})


def wire_error(
    codec: Teller, error: ApiError, request_id: str, overflow: OverflowStatus
) -> WireError:
    """Return an error in the codec's dialect, the request id among its details."""
    told = identified(error, request_id)
    forced = None
    if error.kind is ErrorKind.TOO_LARGE and overflow is not OverflowStatus.AUTO:
        forced = int(overflow.value)
    return codec.error(told, too_large_status=forced)


def error_reply(
    codec: Teller, error: ApiError, headers: Mapping[str, str], overflow: OverflowStatus
) -> web.Response:
    """Return an error as a reply, with the gateway's own headers."""
    wire = wire_error(codec, error, headers["x-gatewayctl-request-id"], overflow)
    response = web.Response(
        status=wire.status, body=wire.body, content_type="application/json", headers=headers
    )
    response.headers.update(wire.headers)
    return response


def own_headers(
    request_id: str,
    decision: Decision | None = None,
    candidate: Candidate | None = None,
    attempts: int | None = 0,
    *,
    degraded: str | None = None,
) -> dict[str, str]:
    """Return the ``x-gatewayctl-*`` headers of a reply; ``degraded`` is what fell short.

    ``attempts`` None says that they are not over, so that nothing can be said of them.
    """
    headers = {"server": "gatewayctl", "x-gatewayctl-request-id": request_id}
    if degraded is not None:
        headers["x-gatewayctl-degraded"] = header(degraded)
    if decision is not None:
        if attempts is not None:
            headers["x-gatewayctl-attempts"] = str(attempts)
        if decision.route is not None:
            headers["x-gatewayctl-route"] = header(decision.route)
    if candidate is not None:
        headers["x-gatewayctl-model"] = header(candidate.model)
        if candidate.send_budget is not None:
            headers["x-gatewayctl-output-budget"] = str(candidate.send_budget)
    return headers
