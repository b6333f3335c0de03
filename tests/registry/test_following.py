"""Prices that follow from others by a provider's own rule: cached input, steps from their limit."""

from decimal import Decimal

import pytest

from gatewayctl.core.events import Usage
from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.pricing import bill
from gatewayctl.registry import snapshot
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.following import from_the_limit, with_cached_reads
from gatewayctl.registry.lookup import Registry

HALF = Decimal("0.5")
MIXTRAL = "accounts/fireworks/models/mixtral-8x7b-instruct"


def _facts(source: str = "litellm", **dollars: str) -> ModelFacts:
    prices = {
        key.replace("__", "@"): Sourced(value=Decimal(it), source=source)
        for key, it in dollars.items()
    }
    return ModelFacts(id="fw/m", provider="fw", prices=prices)


def test_cached_input_is_a_share_of_every_price_of_input() -> None:
    """At each tier, by the source of that price; the output has nothing to do with it."""
    prices = with_cached_reads(_facts(input="0.9", input__flex="20", output="3"), HALF).prices
    assert {key: it.value for key, it in prices.items() if "cache" in key} == {
        "input_cache_read": Decimal("0.45"),
        "input_cache_read@flex": 10,
    }
    assert prices["input_cache_read"].source == "litellm"
    assert str(prices["input_cache_read@flex"].value) == "10"


def test_a_stated_price_of_cached_input_stands() -> None:
    """Also where it is stated for the base tier alone: others follow it as it is billed."""
    facts = _facts(input="0.9", input__flex="0.4", input_cache_read="0.1")
    assert with_cached_reads(facts, HALF) == facts
    assert with_cached_reads(_facts(output="1"), HALF) == _facts(output="1")


def test_a_step_from_its_limit_is_one_above_a_token_less() -> None:
    """Whatever the tier; what has no step is as it was."""
    told = {"input": 1, "input>200000": 2, "output@batch>200000": 3, "input>1": 4}
    prices = {key: Decimal(it) for key, it in told.items()}
    found = from_the_limit(Claims(context_window=5, prices=prices))
    assert found.context_window == 5
    assert found.prices == {"input": 1, "input>199999": 2, "output@batch>199999": 3, "input>1": 4}


@pytest.mark.parametrize("provider", ["fireworks", "mine"])
def test_fireworks_bills_cached_input_at_half(provider: str) -> None:
    """By the table in the package, whatever name the config gives it: 0.5 for input, so 0.25."""
    registry = Registry(snapshot.load(), kinds={"mine": "fireworks"})
    facts = registry.facts(provider, MIXTRAL)
    assert facts is not None
    usage = Usage(input=1_000_000, input_cache_read=1_000_000)
    assert bill(facts.prices, usage).cost == Decimal("0.75")


def test_a_share_is_one_of_the_price_of_the_config() -> None:
    """Who pays another price for input pays half of that one for cached input."""
    own = ModelFacts(
        id=f"fireworks/{MIXTRAL}",
        provider="fireworks",
        prices={"input": Sourced(value=Decimal("0.4"), source="config")},
    )
    facts = Registry(snapshot.load(), overrides={own.id: own}).facts("fireworks", MIXTRAL)
    assert facts is not None
    assert facts.prices["input_cache_read"] == Sourced(value=Decimal("0.2"), source="config")


@pytest.mark.parametrize(
    ("read", "dollars"), [(199_999, "0.24999875"), (200_000, "0.5"), (200_001, "0.5000025")]
)
def test_xais_higher_price_holds_from_the_limit_on(read: int, dollars: str) -> None:
    """At 200,000 tokens exactly grok-4.20's input costs 2.5 per million, as LiteLLM bills it."""
    facts = Registry(snapshot.load()).facts("xai", "grok-4.20")
    assert facts is not None
    assert bill(facts.prices, Usage(input=read)).cost == Decimal(dollars)


def test_other_providers_steps_are_above_their_limit() -> None:
    """OpenAI's is: at 272,000 tokens exactly the lower price holds."""
    facts = Registry(snapshot.load()).facts("openai", "gpt-5.4")
    assert facts is not None
    assert bill(facts.prices, Usage(input=272_000)).cost == Decimal("0.68")
