"""An upstream with a meter of its own, and what is asked of it: plans drawn by number and seed.

A plan says what a client asks for, when it leaves, and what becomes of each call that is made for
it. The upstream keeps of every call what had been told when it ended.
"""

import asyncio
import random
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from support.bills import PRICES, TIERS, drawn
from support.listener import Listener
from support.metered import Answer, Frame, State, drawn_style
from support.upstream import RawRequest, head, read_request

PROTOCOLS: Final = ("chat_completions", "responses", "messages", "gemini")
ROUTES: Final = 12
BUFFERED: Final = 3
"""Which one in four routes releases answers whole."""

NOTHING: Final = State({}, 0)

_NUMBER: Final = re.compile(rb"#(\d+)#")
_PLACE: Final = re.compile(rb'"model" ?: ?"([^"]+)"')
_CHUNKED: Final = (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))
_REFUSED: Final = (429, 500, 502, 503, 529)
_FAULTS: Final = ("refused", "silent", "half", "cut", "malformed", "error", "unfinished")
"""What may become of a call; ``silent`` closes without a word, ``half`` in the middle of one."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one call: an answer or a fault, and after which frame the fault comes."""

    fault: str
    tokens_seed: int
    style_seed: int
    pieces: int
    at: int
    status: int = 200


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One request: what is asked, how, and what becomes of its calls; the last one is well.

    ``leaves`` is when the client does: ``""`` never, ``"head"`` before a word, ``"piece"`` once it
    has read so many pieces, ``"whenever"`` in the middle of what comes.
    """

    number: int
    protocol: str
    asked: str
    stream: bool
    leaves: str
    after: int
    tier: str
    calls: tuple[Call, ...]


class Metered(msgspec.Struct, kw_only=True):
    """One call as the upstream saw it: whom it was for, and what had been told of it at its end.

    ``seen`` has every state that it went through. ``over`` is that a reader knows the last of them:
    it did not leave while there was more to read.
    """

    number: int
    model: str
    tier: str
    seen: list[State]
    over: bool = False


def plan(seed: int, number: int) -> Plan:
    """Return the plan of a request; the same for the same numbers."""
    chance = random.Random(seed * 1_000_003 + number)  # noqa: S311 - to be had again
    protocol = chance.choice(PROTOCOLS)
    stream = chance.random() < 0.6
    fate = chance.random()
    leaves = ""
    if fate < 0.03:
        leaves = "head"
    elif fate < 0.15 and stream:
        leaves = "piece" if fate < 0.12 else "whenever"
    if chance.random() < 0.5:  # else a route, and what buffers tells a client nothing to leave at
        upstream = protocol if chance.random() < 0.7 else chance.choice(PROTOCOLS)
        asked = f"{upstream}/{chance.choice(sorted(PRICES))}"
    else:
        route = chance.randrange(ROUTES)
        asked = f"route-{route}"
        if route % 4 == BUFFERED and leaves == "piece":
            leaves = ""
    calls = tuple(_calls(chance))
    return Plan(
        number=number,
        protocol=protocol,
        asked=asked,
        stream=stream,
        leaves=leaves,
        after=chance.randint(1, 4),
        tier=chance.choice(TIERS),
        calls=calls,
    )


def _calls(chance: random.Random) -> Iterator[Call]:
    while chance.random() < 0.12:
        yield _call(chance, chance.choice(_FAULTS))
    yield _call(chance, "")


def _call(chance: random.Random, fault: str) -> Call:
    return Call(
        fault=fault,
        tokens_seed=chance.getrandbits(32),
        style_seed=chance.getrandbits(32),
        pieces=chance.randint(4, 9),
        at=chance.randint(0, 12),
        status=chance.choice(_REFUSED),
    )


def config(url: str) -> str:
    """Return a gateway's configuration in front of the upstream: its models, prices and routes."""
    parts = ['[routing]\nfit = "off"\ndeadline = "60s"\n']
    for protocol in PROTOCOLS:
        parts.append(
            f'[providers.{protocol}]\nkind = "openai-compatible"\nbase_url = "{url}/v1"\n'
            f'auth = "none"\nprotocols = ["{protocol}"]\n'
        )
        parts += (_model(f"{protocol}/{name}", prices) for name, prices in PRICES.items())
    chance = random.Random(7)  # noqa: S311 - the same routes each time
    parts += (_route(chance, number) for number in range(ROUTES))
    return "".join(parts)


def _model(full_id: str, prices: Mapping[str, str]) -> str:
    said = "".join(f'"{key}" = {price}\n' for key, price in prices.items())
    table = f"[models.prices]\n{said}" if said else ""
    return f'[[models]]\nid = "{full_id}"\ncontext_window = 100000000\n{table}'


def _route(chance: random.Random, number: int) -> str:
    names = [f"{chance.choice(PROTOCOLS)}/{chance.choice(sorted(PRICES))}" for _ in range(5)]
    members = list(dict.fromkeys(names))
    match number % 4:
        case 0:
            steps = "".join(f'[[cascades.steps]]\nmodel = "{each}"\n' for each in members)
            return f'[[cascades]]\nid = "route-{number}"\n{steps}'
        case 1:
            places = "".join(
                f'[[alloys.constituents]]\nmodel = "{each}"\ncontext_window = 100000000\n'
                for each in members
            )
            how = 'name = "A"\nstrategy = "round_robin"\nscope = "request"\n'
            return f'[[alloys]]\nid = "route-{number}"\n{how}{places}'
        case 2:
            targets = ", ".join(f'"{each}"' for each in members)
            return f'[[dispatchers]]\nid = "route-{number}"\ntargets = [{targets}]\n'
        case _:  # BUFFERED
            steps = "".join(f'[[cascades.steps]]\nmodel = "{each}"\n' for each in members)
            return f'[[cascades]]\nid = "route-{number}"\non_break = "buffer"\n{steps}'


class Meter(Listener):
    """The upstream. ``calls`` are those of each request in the order in which they came."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self.calls: dict[int, list[Metered]] = {}
        self.came: dict[int, asyncio.Event] = {}

    async def converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        """Answer the requests of one connection."""
        try:
            while (request := await read_request(reader, connection)) is not None:
                if not await self._answer(request, reader, writer):
                    break
        except ConnectionError:
            writer.transport.abort()
        finally:
            writer.close()

    async def _answer(
        self, request: RawRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return False when its connection is over."""
        found = _NUMBER.search(request.body)
        assert found is not None, request.body
        number = int(found[1])
        asked = plan(self._seed, number)
        protocol, model, stream = _read(request)
        made = self.calls.setdefault(number, [])
        call = asked.calls[min(len(made), len(asked.calls) - 1)]
        metered = Metered(number=number, model=f"{protocol}/{model}", tier="", seen=[NOTHING])
        made.append(metered)
        if asked.leaves == "head":
            self.came.setdefault(number, asyncio.Event()).set()
            return await _held(reader)
        if call.fault == "refused":
            writer.write(_sized(b'{"error":{"message":"no","type":"x"}}', call.status))
            metered.over = True
            return True
        if call.fault == "silent":
            metered.over = True
            return False
        answer = _answer(call, protocol, asked.tier)
        metered.tier = answer.told_tier
        if not stream:
            return await self._whole(answer, call, metered, writer)
        return await self._stream(answer, call, asked, metered, reader, writer)

    async def _whole(
        self, answer: Answer, call: Call, metered: Metered, writer: asyncio.StreamWriter
    ) -> bool:
        body, metered.over = answer.whole(), True
        if call.fault in {"half", "cut", "unfinished"}:
            writer.write(_sized(body)[: -len(body) // 2])
            return False
        if call.fault in {"malformed", "error"}:
            writer.write(_sized(body[:-1]))
            return True
        metered.seen.append(State(answer.counts(), len(answer.text), whole=True))
        writer.write(_sized(body))
        return True

    async def _stream(
        self,
        answer: Answer,
        call: Call,
        asked: Plan,
        metered: Metered,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        frames = answer.frames()
        stop = min(call.at, len(frames) - 1) if call.fault else len(frames)
        if asked.leaves == "piece" and not call.fault:
            text = f"~{asked.after}~"
            stop = 1 + next(n for n, each in enumerate(frames) if text.encode() in each.data)
        writer.write(head(200, _CHUNKED))
        for frame in frames[:stop]:
            await _send(frame, metered, writer)
            if asked.leaves == "whenever":
                await asyncio.sleep(0)
        if asked.leaves == "piece" and not call.fault:
            metered.over = True
            return await _held(reader)
        metered.over = not asked.leaves
        match call.fault:
            case "half":
                writer.write(_chunk(frames[stop].data[:20]))
                return False
            case "cut":
                return False
            case "malformed":
                writer.write(_chunk(b'data: {"broken\n\n') + b"0\r\n\r\n")
                return False
            case "error":
                writer.write(_chunk(answer.error()) + b"0\r\n\r\n")
                return True
            case _:
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True


async def _send(frame: Frame, metered: Metered, writer: asyncio.StreamWriter) -> None:
    writer.write(_chunk(frame.data))
    metered.seen.append(frame.state)
    await writer.drain()


async def _held(reader: asyncio.StreamReader) -> bool:
    """Say nothing until the caller leaves."""
    while await reader.read(65536):
        continue
    return False


def _answer(call: Call, protocol: str, tier: str) -> Answer:
    chance = random.Random(call.tokens_seed)  # noqa: S311 - to be had again
    return Answer(
        protocol=protocol,
        tokens=drawn(chance, protocol),
        pieces=tuple(f"~{n}~{'x' * chance.randint(0, 60)} " for n in range(1, call.pieces + 1)),
        style=drawn_style(random.Random(call.style_seed), protocol),  # noqa: S311
        tier=tier,
    )


def _read(request: RawRequest) -> tuple[str, str, bool]:
    """Return the protocol of a request, the model and whether it wants a stream."""
    path = request.target.partition("?")[0]
    if "/models/" in path:
        model, _, method = path.rpartition("/")[2].partition(":")
        return "gemini", model, method.startswith("stream")
    found = _PLACE.search(request.body)
    assert found is not None, request.body
    endings = {"completions": "chat_completions", "responses": "responses", "messages": "messages"}
    stream = re.search(rb'"stream" ?: ?true', request.body) is not None
    return endings[path.rpartition("/")[2]], found[1].decode(), stream


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _sized(body: bytes, status: int = 200) -> bytes:
    return (
        head(status, [("content-type", "application/json"), ("content-length", str(len(body)))])
        + body
    )
