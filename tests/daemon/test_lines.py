"""Whatever calls of one key do, and in whatever order: no money is lost, and nobody waits forever.

Calls come, end, hang up and wait; hours pass, clocks jump, other daemons spend, limits change.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from support.world import FakeWorld

from gatewayctl.core.allowance import Ask, Limits, budget
from gatewayctl.core.pricing import PICO
from gatewayctl.daemon.accounts import MOST_WAITING, Accounts, Reservation
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.permitted import Client, Permitted
from gatewayctl.storage.spending import News, Spent, Wanted

NOON = 1_795_262_400.0  # 2026-11-21 12:00 UTC
PERMITTED = Permitted(FakeWorld([]))
CENTS = st.integers(0, 40)

Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), CENTS, CENTS),
        st.tuples(st.just("end"), st.integers(0, 9), st.integers(0, 100)),
        st.tuples(st.just("hang up"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("time"), st.integers(0, 7200), st.just(0)),
        st.tuples(st.just("jump"), st.integers(-7200, 7200), st.just(0)),
        st.tuples(st.just("others"), CENTS, st.just(0)),
        st.tuples(st.just("limit"), st.integers(0, 100), st.just(0)),
    ),
    max_size=40,
)


class _World:
    """One key's calls over a fake clock, in which executors read at once."""

    def __init__(self, cents: int) -> None:
        self.clock, self.wall = 1000.0, NOON
        self.others: list[Spent] = []
        self.accounts = Accounts(self, lambda: self.wall, lambda: self.clock)
        self.calls: list[tuple[asyncio.Task[Reservation], Ask]] = []
        self.limit(cents)

    def limit(self, cents: int) -> None:
        limits = Limits(budgets=(budget(f"{cents / 100:.2f}"),))
        self.client = Client("ci", PERMITTED, limits=limits)

    def read(self, wanted: Sequence[Wanted]) -> News:
        """Return what others spent since it was asked last."""
        ended, self.others = tuple(self.others), []
        return News(before=(0,) * len(wanted), ended=ended, under_way=(), closed=0)

    def running(self) -> list[tuple[asyncio.Task[Reservation], Ask]]:
        """Return the calls that are admitted and have not ended."""
        return [each for each in self.calls if _admitted(each[0])]

    async def do(self, step: Step) -> None:
        """Do one thing, and let everybody go on as far as they get."""
        what, one, other = step
        match what:
            case "come":
                read, written = Decimal(one) / 100, Decimal(other) / 100
                ask = Ask(input_cost=read, cost=read + written)
                self.calls.append((asyncio.ensure_future(self._call(ask)), ask))
            case "end" if running := self.running():
                task, ask = running[one % len(running)]
                self.calls.remove((task, ask))
                self.accounts.settle(task.result(), ask.cost * other / 100, 0)
            case "hang up" if waiting := [it for it in self.calls if not it[0].done()]:
                waiting[one % len(waiting)][0].cancel()
            case "time":
                self.clock += one
                self.wall += one
            case "jump":
                self.wall += one
            case "others":
                self.others.append(Spent(client="ci", hour=NOON, cost=one * PICO // 100))
            case "limit":
                self.limit(one)
        for _ in range(6):
            await asyncio.sleep(0)

    async def _call(self, ask: Ask) -> Reservation:
        return await self.accounts.admit(self.client, ask)

    async def state(self) -> tuple[int, int]:
        """Return what is spent and reserved, in pico-dollars."""
        none = Client("ci", PERMITTED, limits=Limits(budgets=(budget("0"),)))
        over = await self.accounts.over(none, Ask(input_cost=Decimal(1), cost=Decimal(1)))
        assert over is not None
        assert over.over is not None
        return over.over.spent, over.over.reserved


def _admitted(task: asyncio.Task[Reservation]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 100))
def test_no_money_is_lost_and_nobody_waits_for_ever(steps: list[Step], cents: int) -> None:
    """What is reserved is what runs, in any order; what is spent is over by one answer at most."""

    async def play() -> None:
        world = _World(cents)
        await world.do(("come", 0, 0))
        await world.state()
        largest, most, foreign = 0, cents, 0
        for step in steps:
            await world.do(step)
            match step:
                case ("come", _, written):
                    largest = max(largest, written)
                case ("limit", new, _):
                    most = max(most, new)
                case ("others", spent, _):
                    foreign += spent
            spent_, reserved = await world.state()
            assert reserved == sum(int(ask.cost * PICO) for _, ask in world.running())
            assert spent_ + reserved <= (most + largest + foreign) * PICO // 100
        for _ in range(len(world.calls) + 1):
            while world.running():
                await world.do(("end", 0, 100))
        for task, _ in world.calls:
            assert task.done(), "it waits though nobody is under way"
            assert task.cancelled() or isinstance(task.exception(), NotAllowed)
        assert (await world.state())[1] == 0
        assert len(world.calls) <= MOST_WAITING

    asyncio.run(play())
