"""One request's way through what its client may spend: what is waited for, passed over and told."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from support.gateway import settings_of, upstream_config
from support.world import FakeWorld, attempted, decide, model, places, shape, skipped

from gatewayctl.core.allowance import Ask, Held, Limits, Over, budget
from gatewayctl.core.attempts import Try, Unpaid
from gatewayctl.core.routing.decision import Decision
from gatewayctl.core.routing.graph import Cascade, OnBreak, Policy
from gatewayctl.daemon.accounts import FREE, PATIENCE, Accounts, Reservation
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.books import Book, Entry
from gatewayctl.daemon.over_limit import NotAllowed, over_limit
from gatewayctl.daemon.parts import Parts
from gatewayctl.daemon.paying import Purse, afforded
from gatewayctl.daemon.permitted import Client, Permitted
from gatewayctl.daemon.planning import Question

DAY = budget("1/day")
HELD = Reservation(held=Held(number=1, at=0.0, cost=7, tokens=7, slot=None))
SPENT = Over(budget=DAY, limit=1, spent=1, retry_after=60.0)
RESERVED = Over(budget=DAY, limit=1, reserved=1, retry_after=60.0, under_way=True)
BOUNDED = Limits(budgets=(DAY,))
TOO_MANY = Over(rate="tpm", limit=1, spent=1, retry_after=60.0)
TOO_MANY_RESERVED = Over(rate="tpm", limit=1, reserved=1, retry_after=60.0, under_way=True)


class _Accounts:
    """Says what it is told to, and keeps how it was asked: whether counted, how long to wait."""

    def __init__(self, *answers: Over | None, seconds: float = 0.0) -> None:
        self.asked: list[tuple[bool, float]] = []
        self.settled: list[tuple[object, int]] = []
        self._answers = list(answers)
        self._seconds = seconds

    async def over(self, client: Client, _ask: Ask) -> NotAllowed | None:
        """Answer in turn, and let pass who comes after that."""
        over = self._answers.pop(0) if self._answers else None
        return None if over is None else NotAllowed(over_limit(client.name, over, 0.0), over)

    async def admit(
        self, client: Client, _ask: Ask, *, counted: bool, patience: float
    ) -> Reservation:
        """Answer in turn, and admit who comes after that."""
        self.asked.append((counted, patience))
        await asyncio.sleep(self._seconds)
        over = self._answers.pop(0) if self._answers else None
        if over is not None:
            raise NotAllowed(over_limit(client.name, over, 0.0), over)
        return HELD

    def settle(self, _held: Reservation, cost: object, tokens: int) -> None:
        """Keep what was settled."""
        self.settled.append((cost, tokens))


class _House:
    """A request for ``up/m`` of a client with a budget, and what is written down of it."""

    def __init__(self, accounts: _Accounts) -> None:
        self.decision = decide("up/m", FakeWorld([model("up/m", 1000, prices=("1", "1"))]))
        self.decisions: list[Decision] = []
        client = Client("ci", Permitted(FakeWorld([])), limits=Limits(rpm=1))
        started = asyncio.get_running_loop().time()
        shape = SimpleNamespace(stream=False)
        asked = SimpleNamespace(
            caller=SimpleNamespace(client=client),
            question=None,
            request_id="r",
            shape=shape,
            started=started,
        )
        settings = settings_of(upstream_config("http://127.0.0.1:9"))
        clients = SimpleNamespace(accounts=accounts)
        parts = SimpleNamespace(clients=clients, settings=settings, silence=15.0)
        book = SimpleNamespace(decided=self.decisions.append)
        self.purse = Purse(
            cast("Parts", parts), cast("Asked", asked), self.decision, cast("Book", book)
        )

    async def reserved(
        self, number: int = 1, deadline: float = 600.0, *, patient: bool = False
    ) -> Reservation | Unpaid:
        """Reserve for an attempt."""
        (candidate,) = self.decision.attempts
        step = Try(
            candidate=candidate,
            number=number,
            deadline=deadline,
            on_break=OnBreak.ERROR,
            patient=patient,
        )
        return await self.purse.reserved(step)


async def test_a_request_counts_once_however_often_it_is_tried() -> None:
    """Its first attempt alone is one of the requests per minute."""
    accounts = _Accounts()
    house = _House(accounts)
    for number in (1, 2, 3):
        assert await house.reserved(number) is HELD
    assert [counted for counted, _ in accounts.asked] == [True, False, False]


async def test_only_the_last_that_is_left_is_waited_for_and_within_the_deadline() -> None:
    """All attempts together wait no longer than one may."""
    accounts = _Accounts(None, None, None, seconds=0.01)
    house = _House(accounts)
    await house.reserved()
    await house.reserved(deadline=5.0, patient=True)
    await house.reserved(patient=True)
    none, deadline, rest = (patience for _, patience in accounts.asked)
    assert none == 0.0
    assert 0 < deadline < 5.0
    assert deadline < rest < PATIENCE - 0.015


@pytest.mark.parametrize("patient", [False, True])
async def test_whom_a_budget_does_not_pay_is_passed_over(*, patient: bool) -> None:
    """And told apart: whether others' reservations alone are in the way. The decision says so."""
    house = _House(_Accounts(SPENT, RESERVED))
    for reserved in (False, True):
        found = await house.reserved(patient=patient)
        assert isinstance(found, Unpaid)
        assert found.reserved is reserved
    assert [len(each.skipped) for each in house.decisions] == [1, 1]


async def test_what_is_paid_for_after_all_is_passed_over_no_more() -> None:
    """The decision says how it was in the end."""
    house = _House(_Accounts(RESERVED))
    assert isinstance(await house.reserved(), Unpaid)
    assert await house.reserved(patient=True) is HELD
    assert [len(each.skipped) for each in house.decisions] == [1, 0]
    assert house.decisions[-1].attempts == house.decision.attempts


async def test_a_pace_ends_a_request_unless_it_is_worth_a_wait() -> None:
    """No other step would come sooner; but what is only reserved is waited for at the last one."""
    house = _House(_Accounts(TOO_MANY, TOO_MANY_RESERVED, TOO_MANY_RESERVED))
    with pytest.raises(NotAllowed):
        await house.reserved()
    found = await house.reserved()
    assert isinstance(found, Unpaid)
    assert found.reserved
    assert house.decisions == [], "it is no step's business"
    with pytest.raises(NotAllowed):
        await house.reserved(patient=True)


async def test_an_attempt_that_was_never_made_took_nothing() -> None:
    """What one of unknown cost took is not known either."""
    accounts = _Accounts()
    purse = _House(accounts).purse
    purse.settle(HELD, None)
    purse.settle(HELD, cast("Entry", SimpleNamespace(cost=None, tokens=9)))
    purse.settle(FREE, None)
    assert accounts.settled == [(0, 0), (None, 9)]


async def test_what_would_be_waited_for_is_told_last_and_what_would_be_refused_not_at_all() -> None:
    """As a request would fare now; a pace is the same for all."""
    world = _world("up/spent", "up/reserved", "up/paced", "up/free")
    question = SimpleNamespace(client=Client("ci", Permitted(world), limits=BOUNDED))
    accounts = _Accounts(SPENT, RESERVED, TOO_MANY)
    found = await _afforded(accounts, question, decide("all", world))
    assert attempted(found) == ["up/paced", "up/free", "up/reserved"]
    assert skipped(found) == {"up/spent": "over_budget"}
    assert "up/reserved waits for what other calls have reserved" in found.notes[-1]
    assert found.error is None


async def test_whoever_could_pay_for_nothing_is_told_when_it_might() -> None:
    """The soonest of all resets."""
    later = Over(budget=DAY, limit=1, spent=1, retry_after=90.0)
    world = _world("up/a", "up/b")
    question = SimpleNamespace(client=Client("ci", Permitted(world), limits=BOUNDED))
    found = await _afforded(_Accounts(later, SPENT), question, decide("all", world))
    assert found.attempts == ()
    assert found.error is not None
    assert found.error.retry_after == 60.0


def _world(*names: str) -> FakeWorld:
    """Return these models, and a route that asks one after another."""
    route = Cascade(id="all", places=places(*names), policy=Policy())
    return FakeWorld([model(each, 1000) for each in names], [route])


async def _afforded(accounts: _Accounts, question: SimpleNamespace, decision: Decision) -> Decision:
    """Return a decision as a client's budget leaves it, whatever each attempt would take."""
    question.body, question.reading = b"", SimpleNamespace(shape=shape())
    settings = settings_of(upstream_config("http://127.0.0.1:9"))
    return await afforded(
        cast("Accounts", accounts), settings, cast("Question", question), decision
    )
