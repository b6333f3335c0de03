"""The accounts of client keys, with the time and the ledger in a test's hands."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest
from support.world import FakeWorld

from gatewayctl.core.allowance import Ask, Limits, budget
from gatewayctl.core.errors import ApiError, ErrorKind, StorageFailed
from gatewayctl.daemon.accounts import Accounts, Reservation
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.permitted import Client, Permitted
from gatewayctl.storage.spending import News, Spent, Wanted

NOW = 1_795_262_400.0  # 2026-11-21 12:00 UTC
DOLLAR = Ask(input_cost=Decimal("0.1"), cost=Decimal(1))
DIME = Ask(input_cost=Decimal("0.1"), cost=Decimal("0.1"))


class House:
    """The time, and what the ledger says was spent."""

    def __init__(self) -> None:
        self.wall = NOW
        self.clock = 1000.0
        self.before: Mapping[str, int] = {}
        self.asked: list[Wanted] = []
        self.readings = 0
        self.broken = False
        self.answers = threading.Event()
        self.answers.set()
        self.ended: list[Spent] = []
        self.under_way: tuple[Spent, ...] = ()
        self.accounts = Accounts(self, lambda: self.wall, lambda: self.clock)

    def read(self, wanted: Sequence[Wanted]) -> News:
        """Return what was told to be spent, as soon as ``answers``; what ended is told once."""
        assert self.answers.wait(30)
        self.readings += 1
        self.asked += wanted
        if self.broken:
            raise StorageFailed("cannot read usage.db")
        ended, self.ended = tuple(self.ended), []
        before = tuple(self.before.get(each.client, 0) for each in wanted)
        return News(before=before, ended=ended, under_way=self.under_way, closed=self.readings)

    async def admit(self, client: Client, ask: Ask = DOLLAR, patience: float = 0) -> Reservation:
        """Admit a call that does not wait."""
        return await self.accounts.admit(client, ask, patience=patience)

    async def over(self, client: Client, ask: Ask = DOLLAR) -> ApiError:
        """Return what a call is told that is not admitted."""
        with pytest.raises(NotAllowed) as refused:
            await self.admit(client, ask)
        assert refused.value.error.kind is ErrorKind.RATE_LIMITED
        return refused.value.error

    def waits(self, client: Client, ask: Ask = DOLLAR) -> asyncio.Task[Reservation]:
        """Begin a call that waits for as long as any does."""
        return asyncio.ensure_future(self.accounts.admit(client, ask))


def client_of(*budgets: str, name: str = "ci", **limits: int) -> Client:
    """Return a client with these budgets and limits."""
    bounds = Limits(budgets=tuple(map(budget, budgets)), **limits)
    return Client(name, Permitted(FakeWorld([])), limits=bounds)


async def rest() -> None:
    """Let every task go on as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)
