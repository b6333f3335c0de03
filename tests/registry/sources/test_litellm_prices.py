"""LiteLLM's price keys: every one of a release is a rate here or left out with a reason."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.pricing import RateKey
from gatewayctl.registry.sources.litellm_hours import KEY
from gatewayctl.registry.sources.litellm_prices import (
    DIMENSIONS,
    FACTORS,
    IGNORED,
    IGNORED_FACTORS,
    RANGES,
    TIERS,
    TIMES,
    meaning,
    prices_of,
)

LISTED = Path(__file__).parents[2] / "fixtures" / "prices" / "litellm-1.109.1-keys.txt"
DATA = Path(__file__).parents[4] / "shared" / "data"
RELEASES = ("litellm-1.85.0.json", "litellm-1.105.0.json", "litellm-1.109.1.json")
WORDS = ("cost", "price", "pricing", "multiplier")

the_releases = pytest.mark.skipif(not DATA.is_dir(), reason="the releases are not here")


def _numbers(found: Any) -> Any:
    """Return JSON as it is read in earnest, with decimals."""
    return json.loads(json.dumps(found), parse_float=Decimal)


def _prices(**entry: Any) -> dict[str, Decimal]:
    return prices_of(_numbers(entry))


def _keys(entry: Any, inside: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key of an entry, at any depth, with the one that it stands in."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            yield inside, key
            yield from _keys(value, key)
    for each in entry if isinstance(entry, list) else ():
        yield from _keys(each, inside)


def _release(file: str) -> set[tuple[str, str]]:
    entries = json.loads((DATA / file).read_bytes())
    return {pair for entry in entries.values() for pair in _keys(entry)}


def _priced(file: str) -> set[str]:
    return {key for _, key in _release(file) if any(word in key for word in WORDS)}


def _assert_looked_at(priced: set[str]) -> None:
    understood = {key for key in priced if meaning(key) is not None} | {RANGES, FACTORS, KEY}
    assert priced - understood - IGNORED.keys() == set()
    assert understood & IGNORED.keys() == set()


def test_every_price_key_of_1_109_1_is_understood_or_left_out_with_a_reason() -> None:
    """By the list of their names, also where the release itself is not at hand."""
    priced = set(LISTED.read_text().split())
    assert len(priced) == 171
    _assert_looked_at(priced)


@the_releases
def test_the_list_of_price_keys_is_that_of_the_release() -> None:
    """Nothing is missing, so that the test above proves what it says."""
    assert set(LISTED.read_text().split()) == _priced("litellm-1.109.1.json")


@the_releases
@pytest.mark.parametrize("file", RELEASES)
def test_every_price_key_of_a_release_is_understood_or_left_out_with_a_reason(file: str) -> None:
    """A release with a key that nobody has looked at yet fails here, by the key's name."""
    priced = _priced(file)
    assert len(priced) > 80
    _assert_looked_at(priced)


@the_releases
@pytest.mark.parametrize("file", RELEASES)
def test_every_factor_of_a_release_is_understood_or_left_out_with_a_reason(file: str) -> None:
    """The object that some multipliers stand in holds other things as well."""
    known = {*TIMES, *IGNORED_FACTORS}
    assert {key for inside, key in _release(file) if inside == FACTORS} - known == set()


@the_releases
def test_nothing_is_left_out_that_no_release_has() -> None:
    """A reason for a key that does not exist would be a misspelling of one that does."""
    keys = {key for file in RELEASES for _, key in _release(file)}
    assert IGNORED.keys() - keys == set()
    assert IGNORED_FACTORS.keys() - keys == set()
    assert all(len(reason) > 20 for reason in (*IGNORED.values(), *IGNORED_FACTORS.values()))


@pytest.mark.parametrize(
    ("key", "rate"),
    [
        ("input_cost_per_token", RateKey("input")),
        ("output_cost_per_token_batches", RateKey("output", "batch")),
        ("output_cost_per_token_above_200k_tokens", RateKey("output", "", 200_000)),
        ("input_cost_per_token_above_272k_tokens_flex", RateKey("input", "flex", 272_000)),
        ("cache_creation_input_token_cost_above_1hr", RateKey("input_cache_write_1h")),
        (
            "cache_creation_input_token_cost_above_12hr_above_272k_tokens_ultrafast",
            RateKey("input_cache_write_1h", "ultrafast", 272_000),
        ),
        ("cache_creation_input_token_cost_priority", RateKey("input_cache_write_5m", "priority")),
        ("input_cost_per_audio_token_flex", RateKey("audio", "flex")),
        ("input_cost_per_token_turbo", None),
        ("input_cost_per_token_above_272k_tokens_flex_again", None),
        ("input_cost_per_character", None),
    ],
)
def test_a_key_names_dimension_step_and_tier(key: str, rate: RateKey | None) -> None:
    """272k is 272,000 tokens; a suffix that is not known makes another key of it."""
    assert meaning(key) == rate


def test_ranges_are_steps_and_the_first_is_the_base() -> None:
    """A price list per range of input tokens; one by other things is none."""
    ranges = [
        {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06},
        {"range": [32000.0, 128000.0], "input_cost_per_token": 1.8e-06},
        {"max_results_range": [0, 25], "input_cost_per_query": 0.005},
        {"range": ["a"], "input_cost_per_token": 1e-06},
        "odd",
    ]
    assert _prices(tiered_pricing=ranges) == {
        "input": 1, "output": 5, "input>32000": Decimal("1.8"),
    }  # fmt: skip


def test_what_an_entry_says_outright_comes_before_its_ranges() -> None:
    """Some say both, and mean the same."""
    ranges = [{"range": [0, 32000], "input_cost_per_token": 9e-06}]
    assert _prices(input_cost_per_token=1e-06, tiered_pricing=ranges) == {"input": 1}


def test_factors_multiply_every_base_price() -> None:
    """Fast, from the US, and both at once; a tier's own price is not multiplied."""
    found = _prices(
        input_cost_per_token=5e-06,
        input_cost_per_token_batches=2.5e-06,
        input_cost_per_token_above_100k_tokens=1e-05,
        provider_specific_entry={"fast": 2, "us": 1.1, "bedrock_invocation_schema": "titan_v2"},
    )
    assert found == {
        "input": 5, "input@batch": Decimal("2.5"), "input>100000": 10,
        "input@fast": 10, "input@fast>100000": 20,
        "input@us": Decimal("5.5"), "input@us>100000": 11,
        "input@fast+us": 11, "input@fast+us>100000": 22,
    }  # fmt: skip


def test_the_first_of_two_keys_for_one_rate_counts() -> None:
    """Wherever they stand: a hit of DeepSeek's cache is what a cache read is elsewhere."""
    hit, read = {"input_cost_per_token_cache_hit": 2e-8}, {"cache_read_input_token_cost": 3e-8}
    for entry in ({**hit, **read}, {**read, **hit}):
        assert _prices(**entry) == {"input_cache_read": Decimal("0.03")}
    assert _prices(**hit) == {"input_cache_read": Decimal("0.02")}


@pytest.mark.parametrize(
    ("written", "price"),
    [
        (2.0000000000000002e-07, "0.2"),
        (5.0000000000000004e-08, "0.05"),
        (4.049997e-05, "40.49997"),
        (8.39233e-08, "0.0839233"),
        (6.875e-08, "0.06875"),
        (0.000012, "12"),
    ],
)
def test_a_sum_of_floats_is_the_price_that_was_meant(written: float, price: str) -> None:
    """What is beyond the twelfth digit is noise, what is before it is not."""
    assert _prices(input_cost_per_token=written) == {"input": Decimal(price)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["range", "fast", "us", "input_cost_per_token"]), inner)
    ),
)


@given(
    st.dictionaries(
        st.sampled_from([RANGES, FACTORS, "input_cost_per_token", "output_cost_per_token_flex"]),
        JSON,
    )
)
def test_nothing_that_an_entry_holds_is_an_error(entry: dict[str, Any]) -> None:
    """What is no price is none, and every price that is read is one."""
    assert all(price >= 0 for price in _prices(**entry).values())


def test_the_manual_lists_every_key_that_is_read_and_every_one_that_is_not() -> None:
    """A key in one table has its meaning beside it, in the other its reason."""
    manual = (Path(__file__).parents[3] / "docs" / "prices.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in manual.splitlines() if line.startswith("|")]
    told = {(key.strip("`"), why) for why, keys, *_ in rows for key in keys.split(", ")}
    assert {(f"{dimension}", f"`{key}`") for key, dimension in DIMENSIONS.items()} <= told
    assert {(f"@{tier}", f"`_{ending}`") for ending, tier in TIERS.items()} <= told
    reasons = {*IGNORED.values(), *IGNORED_FACTORS.values()}
    left_out = {*IGNORED.items(), *IGNORED_FACTORS.items()}
    assert {(key, why) for key, why in told if why in reasons} == left_out


def test_prices_of_certain_hours_are_a_tier() -> None:
    """Beside the usual ones, as far as they are stated; without hours that hold they are none."""
    block = {
        "input_cost_per_token": 1.5e-07,
        "cache_read_input_token_cost": 3e-09,
        "output_cost_per_token_batches": 1e-07,
        "hours_utc": "16:30-00:30",
    }
    usual = {"input_cost_per_token": 3e-07, "output_cost_per_token": 1.2e-06}
    assert _prices(**usual, off_peak_pricing=block) == {
        "input": Decimal("0.3"), "output": Decimal("1.2"),
        "input@off_peak": Decimal("0.15"), "input_cache_read@off_peak": Decimal("0.003"),
    }  # fmt: skip
    never = {**block, "hours_utc": "at night"}
    assert _prices(**usual, off_peak_pricing=never).keys() == {"input", "output"}


@pytest.mark.parametrize(
    ("each", "kept"),
    [(0.1, 100_000), (0.10001, None), (1.0, None), (100_001, None), (-1.0, None), (True, None)],
)
def test_a_price_beyond_belief_is_none(each: float, kept: int | None) -> None:
    """A hundred thousand dollars for a million tokens is the most, whatever it is stated for."""
    assert _prices(input_cost_per_token=each).get("input") == kept
