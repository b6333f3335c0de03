"""What clients may still spend: reserved before a call and settled after it, here and elsewhere."""

import asyncio
from decimal import Decimal

import pytest
from support.accounts import DIME, DOLLAR, NOW, House, client_of
from support.waiting import until

from gatewayctl.core.allowance import Ask
from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.pricing import PICO
from gatewayctl.daemon.accounts import FREE, FRESH, STALE
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.storage.spending import Spent


@pytest.fixture
def house() -> House:
    """Return a house in which nobody has spent anything."""
    return House()


def _nothing() -> None:
    """Do nothing."""


async def test_who_has_no_limit_reserves_nothing(house: House) -> None:
    """Neither without a key nor with one; nor is anything read."""
    assert await house.accounts.admit(None, DOLLAR) is FREE
    assert await house.admit(client_of()) is FREE
    assert house.readings == 0


async def test_who_is_over_budget_hears_which_and_until_when(house: House) -> None:
    """In words and in fields; a wait of hours is nothing to retry after."""
    house.before = {"ci": 20 * PICO}
    error = await house.over(client_of("20/day"))
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


async def test_who_only_others_reservations_keep_out_may_come_back_soon(house: House) -> None:
    """Not when the budget is reset, or never: what they do not take is free as soon as they end."""
    house.before = {"ci": 19 * PICO}
    for budgets in (("20/day",), ("20",)):
        client = client_of(*budgets, name=budgets[0])
        held = await house.admit(client, Ask(input_cost=Decimal(19), cost=Decimal(20)))
        error = await house.over(client)
        assert (error.retry_after, error.should_retry, error.exhausted) == (5.0, True, False)
        assert "before some of those end" in error.message
        house.accounts.settle(held, Decimal("0.5"), 0)
        house.accounts.settle(held, Decimal(100), 0)
        await house.admit(client)


async def test_a_budget_in_all_is_never_reset(house: House) -> None:
    """So that there is no time to name."""
    house.before = {"ci": PICO}
    error = await house.over(client_of("1"))
    assert error.retry_after is None
    assert "never reset" in error.message
    assert error.details["resets_at"] is None


async def test_a_call_that_no_period_can_pay_for_is_not_put_off(house: House) -> None:
    """Its input alone costs more than the whole budget, tomorrow too; small sums are told."""
    ask = Ask(input_cost=Decimal("0.00041"), cost=Decimal(1))
    error = await house.over(client_of("0.0003/day"), ask)
    assert (error.retry_after, error.should_retry) == (None, False)
    assert "the input of this call alone costs up to $0.00041" in error.message


async def test_who_asks_too_often_hears_for_how_long(house: House) -> None:
    """A minute at most is worth waiting for; and a larger request than a minute holds is not."""
    client = client_of(rpm=1, tpm=100)
    await house.admit(client, Ask(input_tokens=10, tokens=20))
    error = await house.over(client, Ask())
    assert error.retry_after == pytest.approx(60, abs=0.11)
    assert error.details["rpm"] == 1
    assert "1 request a minute" in error.message
    never = await house.over(client, Ask(input_tokens=101))
    assert (never.retry_after, never.should_retry) == (None, False)
    assert never.details["tpm"] == 100


async def test_what_stands_against_a_call_can_be_asked_without_taking_anything(
    house: House,
) -> None:
    """For whoever wants to know what would be done."""
    client = client_of("1/day", rpm=1)
    for _ in range(3):
        assert await house.accounts.over(client, DOLLAR) is None
    await house.admit(client)
    found = await house.accounts.over(client, DOLLAR)
    assert found is not None
    assert await house.accounts.over(None, DOLLAR) is None


# What was spent elsewhere


async def test_what_was_spent_before_is_read_once_for_each_period(house: House) -> None:
    """At a key's first call, however many come at once; a restart forgets nothing."""
    house.before = {"ci": 9 * PICO}
    client = client_of("10/day", "50")
    calls = (house.admit(client) for _ in range(5))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, NotAllowed) for each in found) == 4
    assert [(each.client, each.since) for each in house.asked] == [
        ("ci", NOW - NOW % 86_400),
        ("ci", 0.0),
    ]
    assert house.readings == 1


async def test_a_budget_that_is_given_later_knows_what_was_spent(house: House) -> None:
    """What this daemon settled itself is not asked of the ledger again: it says from when on."""
    client = client_of("10/day")
    house.accounts.settle(await house.admit(client), Decimal(1), 0)
    house.before = {"ci": 8 * PICO}
    later = client_of("10/day", "10/month")
    await house.admit(later)
    await house.over(later)
    await house.over(client_of("10/day", "10/week"))
    assert [each.account for each in house.asked] == [None, 1, 1]
    house.accounts.settle(await house.admit(client_of(name="bot", rpm=9)), Decimal(1), 0)
    await house.admit(client_of("10/day", name="bot"))
    assert house.asked[-1].account == 0, "all of this daemon's spending is in its account"


async def test_a_key_that_is_gone_is_forgotten(house: House) -> None:
    """Where one of its name comes again, the ledger has all that it spent."""
    client = client_of("1/day")
    house.accounts.settle(await house.admit(client), Decimal(1), 0)
    house.accounts.keep({"ci"})
    await house.over(client)
    house.accounts.keep(set())
    await house.admit(client)


async def test_who_hangs_up_while_the_ledger_is_read_takes_no_other_along(house: House) -> None:
    """All who wait for a reading wait for the same one."""
    client = client_of("9/day")
    gone, other = house.waits(client), house.waits(client)
    await asyncio.sleep(0)
    gone.cancel()
    assert (await other).held is not None
    assert house.readings == 1


async def test_a_ledger_that_cannot_be_read_lets_nobody_spend(house: House) -> None:
    """Who has no budget is served all the same, and others as soon as it can."""
    bounded = client_of("1/day")
    house.broken = True
    with pytest.raises(NotAllowed) as refused:
        await house.admit(bounded)
    assert refused.value.error.kind is ErrorKind.UNAVAILABLE
    await house.admit(client_of(name="free", rpm=9))
    house.broken = False
    await house.admit(bounded)


async def test_two_daemons_on_one_folder_hear_of_each_others_spending(house: House) -> None:
    """A second after they asked last, without waiting; what is under way counts as it stands."""
    client = client_of("1/day")
    await house.admit(client, DIME)
    house.ended = [Spent(client="ci", hour=NOW, cost=PICO // 2)]
    house.under_way = (Spent(client="ci", hour=NOW, cost=PICO * 3 // 10),)
    await house.admit(client, DIME)
    await asyncio.to_thread(_nothing)  # as a reading would be made
    assert house.readings == 1, "it was asked a moment ago"
    house.clock += FRESH
    await house.admit(client, Ask())
    await until(lambda: house.readings == 2 and house.accounts._reading is None)
    error = await house.over(client, DIME)
    assert error.details["spent"] == 0.8


async def test_whoever_comes_after_a_pause_hears_first_what_others_spent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for that: nobody asked meanwhile."""
    monkeypatch.setattr("gatewayctl.daemon.accounts.PROMPT", 60.0)
    client = client_of("1/day")
    await house.admit(client, DIME)
    house.clock += STALE
    house.ended = [Spent(client="ci", hour=NOW, cost=PICO)]
    assert (await house.over(client)).details["spent"] == 1.0


async def test_a_ledger_that_takes_its_time_keeps_nobody_waiting_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not longer than for a moment: what it says counts as soon as it is heard."""
    monkeypatch.setattr("gatewayctl.daemon.accounts.PROMPT", 0.01)
    client = client_of("1/day")
    await house.admit(client, DIME)
    house.clock += STALE
    house.ended = [Spent(client="ci", hour=NOW, cost=PICO)]
    house.answers.clear()
    async with asyncio.timeout(10):
        await house.admit(client, DIME)
    house.answers.set()
    await until(lambda: house.accounts._reading is None)
    assert (await house.over(client)).details["spent"] == 1.0


async def test_a_ledger_that_breaks_later_stops_nobody_whose_spending_is_known(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This daemon counts by itself; that it hears of no others is said once."""
    monkeypatch.setattr("gatewayctl.daemon.accounts.PROMPT", 60.0)
    client = client_of("1/day")
    await house.admit(client, DIME)
    house.broken = True
    for _ in range(2):
        house.clock += STALE
        await house.admit(client, DIME)
    assert caplog.text.count("what others have spent is unknown") == 1
    assert house.readings == 3
