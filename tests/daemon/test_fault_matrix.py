"""Every fault of an upstream × streamed or not × client protocol × kind of route."""

import asyncio
import os
from collections.abc import Sequence

import pytest
from support import judging, leaks, matrix, strict
from support.asking import asking, cascade
from support.dialects import DIALECTS, PROTOCOLS
from support.faultlist import ROWS
from support.gateway import gateway
from support.waiting import until

from gatewayctl import simulator as simulators
from gatewayctl.daemon.outlet import SILENCE
from gatewayctl.simulator.faults import FAULTS
from gatewayctl.simulator.journal import Ending
from gatewayctl.simulator.refusals import FLAPPING

SOAK = bool(os.environ.get("GATEWAYCTL_SOAK"))
NOT_IN_THE_MATRIX = {"words", "tag"}
WELL = "up/large!words=6"


@pytest.mark.soak
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_every_fault_is_rescued_or_told_as_the_policy_says(protocol: str) -> None:
    """Attempts, order and waits, what the client is told, the ledger, the next request, no leak.

    Every tenth cell where the upstreams speak the client's protocol, fewer of them where they speak
    another; with soak, all.
    """
    cells = matrix.cells(protocol, protocol, every=1 if SOAK else 10)
    for upstream in others(protocol):
        cells += matrix.cells(protocol, upstream, every=1 if SOAK else 71)
    await hold(cells)


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_faults_in_any_order_are_held_to_the_policy_too(protocol: str) -> None:
    """Routes of up to four candidates that fail in different ways, drawn by chance."""
    await hold(drawn(protocol, seed=4))


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_faults_after_early_headers_are_held_to_it_as_well(protocol: str) -> None:
    """The headers went out and nothing with them: the same attempts, and errors in the stream."""
    await hold([cell for cell in drawn(protocol, seed=15) if cell.stream], silence=0.05)


def drawn(protocol: str, seed: int) -> list[matrix.Cell]:
    """Return drawn cells of a client, most of them on upstreams of its own protocol."""
    cells = matrix.drawn(protocol, protocol, count=150 if SOAK else 30, seed=seed)
    for upstream in others(protocol):
        cells += matrix.drawn(protocol, upstream, count=150 if SOAK else 9, seed=seed)
    return cells


def others(protocol: str) -> list[str]:
    """Return the protocols that are translated to and from this one."""
    return [other for other in DIALECTS if other != protocol]


async def hold(cells: Sequence[matrix.Cell], silence: float = SILENCE) -> None:
    """Run cells on a gateway of their own; fail with a line for each that is not as expected."""
    simulator = await simulators.start()
    before = leaks.held()
    try:
        async with gateway(matrix.config(simulator, cells), silence=silence) as running:
            at_rest = leaks.held()
            told = await matrix.run(running, cells)
            wrong = judging.judged(cells, told, simulator)
            wrong += await judging.booked(cells, told, running.state)
            assert not wrong, f"{len(wrong)} of {len(cells)} cells:\n" + "\n".join(wrong)
            await leaks.only_pooled(running, simulator, at_rest)
        await leaks.alone(simulator)
        await leaks.back_to(before)
    finally:
        await simulator.close()


def test_every_fault_is_in_the_matrix() -> None:
    """A fault that the simulator learns has to be added to the table."""
    told = {part.partition("=")[0] for row in ROWS for part in row.fault.split("!")}
    names = {part.removesuffix("*1") for part in told}
    assert names >= set(FAULTS) - NOT_IN_THE_MATRIX


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_prompt_that_is_too_long_never_moves_to_a_smaller_model(protocol: str) -> None:
    """The next step is passed over, the one after it, which is larger, is not."""
    first, smaller, larger = "up/small!overflow", "up/small!tag=1", "up/large!tag=2"
    sizes = {first: 32_768, smaller: 16_384, larger: 262_144}

    def config(url: str) -> str:
        windows = "".join(
            f'[[models]]\nid = "{model}"\ncontext_window = {size}\n'
            for model, size in sizes.items()
        )
        routes = cascade("down", first, smaller) + cascade("up-again", first, smaller, larger)
        return matrix.providers(url) + windows + routes

    async with asking(config) as it:
        for stream in (False, True):
            down = await it.ask("down", protocol, stream=stream)
            assert (down.status, down.attempts) == (400, 1)
            rescued = await it.ask("up-again", protocol, stream=stream)
            assert (rescued.status, rescued.attempts, rescued.model) == (200, 2, larger)
        assert it.calls("small!tag=1") == 0


async def test_nothing_is_begun_after_the_deadline() -> None:
    """Two silences use the time up: the third step is not tried, nor a wait begun."""
    deadline = f'"{matrix.PATIENCE + 1}s"'

    def config(url: str) -> str:
        routes = ""
        for number, protocol in enumerate(PROTOCOLS):
            silent = (f"brief/small!silence!tag={number}{place}" for place in range(3))
            routes += cascade(protocol, *silent, deadline=deadline)
            limited = f"up/small!429=14!tag={number}"
            routes += cascade(f"{protocol}-limited", limited, deadline='"5s"')
        return matrix.providers(url) + routes

    async with asking(config) as it:
        asked = (it.ask(protocol, protocol, stream=True) for protocol in PROTOCOLS)
        for told in await asyncio.gather(*asked):
            assert (told.status, told.attempts) == (504, 2)
        calls = it.simulator.journal.calls()
        assert {call.model[-1] for call in calls} == {"0", "1"}
        await until(lambda: all(call.ending is Ending.ABANDONED for call in calls))
        for protocol in PROTOCOLS:
            async with asyncio.timeout(10):
                told = await it.ask(f"{protocol}-limited", protocol)
            assert (told.status, told.attempts) == (429, 1)
            assert told.headers["retry-after"] == "14"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_route_falls_back_on_what_it_says(protocol: str) -> None:
    """``fallback_on`` replaces the usual list: a wrong key moves on, an overload does not."""

    def config(url: str) -> str:
        return matrix.providers(url) + "".join(
            cascade(f"after-{fault}", f"up/small!{fault}", WELL, fallback_on='["auth"]')
            for fault in ("401", "503")
        )

    async with asking(config) as it:
        rescued = await it.ask("after-401", protocol)
        assert (rescued.status, rescued.attempts, rescued.model) == (200, 2, WELL)
        told = await it.ask("after-503", protocol)
        # There is nobody to move on to, so it is retried once.
        assert (told.status, told.attempts) == (503, 2)


@pytest.mark.parametrize("fault", ["cut-tokens=2", "no-terminal", "malformed-tokens=2", "reset"])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_buffered_stream_falls_back_even_after_its_content(
    protocol: str, fault: str
) -> None:
    """With ``on_break = "buffer"`` nothing is released before the answer is whole."""
    following = DIALECTS[DIALECTS.index(protocol) - 1]
    for upstream in (protocol, following):
        first, well = f"up-{upstream}/small!words=6!{fault}", f"up-{upstream}/large!words=6"
        route = cascade("whole", first, well, on_break='"buffer"')

        def config(url: str, route: str = route) -> str:
            return matrix.providers(url) + route

        async with asking(config) as it:
            told = await it.ask("whole", protocol, stream=True)
        assert (told.status, told.model) == (200, well)
        assert strict.events(protocol, told.body)


async def test_flapping_for_a_minute_is_rescued_all_along() -> None:
    """Down, up, down, up on the upstream's clock: each request is answered, by whoever is up."""
    first = "up/small!words=2!flap=10"
    clock = [0.0]

    def config(url: str) -> str:
        return matrix.providers(url) + cascade("flapping", first, WELL)

    async with asking(config, lambda: clock[0]) as it:
        models = []
        for turn in range(14):
            clock[0] = 5.0 * turn
            told = await it.ask("flapping", stream=turn % 3 == 0)
            assert told.status == 200, told.body
            models.append(told.model)
    assert FLAPPING == 12 * 5
    assert models == [WELL, first] * 6 + [first] * 2
