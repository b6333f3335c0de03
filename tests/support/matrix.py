"""The fault matrix: cells of fault, route and protocol, run against one gateway, each by itself.

Every cell has models and routes of its own, so that the breakers of one never touch another. What
is expected of a cell comes from ``faultlist`` and ``policy`` alone; ``judging`` compares.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import aiohttp
import msgspec
from support.dialects import DIALECTS, address, encoded
from support.faultlist import ROWS, Row
from support.gateway import Gateway
from support.policy import Ends, Fails, Place

from gatewayctl.simulator import Simulator

ROUTES: Final = ("direct", "alloy", "cascade", "dispatcher", "exhausted")
"""``exhausted`` is a cascade both of whose steps have the fault."""

DEADLINE: Final = 30.0
PATIENCE: Final = 2.5
"""Seconds that ``brief`` and ``idle`` wait: enough for a busy machine to bring a call there."""

SMALL, LARGE = 32_768, 262_144
_SIZES: Final = {SMALL: "small", LARGE: "large"}

_APART: Final = 10_000
"""How far apart the numbers of cells are whose upstreams speak different protocols."""

_ASKED_FOR: Final = "words=6"
_PROVIDERS: Final = (
    ("up", "25s", "25s", "25s"),
    ("brief", f"{PATIENCE}s", "25s", f"{PATIENCE}s"),
    ("idle", "25s", f"{PATIENCE}s", f"{PATIENCE}s"),
)
_PROVIDER: Final = """
[providers.{name}]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
protocols = {protocols}
timeouts = {{ connect = "20s", first_token = "{first}", idle = "{idle}", total = "{total}" }}
"""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell: ``name`` is what the client asks for, ``places`` are what stands behind it.

    ``protocol`` is the client's, ``upstream`` that of all places.
    """

    number: int
    fault: str
    protocol: str
    upstream: str
    stream: bool
    route: str
    places: tuple[Place, ...]

    @property
    def name(self) -> str:
        """The model or route that the client asks for."""
        return self.places[0].model if self.route == "direct" else f"{self.route}-{self.number}"

    @property
    def title(self) -> str:
        """What a failure is reported under."""
        how = "stream" if self.stream else "whole"
        return f"{self.fault} {how} {self.protocol} on {self.upstream} {self.route}"

    def body(self) -> bytes:
        """Return the request."""
        return encoded(self.protocol, self.name, "Hello", stream=self.stream)

    def config(self) -> str:
        """Return the cell's models and routes as configuration."""
        windows = "".join(
            f'[[models]]\nid = "{place.model}"\ncontext_window = {place.ceiling}\n'
            for place in self.places
        )
        return windows + self._route()

    def _route(self) -> str:
        models = [place.model for place in self.places]
        match self.route:
            case "direct":
                return ""
            case "alloy":
                head = (
                    f'[[alloys]]\nid = "{self.name}"\nname = "Alloy"\nstrategy = "round_robin"\n'
                    'scope = "request"\n'
                )
                return head + "".join(
                    f'[[alloys.constituents]]\nmodel = "{place.model}"\n'
                    f"context_window = {place.ceiling}\n"
                    for place in self.places
                )
            case "dispatcher":
                targets = ", ".join(f'"{model}"' for model in models)
                return f'[[dispatchers]]\nid = "{self.name}"\ntargets = [{targets}]\n'
            case _:
                steps = (f'[[cascades.steps]]\nmodel = "{model}"\n' for model in models)
                return f'[[cascades]]\nid = "{self.name}"\n' + "".join(steps)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What the client was told, and with which status the next request was answered.

    ``torn``: the connection was broken off before the body's end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    torn: bool
    next_status: int


def cells(protocol: str, upstream: str, *, every: int = 1) -> list[Cell]:
    """Return the cells of a pair: its faults behind every route, streamed and not.

    ``every``: only one in so many of them, others for each client; at most ten, the cells of a
    fault, leave out no fault. Those that take long come first, so that others run in the meantime.
    """
    rows = sorted(ROWS, key=_longest, reverse=True)
    found = (
        (row, stream, route)
        for row in rows
        if upstream in row.protocols
        for stream in (False, True)
        for route in ROUTES
    )
    first = _APART * DIALECTS.index(upstream)
    a_row = 2 * len(ROUTES)
    own = 7 * DIALECTS.index(protocol)
    return [
        _cell(first + number, row, protocol, upstream, stream=stream, route=route)
        for number, (row, stream, route) in enumerate(found)
        if (number + number // a_row + own) % every == 0
    ]


def _longest(row: Row) -> float:
    """Return for how many seconds a row's cells wait, roughly."""
    if row.provider != "up":
        return PATIENCE
    return row.stream.wait or 0.0 if isinstance(row.stream, Fails) else 0.0


def drawn(protocol: str, upstream: str, count: int, seed: int) -> list[Cell]:
    """Return cells whose routes have up to four candidates, each with a fault drawn by chance.

    Ceilings are drawn too, and one candidate in five is well; what takes long is left out.
    """
    chance = random.Random(seed)  # noqa: S311 - a test has to fail twice in the same way
    rows = [
        row
        for row in ROWS
        if upstream in row.protocols
        if _longest(row) <= 1.0
        if row.gemini != (Ends.WHOLE, Ends.WHOLE)  # an answer without a word, unlike the others
    ]

    def cell(number: int) -> Cell:
        stream = chance.random() < 0.5
        route = chance.choice(("cascade", "dispatcher"))
        places, faults = [], []
        for index in range(1, chance.randint(2, 4) + 1):
            ceiling = chance.choice((SMALL, LARGE))
            if chance.random() < 0.2:
                places.append(_well(upstream, number, index, ceiling))
                faults.append("well")
            else:
                row = chance.choice(rows)
                places.append(_faulty(row, upstream, number, index, ceiling, stream=stream))
                faults.append(f"{row.fault} {ceiling}")
        return Cell(
            number=number,
            fault=", ".join(faults),
            protocol=protocol,
            upstream=upstream,
            stream=stream,
            route=route,
            places=tuple(places),
        )

    first = _APART * DIALECTS.index(upstream)
    return [cell(first + number) for number in range(count)]


def _cell(number: int, row: Row, protocol: str, upstream: str, *, stream: bool, route: str) -> Cell:
    first = _faulty(row, upstream, number, 1, SMALL, stream=stream)
    match route:
        case "direct":
            places: tuple[Place, ...] = (first,)
        case "exhausted":
            places = (first, _faulty(row, upstream, number, 2, LARGE, stream=stream))
        case _:
            places = (first, _well(upstream, number, 2, LARGE))
    return Cell(
        number=number,
        fault=row.fault,
        protocol=protocol,
        upstream=upstream,
        stream=stream,
        route=route,
        places=places,
    )


def _faulty(
    row: Row, upstream: str, number: int, index: int, ceiling: int, *, stream: bool
) -> Place:
    return Place(
        model=_model(f"{row.provider}-{upstream}/{_SIZES[ceiling]}", row.fault, number, index),
        ceiling=ceiling,
        end=row.end(upstream, stream=stream),
        once=row.once,
    )


def _well(upstream: str, number: int, index: int, ceiling: int) -> Place:
    model = _model(f"up-{upstream}/{_SIZES[ceiling]}", "", number, index)
    return Place(model=model, ceiling=ceiling, end=Ends.WHOLE)


def _model(base: str, fault: str, number: int, index: int) -> str:
    """Return the id of a model that no other place has, in any cell."""
    return "!".join(filter(None, (base, _ASKED_FOR, fault, f"tag={number * 10 + index}")))


def providers(url: str) -> str:
    """Return the providers of the matrix, all of them at a simulator.

    Each is there once with all protocols, and once with each of them alone (``up-messages``).
    """
    return "".join(
        _PROVIDER.format(
            name=name + suffix, url=url, first=first, idle=idle, total=total, protocols=list(spoken)
        )
        for name, first, idle, total in _PROVIDERS
        for suffix, spoken in (("", DIALECTS), *((f"-{each}", (each,)) for each in DIALECTS))
    )


def config(simulator: Simulator, found: Iterable[Cell]) -> str:
    """Return the configuration of a gateway in which all these cells stand side by side."""
    routing = f'[routing]\ndeadline = "{DEADLINE:g}s"\n'
    return routing + providers(simulator.base_url) + "".join(cell.config() for cell in found)


async def run(gateway: Gateway, found: Sequence[Cell], *, at_once: int = 100) -> list[Answered]:
    """Run all cells, so many at a time; each is followed by a request that nothing ails."""
    gate = asyncio.Semaphore(at_once)

    async def one(cell: Cell) -> Answered:
        async with gate, asyncio.timeout(DEADLINE):
            told = await _post(gateway, cell, cell.name, cell.body(), stream=cell.stream)
            after = f"up-{cell.upstream}/small!words=2!tag={cell.number * 10}"
            body = encoded(cell.protocol, after, "Hello")
            next_told = await _post(gateway, cell, after, body, stream=False)
            return msgspec.structs.replace(told, next_status=next_told.status)

    return await asyncio.gather(*(one(cell) for cell in found))


async def _post(gateway: Gateway, cell: Cell, model: str, body: bytes, *, stream: bool) -> Answered:
    limit = aiohttp.ClientTimeout(total=None)
    url = gateway.url + address(cell.protocol, model, stream=stream)
    received = b""
    torn = False
    async with gateway.client.post(url, data=body, timeout=limit) as answer:
        try:
            async for piece in answer.content.iter_any():
                received += piece
        except aiohttp.ClientPayloadError:
            torn = True
        return Answered(
            status=answer.status, headers=answer.headers, body=received, torn=torn, next_status=0
        )
