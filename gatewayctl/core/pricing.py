"""What a request costs: tokens by price, exactly.

Prices are USD per million tokens, by dimension (``core.model.ModelFacts.prices``). An unknown price
is never taken for nothing.
"""

from collections.abc import Mapping
from decimal import Context, Decimal

import msgspec

from gatewayctl.core.model import Sourced
from gatewayctl.core.routing.decision import Estimate

Prices = Mapping[str, Sourced[Decimal]]

_EXACT = Context(prec=100)
"""Wide enough that no product of a price and a count is ever rounded."""

_MILLION = Decimal(1_000_000)


class PriceRange(msgspec.Struct, frozen=True, kw_only=True):
    """USD of one request: from the fewest input tokens without an answer to the most with all."""

    low: Decimal
    high: Decimal


def cost(prices: Prices, read: int, written: int) -> Decimal | None:
    """Return the USD for ``read`` input and ``written`` output tokens, None when unknown."""
    given, made = prices.get("input"), prices.get("output")
    if given is None or made is None:
        return None
    total = _EXACT.add(
        _EXACT.multiply(given.value, Decimal(read)), _EXACT.multiply(made.value, Decimal(written))
    )
    return _EXACT.divide(total, _MILLION)


def price_range(
    prices: Prices, estimate: Estimate, output_budget: int, answers: int = 1
) -> PriceRange | None:
    """Return what a candidate may cost, None when its prices are unknown.

    ``answers`` is how many are wanted, each with the whole budget; the input is paid for once. Low
    is the low input estimate and no output, high the high one and all of the budgets; reads and
    writes of a cache are left out, since nobody knows them beforehand.
    """
    low = cost(prices, estimate.low, 0)
    high = cost(prices, estimate.high, output_budget * answers)
    return None if low is None or high is None else PriceRange(low=low, high=high)
