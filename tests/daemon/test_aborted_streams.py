"""Streams by the hundred that their clients leave, anywhere and in any way: nothing stays behind.

Hundreds in the suite, ten thousand in ``make soak``. How one such end is told in the log is
``test_leaving``'s business.
"""

import asyncio
import gc
import os
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import pytest
from support.dialects import PATHS, PROTOCOLS, encoded, text_in
from support.gateway import Gateway, gateway, upstream_config
from support.waiting import until

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator
from gatewayctl.storage import history
from gatewayctl.storage.history import LoggedAttempt, LoggedRequest
from gatewayctl.storage.records import Outcome

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc"),
]

STREAMS: Final = 10_000 if "GATEWAYCTL_SOAK" in os.environ else 240
ROUNDS: Final = 10
ORDINARY: Final = "up/large!words=20!pace=0.01"
"""A model whose answers take long enough that those asked for at once are under way at once."""
AT_ONCE: Final = 32
CHARS_PER_TOKEN: Final = 3.5
"""How the gateway estimates output that was not metered."""
METERED_INPUT: Final = 6
"""Tokens that the simulator counts of what every client here says."""
KEPT: Final = 16 * 1024 * 1024
"""Bytes by which the process may grow in the second half of the rounds: allocators breathe."""
RESET: Final = struct.pack("ii", 1, 0)


class Point(StrEnum):
    """Where a client leaves; the value is what its upstream does meanwhile."""

    BEFORE_HEADERS = "silence"
    BEFORE_COMMIT = "stall=1"
    BEFORE_RETRY = "429=5"
    SLOW = "words=2000!pace=0.002"
    FAST = "words=2000"
    LAST_BYTE = "words=20"


WRITTEN_OUT: Final = {Point.FAST, Point.LAST_BYTE}
"""Where the whole answer may be in the kernel's buffers before the gateway learns of the end."""
ENDS: Final = {
    "chat_completions": b"data: [DONE]",
    "responses": b'"type":"response.completed"',
    "messages": b'"type":"message_stop"',
}


class Leaver(msgspec.Struct, kw_only=True):
    """One client: what it asks for, where and how it leaves, and how much it had read by then.

    ``wanted`` and ``read`` are bytes, ``text`` is characters.
    """

    number: int
    protocol: str
    point: Point
    reset: bool
    patience: float
    wanted: int
    read: int = 0
    text: int = 0

    @property
    def model(self) -> str:
        """A model of its own, by which its request is found again in the ledger."""
        return f"up/large!{self.point.value}!slow=0.000{self.number:06d}"

    async def run(self, url: str) -> None:
        """Ask, read as far as is wanted, and be gone, with a FIN or with a RST."""
        host, _, port = url.removeprefix("http://").partition(":")
        body = encoded(self.protocol, self.model, "Hi", stream=True)
        head = f"POST {PATHS[self.protocol]} HTTP/1.1\r\nhost: {host}\r\n"
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        match self.point:
            case Point.BEFORE_HEADERS | Point.BEFORE_COMMIT | Point.BEFORE_RETRY:
                await asyncio.sleep(self.patience)
            case Point.SLOW | Point.FAST:
                await self._read(reader, lambda read: len(read) >= self.wanted)
            case Point.LAST_BYTE:
                await self._read(reader, lambda read: ENDS[self.protocol] in read)
        if self.reset:
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        else:
            writer.close()

    async def _read(
        self, reader: asyncio.StreamReader, enough: Callable[[bytearray], bool]
    ) -> None:
        read = bytearray()
        while not enough(read):
            piece = await reader.read(4096)
            assert piece, f"the stream ended before its client left: {read[-200:]!r}"
            read += piece
        self.read = len(read)
        lines = bytes(read).rpartition(b"\n")[0].split(b"\n")
        self.text = sum(len(text_in(line)) for line in lines)


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole process holds: the gateway, the simulator and whatever clients are left."""

    descriptors: int
    tasks: int
    upstream: int

    @classmethod
    def now(cls, simulator: Simulator) -> "Footprint":
        """Measure it."""
        return cls(
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            tasks=len(asyncio.all_tasks()),
            upstream=simulator.open_connections,
        )

    def within(self, other: "Footprint") -> bool:
        """Tell whether nothing is more than it was."""
        return (
            self.descriptors <= other.descriptors
            and self.tasks <= other.tasks
            and self.upstream <= other.upstream
        )


def _leavers(chance: random.Random, first: int, count: int) -> list[Leaver]:
    return [
        Leaver(
            number=number,
            protocol=chance.choice(PROTOCOLS),
            point=chance.choice(list(Point)),
            reset=chance.random() < 0.5,
            patience=chance.uniform(0, 0.06),
            wanted=chance.choice((1, chance.randint(2, 600), chance.randint(600, 20_000))),
        )
        for number in range(first, first + count)
    ]


async def _leave(running: Gateway, leavers: list[Leaver]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(leaver: Leaver) -> None:
        async with gate, asyncio.timeout(60):
            await leaver.run(running.url)

    await asyncio.gather(*(one(leaver) for leaver in leavers))


async def _warm_up(running: Gateway) -> None:
    """Answer as many requests at once as there will be, so that whatever is pooled is there."""

    async def one(protocol: str) -> None:
        body = encoded(protocol, ORDINARY, "Hi", stream=True)
        async with running.client.post(running.url + PATHS[protocol], data=body) as reply:
            assert reply.status == 200
            await reply.read()

    await asyncio.gather(*(one(protocol) for protocol in PROTOCOLS for _ in range(AT_ONCE)))


async def _logged(running: Gateway) -> Mapping[str, LoggedRequest]:
    """Return the requests by model, as soon as every one in the ledger is over."""
    async with asyncio.timeout(30):
        while True:
            found = await asyncio.to_thread(history.requests, running.state, limit=STREAMS * 2)
            if all(request.outcome is not None for request in found):
                return {it.asked: it for it in found if it.asked != ORDINARY}
            await asyncio.sleep(0.2)


def _resident() -> int:
    """Return the bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def test_streams_that_clients_leave_leave_nothing_behind_but_their_usage() -> None:
    """Before headers, commit or retry, in the middle, at the last byte; by FIN and by RST.

    Descriptors, tasks and connections are back where they were; every stream is in the ledger
    as abandoned, with what had been metered or written by then.
    """
    chance = random.Random(10_000)  # noqa: S311 - where to leave is no secret
    simulator = await simulators.start()
    leavers: list[Leaver] = []
    called: Counter[str] = Counter()
    resident: list[int] = []
    try:
        async with gateway(upstream_config(simulator.base_url)) as running:
            await _warm_up(running)
            start = Footprint.now(simulator)
            for _ in range(ROUNDS):
                group = _leavers(chance, len(leavers), STREAMS // ROUNDS)
                leavers += group
                await _leave(running, group)
                await until(lambda: Footprint.now(simulator).within(start), seconds=30)
                called.update(f"up/{call.model}" for call in simulator.journal.calls())
                simulator.journal.requests.clear()
                resident.append(_resident())
            await _warm_up(running)  # so that what is pooled is there again, and no more
            await until(lambda: Footprint.now(simulator).within(start), seconds=30)
            requests = await _logged(running)
    finally:
        await simulator.close()
    half = resident[ROUNDS // 2]
    slope = (resident[-1] - half) / (STREAMS / ROUNDS * (ROUNDS - 1 - ROUNDS // 2))
    sys.stdout.write(
        f"\n{STREAMS} streams left, {len(requests)} in the ledger;"
        f" {start}, {resident[-1] / 1e6:.0f} MB,"
        f" {slope:.0f} bytes a stream in the second half\n"
    )
    assert resident[-1] - half < KEPT
    _assert_recorded(leavers, requests, called)


def _assert_recorded(
    leavers: list[Leaver], requests: Mapping[str, LoggedRequest], called: Counter[str]
) -> None:
    assert not called.keys() - requests.keys() - {ORDINARY}
    for leaver in leavers:
        request = requests.get(leaver.model)
        if request is None:  # it was gone before its request was understood
            assert not leaver.read
            continue
        (attempt,) = request.attempts
        if leaver.point not in WRITTEN_OUT or request.outcome is not Outcome.ANSWERED:
            assert request.outcome is Outcome.ABANDONED
        failed = leaver.point is Point.BEFORE_RETRY and attempt.outcome is Outcome.FAILED
        assert failed or attempt.outcome is request.outcome
        if leaver.read:
            _assert_metered(leaver, attempt)


def _assert_metered(leaver: Leaver, attempt: LoggedAttempt) -> None:
    """Compare with what was metered, and where nothing was with what was written by then."""
    usage = attempt.metered.usage
    assert attempt.first_token is not None
    if leaver.protocol == "messages":  # metered from its first event on
        assert usage.input == METERED_INPUT
    if attempt.outcome is Outcome.ABANDONED:
        assert usage.input
        assert (usage.output or 0) >= leaver.text / CHARS_PER_TOKEN, (leaver, usage)
