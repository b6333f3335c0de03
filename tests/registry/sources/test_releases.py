"""The tables as they were released: every entry is read or left out by name, in counted figures.

The releases lie beside the repository and are not part of it; a clone alone has the packaged
table, which was made of two of them, and entries in their shape in ``test_limits``.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gatewayctl.config.kinds import kinds
from gatewayctl.registry.claims import Parse, SourceTable
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.merge import Spoken, merge
from gatewayctl.registry.sources import PARSERS, provider_names
from gatewayctl.registry.table import Part, Table, join

DATA = Path(__file__).parents[4] / "shared" / "data"
NEWEST = "litellm-1.109.1.json"
MODELS_DEV = "models-dev-rebuilt.json"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the releases are not here")

SPECIAL = "special key"
PICTURE = "price of one picture"
DUPLICATE = "duplicate"
NOBODY = "speaks of no provider of ours"


def _parse(file: str, body: bytes | None = None) -> SourceTable:
    source = "models_dev" if file == MODELS_DEV else "litellm"
    parse: Parse = PARSERS[source]
    whole = (DATA / file).read_bytes() if body is None else body
    return parse(whole, provider_names(source, kinds()))


def _entries(file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / file).read_bytes())
    return found


@pytest.mark.parametrize(
    ("file", "entries", "parsed", "skipped"),
    [
        ("litellm-1.85.0.json", 2708, 2561, {SPECIAL: 1, PICTURE: 86, DUPLICATE: 31, NOBODY: 29}),
        ("litellm-1.105.0.json", 4460, 4132, {SPECIAL: 2, PICTURE: 252, DUPLICATE: 45, NOBODY: 29}),
        (NEWEST, 4553, 4223, {SPECIAL: 2, PICTURE: 252, DUPLICATE: 47, NOBODY: 29}),
    ],
)
def test_every_entry_of_litellms_releases_is_read_or_left_out_by_name(
    file: str, entries: int, parsed: int, skipped: dict[str, int]
) -> None:
    """Three shapes of it, and parsed and skipped entries are all there were."""
    table = _parse(file)
    assert len(_entries(file)) == entries
    assert (len(table.models), table.skipped) == (parsed, skipped)
    assert parsed + sum(skipped.values()) == entries


def test_every_model_of_models_dev_is_read() -> None:
    """No provider's file is odd enough to lose a model of it."""
    table = _parse(MODELS_DEV)
    listed = sum(len(provider["models"]) for provider in _entries(MODELS_DEV).values())
    assert (len(table.models), table.skipped, listed) == (5276, {}, 5276)


@pytest.mark.parametrize("file", ["litellm-1.85.0.json", "litellm-1.105.0.json", NEWEST])
def test_no_window_ever_comes_from_max_tokens_litellm_31954(file: str) -> None:
    """Taken out of every entry, or put into every one, it changes no claim of any model."""
    entries = {name: it for name, it in _entries(file).items() if isinstance(it, dict)}
    without = {n: {k: v for k, v in it.items() if k != "max_tokens"} for n, it in entries.items()}
    everywhere = {name: {**it, "max_tokens": 77_777} for name, it in entries.items()}
    plain = _parse(file).models
    assert _parse(file, json.dumps(without).encode()).models == plain
    assert _parse(file, json.dumps(everywhere).encode()).models == plain


@pytest.mark.parametrize("file", ["litellm-1.85.0.json", "litellm-1.105.0.json", NEWEST])
def test_the_limits_of_openais_models_hold_with_every_release_litellm_30928(file: str) -> None:
    """What the one table mixes up the other tells apart: window, input and output."""
    date = "2026-01-01T00:00:00Z"
    parts = {
        "litellm": Part(fetched_at=date, models=_parse(file).models),
        "models_dev": Part(fetched_at=date, models=_parse(MODELS_DEV).models),
    }
    registry = Registry(Table.load(join(parts)))
    expected = {
        "gpt-5": (400_000, 272_000, 128_000),
        "gpt-5-pro": (400_000, 272_000, 272_000),
        "gpt-5.4": (1_050_000, 922_000, 128_000),
    }
    for model, limits in expected.items():
        facts = registry.facts("openai", model)
        assert facts is not None
        found = (facts.context_window, facts.max_input_tokens, facts.max_output_tokens)
        assert tuple(limit.value for limit in found if limit) == limits
        assert all(limit.source == "models_dev" for limit in found if limit)


@pytest.mark.parametrize(
    "file", ["litellm-1.85.0.json", "litellm-1.105.0.json", NEWEST, MODELS_DEV]
)
def test_every_release_has_the_published_prices_of_gpt_5_4(file: str) -> None:
    """Input, cached input and output: the base, each tier that the table has, and the step."""
    prices = _parse(file).models["openai/gpt-5.4"].prices
    published = {
        "": ("2.5", "0.25", "15"),
        "@flex": ("1.25", "0.13", "7.5"),
        "@priority": ("5", "0.5", "30"),
        ">272000": ("5", "0.5", "22.5"),
    }
    dimensions = ("input", "input_cache_read", "output")
    found = {
        suffix: tuple(prices.get(f"{dimension}{suffix}") for dimension in dimensions)
        for suffix in published
    }
    expected = {suffix: tuple(map(Decimal, listed)) for suffix, listed in published.items()}
    if file == MODELS_DEV:
        expected["@flex"] = (None, None, None)  # type: ignore[assignment]
    assert found == expected


@pytest.mark.parametrize("file", ["litellm-1.85.0.json", "litellm-1.105.0.json", NEWEST])
def test_every_release_has_the_published_prices_of_claudes_cache(file: str) -> None:
    """A tenth of the input for a read, a quarter more for a write, twice as much for an hour.

    The oldest does not tell the last one: it follows from the others.
    """
    model = "anthropic/claude-sonnet-4-5"
    claims = _parse(file).models[model]
    prices = merge(model, "anthropic", {"litellm": Spoken(claims=claims)}).facts.prices
    names = ("input_cache_read", "input_cache_write_5m", "input_cache_write_1h")
    shares = [prices[name].value / prices["input"].value for name in names]
    assert shares == [Decimal("0.1"), Decimal("1.25"), 2]
