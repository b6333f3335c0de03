"""What a request costs: exact, and unknown where a price is."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from support.world import model

from gatewayctl.core.pricing import PriceRange, cost, price_range
from gatewayctl.core.routing.decision import Estimate, Method

PRICES = model("x/m", prices=("0.1", "0.7")).prices


def test_a_cost_is_exact_to_the_last_digit() -> None:
    """Three tokens at ten cents per million are no 0.30000000000000004 of anything."""
    assert cost(PRICES, 3, 0) == Decimal("0.0000003")
    assert cost(PRICES, 1_000_000, 1_000_000) == Decimal("0.8")


def test_an_unknown_price_makes_the_cost_unknown() -> None:
    """Never taken for nothing, whichever side it is."""
    assert cost({}, 1, 1) is None
    assert cost({"input": PRICES["input"]}, 1, 0) is None
    assert cost({"output": PRICES["output"]}, 0, 1) is None
    estimate = Estimate(low=1, likely=1, high=1, method=Method.EXACT)
    assert price_range({}, estimate, 1) is None


def test_a_range_goes_from_no_answer_to_the_whole_budget() -> None:
    """Low is the low estimate read and nothing written, high the high one and all of the budget."""
    estimate = Estimate(low=1_000_000, likely=2_000_000, high=3_000_000, method=Method.RATIO)
    found = price_range(PRICES, estimate, 1_000_000)
    assert found == PriceRange(low=Decimal("0.1"), high=Decimal("1.0"))


def test_each_of_several_answers_may_take_the_whole_budget() -> None:
    """The input is paid for once, however many are wanted."""
    estimate = Estimate(low=1_000_000, likely=2_000_000, high=3_000_000, method=Method.RATIO)
    found = price_range(PRICES, estimate, 1_000_000, 5)
    assert found == PriceRange(low=Decimal("0.1"), high=Decimal("3.8"))


@given(
    st.decimals(min_value=0, max_value=1000, places=12),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
)
def test_costs_add_up(price: Decimal, read: int, more: int) -> None:
    """The cost of a whole is the sum of the costs of its parts: nothing is rounded."""
    prices = model("x/m", prices=(str(price), "0")).prices
    one, other, both = (cost(prices, count, 0) for count in (read, more, read + more))
    assert one is not None
    assert other is not None
    assert one + other == both
