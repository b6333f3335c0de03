"""A request as the daemon carries it from surface to reply, and who sent it."""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web
from multidict import CIMultiDict, MultiMapping

from gatewayctl.core.shape import RequestShape
from gatewayctl.daemon.permitted import Client
from gatewayctl.daemon.planning import Question
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.models_list import unvia
from gatewayctl.protocols.reading import Reading
from gatewayctl.upstream.headers import QUERY

_KEY = "x-goog-api-key"
_NOT_OURS = frozenset({"Host", "Accept", "Content-Type", "Content-Length"})
"""Headers that are not looked into, as most clients write them: no credential stands there."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, and what of the request goes on: everything but a key of the gateway's own.

    ``client`` is None where no keys were given out. ``headers`` have the credential of Google's
    clients among them, wherever it stood, and the query too, under a name that never goes up: who
    asks what is credential and what is not has it all there.
    """

    client: Client | None
    headers: MultiMapping[str]
    query: str

    def __repr__(self) -> str:
        return "Caller(…)"


_CALLER: Final = web.RequestKey("caller", Caller)


def came_from(
    request: web.BaseRequest,
    client: Client | None,
    is_ours: Callable[[str], bool],
    *,
    google: bool,
) -> None:
    """Note who sends a request; ``is_ours`` tells the gateway's keys from others.

    ``google``: a key in the URL is the client's credential.
    """
    headers: MultiMapping[str] = request.headers
    query = request.rel_url.raw_query_string
    if client is not None:
        headers = _without(headers, is_ours)
        parameters = query.split("&")
        query = "&".join(each for each in parameters if not is_ours(unquote_plus(each)))
    key = request.rel_url.query.get("key") if google else None
    if key and _KEY not in request.headers and not (client is not None and is_ours(key)):
        headers = CIMultiDict([*headers.items(), (_KEY, key)])
    if query or QUERY in headers:
        headers = CIMultiDict(headers)
        headers[QUERY] = query
    request[_CALLER] = Caller(client=client, headers=headers, query=query)


def caller_of(request: web.BaseRequest) -> Caller:
    """Return who sent a request."""
    return request[_CALLER]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read and understood: its bytes, what they say, and when it came.

    ``started`` is the loop's time in seconds when all of it was there: how long a client takes to
    send its body is neither a deadline's business nor an upstream's fault.
    """

    request: web.BaseRequest
    caller: Caller
    codec: Codec
    body: bytes
    reading: Reading
    request_id: str
    started: float

    def __repr__(self) -> str:
        return f"Asked(request_id={self.request_id!r}, …)"

    @property
    def headers(self) -> MultiMapping[str]:
        """The client's headers, without a key of the gateway's own."""
        return self.caller.headers

    @property
    def shape(self) -> RequestShape:
        """What routing looks at."""
        return self.reading.shape

    @property
    def question(self) -> Question:
        """What is to be planned."""
        return Question(
            name=self.name,
            reader=self.codec,
            body=self.body,
            reading=self.reading,
            headers=self.headers,
            client=self.caller.client,
        )

    @property
    def name(self) -> str:
        """The model or route asked for."""
        return unvia(self.shape.model)


def _without(headers: MultiMapping[str], is_ours: Callable[[str], bool]) -> MultiMapping[str]:
    """Return headers without those that hold a key of the gateway's, under whatever name."""
    ours = {name for name, value in headers.items() if name not in _NOT_OURS and is_ours(value)}
    if not ours:
        return headers
    kept = CIMultiDict(headers)
    for name in ours:
        kept.popall(name, None)
    return kept
