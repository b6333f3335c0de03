"""A key's book: never over its budget by more than one call's output, nothing held for ever."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.allowance import (
    Account,
    Ask,
    Budget,
    Elsewhere,
    Held,
    Limits,
    Over,
    ask,
    budget,
)
from gatewayctl.core.model import Sourced
from gatewayctl.core.periods import Period
from gatewayctl.core.pricing import PICO, pico
from gatewayctl.core.routing.decision import Estimate, Method

NOON = 1_795_262_400.0  # 2026-11-21 12:00 UTC
CENT = Decimal("0.01")


def _account(*budgets: str, rpm: int | None = None, tpm: int | None = None) -> Account:
    limits = Limits(budgets=tuple(map(budget, budgets)), rpm=rpm, tpm=tpm)
    account = Account(limits, NOON)
    for period, since in account.unread(NOON):
        account.read(period, since, 0)
    return account


def _ask(read: Decimal | int, written: Decimal | int = 0, tokens: int = 0) -> Ask:
    return Ask(input_cost=Decimal(read), cost=Decimal(read) + Decimal(written), tokens=tokens)


def _spent(account: Account, period: Period = Period.DAY, wall: float = NOON) -> tuple[int, int]:
    """Return what is spent and reserved in a period, as one would hear who is over its budget."""
    limits, account.limits = (
        account.limits,
        Limits(budgets=(Budget(amount=Decimal(0), period=period),)),
    )
    over = _refused(account.over(_ask(1), wall, 0.0) or _none())
    account.limits = limits
    return over.spent, over.reserved


def _none() -> Over:
    raise AssertionError("nothing is refused")


def _admitted(found: Held | Over) -> Held:
    assert isinstance(found, Held)
    return found


def _refused(found: Held | Over) -> Over:
    assert isinstance(found, Over)
    return found


@pytest.mark.parametrize(
    ("text", "amount", "period"),
    [
        ("20/day", "20", Period.DAY),
        ("2.50/hour", "2.50", Period.HOUR),
        ("$100/month", "100", Period.MONTH),
        ("50/week", "50", Period.WEEK),
        ("50", "50", Period.ALL),
        ("0.000001/all", "0.000001", Period.ALL),
        ("0/day", "0", Period.DAY),
    ],
)
def test_budgets_are_read_as_people_write_them(text: str, amount: str, period: Period) -> None:
    """An amount and a period; without one it is in all. What is shown can be read again."""
    found = budget(text)
    assert found == Budget(amount=Decimal(amount), period=period)
    assert budget(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "day", "-1/day", "1/year", "1e3/day", "1/day/day", "1_0", "٣"]
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(ValueError, match="20/day"):
        budget(text)


def test_a_call_reserves_all_it_may_cost_and_gives_back_what_it_did_not() -> None:
    """Until it is settled nobody else can count on the money; afterwards only the cost is gone."""
    account = _account("1/day")
    held = _admitted(account.admit(_ask(CENT, Decimal("0.98")), NOON, 0))
    over = _refused(account.admit(_ask(2 * CENT), NOON, 0))
    assert over.budget == budget("1/day")
    assert over.retry_after == 12 * 3600
    assert account.settle(held, pico(5 * CENT), 0, NOON + 1, 1)
    assert _spent(account) == (pico(5 * CENT), 0)
    _admitted(account.admit(_ask(95 * CENT), NOON + 1, 1))


def test_fifty_at_once_on_money_for_ten() -> None:
    """Ten pass, the rest hear when the budget is reset."""
    account = _account("1/day")
    found = [account.admit(_ask(CENT, 9 * CENT), NOON, 0) for _ in range(50)]
    assert sum(isinstance(each, Held) for each in found) == 10
    assert {each.retry_after for each in found if isinstance(each, Over)} == {12 * 3600}


def test_a_large_budget_of_output_keeps_nobody_out_who_has_money_left() -> None:
    """The input has to fit, the output may go over: by one call's at most, since it is reserved."""
    account = _account("1/day")
    _admitted(account.admit(_ask(CENT, 100), NOON, 0))
    _refused(account.admit(_ask(CENT, 100), NOON, 0))


def test_what_costs_nothing_needs_no_money() -> None:
    """A free model can be asked when all is spent; one that costs cannot, not even for a cent."""
    account = _account("0/day")
    _admitted(account.admit(_ask(0), NOON, 0))
    _refused(account.admit(_ask(0, CENT), NOON, 0))


def test_every_budget_has_to_have_room_and_the_longest_wait_is_told() -> None:
    """An hour's budget is over first, a budget in all never comes back."""
    account = _account("1/hour", "2/day", "3")
    held = _admitted(account.admit(_ask(1), NOON, 0))
    assert account.settle(held, PICO, 0, NOON, 0)
    assert _refused(account.admit(_ask(1), NOON, 0)).retry_after == 3600
    later = NOON + 3600
    account.settle(_admitted(account.admit(_ask(1), later, 0)), PICO, 0, later, 0)
    over = _refused(account.admit(_ask(1), later, 0))
    assert over.budget == budget("2/day")
    tomorrow = NOON + 86_400
    account.settle(_admitted(account.admit(_ask(1), tomorrow, 0)), PICO, 0, tomorrow, 0)
    never = _refused(account.admit(_ask(1), tomorrow, 0))
    assert never.budget == budget("3")
    assert never.retry_after is None


def test_a_call_counts_in_the_period_that_it_was_admitted_in() -> None:
    """One that is settled after midnight takes nothing from the new day, nor leaves anything."""
    account = _account("1/day", "10")
    before = NOON + 12 * 3600 - 1
    held = _admitted(account.admit(_ask(1), before, 0))
    _admitted(account.admit(_ask(1), before + 2, 2))
    assert account.settle(held, PICO, 0, before + 3, 3)
    assert _spent(account) == (0, PICO)
    assert _spent(account, Period.ALL) == (PICO, PICO)


def test_a_clock_that_is_set_back_gives_no_money_back() -> None:
    """The account goes by the latest time, and nothing reserved is lost on the way."""
    account = _account("1/day")
    held = _admitted(account.admit(_ask(1), NOON, 0))
    over = _refused(account.admit(_ask(1), NOON - 90_000, 1))
    assert over.retry_after == 12 * 3600
    assert account.settle(held, PICO, 0, NOON - 90_000, 2)
    assert _spent(account) == (PICO, 0)


def test_what_was_spent_before_counts_once_and_only_in_its_period() -> None:
    """It is read while others may ask too; a period that went by meanwhile takes nothing."""
    account = Account(Limits(budgets=(budget("1/day"), budget("5"))), NOON)
    unread = account.unread(NOON)
    assert [period for period, _ in unread] == [Period.DAY, Period.ALL]
    for spent in (PICO, 2 * PICO):
        for period, since in unread:
            account.read(period, since, spent)
    assert account.unread(NOON) == ()
    assert _spent(account) == (PICO, 0)
    late = Account(Limits(budgets=(budget("1/day"),)), NOON)
    ((period, since),) = late.unread(NOON)
    late.unread(NOON + 86_400)
    late.read(period, since, PICO)
    assert _spent(late, wall=NOON + 86_400) == (0, 0)


def test_what_others_spend_counts_in_the_periods_that_it_came_in() -> None:
    """What is over adds up; what is under way replaces what was; a new period knows of neither."""
    account = _account("9/day", "9/hour")
    cent = pico(CENT)

    def hours(*at: float) -> list[Elsewhere]:
        return [Elsewhere(hour=each, cost=cent) for each in at]

    account.heard(hours(NOON, NOON - 3600), hours(NOON), NOON)
    account.heard(hours(NOON), hours(NOON, NOON - 3600, NOON - 86_400), NOON)
    assert _spent(account) == (5 * cent, 0)
    assert _spent(account, Period.HOUR) == (3 * cent, 0)
    assert _spent(account, Period.HOUR, NOON + 3600) == (0, 0)
    account.heard(hours(NOON), hours(), NOON + 3600)
    assert _spent(account) == (4 * cent, 0)
    assert _spent(account, Period.HOUR, NOON + 3600) == (0, 0)


def test_what_is_not_read_yet_is_not_heard_twice() -> None:
    """The reading that ends a period's being unknown has all of what ended before it."""
    account = Account(Limits(budgets=(budget("9/day"),)), NOON)
    account.heard([Elsewhere(hour=NOON, cost=PICO)], [], NOON)
    account.read(Period.DAY, NOON - 12 * 3600, PICO)
    assert _spent(account) == (PICO, 0)


def test_whoever_comes_behind_others_waits_for_money_but_not_for_what_is_free() -> None:
    """It may be admitted as soon as those before it are."""
    account = _account("1/day")
    over = _refused(account.admit(_ask(CENT), NOON, 0, behind=True))
    assert over.under_way
    _admitted(account.admit(_ask(0), NOON, 0, behind=True))
    _admitted(account.admit(_ask(CENT), NOON, 0))
    spent = _refused(account.admit(_ask(2), NOON, 0, behind=True))
    assert not spent.under_way
    account = _account(tpm=10)
    assert _refused(account.admit(Ask(input_tokens=1), NOON, 0, behind=True)).under_way
    _admitted(account.admit(Ask(), NOON, 0, behind=True))


def test_what_is_spent_is_told_before_what_is_only_reserved() -> None:
    """Though that would take longer to be reset: it may be over in a moment."""
    account = _account("1/hour", "2/day")
    account.settle(_admitted(account.admit(_ask(1), NOON, 0)), PICO, 0, NOON, 0)
    account.limits = Limits(budgets=(budget("3/hour"), budget("2/day")))
    _admitted(account.admit(_ask(1), NOON, 0))
    assert _refused(account.admit(_ask(1), NOON, 0)).under_way
    account.limits = Limits(budgets=(budget("1/hour"), budget("2/day")))
    assert _refused(account.admit(_ask(1), NOON, 0)).budget == budget("1/hour")


def test_other_limits_keep_what_was_spent_and_is_reserved() -> None:
    """A budget that comes later knows as much as one that was there all the time."""
    account = _account("1/day")
    account.settle(_admitted(account.admit(_ask(CENT), NOON, 0)), pico(CENT), 0, NOON, 0)
    held = _admitted(account.admit(_ask(CENT), NOON, 0))
    account.limits = Limits(budgets=(budget("9/day"), budget("1/month")))
    assert _spent(account) == (pico(CENT), pico(CENT))
    assert _spent(account, Period.MONTH) == (pico(CENT), pico(CENT))
    assert [period for period, _ in account.unread(NOON)] == [Period.MONTH]
    assert account.settle(held, 0, 0, NOON, 0)
    assert _spent(account) == (pico(CENT), 0)
    assert _spent(account, Period.MONTH) == (pico(CENT), 0)


def test_a_burst_across_a_minutes_boundary_passes_once() -> None:
    """The last sixty seconds count, whatever the clock says: never twice as many within them."""
    account = _account(rpm=10)
    for _ in range(10):
        _admitted(account.admit(Ask(), NOON, 59.9))
    over = _refused(account.admit(Ask(), NOON, 60.1))
    assert (over.rate, over.limit) == ("rpm", 10)
    assert over.retry_after == pytest.approx(59.8)
    _admitted(account.admit(Ask(), NOON, 119.9))


def test_another_attempt_of_a_request_is_no_other_request() -> None:
    """A fallback reserves money and counts tokens, but not towards the requests per minute."""
    account = _account("1/day", rpm=2)
    _admitted(account.admit(_ask(CENT), NOON, 0))
    _admitted(account.admit(_ask(CENT), NOON, 0, counted=False))
    _admitted(account.admit(_ask(CENT), NOON, 0))
    _admitted(account.admit(_ask(CENT), NOON, 0, counted=False))
    _refused(account.admit(_ask(CENT), NOON, 0))


def test_tokens_are_counted_as_expected_and_put_right_when_known() -> None:
    """Estimated input and the whole output at first; less afterwards lets the next one in."""
    account = _account(tpm=1000)
    each = Ask(input_tokens=100, tokens=900)
    held = _admitted(account.admit(each, NOON, 0))
    _admitted(account.admit(each, NOON, 1))
    over = _refused(account.admit(each, NOON, 2))
    assert (over.rate, over.spent, over.reserved) == ("tpm", 0, 1800)
    assert over.under_way
    assert account.settle(held, 0, 50, NOON, 3)
    over = _refused(account.admit(Ask(input_tokens=51), NOON, 3))
    assert (over.spent, over.reserved, over.under_way) == (50, 900, True)
    assert not _refused(account.admit(Ask(input_tokens=951), NOON, 3)).under_way
    _admitted(account.admit(Ask(input_tokens=50), NOON, 3))


def test_tokens_that_nobody_expected_count_when_they_are_known() -> None:
    """What a long call took beyond its estimate weighs on the minute in which that is known."""
    account = _account(tpm=1000)
    held = _admitted(account.admit(Ask(input_tokens=10, tokens=10), NOON, 0))
    assert account.settle(held, 0, 1010, NOON, 100)
    assert _refused(account.admit(Ask(input_tokens=1), NOON, 100)).spent == 1000
    _admitted(account.admit(Ask(input_tokens=1), NOON, 161))


def test_tokens_of_a_call_that_takes_longer_than_a_minute_leave_with_their_minute() -> None:
    """They are neither reserved after it nor given back when the call ends."""
    account = _account(tpm=1000)
    long = _admitted(account.admit(Ask(tokens=900), NOON, 0))
    _admitted(account.admit(Ask(tokens=900), NOON, 61))
    over = Ask(input_tokens=101)
    found = _refused(account.admit(over, NOON, 61))
    assert (found.spent, found.reserved) == (0, 900)
    account.settle(long, 0, 0, NOON, 61)
    assert _refused(account.admit(over, NOON, 61)) == found


def test_a_request_larger_than_a_minute_holds_is_refused_for_good() -> None:
    """Waiting is vain, and nobody is told otherwise."""
    over = _refused(_account(tpm=100).admit(Ask(input_tokens=101), NOON, 0))
    assert over.retry_after is None


def test_a_call_is_expected_to_take_the_high_estimate_and_all_of_its_output() -> None:
    """Where its input may be written to a cache, at the dearest price of that."""
    dollars = {"input": "2", "input_cache_write_1h": "4", "output": "10"}
    prices = {name: Sourced(value=Decimal(each), source="x") for name, each in dollars.items()}
    estimate = Estimate(low=1, likely=800_000, high=1_000_000, method=Method.RATIO)
    plain = ask(prices, estimate, 100_000)
    assert plain == Ask(
        input_cost=Decimal(2), cost=Decimal(3), input_tokens=800_000, tokens=900_000
    )
    cached = ask(prices, estimate, 100_000, reads=["input", "input_cache_write_1h"])
    assert (cached.input_cost, cached.cost) == (Decimal(4), Decimal(5))
    fast = prices | {"output@fast": Sourced(value=Decimal(60), source="x")}
    assert ask(fast, estimate, 100_000, tiers=["fast", "flex"]).cost == Decimal(8)
    flex = prices | {"output@flex": Sourced(value=Decimal(1), source="x")}
    assert ask(flex, estimate, 100_000, tiers=["flex"]) == plain
    assert ask({}, estimate, 100_000).cost == 0


def test_money_is_reserved_for_the_longest_answer_and_the_dearest_kind_of_tokens() -> None:
    """Nobody holds an answer to its usual length; thoughts, pictures and sound may have own prices.

    Tokens a minute go by the usual length all the same.
    """
    dollars = {"input": "2", "audio": "20", "output": "10", "reasoning_output": "30"}
    prices = {name: Sourced(value=Decimal(each), source="x") for name, each in dollars.items()}
    estimate = Estimate(low=1, likely=800_000, high=1_000_000, method=Method.RATIO)
    longest = ask(prices, estimate, 100_000, most=200_000)
    assert (longest.input_cost, longest.cost) == (Decimal(2), Decimal(8))
    assert longest.tokens == 900_000
    assert ask(prices, estimate, 0, reads=["input", "audio"]).cost == Decimal(20)
    drawn = prices | {"output_image": Sourced(value=Decimal(120), source="x")}
    assert ask(drawn, estimate, 100_000).cost == Decimal(14)
    assert ask(drawn, estimate, 100_000).input_cost == Decimal(2)


AMOUNTS = st.integers(min_value=0, max_value=40)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), AMOUNTS, AMOUNTS),
        st.tuples(st.just("settle"), st.integers(0, 30), st.integers(0, 100)),
        st.tuples(st.just("wait"), st.integers(0, 7200), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 100))
def test_whatever_the_order_a_budget_is_exceeded_by_one_calls_output_at_most(
    steps: list[tuple[str, int, int]], cents: int
) -> None:
    """In any interleaving; reservations never leak, and each is settled once."""
    account = _account(f"{cents * CENT}/hour")
    most, largest, clock = pico(cents * CENT), 0, 0.0
    open_calls: list[tuple[Held, int]] = []
    done: list[Held] = []
    for what, one, other in steps:
        match what:
            case "admit":
                found = account.admit(_ask(one * CENT, other * CENT), NOON + clock, clock)
                if isinstance(found, Held):
                    open_calls.append((found, pico(one * CENT + other * CENT)))
                    largest = max(largest, pico(other * CENT))
            case "settle" if open_calls:
                held, cost = open_calls.pop(one % len(open_calls))
                assert account.settle(held, cost * other // 100, 0, NOON + clock, clock)
                done.append(held)
            case "wait":
                clock += one
        spent, reserved = _spent(account, Period.HOUR)
        assert reserved >= 0
        assert spent + reserved <= most + largest
    for held, cost in open_calls:
        assert account.settle(held, cost, 0, NOON + clock, clock)
    spent, reserved = _spent(account, Period.HOUR)
    assert reserved == 0
    assert spent <= most + largest
    for held in (*done, *(each for each, _ in open_calls)):
        assert not account.settle(held, PICO, 0, NOON + clock, clock)
    assert _spent(account, Period.HOUR) == (spent, 0)
