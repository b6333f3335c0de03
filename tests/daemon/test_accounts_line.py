"""Waiting in line for what others of one's key have reserved: fair, and never for ever."""

import asyncio
from decimal import Decimal

import pytest
from support.accounts import DIME, NOW, House, client_of, rest

from gatewayctl.core.allowance import Ask
from gatewayctl.daemon.accounts import HOLD, PATIENCE
from gatewayctl.daemon.over_limit import NotAllowed


@pytest.fixture
def house() -> House:
    """Return a house in which nobody has spent anything."""
    return House()


async def test_calls_wait_in_line_for_what_others_have_reserved(house: House) -> None:
    """Whoever came first is next, whoever leaves is in nobody's way, and no wait is for ever."""
    client = client_of("1/day")
    held = await house.admit(client)
    first, gone, second = (house.waits(client) for _ in range(3))
    await rest()
    gone.cancel()
    house.accounts.settle(held, Decimal("0.1"), 0)
    held = await first
    assert not second.done()
    with pytest.raises(NotAllowed):
        await house.admit(client, patience=0.01)
    house.accounts.settle(held, None, 0)
    with pytest.raises(NotAllowed):  # what is unknown took all that was reserved: nothing is left
        await second


async def test_nobody_passes_who_came_later(house: House) -> None:
    """Though it would fit: else many small calls would keep out a large one for ever."""
    client = client_of("1/day")
    held = await house.admit(client, Ask(input_cost=Decimal("0.5"), cost=Decimal("0.5")))
    large = house.waits(client, Ask(input_cost=Decimal("0.8"), cost=Decimal("0.8")))
    await rest()
    small = house.waits(client, DIME)
    await house.over(client, DIME)
    await rest()
    assert not small.done()
    house.accounts.settle(held, Decimal("0.1"), 0)
    await rest()
    assert large.done()
    assert small.done()
    await house.over(client, DIME)


async def test_a_large_call_holds_up_small_ones_no_longer_than_a_while(house: House) -> None:
    """Then whoever fits passes it, newcomers among them; it keeps its place all the same."""
    client = client_of("1/day")
    held = await house.admit(client, Ask(input_cost=Decimal("0.5"), cost=Decimal("0.5")))
    large = house.waits(client, Ask(input_cost=Decimal("0.8"), cost=Decimal("0.8")))
    await rest()
    small = house.waits(client, DIME)
    await rest()
    house.clock += HOLD
    passing = await house.admit(client, DIME)
    house.accounts.settle(passing, Decimal(0), 0)
    await rest()
    assert small.done()
    assert not large.done()
    house.accounts.settle(await small, Decimal(0), 0)
    house.accounts.settle(held, Decimal(0), 0)
    await large


async def test_small_calls_pass_a_large_one_though_nothing_ends(house: House) -> None:
    """They look again when it has held them up for long enough."""
    client = client_of("1/day")
    await house.admit(client, Ask(input_cost=Decimal("0.5"), cost=Decimal("0.5")))
    large = house.waits(client, Ask(input_cost=Decimal("0.8"), cost=Decimal("0.8")))
    await rest()
    house.clock += HOLD - 0.02
    await house.over(client, DIME)
    small = house.waits(client, DIME)
    await rest()
    assert not small.done()
    house.clock += 0.02
    async with asyncio.timeout(5):
        await small
    assert not large.done()
    large.cancel()


async def test_a_line_goes_on_when_its_budget_is_reset(house: House) -> None:
    """Though nothing that was reserved before is over; what goes on counts in the new period."""
    house.wall = NOW - 0.02
    client = client_of("1/hour")
    held = await house.admit(client)
    waiting = [house.waits(client, DIME) for _ in range(2)]
    await rest()
    house.wall = NOW
    async with asyncio.timeout(5):
        reserved = await asyncio.gather(*waiting)
    assert [each.at for each in (held, *reserved)] == [NOW - 0.02, NOW, NOW]


async def test_a_call_that_was_woken_in_vain_waits_for_the_reset_from_then_on(
    house: House,
) -> None:
    """Not for as long once more as it had to wait when it came."""
    house.wall = NOW - 20
    client = client_of("1/hour")
    half = Ask(input_cost=Decimal("0.5"), cost=Decimal("0.5"))
    held = [await house.admit(client, half) for _ in range(2)]
    waiting = house.waits(client, Ask(input_cost=Decimal("0.8"), cost=Decimal("0.8")))
    await rest()
    house.wall = NOW - 0.02
    house.accounts.settle(held[0], Decimal(0), 0)
    await rest()
    assert not waiting.done()
    house.wall = NOW
    async with asyncio.timeout(4):
        assert (await waiting).at == NOW


async def test_whoever_leaves_the_line_lets_the_next_one_go_on(house: House) -> None:
    """A client that hangs up takes nobody's turn with it, not even just as it is woken."""
    client = client_of("1/day")
    held = await house.admit(client)
    first, second = house.waits(client), house.waits(client)
    await rest()
    house.accounts.settle(held, Decimal(0), 0)
    first.cancel()
    await rest()
    assert first.cancelled()
    house.accounts.settle(await second, Decimal(0), 0)


async def test_a_free_call_waits_for_nobody(house: House) -> None:
    """What costs nothing is in nobody's line."""
    client = client_of("1/day")
    await house.admit(client)
    waiting = house.waits(client)
    await rest()
    await house.admit(client, Ask(input_tokens=5))
    waiting.cancel()


async def test_calls_wait_for_the_tokens_that_others_have_reserved_too(house: House) -> None:
    """They mostly take less; whoever is refused all the same hears what is in its way."""
    client = client_of(tpm=1000)
    held = await house.admit(client, Ask(input_tokens=10, tokens=1010))
    error = await house.over(client, Ask(input_tokens=10, tokens=20))
    assert (error.retry_after, error.should_retry) == (5.0, True)
    assert "0 were used in the last one and 1,010 are reserved" in error.message
    waiting = house.waits(client, Ask(input_tokens=10, tokens=1010))
    await rest()
    behind = house.waits(client, Ask(input_tokens=10, tokens=20))
    await rest()
    house.accounts.settle(held, Decimal(0), 100)
    await rest()
    assert waiting.done()
    assert not behind.done()
    house.accounts.settle(await waiting, Decimal(0), 800)
    await behind


async def test_a_line_has_an_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes when it is full is refused at once."""
    monkeypatch.setattr("gatewayctl.daemon.accounts.MOST_WAITING", 1)
    client = client_of("1/day")
    await house.admit(client)
    waiting = house.waits(client)
    await rest()
    with pytest.raises(NotAllowed):
        async with asyncio.timeout(5):
            await house.admit(client, patience=PATIENCE)
    waiting.cancel()
