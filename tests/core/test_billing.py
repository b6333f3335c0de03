"""What a reply costs by its tier and size: the closest price of each dimension, and what stands in.

That costs are exact and unknown where a price is unknown is in ``test_pricing``.
"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.events import Usage
from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Sourced
from gatewayctl.core.pricing import (
    DIMENSIONS,
    MOST_PRICE,
    OUTPUT_PARTS,
    PICO,
    Bill,
    PriceRange,
    Prices,
    RateKey,
    bill,
    cost,
    pico,
    price_range,
    rate_key,
    tier_at,
    tier_names,
)
from gatewayctl.core.routing.decision import Estimate, Method


def priced(**said: str) -> Prices:
    """Return prices by rate key, where ``__`` stands for ``@`` and ``_above_`` for ``>``."""
    return {
        key.replace("__", "@").replace("_above_", ">"): Sourced(value=Decimal(it), source="test")
        for key, it in said.items()
    }


GPT = priced(
    input="2.5", input_cache_read="0.25", output="15",
    input__flex="1.25", input_cache_read__flex="0.13", output__flex="7.5",
    input__priority="5", input_cache_read__priority="0.5", output__priority="30",
    input_above_272000="5", input_cache_read_above_272000="0.5", output_above_272000="22.5",
    input__flex_above_272000="2.5", output__flex_above_272000="11.25",
    input_cache_read__flex_above_272000="0.25",
)  # fmt: skip
CLAUDE = priced(
    input="5", input_cache_read="0.5", input_cache_write_5m="6.25", input_cache_write_1h="10",
    output="25", input__fast="10", output__fast="50", input__us="5.5", output__us="27.5",
)  # fmt: skip
PICTURES = priced(input="0.3", output="2.5", output_image="30", output__priority="5")
MILLION = 1_000_000


def dollars(prices: Prices, tier: str | None = None, /, **counts: int) -> Decimal | None:
    """Return what some counts cost."""
    return bill(prices, Usage(**counts), tier).cost


@pytest.mark.parametrize(
    ("key", "rate"),
    [
        ("input", RateKey("input")),
        ("output@flex", RateKey("output", "flex")),
        ("input>272000", RateKey("input", "", 272_000)),
        (
            "input_cache_write_1h@fast+us>200000",
            RateKey("input_cache_write_1h", "fast+us", 200_000),
        ),
    ],
)
def test_a_rate_key_is_read_and_written_alike(key: str, rate: RateKey) -> None:
    """Dimension, tier and step, each where it belongs."""
    assert rate_key(key) == rate
    assert str(rate) == key


def test_a_key_out_of_form_prices_nothing() -> None:
    """A table's odd key never becomes another key's price."""
    for key in ("input>many", "input>", "input>" + "9" * 5000, "input>-1"):
        assert rate_key(key) == RateKey(key)
    assert bill(priced(**{"input>many": "1"}), Usage(input=1)).cost is None


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (None, ()),
        ("default", ()),
        ("STANDARD", ()),
        ("on_demand", ()),
        ("flex", ("flex",)),
        ("batches", ("batch",)),
        ("Priority", ("priority",)),
        ("fast", ("fast", "priority")),
        ("fast+us", ("fast+us", "fast", "priority", "us")),
        ("fast+off_peak", ("fast+off_peak", "fast", "priority", "off_peak")),
        ("a-new-one", ("a-new-one",)),
    ],
)
def test_a_tier_has_the_names_that_price_lists_may_use(
    told: str | None, names: tuple[str, ...]
) -> None:
    """The base tier has none; OpenAI has two words for one tier."""
    assert tier_names(told) == names


@pytest.mark.parametrize(
    ("tier", "dollars_"),
    [
        (None, "17.75"),
        ("default", "17.75"),
        ("flex", "8.88"),
        ("priority", "35.5"),
        ("fast", "35.5"),
    ],
)
def test_the_replys_tier_chooses_the_prices(tier: str | None, dollars_: str) -> None:
    """Input, cached input and output each at the price of the tier that was served."""
    small = {
        name: Sourced(value=it.value, source="test") for name, it in GPT.items() if ">" not in name
    }
    counts = {"input": MILLION, "input_cache_read": MILLION, "output": MILLION}
    assert dollars(small, tier, **counts) == Decimal(dollars_)


def test_a_step_holds_for_the_whole_request_once_it_is_passed() -> None:
    """At the step the base price holds, one token more and every token costs more."""
    assert dollars(GPT, input=272_000, output=1000) == Decimal("0.695")
    assert dollars(GPT, input=272_001, output=1000) == Decimal("1.382505")
    found = bill(GPT, Usage(input=272_001, output=1000))
    assert (found.step, found.rates) == (272_000, {"input": 5, "output": Decimal("22.5")})


def test_all_input_together_passes_a_step() -> None:
    """What was cached, written to a cache or no text counts as what was read anew does."""
    for rest in (
        "input_cache_read",
        "input_cache_write_5m",
        "input_cache_write_1h",
        "image",
        "audio",
    ):
        counts = {"input": 2000, rest: 270_001}
        assert bill(GPT, Usage(**counts)).step == 272_000
    assert bill(GPT, Usage(input=2000, output=300_000)).step is None


def test_tier_and_step_go_together() -> None:
    """Their common price where there is one, for every dimension."""
    found = bill(GPT, Usage(input=1, input_cache_read=300_000, output=1), "flex")
    assert (found.tier, found.step) == ("flex", 272_000)
    assert found.rates == {
        "input": Decimal("2.5"), "input_cache_read": Decimal("0.25"), "output": Decimal("11.25"),
    }  # fmt: skip


def test_a_tier_changes_a_steps_price_as_it_changes_the_bases() -> None:
    """Where only the two are stated apart: priority doubles, so does it above the step."""
    found = bill(GPT, Usage(input=300_000, output=1), "priority")
    assert found.rates == {"input": 10, "output": 45}
    uneven = priced(input="3", input__flex="1", input_above_10="7")
    assert bill(uneven, Usage(input=11), "flex").rates == {"input": Decimal("2.333333333333")}
    free = priced(input="0", input__flex="1", input_above_10="7")
    assert bill(free, Usage(input=11), "flex").rates == {"input": 1}


def test_the_highest_step_that_is_passed_counts() -> None:
    """Qwen's price lists have four ranges."""
    prices = priced(input="1", input_above_32000="1.8", input_above_128000="3", output="5")
    for read, price in ((32_000, "1"), (32_001, "1.8"), (128_000, "1.8"), (128_001, "3")):
        assert bill(prices, Usage(input=read)).rates == {"input": Decimal(price)}


def test_an_unknown_tier_is_billed_as_base_and_kept() -> None:
    """A new word of a provider costs no more than a wrong group in the usage."""
    found = bill(GPT, Usage(input=MILLION // 10), "scale")
    assert found == Bill(cost=Decimal("0.25"), rates={"input": Decimal("2.5")}, tier="scale")


def test_a_dimension_without_the_tiers_price_keeps_its_own() -> None:
    """The fast mode's list has no price of cached input: it is not billed as new input."""
    found = bill(CLAUDE, Usage(input=1, input_cache_read=1, output=1), "fast")
    assert found.rates == {"input": 10, "input_cache_read": Decimal("0.5"), "output": 50}


def test_two_terms_at_once_without_a_common_price_are_billed_by_the_first() -> None:
    """Fast and from the US: by the fast mode's list, and by the US one where there is no other."""
    assert bill(CLAUDE, Usage(input=1), "fast+us").rates == {"input": 10}
    assert bill(CLAUDE, Usage(input=1), "priority+us").rates == {"input": Decimal("5.5")}


def test_cache_and_media_fall_back_to_prices_that_are_known() -> None:
    """A long write to the short one to input, all else straight to input; never to nothing."""
    plain = priced(input="3", output="15")
    short = priced(input="3", input_cache_write_5m="3.75")
    assert dollars(short, input_cache_write_1h=MILLION) == Decimal("3.75")
    for name in (
        "input_cache_write_1h",
        "input_cache_write_5m",
        "input_cache_read",
        "image",
        "audio",
    ):
        assert dollars(plain, **{name: MILLION}) == 3
    assert dollars(priced(output="15"), input_cache_read=1) is None


def test_reasoning_is_a_part_of_the_output() -> None:
    """Billed once, at the output's price, unless it has a price as close to the tier and step."""
    assert dollars(GPT, output=MILLION, reasoning_output=MILLION // 2) == 15
    qwen = priced(input="1", output="1.2", reasoning_output="4", output__flex="0.6")
    assert dollars(qwen, output=MILLION, reasoning_output=MILLION // 2) == Decimal("2.6")
    assert dollars(qwen, "flex", output=MILLION, reasoning_output=MILLION // 2) == Decimal("0.6")
    assert dollars(qwen, output=10, reasoning_output=MILLION) == Decimal("0.00004")


def test_nothing_counted_is_an_unknown_cost() -> None:
    """No usage at all is not a free answer; zeros are one."""
    assert bill(GPT, Usage()).cost is None
    assert bill(GPT, Usage(input=0, output=0)).cost == 0
    assert bill({}, Usage(input=0, output=0)).cost == 0


def test_one_unknown_price_makes_the_cost_unknown() -> None:
    """The prices that were known are told all the same."""
    found = bill(priced(input="1"), Usage(input=5, output=1))
    assert found == Bill(cost=None, rates={"input": Decimal(1)})


def test_pico_dollars_are_rounded_half_to_even() -> None:
    """Sums of integers are exact; one rounding an answer stays below a trillionth of a dollar."""
    assert PICO == 10**12
    assert pico(Decimal("0.0000025")) == 2_500_000
    assert [pico(Decimal(it)) for it in ("0.5e-12", "1.5e-12", "2.51e-12")] == [0, 2, 3]


def test_an_estimate_across_a_step_is_priced_by_each_side() -> None:
    """The low end below the step, the high end above it, each for its whole request."""
    estimate = Estimate(low=200_000, likely=270_000, high=300_000, method=Method.RATIO)
    assert price_range(GPT, estimate, 1000) == PriceRange(
        low=Decimal("0.5"), high=Decimal("1.5225")
    )


def test_a_range_never_ends_below_its_start() -> None:
    """A price list may ask less for more: the dearest size is then the one before the step."""
    prices = priced(input="2", input_above_100="1", output="1")
    estimate = Estimate(low=90, likely=95, high=101, method=Method.RATIO)
    found = price_range(prices, estimate, 0)
    assert found == PriceRange(low=Decimal("0.000101"), high=Decimal("0.0002"))


@given(
    st.dictionaries(
        st.sampled_from(sorted(GPT)),
        st.decimals(min_value=0, max_value=100, places=6),
    ),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from([None, "flex", "priority", "scale"]),
)
def test_a_cost_beforehand_is_the_bill_afterwards(
    said: dict[str, Decimal], read: int, written: int, tier: str | None
) -> None:
    """Whatever is priced: the same tokens cost the same, once both prices are known."""
    prices = {key: Sourced(value=it, source="test") for key, it in said.items()}
    before = cost(prices, read, written, tier)
    after = bill(prices, Usage(input=read, output=written), tier)
    assert before is None or before == after.cost


COUNTS = st.none() | st.integers(0, 10**7)


@given(
    st.builds(Usage, **dict.fromkeys(DIMENSIONS, COUNTS)),
    st.sampled_from([GPT, CLAUDE, {**GPT, **priced(reasoning_output="4", audio="1")}, PICTURES]),
    st.sampled_from([None, "flex", "fast", "fast+us", "scale"]),
)
def test_a_bill_is_its_counts_times_its_rates(
    usage: Usage, prices: Prices, tier: str | None
) -> None:
    """Every token is paid for once, at a rate that the bill tells."""
    found = bill(prices, usage, tier)
    counts = {name: getattr(usage, name) or 0 for name in DIMENSIONS}
    for part in OUTPUT_PARTS:
        count = min(counts["output"], counts.pop(part))
        if part in found.rates:
            counts["output"] -= count
            counts[part] = count
    total = sum((count * found.rates[name] for name, count in counts.items() if count), Decimal(0))
    known = any(getattr(usage, name) is not None for name in DIMENSIONS if name not in OUTPUT_PARTS)
    assert found.cost == (total / MILLION if known else None)


@pytest.mark.parametrize(
    ("counts", "tier", "paid"),
    [
        ({"output": 1290, "output_image": 1290}, None, "0.0387"),
        ({"output": 1310, "output_image": 1290}, None, "0.03875"),
        ({"output": 1310, "output_image": 1290}, "priority", "0.0388"),
        ({"output": 100, "output_image": 1290}, None, "0.003"),
        ({"output": 100, "output_audio": 60}, None, "0.00025"),
    ],
)
def test_a_picture_in_the_answer_has_its_own_price(
    counts: dict[str, int], tier: str | None, paid: str
) -> None:
    """It is a part of the output, never more than it; without a price of its own it is output."""
    assert dollars(PICTURES, tier, **counts) == Decimal(paid)
    assert dollars(priced(output_image="40"), output=1290, output_image=1290) == Decimal("0.0516")
    assert dollars(priced(output_image="40"), output=1291, output_image=1290) is None


NIGHTLY = priced(
    input="0.3", input_cache_read="0.006", output="1.2",
    input__off_peak="0.15", input_cache_read__off_peak="0.003", output__off_peak="0.6",
)  # fmt: skip
NIGHT = Hours(((0, 60),))
MONDAY = 1_763_942_400.0  # 2025-11-24, 00:00 UTC


@pytest.mark.parametrize(
    ("told", "moment", "tier"),
    [
        (None, MONDAY, "off_peak"),
        ("default", MONDAY, "off_peak"),
        ("flex", MONDAY, "flex+off_peak"),
        (None, MONDAY + 3600, "base"),
        ("default", MONDAY + 3600, "default"),
        ("flex", MONDAY + 3600, "flex"),
        (None, None, None),
        ("flex", None, "flex"),
    ],
)
def test_the_hour_is_a_tier_beside_what_the_reply_tells(
    told: str | None, moment: float | None, tier: str | None
) -> None:
    """The word of the reply stays; where there are hours there is always a word."""
    assert tier_at(told, NIGHT, moment) == tier
    assert tier_at(told, None, moment) == told


def test_an_off_peak_hour_has_its_own_prices() -> None:
    """A million of each: 0.15 and 0.6 in it, 0.3 and 1.2 out of it; a short write is input."""
    counts = {"input": MILLION, "output": MILLION}
    assert dollars(NIGHTLY, "off_peak", **counts) == Decimal("0.75")
    assert dollars(NIGHTLY, "base", **counts) == Decimal("1.5")
    assert dollars(NIGHTLY, "off_peak", input_cache_read=MILLION) == Decimal("0.003")
    assert dollars(NIGHTLY, "off_peak", input_cache_write_5m=MILLION) == Decimal("0.15")


def test_the_price_of_a_told_tier_comes_before_that_of_the_hour() -> None:
    """Unless there is one for both; where the told tier has none, the hour's holds."""
    prices = {**NIGHTLY, **priced(input__flex="0.2")}
    counts = {"input": MILLION, "output": MILLION}
    assert dollars(prices, "flex+off_peak", **counts) == Decimal("0.8")
    both = {**prices, "input@flex+off_peak": Sourced(value=Decimal("0.1"), source="test")}
    assert dollars(both, "flex+off_peak", **counts) == Decimal("0.7")


def test_a_range_of_prices_is_that_of_the_hour() -> None:
    """From no answer to the whole budget, both at the tier that is asked for."""
    size = Estimate(low=MILLION, likely=MILLION, high=MILLION, method=Method.EXACT)
    found = price_range(NIGHTLY, size, MILLION, tier="off_peak")
    assert found == PriceRange(low=Decimal("0.15"), high=Decimal("0.75"))


def test_the_dearest_call_fits_a_column_of_the_ledger() -> None:
    """Ten million tokens at the highest price there may be, with eight times as much to spare."""
    cost = dollars(priced(input=str(MOST_PRICE)), input=90 * MILLION)
    assert cost is not None
    assert pico(cost) < 2**63
