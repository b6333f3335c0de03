"""What clients may still spend: reserved before a call, settled after it, and fair in between."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest
from support.waiting import until
from support.world import FakeWorld

from gatewayctl.core.allowance import Ask, Limits, budget
from gatewayctl.core.errors import ApiError, ErrorKind, StorageFailed
from gatewayctl.core.pricing import PICO
from gatewayctl.daemon.accounts import FREE, FRESH, HOLD, PATIENCE, STALE, Accounts, Reservation
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.permitted import Client, Permitted
from gatewayctl.storage.spending import News, Spent, Wanted

NOW = 1_795_262_400.0  # 2026-11-21 12:00 UTC
DOLLAR = Ask(input_cost=Decimal("0.1"), cost=Decimal(1))
DIME = Ask(input_cost=Decimal("0.1"), cost=Decimal("0.1"))


class _House:
    """The time, and what the ledger says was spent."""

    def __init__(self) -> None:
        self.wall = NOW
        self.clock = 1000.0
        self.before: Mapping[str, int] = {}
        self.asked: list[Wanted] = []
        self.readings = 0
        self.broken = False
        self.ended: list[Spent] = []
        self.under_way: tuple[Spent, ...] = ()
        self.accounts = Accounts(self, lambda: self.wall, lambda: self.clock)

    def read(self, wanted: Sequence[Wanted]) -> News:
        """Return what was told to be spent; what ended is told once."""
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


@pytest.fixture
def house() -> _House:
    """Return a house in which nobody has spent anything."""
    return _House()


def _client(*budgets: str, name: str = "ci", **limits: int) -> Client:
    bounds = Limits(budgets=tuple(map(budget, budgets)), **limits)
    return Client(name, Permitted(FakeWorld([])), limits=bounds)


async def _rest() -> None:
    """Let every task go on as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_has_no_limit_reserves_nothing(house: _House) -> None:
    """Neither without a key nor with one; nor is anything read."""
    assert await house.accounts.admit(None, DOLLAR) is FREE
    assert await house.admit(_client()) is FREE
    assert house.readings == 0


async def test_who_is_over_budget_hears_which_and_until_when(house: _House) -> None:
    """In words and in fields; a wait of hours is nothing to retry after."""
    house.before = {"ci": 20 * PICO}
    error = await house.over(_client("20/day"))
    assert error.retry_after == 12 * 3600
    assert not error.should_retry
    assert error.exhausted
    assert error.details == {
        "client": "ci",
        "budget": "20/day",
        "spent": 20.0,
        "reserved": 0.0,
        "resets_at": "2026-11-22T00:00:00Z",
    }
    for said in ('"ci"', "$20/day", "$20.0000 is spent", "2026-11-22T00:00:00Z"):
        assert said in error.message


async def test_who_only_others_reservations_keep_out_may_come_back_soon(house: _House) -> None:
    """Not when the budget is reset, or never: what they do not take is free as soon as they end."""
    house.before = {"ci": 19 * PICO}
    for budgets in (("20/day",), ("20",)):
        client = _client(*budgets, name=budgets[0])
        held = await house.admit(client, Ask(input_cost=Decimal(19), cost=Decimal(20)))
        error = await house.over(client)
        assert (error.retry_after, error.should_retry, error.exhausted) == (5.0, True, False)
        assert "before some of those end" in error.message
        house.accounts.settle(held, Decimal("0.5"), 0)
        house.accounts.settle(held, Decimal(100), 0)
        await house.admit(client)


async def test_a_budget_in_all_is_never_reset(house: _House) -> None:
    """So that there is no time to name."""
    house.before = {"ci": PICO}
    error = await house.over(_client("1"))
    assert error.retry_after is None
    assert "never reset" in error.message
    assert error.details["resets_at"] is None


async def test_a_call_that_no_period_can_pay_for_is_not_put_off(house: _House) -> None:
    """Its input alone costs more than the whole budget, tomorrow too; small sums are told."""
    ask = Ask(input_cost=Decimal("0.00041"), cost=Decimal(1))
    error = await house.over(_client("0.0003/day"), ask)
    assert (error.retry_after, error.should_retry) == (None, False)
    assert "the input of this call alone costs up to $0.00041" in error.message


async def test_who_asks_too_often_hears_for_how_long(house: _House) -> None:
    """A minute at most is worth waiting for; and a larger request than a minute holds is not."""
    client = _client(rpm=1, tpm=100)
    await house.admit(client, Ask(input_tokens=10, tokens=20))
    error = await house.over(client, Ask())
    assert error.retry_after == pytest.approx(60, abs=0.11)
    assert error.details["rpm"] == 1
    assert "1 requests a minute" in error.message
    never = await house.over(client, Ask(input_tokens=101))
    assert (never.retry_after, never.should_retry) == (None, False)
    assert never.details["tpm"] == 100


async def test_what_stands_against_a_call_can_be_asked_without_taking_anything(
    house: _House,
) -> None:
    """For whoever wants to know what would be done."""
    client = _client("1/day", rpm=1)
    for _ in range(3):
        assert await house.accounts.over(client, DOLLAR) is None
    await house.admit(client)
    found = await house.accounts.over(client, DOLLAR)
    assert found is not None
    assert await house.accounts.over(None, DOLLAR) is None


# What was spent elsewhere


async def test_what_was_spent_before_is_read_once_for_each_period(house: _House) -> None:
    """At a key's first call, however many come at once; a restart forgets nothing."""
    house.before = {"ci": 9 * PICO}
    client = _client("10/day", "50")
    calls = (house.admit(client) for _ in range(5))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, NotAllowed) for each in found) == 4
    assert [(each.client, each.since) for each in house.asked] == [
        ("ci", NOW - NOW % 86_400),
        ("ci", 0.0),
    ]
    assert house.readings == 1


async def test_a_budget_that_is_given_later_knows_what_was_spent(house: _House) -> None:
    """What this daemon settled itself is not asked of the ledger again: it says from when on."""
    client = _client("10/day")
    house.accounts.settle(await house.admit(client), Decimal(1), 0)
    house.before = {"ci": 8 * PICO}
    later = _client("10/day", "10/month")
    await house.admit(later)
    await house.over(later)
    assert [each.account for each in house.asked] == [None, 1]


async def test_a_ledger_that_cannot_be_read_lets_nobody_spend(house: _House) -> None:
    """Who has no budget is served all the same, and others as soon as it can."""
    bounded = _client("1/day")
    house.broken = True
    with pytest.raises(NotAllowed) as refused:
        await house.admit(bounded)
    assert refused.value.error.kind is ErrorKind.UNAVAILABLE
    await house.admit(_client(name="free", rpm=9))
    house.broken = False
    await house.admit(bounded)


async def test_two_daemons_on_one_folder_hear_of_each_others_spending(house: _House) -> None:
    """A second after they asked last, without waiting; what is under way counts as it stands."""
    client = _client("1/day")
    await house.admit(client, DIME)
    house.ended = [Spent(client="ci", hour=NOW, cost=PICO // 2)]
    house.under_way = (Spent(client="ci", hour=NOW, cost=PICO * 3 // 10),)
    await house.admit(client, DIME)
    assert house.readings == 1, "it was asked a moment ago"
    house.clock += FRESH
    await house.admit(client, Ask())
    await until(lambda: house.readings == 2 and not house.ended)
    await _rest()
    error = await house.over(client, DIME)
    assert error.details["spent"] == 0.8


async def test_whoever_comes_after_a_pause_hears_first_what_others_spent(house: _House) -> None:
    """It waits for that: nobody asked meanwhile."""
    client = _client("1/day")
    await house.admit(client, DIME)
    house.clock += STALE
    house.ended = [Spent(client="ci", hour=NOW, cost=PICO)]
    assert (await house.over(client)).details["spent"] == 1.0


async def test_a_ledger_that_breaks_later_stops_nobody_whose_spending_is_known(
    house: _House, caplog: pytest.LogCaptureFixture
) -> None:
    """This daemon counts by itself; that it hears of no others is said once."""
    client = _client("1/day")
    await house.admit(client, DIME)
    house.broken = True
    for _ in range(2):
        house.clock += STALE
        await house.admit(client, DIME)
        await _rest()
    assert caplog.text.count("what others have spent is unknown") == 1
    assert house.readings == 3


# Waiting in line


async def test_calls_wait_in_line_for_what_others_have_reserved(house: _House) -> None:
    """Whoever came first is next, whoever leaves is in nobody's way, and no wait is for ever."""
    client = _client("1/day")
    held = await house.admit(client)
    first, gone, second = (house.waits(client) for _ in range(3))
    await _rest()
    gone.cancel()
    house.accounts.settle(held, Decimal("0.1"), 0)
    held = await first
    assert not second.done()
    with pytest.raises(NotAllowed):
        await house.admit(client, patience=0.01)
    house.accounts.settle(held, None, 0)
    with pytest.raises(NotAllowed):  # what is unknown took all that was reserved: nothing is left
        await second


async def test_nobody_passes_who_came_later(house: _House) -> None:
    """Though it would fit: else many small calls would keep out a large one for ever."""
    client = _client("1/day")
    held = await house.admit(client, Ask(input_cost=Decimal("0.5"), cost=Decimal("0.5")))
    large = house.waits(client, Ask(input_cost=Decimal("0.8"), cost=Decimal("0.8")))
    await _rest()
    small = house.waits(client, DIME)
    await house.over(client, DIME)
    await _rest()
    assert not small.done()
    house.accounts.settle(held, Decimal("0.1"), 0)
    await _rest()
    assert large.done()
    assert small.done()
    await house.over(client, DIME)


async def test_a_large_call_holds_up_small_ones_no_longer_than_a_while(house: _House) -> None:
    """Then whoever fits passes it, newcomers among them; it keeps its place all the same."""
    client = _client("1/day")
    held = await house.admit(client, Ask(input_cost=Decimal("0.5"), cost=Decimal("0.5")))
    large = house.waits(client, Ask(input_cost=Decimal("0.8"), cost=Decimal("0.8")))
    await _rest()
    small = house.waits(client, DIME)
    await _rest()
    house.clock += HOLD
    passing = await house.admit(client, DIME)
    house.accounts.settle(passing, Decimal(0), 0)
    await _rest()
    assert small.done()
    assert not large.done()
    house.accounts.settle(await small, Decimal(0), 0)
    house.accounts.settle(held, Decimal(0), 0)
    await large


async def test_a_line_goes_on_when_its_budget_is_reset(house: _House) -> None:
    """Though nothing that was reserved before is over; what goes on counts in the new period."""
    house.wall = NOW - 0.02
    client = _client("1/hour")
    held = await house.admit(client)
    waiting = [house.waits(client, DIME) for _ in range(2)]
    await _rest()
    house.wall = NOW
    async with asyncio.timeout(5):
        reserved = await asyncio.gather(*waiting)
    assert [each.at for each in (held, *reserved)] == [NOW - 0.02, NOW, NOW]


async def test_whoever_leaves_the_line_lets_the_next_one_go_on(house: _House) -> None:
    """A client that hangs up takes nobody's turn with it, not even just as it is woken."""
    client = _client("1/day")
    held = await house.admit(client)
    first, second = house.waits(client), house.waits(client)
    await _rest()
    house.accounts.settle(held, Decimal(0), 0)
    first.cancel()
    await _rest()
    assert first.cancelled()
    house.accounts.settle(await second, Decimal(0), 0)


async def test_a_free_call_waits_for_nobody(house: _House) -> None:
    """What costs nothing is in nobody's line."""
    client = _client("1/day")
    await house.admit(client)
    waiting = house.waits(client)
    await _rest()
    await house.admit(client, Ask(input_tokens=5))
    waiting.cancel()


async def test_calls_wait_for_the_tokens_that_others_have_reserved_too(house: _House) -> None:
    """They mostly take less; whoever is refused all the same hears what is in its way."""
    client = _client(tpm=1000)
    held = await house.admit(client, Ask(input_tokens=10, tokens=1010))
    error = await house.over(client, Ask(input_tokens=10, tokens=20))
    assert (error.retry_after, error.should_retry) == (5.0, True)
    assert "0 were used in the last one and 1,010 are reserved" in error.message
    waiting = house.waits(client, Ask(input_tokens=10, tokens=1010))
    await _rest()
    behind = house.waits(client, Ask(input_tokens=10, tokens=20))
    await _rest()
    house.accounts.settle(held, Decimal(0), 100)
    await _rest()
    assert waiting.done()
    assert not behind.done()
    house.accounts.settle(await waiting, Decimal(0), 800)
    await behind


async def test_a_line_has_an_end(house: _House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes when it is full is refused at once."""
    monkeypatch.setattr("gatewayctl.daemon.accounts.MOST_WAITING", 1)
    client = _client("1/day")
    await house.admit(client)
    waiting = house.waits(client)
    await _rest()
    with pytest.raises(NotAllowed):
        await house.admit(client, patience=PATIENCE)
    waiting.cancel()
