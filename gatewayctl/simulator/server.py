"""The simulator's server: connections, and the order in which a request is checked and answered.

What is answered is ``brain``'s business, how it is written the wire modules', what goes wrong on
purpose ``faults``'. Every request is in ``Simulator.journal``.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gatewayctl.simulator import brain, faults, limits, listing, paths, plays
from gatewayctl.simulator.catalogue import MODELS, SimModel
from gatewayctl.simulator.journal import Ending, Journal, Received
from gatewayctl.simulator.meter import Meter, OwnMeter, meter, metered
from gatewayctl.simulator.paths import Place
from gatewayctl.simulator.performing import perform
from gatewayctl.simulator.plays import Fault, Play
from gatewayctl.simulator.problems import Problem, Refused, invalid
from gatewayctl.simulator.request import Ask, Body
from gatewayctl.simulator.rules import Rules
from gatewayctl.simulator.servers import KINDS, Local
from gatewayctl.simulator.tally import Tally
from gatewayctl.simulator.weighing import Weighed, weigh, weigh_local
from gatewayctl.simulator.wire import Counting, Frame, Made, Wire

_BODY_LIMIT: Final = 256 * 1024 * 1024
_GRACE: Final = 0.05
"""Seconds that running replies get on closing."""


class Simulator:
    """A running simulator. Made by ``start``; ``close`` ends it and all its connections.

    ``clock`` is what faults of limited duration go by, in seconds; the event loop's unless given.
    ``local`` is the local server that is played, None for none; ``meter`` counts tokens; ``secret``
    is what thoughts are sealed with.
    ``command`` can be set to choose, for each request, the shell command that the answer calls
    for; where it returns None the answer is a text. ``plans`` are the credentials that have one,
    each with the time in seconds since 1970 until which it is used up: their replies say so.
    """

    def __init__(
        self,
        host: str,
        models: Mapping[str, SimModel] = MODELS,
        clock: Callable[[], float] | None = None,
        *,
        meter: Meter | None = None,
        local: Local | None = None,
        secret: str = "",
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._meter = meter or OwnMeter()
        self.local = local
        self.command: Callable[[Ask], str | None] | None = None
        self.plans: dict[str, float] = {}
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
        if (own := self._own(received, request.path)) is not None:
            received.end(Ending.WHOLE, _now())
            return own
        place = paths.place(request.method, request.path, request.query)
        if place is None:
            message = f"Unknown request URL: {request.method} {request.path}."
            problem = Problem(status=404, message=message)
            result = plays.refusal(paths.dialect(request.path), problem)
            return await perform(request, result, received)
        try:
            if place.counting is not None:
                result = await self._count_tokens(place, place.counting, received)
            else:
                result = await self._answer(place, received)
            result = self._of_plan(place.wire, received, result)
        except Refused as refused:
            result = plays.refusal(place.wire, refused.problem)
        except RecursionError:
            result = plays.refusal(place.wire, invalid("The body is nested too deeply.").problem)
        return await perform(request, result, received)

    def _own(self, received: Received, path: str) -> web.Response | None:
        """Return what is answered without a model: listings, and what a local server has more."""
        method = received.method
        if self.local is not None:
            kind = KINDS[self.local.kind]
            found = kind.answer(method, received.path, received.body, self.local)
            if found is not None:
                return web.Response(
                    status=found.status, body=found.body, content_type=found.content_type
                )
        if method not in ("GET", "HEAD"):
            return None
        status, body = listing.reply(path, self._models, listing.shape(path, received.header))
        return web.Response(status=status, body=body, content_type=plays.JSON_TYPE)

    async def _answer(self, place: Place, received: Received) -> Play:
        """Return the play for one call: refused, answered, and with what faults."""
        wire = place.wire
        self._calls += 1
        asked_for = faults.parse(received.header(faults.HEADER) or "")
        scripted = self._script.popleft() if self._script else ()
        body = _decoded(received)
        ask = place.of(wire.read(body))
        received.model = ask.model
        name, _, suffix = ask.model.partition("!")
        ask = msgspec.structs.replace(ask, model=name)
        model = self._model(wire, name)
        named = (*scripted, *asked_for, *faults.parse(suffix), *self._flaky(model, ask))
        now = _now() if self._clock is None else self._clock()
        active = faults.in_force(named, received.model, self._tally, now)
        wishes = faults.wishes(active)
        if self.local is None:
            rules = Rules(secret=self._secret, strict=wishes.strict, hidden=wishes.hidden)
            wire.check(body, rules)
        weighed = await self._weighed(wire, ask, model, received)
        answer = brain.answer(
            ask,
            weighed.tokens,
            limit=weighed.limit,
            wishes=wishes,
            command=None if self.command is None else self.command(ask) or "",
        )
        answer = await metered(answer, self._meter, weighed.limit)
        received.written = answer.output_tokens * ask.n
        made = Made(
            ask=ask,
            answer=answer,
            token=self._token(received.body),
            created=int(time.time()),
            secret=self._secret,
        )
        if ask.stream:
            content_type = plays.JSON_TYPE if ask.listed else plays.SSE_TYPE
            result = plays.play(wire.stream(made), content_type=content_type, streams=True)
        else:
            frame = Frame(data=wire.whole(made), content=True)
            result = plays.play(iter([frame]), content_type=plays.JSON_TYPE)
        return faults.apply(result, active, wire, made)

    def _of_plan(self, wire: Wire, received: Received, result: Play) -> Play:
        """Return the reply with the headers of its caller's plan, refused where it is used up."""
        until = self.plans.get(limits.credential(received.header))
        if until is None:
            return result
        now = time.time()
        if until > now:
            return limits.used_up(wire, now, until)
        return limits.with_headers(result, limits.plan(now))

    async def _weighed(self, wire: Wire, ask: Ask, model: SimModel, received: Received) -> Weighed:
        """Count a request, and weigh it as the model or the server that is played would."""
        tokens = received.tokens = await self._meter.input(ask)
        if self.local is not None:
            return weigh_local(wire, ask, self.local, tokens)
        return weigh(wire, ask, model, tokens)

    async def _count_tokens(self, place: Place, wire: Counting, received: Received) -> Play:
        ask = place.of(wire.read_countable(_decoded(received)))
        self._model(wire, ask.model.partition("!")[0])
        received.tokens = await self._meter.input(ask)
        return plays.body(wire.counted(received.tokens))

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


async def start(  # noqa: PLR0913 - each is a choice of its own
    host: str = "127.0.0.1",
    port: int = 0,
    models: Iterable[SimModel] = (),
    clock: Callable[[], float] | None = None,
    *,
    tokenizer: str | None = None,
    local: Local | None = None,
    secret: str = "",
) -> Simulator:
    """Start a simulator on a loopback port and return it; 0 picks a free one.

    ``models`` are served besides the catalogue's, under whatever names a client insists on;
    ``clock`` is for faults of limited duration, see ``Simulator``. ``tokenizer`` is a packaged
    vocabulary to meter by, as a provider whose tokenizer nobody knows; raises ``CountUnavailable``
    for one that is not. ``local`` is a local server to be played, with its own models instead.
    ``secret`` is what it seals thoughts with: those of another secret are foreign to it.
    """
    served = {**MODELS, **{model.id: model for model in models}}
    if local is not None:
        local.models = local.models or (KINDS[local.kind].MODEL,)
        served = {
            name: SimModel(id=name, window=local.trained, max_output=local.trained)
            for name in local.models
        }
    simulator = Simulator(host, served, clock, meter=meter(tokenizer), local=local, secret=secret)
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
