"""Prices that follow from others by a rule of the provider's, where tables have no place for them.

Pure. Whom to believe of those who state a price is ``registry.merge``'s business.
"""

from decimal import Context, Decimal
from typing import Final

import msgspec

from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.pricing import goes_by_hour, rate_key
from gatewayctl.registry.claims import Claims, plain

Prices = dict[str, Sourced[Decimal]]

_PRICE_DIGITS: Final = Context(prec=6)
_CLAUDE: Final = "claude"
_SHORT_WRITE: Final = Decimal("1.25")
_LONG_WRITE: Final = 2


def same_price(one: Decimal, other: Decimal) -> bool:
    """Tell whether two prices are one: sources round them differently."""
    return _PRICE_DIGITS.plus(one) == _PRICE_DIGITS.plus(other)


def with_long_writes(model_id: str, prices: Prices) -> Prices:
    """Add what a Claude model asks for a cache write that lasts an hour, where nobody says it.

    It is twice the input, wherever the short write is a quarter more than it: one rule of
    Anthropic's, of which some tables have no place for the second half.
    """
    if _CLAUDE not in model_id:
        return prices
    derived = {}
    for key, write in prices.items():
        rate = rate_key(key)
        if rate.dimension != "input_cache_write_5m":
            continue
        read = prices.get(str(rate._replace(dimension="input")))
        if read is not None and same_price(write.value, read.value * _SHORT_WRITE):
            long = msgspec.structs.replace(read, value=read.value * _LONG_WRITE)
            derived[str(rate._replace(dimension="input_cache_write_1h"))] = long
    return {**prices, **{key: it for key, it in derived.items() if key not in prices}}


def with_cached_reads(facts: ModelFacts, share: Decimal) -> ModelFacts:
    """Add what is asked for input from the cache where nobody says it: a share of all other input.

    It has the source and the date of the price that it is a share of.
    """
    rates = {key: rate_key(key) for key in facts.prices}
    if any(rate.dimension == "input_cache_read" for rate in rates.values()):
        return facts
    derived = {
        str(rate._replace(dimension="input_cache_read")): msgspec.structs.replace(
            facts.prices[key], value=plain(facts.prices[key].value * share)
        )
        for key, rate in rates.items()
        if rate.dimension == "input"
    }
    return msgspec.structs.replace(facts, prices={**facts.prices, **derived})


def with_hours_of_prices(facts: ModelFacts) -> ModelFacts:
    """Return facts without hours at which no price would be another."""
    if facts.off_peak is None or any(map(goes_by_hour, facts.prices)):
        return facts
    return msgspec.structs.replace(facts, off_peak=None)


def from_the_limit(claims: Claims) -> Claims:
    """Return claims whose steps hold from their number of tokens on, as steps above one less."""
    prices = {
        str(rate._replace(step=rate.step - 1) if rate.step > 1 else rate): price
        for key, price in claims.prices.items()
        for rate in (rate_key(key),)
    }
    return msgspec.structs.replace(claims, prices=prices)
