"""The prices that requests are billed by, from the tables in the package: the published figures."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gatewayctl.core.events import Usage
from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.pricing import Prices, bill, rate_key, tier_at
from gatewayctl.registry import snapshot
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.conflicts import conflicts
from gatewayctl.registry.merge import Entry, Spoken, merge, overlay

MILLION = 1_000_000


def entry(model_id: str) -> Entry:
    """Return what the packaged tables make of a model."""
    spoken = snapshot.load().spoken(model_id)
    return merge(model_id, model_id.partition("/")[0], spoken)


def prices(model_id: str) -> Prices:
    """Return its prices."""
    return entry(model_id).facts.prices


def said(**values: str) -> dict[str, Decimal]:
    """Return claimed prices, where ``__`` stands for ``@`` and ``_above_`` for ``>``."""
    return {
        key.replace("__", "@").replace("_above_", ">"): Decimal(value)
        for key, value in values.items()
    }


@pytest.mark.parametrize(
    ("tier", "read", "rates"),
    [
        ("default", 1000, ("2.5", "0.25", "15")),
        ("flex", 1000, ("1.25", "0.13", "7.5")),
        ("priority", 1000, ("5", "0.5", "30")),
        ("default", 272_001, ("5", "0.5", "22.5")),
        ("flex", 272_001, ("2.5", "0.25", "11.25")),
    ],
)
def test_gpt_5_4_costs_what_openai_asks(tier: str, read: int, rates: tuple[str, ...]) -> None:
    """By tier, and above 272,000 tokens of input for the whole request."""
    usage = Usage(input=read, input_cache_read=1, output=1)
    assert tuple(bill(prices("openai/gpt-5.4"), usage, tier).rates.values()) == tuple(
        map(Decimal, rates)
    )


@pytest.mark.parametrize(
    "model",
    ["haiku-4-5", "opus-4-1", "opus-4-5", "opus-4-8", "sonnet-4-5", "sonnet-4-20250514"],
)
def test_claudes_cache_costs_its_share_of_the_input(model: str) -> None:
    """A read a tenth, a write for five minutes a quarter more, one for an hour twice as much."""
    found = prices(f"anthropic/claude-{model}")
    usage = Usage(input_cache_read=1, input_cache_write_5m=1, input_cache_write_1h=1)
    share = [price / found["input"].value for price in bill(found, usage).rates.values()]
    assert share == [Decimal("0.1"), Decimal("1.25"), 2]


def test_every_claude_of_anthropics_has_a_price_for_an_hour_in_the_cache() -> None:
    """Twice the input for all that take a quarter more for the short write."""
    listed = snapshot.load().models("anthropic")
    for found in (prices(f"anthropic/{model}") for model in listed):
        if found["input_cache_write_5m"].value == found["input"].value * Decimal("1.25"):
            assert found["input_cache_write_1h"].value == found["input"].value * 2


def test_claudes_fast_mode_has_its_own_prices() -> None:
    """By the reply's speed, with the cache's prices on top; from the US a tenth more."""
    usage = Usage(input=MILLION, input_cache_read=MILLION, output=MILLION)
    opus = prices("anthropic/claude-opus-4-8")
    costs = [bill(opus, usage, tier).cost for tier in (None, "fast", "us", "fast+us")]
    assert costs == [Decimal(it) for it in ("30.5", "61", "33.55", "67.1")]
    assert bill(opus, usage, "priority").cost == Decimal("30.5")


@pytest.mark.parametrize(
    ("model_id", "step", "below", "above"),
    [
        ("gemini/gemini-2.5-pro", 200_000, "1.25", "2.5"),
        ("xai/grok-4.3", 200_000, "1.25", "2.5"),
        ("dashscope/qwen3-coder-plus", 32_000, "1", "1.8"),
        ("anthropic/claude-haiku-5-5", 100_000, "0.1", "0.5"),
        ("minimax/MiniMax-M3", 512_000, "0.3", "0.6"),
    ],
)
def test_other_providers_steps(model_id: str, step: int, below: str, above: str) -> None:
    """The whole request costs more once its input passes the step, at each of them."""
    found = prices(model_id)
    for read, price in ((step, below), (step + 1, above)):
        assert bill(found, Usage(input=read)).rates == {"input": Decimal(price)}


def test_no_key_of_the_packaged_tables_is_out_of_form() -> None:
    """Each is a dimension, a tier and a step, and there are thousands of tiers and steps."""
    table = snapshot.load()
    keys = [
        key
        for model_id in table.ids()
        for spoken in table.spoken(model_id).values()
        for key in spoken.claims.prices
    ]
    assert all(str(rate_key(key)) == key for key in keys)
    assert sum(1 for key in keys if "@" in key) > 3000
    assert sum(1 for key in keys if ">" in key) > 1000


def test_a_tier_is_believed_beside_the_base_price_that_its_source_gives() -> None:
    """Where two tables know different base prices, the second one's steps are no steps of them."""
    litellm = Spoken(claims=Claims(prices=said(input="2", output="8")))
    other = Claims(prices=said(input="3", input_above_200000="6", output="8", output__flex="4"))
    found = merge("p/m", "p", {"litellm": litellm, "models_dev": Spoken(claims=other)})
    assert found.facts.prices == {
        "input": Sourced(value=Decimal(2), source="litellm"),
        "output": Sourced(value=Decimal(8), source="litellm"),
        "output@flex": Sourced(value=Decimal(4), source="models_dev"),
    }
    assert [each.field for each in conflicts([found])] == ["prices.input"]


def test_an_hour_in_the_cache_is_derived_for_claude_alone() -> None:
    """And only where the short write follows the same rule, for each price list by itself."""
    listed = said(input="3", input_cache_write_5m="3.75", input__fast="6") | said(
        input_cache_write_5m__fast="7.5",
        input_above_200000="6",
        input_cache_write_5m_above_200000="6",
    )
    spoken = {"models_dev": Spoken(claims=Claims(prices=listed))}
    found = merge("p/claude-x", "p", spoken).facts.prices
    assert {key: it.value for key, it in found.items() if "1h" in key} == {
        "input_cache_write_1h": 6,
        "input_cache_write_1h@fast": 12,
    }
    assert not any("1h" in key for key in merge("p/other", "p", spoken).facts.prices)


def test_a_base_price_of_the_users_own_is_the_whole_list_of_its_dimension() -> None:
    """What the tables ask at a tier or above a step is of their list alone."""
    own = ModelFacts(
        id="openai/gpt-5.4",
        provider="openai",
        prices={
            key: Sourced(value=Decimal(price), source="config")
            for key, price in {"input": "2", "input@flex": "1", "output": "15"}.items()
        },
    )
    both = overlay(entry("openai/gpt-5.4"), own)
    found = {key: it.value for key, it in both.facts.prices.items() if key.startswith("input")}
    assert {key: it for key, it in found.items() if "cache" not in key} == {
        "input": 2,
        "input@flex": 1,
    }
    assert found["input_cache_read>272000"] == Decimal("0.5")
    assert both.facts.prices["output>272000"].source == "litellm"
    believed = {f"prices.{key}" for key in both.facts.prices}
    assert {field for field in both.others if field.startswith("prices.")} <= believed


def test_who_says_that_a_model_is_free_pays_nothing_for_any_of_it() -> None:
    """Not for what was cached, at no tier and above no step; what is said besides still holds."""
    said = {"input": "0", "output": "0", "input_cache_write_5m": "1"}
    own = ModelFacts(
        id="anthropic/claude-opus-4-8",
        provider="anthropic",
        prices={key: Sourced(value=Decimal(it), source="config") for key, it in said.items()},
    )
    found = overlay(entry(own.id), own).facts.prices
    assert {key: price.value for key, price in found.items()} == {
        key: Decimal(it) for key, it in said.items()
    }


@pytest.mark.parametrize(
    ("moment", "tier", "flash", "pro"),
    [
        ("2026-11-20 00:30", "off_peak", "0.0000747", "0.0002739"),  # Friday
        ("2026-11-20 01:00", "base", "0.0001494", "0.0005478"),
        ("2026-11-20 03:59", "base", "0.0001494", "0.0005478"),
        ("2026-11-20 04:00", "off_peak", "0.0000747", "0.0002739"),
        ("2026-11-20 09:59", "base", "0.0001494", "0.0005478"),
        ("2026-11-20 10:00", "off_peak", "0.0000747", "0.0002739"),
        ("2026-11-21 02:00", "off_peak", "0.0000747", "0.0002739"),  # Saturday
        ("2026-11-22 09:59", "off_peak", "0.0000747", "0.0002739"),
        ("2026-11-23 00:59", "off_peak", "0.0000747", "0.0002739"),  # Monday
        ("2026-11-23 01:00", "base", "0.0001494", "0.0005478"),
    ],
)
def test_deepseek_costs_half_as_much_off_its_peak(
    moment: str, tier: str, flash: str, pro: str
) -> None:
    """100 tokens read, 900 from the cache, 95 written: by hand from the published prices.

    Flash: 100 x 0.15 + 900 x 0.003 + 95 x 0.6 = 74.7 millionths of a dollar; V4 Pro: 100 x 0.66 +
    900 x 0.022 + 95 x 1.98 = 273.9. LiteLLM 1.109.1 comes to the same sums at the same moments.
    """
    usage = Usage(input=100, input_cache_read=900, output=95)
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    for model, wanted in (("deepseek-flash", flash), ("deepseek-v4-pro", pro)):
        facts = entry(f"deepseek/{model}").facts
        assert facts.off_peak is not None
        assert tier_at(None, facts.off_peak.value, at) == tier
        assert bill(facts.prices, usage, tier).cost == Decimal(wanted)
