"""The surfaces of Gemini's clients: the model and what is asked of it stand in the path.

What the paths mean is ``protocols.gemini.paths``' business; what is made of a request, as for every
other surface, the pipeline's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import msgspec
from aiohttp import web

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon.asked import Asked, Caller, caller_of
from gatewayctl.daemon.listing import Listing
from gatewayctl.daemon.pipeline import Pipeline, wants_decision
from gatewayctl.daemon.planning import Planner
from gatewayctl.daemon.replies import json_reply, own_headers
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.gemini import paths

GEMINI = CODECS[WireProtocol.GEMINI]

_SERVED = f"{paths.GENERATE}, {paths.STREAM} and {paths.COUNT}"
_MARKS = ("x-goog-api-key", "x-goog-api-client")


class Refused(Exception):
    """A path or a method that is not served; ``error`` says what is."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def is_ours(request: web.BaseRequest) -> bool:
    """Tell whether a request is of one of Gemini's clients.

    Newer ones list models where OpenAI's and Anthropic's do, and are told by their headers.
    """
    path = unquote(request.rel_url.raw_path)
    if paths.is_gemini(path):
        return True
    if paths.listed(path) is None or "anthropic-version" in request.headers:
        return False
    return any(name in request.headers for name in _MARKS) or "key" in request.rel_url.query


class Google:
    """Answers them. ``body`` returns a request's whole body."""

    def __init__(
        self,
        planner: Planner,
        pipeline: Pipeline,
        listing: Listing,
        body: Callable[[web.BaseRequest], Awaitable[bytes]],
    ) -> None:
        self._planner = planner
        self._pipeline = pipeline
        self._listing = listing
        self._body = body

    async def answer(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        """Answer one request; raise ``Refused`` and ``RequestInvalid``."""
        path = unquote(request.rel_url.raw_path)
        called = paths.called(path)
        if called is not None and called.method in {paths.GENERATE, paths.STREAM, paths.COUNT}:
            if request.method != "POST":
                raise _refused(ErrorKind.METHOD_NOT_ALLOWED, f"{path} takes POST")
            return await self._called(request, called, request_id)
        listed = paths.listed(path)
        if called is not None or listed is None:
            message = f"nothing is served at {path}; there is POST /v1beta/models/MODEL:METHOD"
            raise _refused(ErrorKind.NOT_FOUND, f"{message} with {_SERVED}, and GET /v1beta/models")
        if request.method not in {"GET", "HEAD"}:
            raise _refused(ErrorKind.METHOD_NOT_ALLOWED, f"{path} takes GET, HEAD")
        return await self._listed(listed, caller_of(request), request_id)

    async def _called(
        self, request: web.BaseRequest, called: paths.Called, request_id: str
    ) -> web.StreamResponse:
        counting = called.method == paths.COUNT
        data = await self._body(request)
        started = asyncio.get_running_loop().time()
        # The model need not stand in the body: it is asked for by the path.
        reading = await self._planner.read(GEMINI, data, counting=True)
        shape = msgspec.structs.replace(
            reading.shape, model=called.model, stream=called.method == paths.STREAM
        )
        asked = Asked(
            request=request,
            caller=caller_of(request),
            codec=GEMINI,
            body=data,
            reading=msgspec.structs.replace(reading, shape=shape),
            request_id=request_id,
            started=started,
        )
        if not counting:
            return await self._pipeline.answer(asked)
        if wants_decision(asked):
            return await self._pipeline.explain(asked)
        return await self._pipeline.counting.gemini(asked)

    async def _listed(self, name: str, caller: Caller, request_id: str) -> web.StreamResponse:
        if not name:
            found = await self._listing.all(WireProtocol.GEMINI, caller.client)
        else:
            one = self._listing.one(name, WireProtocol.GEMINI, caller.client)
            if one is None:
                raise Refused(self._listing.unknown(name, caller.client))
            found = one
        return json_reply(200, found, own_headers(request_id))


def _refused(kind: ErrorKind, message: str) -> Refused:
    return Refused(ApiError(kind=kind, message=message, should_retry=False))
