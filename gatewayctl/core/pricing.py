"""What a request costs: tokens by rate, exactly, as the provider bills them.

Prices are USD per million tokens (``core.model.ModelFacts.prices``) by rate key:
``DIMENSION[@TIER][>STEP]``, such as ``"input"``, ``"output@flex"``, ``"input@priority>272000"``.
A tier is what the reply says it was served at, the base tier has none; ``off_peak`` is the one that
no reply tells and that goes by the hour. A step holds for the whole request once its input, all of
it together, is more than that many tokens. An unknown price is never taken for nothing. Where
prices come from is ``gatewayctl.registry``'s business.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Sourced
from gatewayctl.core.routing.decision import Estimate

Prices = Mapping[str, Sourced[Decimal]]

PICO = 10**12
"""Whole numbers of money: pico-dollars in a dollar."""

MOST_PRICE = 100_000
"""USD per million tokens that anything may cost.

Ten times the dearest that any table has; ninety million tokens at it still fit the 64 bits of
pico-dollars that a ledger's column has.
"""

DIMENSIONS = (
    "input",
    "input_cache_read",
    "input_cache_write_5m",
    "input_cache_write_1h",
    "output",
    "reasoning_output",
    "output_image",
    "output_audio",
    "image",
    "audio",
)
"""What a reply's usage counts, and what is billed."""

OUTPUT_PARTS = ("output_image", "output_audio", "reasoning_output")
"""The dimensions that are parts of the output: informational, unless they have their own price."""

BASE = "base"

BASE_TIERS = frozenset(
    {"", "auto", BASE, "default", "on_demand", "standard"}
    | {"unspecified", "service_tier_unspecified", "traffic_type_unspecified"}
)
"""What providers call the tier that has no name of its own in a price list, in lower case."""

OFF_PEAK = "off_peak"
"""The tier of the hours at which a provider asks another price."""

_SAME_TIERS = {"batches": "batch"}

_ALSO = {"fast": "priority"}
"""OpenAI's two words for one tier; at Anthropic they are two, and the first has its own prices."""

_FALLBACKS = {
    "input": ("input",),
    "input_cache_read": ("input_cache_read", "input"),
    "input_cache_write_5m": ("input_cache_write_5m", "input"),
    "input_cache_write_1h": ("input_cache_write_1h", "input_cache_write_5m", "input"),
    "image": ("image", "input"),
    "audio": ("audio", "input"),
    "output": ("output",),
}
"""The dimensions whose counts are billed, each with those whose price stands in for its own."""

READ = tuple(each for each in _FALLBACKS if each != "output")
"""What of a usage is input, each token counted once."""

_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
"""Wide enough that no product of a price and a count is ever rounded."""

_STEP_DIGITS = 10

_SCALED_DIGITS = Decimal("1e-12")
"""To what a price is rounded that no source states: USD per million tokens."""


class RateKey(NamedTuple):
    """What a price is for: ``tier`` is "" for the base, ``step`` 0 for every size."""

    dimension: str
    tier: str = ""
    step: int = 0

    def __str__(self) -> str:
        """Return it as written in tables and the config."""
        tier = f"@{self.tier}" if self.tier else ""
        return f"{self.dimension}{tier}" + (f">{self.step}" if self.step else "")


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer cost.

    ``cost`` is USD, None where nothing was counted or something counted has no known price.
    ``rates`` are the prices applied, USD per million tokens by dimension of the usage. ``tier`` is
    the tier by its usual name, None for the base one; an unknown tier stays, though the base prices
    were applied. ``step`` is the highest step that a price applied belongs to.
    """

    cost: Decimal | None
    rates: dict[str, Decimal]
    tier: str | None = None
    step: int | None = None


class PriceRange(msgspec.Struct, frozen=True, kw_only=True):
    """USD of one request: from the fewest input tokens without an answer to the most with all."""

    low: Decimal
    high: Decimal


def pico(cost: Decimal) -> int:
    """Return USD as whole pico-dollars, a half rounded to the even one."""
    return int(_EXACT.scaleb(cost, 12).to_integral_value(ROUND_HALF_EVEN))


@lru_cache(maxsize=4096)
def rate_key(key: str) -> RateKey:
    """Read a rate key; one that is not in form is a dimension that nothing counts."""
    rest, more, step = key.partition(">")
    dimension, _, tier = rest.partition("@")
    if not more:
        return RateKey(dimension, tier)
    if not (step.isascii() and step.isdigit() and len(step) <= _STEP_DIGITS):
        return RateKey(key)
    return RateKey(dimension, tier, int(step))


def goes_by_hour(key: str) -> bool:
    """Tell whether the price under a rate key holds at certain hours alone."""
    return OFF_PEAK in rate_key(key).tier.split("+")


@lru_cache(maxsize=1024)
def tier_names(told: str | None) -> tuple[str, ...]:
    """Return the tiers that a reply's word stands for, none for the base one.

    ``"fast+us"`` is both: their common price where there is one, else that of the first with any.
    """
    parts = [_SAME_TIERS.get(part, part) for part in (told or "").lower().split("+")]
    names = [part for part in parts if part not in BASE_TIERS]
    whole = ("+".join(names),) if len(names) > 1 else ()
    also = [(name, _ALSO[name]) if name in _ALSO else (name,) for name in names]
    return (*whole, *chain.from_iterable(also))


def tier_at(told: str | None, off_peak: Hours | None, moment: float | None) -> str | None:
    """Return the tier at which what is complete at a moment is billed, by the word of its reply.

    ``moment`` is in seconds since 1970, None where it does not count. Where a reply tells a tier
    at such an hour it is both, ``flex+off_peak``, and the price of its own tier comes before that
    of the hour. A model with such hours always has a word at a moment, ``base`` at all others: so
    an attempt that was begun in another hour is seen to have left it.
    """
    if off_peak is None or moment is None:
        return told
    if not off_peak.hold(moment):
        return told or BASE
    return f"{told}+{OFF_PEAK}" if tier_names(told) else OFF_PEAK


def bill(prices: Prices, usage: Usage, tier: str | None = None) -> Bill:
    """Return what ``usage`` costs at the tier that the reply names, whichever way it spells it."""
    counts = {each: count for each in _FALLBACKS if (count := getattr(usage, each)) is not None}
    read = sum(counts.get(each, 0) for each in READ)
    names = tier_names(tier)
    table = _Table(prices, names, read)
    known, total, step = bool(counts), Decimal(0), 0
    rates: dict[str, Decimal] = {}
    for dimension, count in _split(counts, usage, table).items():
        rate = table.rate(_FALLBACKS.get(dimension, (dimension,)))
        if rate is None:
            known = known and not count
        elif count:
            rates[dimension], step = rate.price, max(step, rate.step)
            total = _EXACT.add(total, _EXACT.multiply(rate.price, Decimal(count)))
    return Bill(
        cost=_EXACT.scaleb(total, -6) if known else None,
        rates=rates,
        tier=names[0] if names else None,
        step=step or None,
    )


def cost(prices: Prices, read: int, written: int, tier: str | None = None) -> Decimal | None:
    """Return the USD for ``read`` input and ``written`` output tokens, None when unknown."""
    table = _Table(prices, tier_names(tier), read)
    given, made = table.rate(("input",)), table.rate(("output",))
    if given is None or made is None:
        return None
    total = _EXACT.add(
        _EXACT.multiply(given.price, Decimal(read)), _EXACT.multiply(made.price, Decimal(written))
    )
    return _EXACT.scaleb(total, -6)


def price_range(
    prices: Prices,
    estimate: Estimate,
    output_budget: int,
    answers: int = 1,
    tier: str | None = None,
) -> PriceRange | None:
    """Return what a candidate may cost at a tier, None when its prices are unknown.

    ``answers`` is how many are wanted, each with the whole budget; the input is paid for once. Low
    is the low input estimate and no output, high the high one and all of the budgets, each by the
    step that its own input falls in; reads and writes of a cache are left out, since nobody knows
    them beforehand.
    """
    reads = turns(prices, estimate.low, estimate.high)
    low = [cost(prices, read, 0, tier) for read in reads]
    high = [cost(prices, read, output_budget * answers, tier) for read in reads]
    known = [it for it in low if it is not None], [it for it in high if it is not None]
    return PriceRange(low=min(known[0]), high=max(known[1])) if all(known) else None


def turns(prices: Prices, low: int, high: int) -> tuple[int, ...]:
    """Return the sizes of input from ``low`` to ``high`` between which costs grow steadily.

    Both ends, and both sides of every step between them.
    """
    steps = _steps(tuple(prices))
    if not steps:
        return (low, high)
    return (low, *(each for step in steps if low <= step < high for each in (step, step + 1)), high)


@lru_cache(maxsize=1024)
def _steps(keys: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(sorted({step for key in keys if (step := rate_key(key).step)}))


_Steps = tuple[tuple[int, str], ...]
"""Steps and their rate keys, the highest first; the base price's step is 0."""


class _Rate(NamedTuple):
    """A price that applies, and how closely it was meant: ``tier`` is 1 for the base."""

    tier: int
    step: int
    price: Decimal


class _Table:
    """The prices that hold for one tier and one size of input, the closest by dimension."""

    def __init__(self, prices: Prices, tiers: tuple[str, ...], read: int) -> None:
        self._prices = prices
        self._laid_out = _laid_out(tuple(prices))
        self._tiers = (*tiers, "")
        self._read = read

    def rate(self, dimensions: Iterable[str]) -> _Rate | None:
        """Return the price of the first of some dimensions that has any."""
        for dimension in dimensions:
            tiers = self._laid_out.get(dimension)
            if tiers is not None and (rate := self._closest(tiers)) is not None:
                return rate
        return None

    def _closest(self, tiers: Mapping[str, _Steps]) -> _Rate | None:
        """Return a dimension's price.

        Where a tier and a step are both priced and the two together are not, the tier changes the
        step's price as it changes the base's: so do nearly all that are stated.
        """
        found = None
        for place, name in enumerate(self._tiers):
            if name in tiers and (found := self._at(tiers[name], len(self._tiers) - place)):
                break
        if found is None or "" not in tiers or found.tier == 1:
            return found
        plain, (lowest, key) = self._at(tiers[""], found.tier), tiers[""][-1]
        base = None if lowest else self._prices[key].value
        if plain is None or not base or plain.step <= found.step:
            return found
        scaled = _EXACT.divide(_EXACT.multiply(plain.price, found.price), base)
        return plain._replace(price=scaled.quantize(_SCALED_DIGITS, context=_EXACT))

    def _at(self, steps: _Steps, tier: int) -> _Rate | None:
        """Return the price of the highest step that is passed."""
        for step, key in steps:
            if step < self._read or not step:
                return _Rate(tier, step, self._prices[key].value)
        return None


@lru_cache(maxsize=1024)
def _laid_out(keys: tuple[str, ...]) -> dict[str, dict[str, _Steps]]:
    """Return rate keys by dimension and tier. Thousands of models share a few hundred sets."""
    found: dict[str, dict[str, list[tuple[int, str]]]] = {}
    for key in keys:
        dimension, tier, step = rate_key(key)
        found.setdefault(dimension, {}).setdefault(tier, []).append((step, key))
    return {
        dimension: {tier: tuple(sorted(steps, reverse=True)) for tier, steps in tiers.items()}
        for dimension, tiers in found.items()
    }


def _split(counts: dict[str, int], usage: Usage, table: _Table) -> dict[str, int]:
    """Return the counts to be billed: parts of the output apart where they have their own prices.

    A price of reasoning that is not for this tier and step is no better than the output's. Pictures
    and sound are never text: any price of theirs is better.
    """
    left = counts.get("output", 0)
    apart: dict[str, int] = {}
    for part in OUTPUT_PARTS:
        count = min(getattr(usage, part) or 0, left)
        if not count or (own := table.rate((part,))) is None:
            continue
        if part == "reasoning_output":
            whole = table.rate(("output",))
            if whole is None or own[:2] < whole[:2]:
                continue
        apart[part] = count
        left -= count
    return {**counts, "output": left, **apart} if apart else counts
