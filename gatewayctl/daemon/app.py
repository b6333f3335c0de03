"""The surfaces: which path is what, and the net under every handler.

Handlers are thin: they read the body, ask a codec for its shape and hand over to the pipeline.
Whatever goes wrong is told in the dialect of the path that was asked.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from aiohttp import web

from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.settings import Settings
from gatewayctl.core.errors import ApiError, ErrorKind, RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon import body
from gatewayctl.daemon.admin import Admin
from gatewayctl.daemon.asked import Asked, caller_of, came_from
from gatewayctl.daemon.clients import Clients
from gatewayctl.daemon.google import GEMINI, Google, Refused, is_ours
from gatewayctl.daemon.listing import Listing
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.pipeline import Pipeline, wants_decision
from gatewayctl.daemon.planning import Planner
from gatewayctl.daemon.probing import Probing
from gatewayctl.daemon.replies import error_reply, json_reply, new_request_id, own_headers
from gatewayctl.daemon.status import Status
from gatewayctl.protocols.catalog import CODECS, COMPLETIONS, EMBEDDINGS
from gatewayctl.protocols.codec import Codec, Teller
from gatewayctl.registry.directory import Directory

log = logging.getLogger("gatewayctl.requests")

Handler = Callable[[web.BaseRequest, Codec, str], Awaitable[web.StreamResponse]]

_VERSION_PREFIX = re.compile(r"^(?:/v1)+(?=/|$)")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PORT = re.compile(r":\d+$")
_UPGRADE_REQUIRED = 426
_OPEN = frozenset({"/", "/healthz", "/readyz"})
"""Paths that tell nothing which is not everybody's to know, so that they ask for no key."""

_OPERATORS = "/api/"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class App:
    """Answers every HTTP request of the daemon.

    ``worlds`` are what is configured, and that with every built-in provider besides. ``clients``
    knows who calls. ``unready`` says why ``/readyz`` is not to be ready, None when the daemon is;
    ``url`` is where it listens.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is a collaborator
        self,
        settings: Settings,
        planner: Planner,
        pipeline: Pipeline,
        status: Status,
        worlds: tuple[Directory, Directory],
        clients: Clients,
        probing: Probing,
    ) -> None:
        self._settings = settings
        self._planner = planner
        self._pipeline = pipeline
        self._told = status
        self._clients = clients
        self._listing = Listing(worlds[0])
        self._google = Google(planner, pipeline, self._listing, self._body)
        admin = Admin(settings, planner, worlds, status.sources, self._body, clients)
        self._hosts = _LOOPBACK_NAMES | {
            settings.server.host.lower(),
            *(host.lower() for host in settings.server.allowed_hosts),
        }
        self._origins = {None, *settings.server.cors_origins}
        self.unready: str | None = None
        self.url = ""
        chat = CODECS[WireProtocol.CHAT_COMPLETIONS]
        messages = CODECS[WireProtocol.MESSAGES]
        self._chat = chat
        self._messages = messages
        # None: the dialect is that of whoever asks.
        self._surfaces: Mapping[str, tuple[Codec | None, Mapping[str, Handler]]] = {
            "/chat/completions": (chat, {"POST": self._generate}),
            "/responses": (CODECS[WireProtocol.RESPONSES], {"POST": self._generate}),
            "/messages": (messages, {"POST": self._generate}),
            "/messages/count_tokens": (messages, {"POST": self._count_tokens}),
            "/embeddings": (EMBEDDINGS, {"POST": self._generate}),
            "/completions": (COMPLETIONS, {"POST": self._generate}),
            "/models": (None, {"GET": self._models}),
            "/api/route-explain": (None, {"POST": admin.route_explain}),
            "/api/estimate": (None, {"POST": admin.estimate}),
            "/api/models": (None, {"GET": admin.models}),
            "/api/status": (None, {"GET": self._status}),
            "/api/quota": (None, {"GET": probing.quota, "POST": probing.quota}),
            "/healthz": (None, {"GET": self._healthz}),
            "/readyz": (None, {"GET": self._readyz}),
            "/": (None, {"GET": self._root}),
        }

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; no exception leaves but cancellation."""
        request_id = new_request_id()
        codec = self._dialect(request)
        try:
            error = self._denied(request)
            if error is None:
                await self._admit(request, codec)
                if codec is GEMINI:
                    return await self._google.answer(request, request_id)
                return await self._dispatch(request, codec, request_id)
        except RequestInvalid as invalid:
            error = ApiError(
                kind=ErrorKind.MALFORMED,
                message=str(invalid),
                param=invalid.path,
                should_retry=False,
            )
        except (Refused, NotAllowed) as refused:
            error = refused.error
        except body.BodyTooLarge as too_large:
            error = ApiError(
                kind=ErrorKind.BODY_TOO_LARGE, message=str(too_large), should_retry=False
            )
        except body.BodyTimeout as stalled:
            error = ApiError(kind=ErrorKind.MALFORMED, message=str(stalled))
        except ConnectionError as gone:
            log.info("%s ended with its connection: %s", request_id, gone)
            raise
        except Exception:
            log.exception("%s failed in the gateway itself", request_id)
            error = ApiError(
                kind=ErrorKind.INTERNAL,
                message="the gateway failed; its log says how, under this request id",
            )
        return self._error(codec, error, request_id)

    async def _dispatch(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        path = _path(request)
        found = self._surfaces.get(path)
        if found is None and path.startswith("/models/"):
            found = (codec, {"GET": self._model})
        if found is None:
            known = ", ".join(f"/v1{each}" for each in list(self._surfaces)[:6])
            return self._error(
                codec,
                ApiError(
                    kind=ErrorKind.NOT_FOUND,
                    message=f"nothing is served at {request.path}; there are {known}",
                    should_retry=False,
                ),
                request_id,
            )
        _, methods = found
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allowed = ", ".join(methods).replace("GET", "GET, HEAD")
            response = self._error(
                codec,
                ApiError(
                    kind=ErrorKind.METHOD_NOT_ALLOWED,
                    message=f"{request.path} takes {allowed}",
                    should_retry=False,
                ),
                request_id,
            )
            response.headers["allow"] = allowed
            if "Upgrade" in request.headers:  # Codex asks for a WebSocket, and then by POST
                response.set_status(_UPGRADE_REQUIRED)
            return response
        return await handler(request, codec, request_id)

    def _dialect(self, request: web.BaseRequest) -> Codec:
        """Return the codec whose errors this client understands."""
        if is_ours(request):
            return GEMINI
        codec, _ = self._surfaces.get(_path(request), (None, None))
        if codec is not None:
            return codec
        return self._messages if "anthropic-version" in request.headers else self._chat

    def _denied(self, request: web.BaseRequest) -> ApiError | None:
        """Refuse web pages: whoever may call spends the keys that the gateway holds.

        A page gives itself away by its own name in Host (DNS rebinding) or by an Origin, which
        browsers add to whatever a page sends, even to a POST that needs no preflight. A page of
        this machine is another program's all the same, so loopback is no exception.
        """
        # Without a Host header aiohttp would name this machine; no page can leave it out.
        host = request.host.lower() if "Host" in request.headers else ""
        if host and _PORT.sub("", host) not in self._hosts:
            message = f'"{host}" is not served; add it to server.allowed_hosts if it is yours'
        elif (origin := request.headers.get("Origin")) not in self._origins:
            message = f'web pages may not call the gateway (the Origin header names "{origin}")'
        else:
            return None
        return ApiError(kind=ErrorKind.FORBIDDEN, message=message, should_retry=False)

    async def _admit(self, request: web.BaseRequest, codec: Codec) -> None:
        """Note who calls; raise ``NotAllowed`` for whoever may not."""
        path = _path(request)
        if path in _OPEN:
            return
        key = request.rel_url.query.get("key")
        client = await self._clients.identify(request.headers, key)
        if path.startswith(_OPERATORS) and client is not None and not client.operator:
            message = f"{request.path} is for the operator of this gateway, not for client keys"
            raise NotAllowed(
                ApiError(kind=ErrorKind.FORBIDDEN, message=message, should_retry=False)
            )
        came_from(request, client, self._clients.is_ours, google=codec is GEMINI)

    def _error(self, codec: Teller, error: ApiError, request_id: str) -> web.Response:
        headers = own_headers(request_id)
        return error_reply(codec, error, headers, self._settings.server.overflow_status)

    async def _body(self, request: web.BaseRequest) -> bytes:
        """Return a request's whole body, decompressed; raise ``BodyTooLarge`` and its like."""
        body.check_length(request.content_length, self._settings.server.body_limit)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(_CONTINUE)
            request.writer.output_size = 0
        encoding = request.headers.get("Content-Encoding", "")
        return await body.read(request.content, encoding, self._settings.server.body_limit)

    async def _asked(
        self, request: web.BaseRequest, codec: Codec, request_id: str, *, counting: bool
    ) -> Asked:
        data = await self._body(request)
        started = asyncio.get_running_loop().time()
        return Asked(
            request=request,
            caller=caller_of(request),
            codec=codec,
            body=data,
            reading=await self._planner.read(codec, data, counting=counting),
            request_id=request_id,
            started=started,
        )

    async def _generate(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        asked = await self._asked(request, codec, request_id, counting=False)
        return await self._pipeline.answer(asked)

    async def _count_tokens(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        asked = await self._asked(request, codec, request_id, counting=True)
        if wants_decision(asked):
            return await self._pipeline.explain(asked)
        return await self._pipeline.counting.messages(asked)

    async def _models(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        listed = await self._listing.all(codec.protocol, caller_of(request).client)
        return json_reply(200, listed, own_headers(request_id))

    async def _model(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        name = unquote(_path(request).removeprefix("/models/"))
        client = caller_of(request).client
        found = self._listing.one(name, codec.protocol, client)
        if found is None:
            return self._error(codec, self._listing.unknown(name, client), request_id)
        return json_reply(200, found, own_headers(request_id))

    async def _healthz(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        _ = request, codec
        return json_reply(200, {"status": "ok"}, own_headers(request_id))

    async def _readyz(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        _ = request, codec
        headers = own_headers(request_id)
        if self.unready is not None:
            return json_reply(503, {"status": "not ready", "reason": self.unready}, headers)
        await self._clients.looked()
        degraded = self._pipeline.degraded
        beyond = not is_loopback(self._settings.server.host)
        if degraded is not None and beyond and not await self._clients.knows(request.headers):
            # Strangers need not learn the names of providers and folders.
            degraded = "gatewayctl status says how"
        told = (
            {"status": "ready"} if degraded is None else {"status": "ready", "degraded": degraded}
        )
        return json_reply(200, told, headers)

    async def _status(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        _ = request, codec
        document = await self._told.document(
            self.url, unready=self.unready, in_flight=self._pipeline.in_flight
        )
        return json_reply(200, document, own_headers(request_id))

    async def _root(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        _ = request, codec
        surfaces = [f"/v1{each}" for each in list(self._surfaces)[:6]]
        return json_reply(200, {"gatewayctl": surfaces}, own_headers(request_id))


def _path(request: web.BaseRequest) -> str:
    """Return the path without ``/v1``, which a base URL may have doubled or left out."""
    path = _VERSION_PREFIX.sub("", request.rel_url.raw_path) or "/"
    return path.rstrip("/") or "/"
