"""The limits that tables mix up, by the names of the models: entries as their releases write them.

Window, input and output limits are three things, and a threshold of billing is none of them.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from gatewayctl.config.kinds import kinds
from gatewayctl.core.model import ModelFacts
from gatewayctl.registry import snapshot
from gatewayctl.registry.claims import SourceTable
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.sources import PARSERS, provider_names
from gatewayctl.registry.table import Part, Table, join

# As in LiteLLM's releases: sometimes the input limit, sometimes the window of both.
LITELLM = {
    "gpt-5": {"litellm_provider": "openai", "max_input_tokens": 272_000, "max_tokens": 128_000},
    "gpt-5-pro": {"litellm_provider": "openai", "max_input_tokens": 400_000, "max_tokens": 272_000},
    "gpt-5.4": {"litellm_provider": "openai", "max_input_tokens": 1_050_000},
}
MODELS_DEV = {
    "openai": {
        "models": {
            "gpt-5": {"limit": {"context": 400_000, "input": 272_000, "output": 128_000}},
            "gpt-5-pro": {"limit": {"context": 400_000, "output": 272_000}},
            "gpt-5.4": {"limit": {"context": 1_050_000, "input": 922_000, "output": 128_000}},
        }
    }
}


def _table(source: str, listing: Mapping[str, Any]) -> SourceTable:
    return PARSERS[source](json.dumps(listing).encode(), provider_names(source, kinds()))


def _registry(**listings: Mapping[str, Any]) -> Registry:
    parts = {
        source: Part(fetched_at="2026-01-01T00:00:00Z", models=_table(source, listing).models)
        for source, listing in listings.items()
    }
    return Registry(Table.load(join(parts)))


def _limits(facts: ModelFacts | None) -> tuple[int | None, int | None, int | None]:
    """Return window, input and output limit."""
    assert facts is not None
    found = (facts.context_window, facts.max_input_tokens, facts.max_output_tokens)
    window, inputs, output = (limit.value if limit is not None else None for limit in found)
    return window, inputs, output


@pytest.mark.parametrize(
    ("model", "window", "inputs", "output"),
    [
        ("gpt-5", 400_000, 272_000, 128_000),
        ("gpt-5-pro", 400_000, None, 272_000),
        ("gpt-5.4", 1_050_000, 922_000, 128_000),
    ],
)
def test_a_total_never_passes_for_an_input_limit_litellm_30928(
    model: str, window: int, inputs: int | None, output: int
) -> None:
    """An input limit as large as the window limits nothing, and is none."""
    registry = _registry(litellm=LITELLM, models_dev=MODELS_DEV)
    assert _limits(registry.facts("openai", model)) == (window, inputs, output)


@pytest.mark.parametrize(
    ("model", "total"), [("gpt-5", 272_000), ("gpt-5-pro", 400_000), ("gpt-5.4", 1_050_000)]
)
def test_where_nobody_knows_the_window_the_input_limit_stands_for_it_litellm_30928(
    model: str, total: int
) -> None:
    """LiteLLM alone: the only figure that there is bounds input and output together."""
    assert _limits(_registry(litellm=LITELLM).facts("openai", model)) == (total, None, None)


def test_max_tokens_is_neither_window_nor_output_litellm_31954() -> None:
    """A model of which a table says nothing else is a model of which nothing is known."""
    listing = {"watsonx/m": {"litellm_provider": "watsonx", "max_tokens": 20_480}}
    facts = _registry(litellm=listing).facts("watsonx", "m")
    assert _limits(facts) == (None, None, None)


def test_a_threshold_of_billing_is_no_limit_litellm_29777() -> None:
    """Above 512,000 tokens this model costs more, up to the million that its window has."""
    tier = {"input": 1.2, "tier": {"type": "context", "size": 512_000}}
    limit = {"context": 1_048_576, "output": 131_072}
    models_dev = {"minimax": {"models": {"M3": {"limit": limit, "cost": {"tiers": [tier]}}}}}
    listing = {
        "minimax/M3": {
            "litellm_provider": "minimax",
            "input_cost_per_token": 6e-07,
            "input_cost_per_token_above_512k_tokens": 1.2e-06,
        }
    }
    facts = _registry(litellm=listing, models_dev=models_dev).facts("minimax", "M3")
    assert _limits(facts) == (1_048_576, None, 131_072)
    assert facts is not None
    assert facts.prices["input"].value == Decimal("0.6")


@pytest.mark.parametrize(
    ("provider", "model", "window", "price"),
    [
        ("azure", "gpt-4o", 128_000, "2.5"),
        ("azure", "eu/gpt-4o", 128_000, "2.75"),
        ("azure", "eu/gpt-4o-2024-11-20", 128_000, "2.75"),
        ("bedrock", "anthropic.claude-opus-4-7", 1_000_000, "5"),
        ("bedrock", "us.anthropic.claude-opus-4-7", 1_000_000, "5.5"),
        ("bedrock", "us.anthropic.claude-3-5-haiku-20241022-v1:0", 200_000, "0.8"),
    ],
)
def test_a_region_is_part_of_the_id(provider: str, model: str, window: int, price: str) -> None:
    """``azure/eu/…`` and ``bedrock/us.…`` are models of their own, with prices of their own."""
    facts = Registry(snapshot.load()).facts(provider, model)
    assert _limits(facts)[0] == window
    assert facts is not None
    assert facts.id == f"{provider}/{model}"
    assert facts.prices["input"].value == Decimal(price)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("azure", "us/gpt-4o-of-nowhere"),
        ("azure", "moon/gpt-4o"),
        ("bedrock", "moon.anthropic.claude-opus-4-7"),
        ("openai", "eu/gpt-4o"),
        ("anthropic", "us.anthropic.claude-opus-4-7"),
    ],
)
def test_another_region_or_provider_never_answers(provider: str, model: str) -> None:
    """A last segment says nothing: half of them have other windows elsewhere."""
    assert Registry(snapshot.load()).facts(provider, model) is None


def test_a_version_is_no_date_of_another() -> None:
    """``claude-opus-4`` is of 200,000 tokens, under each of its dates, and ``-4-7`` a million."""
    registry = Registry(snapshot.load())
    for model in ("claude-opus-4", "claude-opus-4-20250514", "claude-opus-4@20250514"):
        assert _limits(registry.facts("anthropic", model))[0] == 200_000
    assert _limits(registry.facts("anthropic", "claude-opus-4-7"))[0] == 1_000_000
