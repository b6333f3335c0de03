"""The simulator's server: connections, paths, order of checks, and the playing of replies.

What is answered is ``brain``'s business, how it is written the wire modules', what goes wrong on
purpose ``faults``'. Every request is in ``Simulator.journal``.
"""

import asyncio
import hashlib
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gatewayctl.simulator import (
    brain,
    chat_completions,
    faults,
    listing,
    messages,
    plays,
    responses,
)
from gatewayctl.simulator.catalogue import MODELS, SimModel
from gatewayctl.simulator.journal import Ending, Journal, Received
from gatewayctl.simulator.meter import Meter, OwnMeter, meter, metered
from gatewayctl.simulator.plays import Fault, Play
from gatewayctl.simulator.problems import Problem, Refused, invalid
from gatewayctl.simulator.request import Ask, Body
from gatewayctl.simulator.servers import KINDS, Local
from gatewayctl.simulator.tally import Tally
from gatewayctl.simulator.weighing import Weighed, weigh, weigh_local
from gatewayctl.simulator.wire import Frame, Made, Wire

_BODY_LIMIT: Final = 256 * 1024 * 1024
_COUNT_TOKENS: Final = "/v1/messages/count_tokens"
_WIRES: Final[dict[str, Wire]] = {
    "/v1/chat/completions": chat_completions,
    "/v1/responses": responses,
    "/v1/messages": messages,
}
_GRACE: Final = 0.05
"""Seconds that running replies get on closing."""
_NO_DELAY_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST."""


class Simulator:
    """A running simulator. Made by ``start``; ``close`` ends it and all its connections.

    ``clock`` is what faults of limited duration go by, in seconds; the event loop's unless given.
    ``local`` is the local server that is played, None for none; ``meter`` counts tokens.
    ``command`` can be set to choose, for each request, the shell command that the answer calls
    for; where it returns None the answer is a text.
    """

    def __init__(
        self,
        host: str,
        models: Mapping[str, SimModel] = MODELS,
        clock: Callable[[], float] | None = None,
        *,
        meter: Meter | None = None,
        local: Local | None = None,
    ) -> None:
        self._clock = clock
        self._meter = meter or OwnMeter()
        self.local = local
        self.command: Callable[[Ask], str | None] | None = None
        self._tally = Tally()
        self.host = host
        self.port = 0
        self.journal = Journal()
        self._models = models
        self._script: deque[tuple[Fault, ...]] = deque()
        self._calls = 0
        self._flaky_calls = 0
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """``http://HOST:PORT``, without ``/v1``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    def script(self, plan: Iterable[str]) -> None:
        """Set the faults of the next calls, one entry each; an empty one is no fault.

        Replaces what is left of an earlier script; raises ``Refused`` for an unknown fault.
        """
        self._script = deque(faults.parse(entry) for entry in plan)

    async def listen(self, port: int) -> None:
        """Start accepting connections on ``port``, 0 for any free one."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            shutdown_timeout=_GRACE,
        )
        await self._runner.setup()
        make_handler = self._runner.server
        if make_handler is None:
            raise RuntimeError("aiohttp set up no server")

        def accept() -> RequestHandler:
            self.journal.connections += 1
            return make_handler()

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(accept, self.host, port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop accepting, break off what is still running and free the port."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._meter.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        received = Received(
            method=request.method,
            target=request.raw_path,
            headers=tuple(request.raw_headers),
            body=await request.read(),
            connection=_peer_port(request),
            at=_now(),
        )
        self.journal.requests.append(received)
        path = request.path
        if (own := self._own(received)) is not None:
            received.end(Ending.WHOLE, _now())
            return own
        wire = messages if path == _COUNT_TOKENS else _WIRES.get(path)
        if wire is None or request.method != "POST":
            problem = Problem(status=404, message=f"Unknown request URL: {request.method} {path}.")
            wire = messages if path.startswith("/v1/messages") else chat_completions
            return await _perform(request, plays.refusal(wire, problem), received)
        try:
            if path == _COUNT_TOKENS:
                result = await self._count_tokens(received)
            else:
                result = await self._answer(wire, received)
        except Refused as refused:
            result = plays.refusal(wire, refused.problem)
        return await _perform(request, result, received)

    def _own(self, received: Received) -> web.Response | None:
        """Return what is answered without a model: listings, and what a local server has more."""
        method, path = received.method, received.path
        if self.local is not None:
            kind = KINDS[self.local.kind]
            found = kind.answer(method, path, received.body, self.local)
            if found is not None:
                return web.Response(
                    status=found.status, body=found.body, content_type=found.content_type
                )
        if method not in ("GET", "HEAD"):
            return None
        anthropic = received.header("anthropic-version") is not None
        status, body = listing.reply(path, self._models, anthropic=anthropic)
        return web.Response(status=status, body=body, content_type=plays.JSON_TYPE)

    async def _answer(self, wire: Wire, received: Received) -> Play:
        """Return the play for one call: refused, answered, and with what faults."""
        self._calls += 1
        asked_for = faults.parse(received.header(faults.HEADER) or "")
        scripted = self._script.popleft() if self._script else ()
        ask = wire.read(_decoded(received))
        received.model = ask.model
        name, _, suffix = ask.model.partition("!")
        ask = msgspec.structs.replace(ask, model=name)
        model = self._model(wire, name)
        named = (*scripted, *asked_for, *faults.parse(suffix), *self._flaky(model, ask))
        now = _now() if self._clock is None else self._clock()
        active = faults.in_force(named, received.model, self._tally, now)
        weighed = await self._weighed(wire, ask, model, received)
        answer = brain.answer(
            ask,
            weighed.tokens,
            limit=weighed.limit,
            words=faults.words(active),
            filtered=faults.filtered(active),
            command=None if self.command is None else self.command(ask) or "",
        )
        made = Made(
            ask=ask,
            answer=await metered(answer, self._meter, weighed.limit),
            token=self._token(received.body),
            created=int(time.time()),
        )
        if ask.stream:
            result = plays.play(wire.stream(made), content_type=plays.SSE_TYPE)
        else:
            frame = Frame(data=wire.whole(made), content=True)
            result = plays.play(iter([frame]), content_type=plays.JSON_TYPE)
        return faults.apply(result, active, wire, made)

    async def _weighed(self, wire: Wire, ask: Ask, model: SimModel, received: Received) -> Weighed:
        """Count a request, and weigh it as the model or the server that is played would."""
        tokens = received.tokens = await self._meter.input(ask)
        if self.local is not None:
            return weigh_local(wire, ask, self.local, tokens)
        return weigh(wire, ask, model, tokens)

    async def _count_tokens(self, received: Received) -> Play:
        ask = messages.read_countable(_decoded(received))
        self._model(messages, ask.model.partition("!")[0])
        received.tokens = await self._meter.input(ask)
        return plays.body(msgspec.json.encode({"input_tokens": received.tokens}))

    def _model(self, wire: Wire, name: str) -> SimModel:
        model = self._models.get(name)
        if model is None:
            raise Refused(wire.unknown_model(name))
        return model

    def _flaky(self, model: SimModel, ask: Ask) -> tuple[Fault, ...]:
        """Return what goes wrong with this call of a flaky model: every other one, two ways."""
        if not model.flaky:
            return ()
        self._flaky_calls += 1
        match self._flaky_calls % 4:
            case 1:
                return (Fault(name="503"),)
            case 3:
                return (Fault(name="reset-before-content" if ask.stream else "reset"),)
            case _:
                return ()

    def _token(self, body: bytes) -> str:
        """Return the part of this reply's ids that no other reply has."""
        digest = hashlib.blake2b(body, digest_size=8, salt=self._calls.to_bytes(8, "big"))
        return f"{digest.hexdigest()}{self._calls:08x}"


async def start(
    host: str = "127.0.0.1",
    port: int = 0,
    models: Iterable[SimModel] = (),
    clock: Callable[[], float] | None = None,
    *,
    tokenizer: str | None = None,
    local: Local | None = None,
) -> Simulator:
    """Start a simulator on a loopback port and return it; 0 picks a free one.

    ``models`` are served besides the catalogue's, under whatever names a client insists on;
    ``clock`` is for faults of limited duration, see ``Simulator``. ``tokenizer`` is a packaged
    vocabulary to meter by, as a provider whose tokenizer nobody knows; raises ``CountUnavailable``
    for one that is not. ``local`` is a local server to be played, with its own models instead.
    """
    served = {**MODELS, **{model.id: model for model in models}}
    if local is not None:
        local.models = local.models or (KINDS[local.kind].MODEL,)
        served = {
            name: SimModel(id=name, window=local.trained, max_output=local.trained)
            for name in local.models
        }
    simulator = Simulator(host, served, clock, meter=meter(tokenizer), local=local)
    await simulator.listen(port)
    return simulator


def _now() -> float:
    return asyncio.get_running_loop().time()


def _peer_port(request: web.Request) -> int:
    peer = None if request.transport is None else request.transport.get_extra_info("peername")
    return peer[1] if peer else 0


def _decoded(received: Received) -> Body:
    if received.header("content-encoding") not in (None, "identity"):
        raise Refused(Problem(status=415, message="Content-Encoding is not supported."))
    try:
        fields = msgspec.json.decode(received.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise invalid(f"The body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise invalid("The body is not a JSON object.")
    return Body(fields)


async def _perform(request: web.Request, play: Play, received: Received) -> web.StreamResponse:
    """Play a reply step by step; note in the journal how it ended."""
    received.status = play.status
    response = web.StreamResponse(status=play.status, headers=dict(play.headers))
    response.headers["content-type"] = play.content_type
    try:
        for step in play.steps:
            if not await _step(request, response, step, received):
                received.end(Ending.BROKEN, _now())
                return response
        await response.write_eof()
    except ConnectionError:
        received.end(Ending.ABANDONED, _now())
        return response
    except asyncio.CancelledError:
        received.end(Ending.ABANDONED, _now())
        raise
    received.end(Ending.WHOLE, _now())
    return response


async def _step(
    request: web.Request, response: web.StreamResponse, step: plays.Step, received: Received
) -> bool:
    """Perform one step; return False when it ended the connection."""
    match step:
        case plays.Head():
            await response.prepare(request)
        case plays.Send(frame=frame):
            received.frames += 1
            await response.write(frame.data)
        case plays.Wait(seconds=seconds):
            await asyncio.sleep(seconds)
        case plays.Hang():
            await asyncio.Event().wait()
        case plays.Raw(data=data):
            if request.transport is not None:
                request.transport.write(data)
        case plays.Close():
            if request.transport is not None:
                request.transport.close()
            return False
        case plays.Reset():
            _reset(request)
            return False
    return True


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_DELAY_RESET)
    transport.abort()
