"""The daemon's own API: decisions, estimates and models, as the command line prints them.

A question is a request body of any protocol or plain text, its options in the query; or JSON with
both, told apart by its ``request`` key. Nothing is sent to a provider, and no counter moves.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
from aiohttp import web

from gatewayctl.config.settings import Settings
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.routing.estimates import rendered_estimates
from gatewayctl.core.routing.refusal import unknown_model
from gatewayctl.core.routing.world import World
from gatewayctl.daemon.clients import Clients
from gatewayctl.daemon.explaining import in_full
from gatewayctl.daemon.listing import AT_ONCE
from gatewayctl.daemon.offload import offloaded
from gatewayctl.daemon.planning import Planner, Question
from gatewayctl.daemon.replies import as_json, error_reply, header, json_reply, own_headers
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.dialect import Dialect
from gatewayctl.protocols.given import Given, given
from gatewayctl.protocols.models_list import unvia
from gatewayctl.registry import told
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.freshness import SourceStatus

PATIENCE = 30.0
"""Seconds that a client may take for a piece of a long answer."""

_SEEDS = 2**64


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked besides the request itself, in the query or beside ``request``.

    ``model`` may be several for an estimate. ``protocol`` None is seen from the body. ``client``
    is the name of the client key to plan for.
    """

    model: str | tuple[str, ...] | None = None
    protocol: Dialect | None = None
    seed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    session: str | None = None
    client: str | None = None
    max_output: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    exact: bool = False


class _Wrapper(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    request: msgspec.Raw


class _Peek(msgspec.Struct):
    request: msgspec.Raw = msgspec.Raw()


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question that was read; ``names`` are those asked for, the question's the first."""

    names: tuple[str, ...]
    dialect: Dialect
    question: Question
    options: Options


_PEEK = msgspec.json.Decoder(_Peek)
_WRAPPER = msgspec.json.Decoder(_Wrapper)


class Admin:
    """Answers ``/api/*``, with handlers in the form of the app's.

    ``everything`` is the world with every built-in provider, for estimates of models that nobody
    is about to call; ``clients`` are those there are; ``sources`` tells how fresh the
    registry's sources are; ``read`` returns a request's whole body, decompressed.
    """

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        worlds: tuple[World, Directory],
        sources: Callable[[], Awaitable[tuple[SourceStatus, ...]]],
        read: Callable[[web.BaseRequest], Awaitable[bytes]],
        clients: Clients,
    ) -> None:
        self._settings = settings
        self._config = "" if settings.path is None else header(str(Path(settings.path).absolute()))
        self._planner = planner
        self._world, self._everything = worlds
        self._sources = sources
        self._read = read
        self._clients = clients

    async def route_explain(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        """Return the decision; one that refuses is an answer like any other."""
        _ = codec
        asked = await self._asked(request)
        if len(asked.names) > 1:
            raise RequestInvalid("one model is explained at a time", "model")
        planned = await self._planner.plan(asked.question, exact=asked.options.exact)
        accounts = self._clients.accounts
        doc = await in_full(accounts, self._settings, asked.question, planned)
        return json_reply(200, doc, self._headers(request_id))

    async def estimate(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        """Return how large a request is at each model behind the names."""
        asked = await self._asked(request)
        found = await self._planner.estimate(
            asked.names, asked.question, self._everything, exact=asked.options.exact
        )
        headers = self._headers(request_id)
        if found.unknown:
            name = found.unknown[0]
            error = unknown_model(name, self._world.nearest(name), self._world.absent(name))
            return error_reply(codec, error, headers, self._settings.server.overflow_status)
        doc = rendered_estimates(asked.dialect.value, found)
        return json_reply(200, doc, headers)

    async def models(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        """Tell every known model and the sources, piece by piece: ten megabytes are never held."""
        _ = codec
        start = b'{"schema_version":%d,"sources":%s,"models":[' % (
            told.SCHEMA_VERSION,
            as_json(await self._sources()),
        )
        response = web.StreamResponse(headers=self._headers(request_id))
        response.content_type = "application/json"
        await response.prepare(request)
        entries = self._everything.entries(request.rel_url.query.get("provider"))
        while piece := [told.model_json(each, others=False) for each in islice(entries, AT_ONCE)]:
            async with asyncio.timeout(PATIENCE):
                await response.write(start + as_json(piece)[1:-1])
            start = b","
            await asyncio.sleep(0)  # a write that is taken at once lets nobody else run
        end = b"]}" if start == b"," else start + b"]}"
        async with asyncio.timeout(PATIENCE):
            await response.write_eof(end)
        return response

    def _headers(self, request_id: str) -> dict[str, str]:
        """Return the usual headers and which config was asked, so that a client can compare."""
        return {
            **own_headers(request_id),
            "x-gatewayctl-config": self._config,
        }

    async def _asked(self, request: web.BaseRequest) -> _Asked:
        data = await self._read(request)
        query = _query(request)
        options, asked = await offloaded(len(data), _split, data, query)
        named = options.model or asked.model
        if not named:
            raise RequestInvalid(
                "no model: neither the request nor the question names one", "model"
            )
        names = tuple(map(unvia, (named,) if isinstance(named, str) else named))
        reading = await self._planner.read(asked.reader, asked.body, counting=True)
        shape = msgspec.structs.replace(
            reading.shape,
            model=names[0],
            output_budget=(
                reading.shape.output_budget if options.max_output is None else options.max_output
            ),
        )
        client = None if options.client is None else self._clients.named(options.client)
        if client is None and options.client is not None:
            raise RequestInvalid(f'no client key is called "{options.client}"', "client")
        question = Question(
            name=names[0],
            reader=asked.reader,
            body=asked.body,
            reading=msgspec.structs.replace(reading, shape=shape),
            headers=request.headers,
            seed=options.seed,
            session=options.session,
            client=client,
        )
        return _Asked(names=names, dialect=asked.dialect, question=question, options=options)


def _query(request: web.BaseRequest) -> Options:
    """Return the query as options; raise ``RequestInvalid`` for what is none of them."""
    query = request.rel_url.query
    fields: dict[str, Any] = dict(query)
    unknown = sorted(fields.keys() - set(Options.__struct_fields__))
    if unknown:
        known = ", ".join(Options.__struct_fields__)
        raise RequestInvalid(f'"{unknown[0]}" is not asked for here; there are {known}', unknown[0])
    if "model" in fields:
        fields["model"] = tuple(query.getall("model"))
    try:
        return _checked(msgspec.convert(fields, Options, strict=False))
    except msgspec.ValidationError as error:
        raise RequestInvalid(f"in the query: {error}") from error


def _split(data: bytes, query: Options) -> tuple[Options, Given]:
    """Return the options and the request, wherever they stand; raise ``RequestInvalid``."""
    wrapped = _wrapped(data)
    if wrapped is None:
        return query, given(data, query.protocol)
    if query != Options():
        raise RequestInvalid('the options stand beside "request" or in the query, not in both')
    inner = bytes(wrapped.request)
    if inner.startswith(b'"'):
        text = msgspec.json.decode(inner, type=str)
        return wrapped, given(text.encode(), wrapped.protocol or Dialect.TEXT)
    return wrapped, given(inner, wrapped.protocol)


def _wrapped(data: bytes) -> _Wrapper | None:
    try:
        if not _PEEK.decode(data).request:
            return None
    except (msgspec.DecodeError, RecursionError):
        return None  # no JSON object: text, or a body that its reader says more about
    try:
        wrapper = _WRAPPER.decode(data)
    except msgspec.ValidationError as error:
        raise RequestInvalid(f'beside "request": {error}') from error
    _checked(wrapper)
    return wrapper


def _checked(options: Options) -> Options:
    if options.seed is not None and options.seed >= _SEEDS:
        raise RequestInvalid("a seed has 64 bits", "seed")
    return options
