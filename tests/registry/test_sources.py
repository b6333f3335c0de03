"""Both tables are read field by field, and every entry is read or counted as left out."""

import gzip
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.config.kinds import kinds
from gatewayctl.core.errors import SourceFailed
from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.sources import PARSERS, litellm, models_dev, provider_names

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def _litellm(key: str, **fields: Any) -> Claims:
    entry = {"litellm_provider": "openai", "mode": "chat", **fields}
    table = litellm.parse(json.dumps({key: entry}).encode(), {})
    (claims,) = table.models.values()
    return claims


def _models_dev(**fields: Any) -> Claims:
    listing = {"openai": {"id": "openai", "models": {"m": {"id": "m", **fields}}}}
    return models_dev.parse(json.dumps(listing).encode(), {}).models["openai/m"]


def test_litellm_special_keys_and_odd_entries_are_left_out_and_counted() -> None:
    """Nothing that is not a model becomes one, and each reason is named with its count."""
    listing = {
        "sample_spec": {"litellm_provider": "one of …", "max_input_tokens": "prose"},
        "fallback_generalizations": {"rules": []},
        "odd": ["not", "an", "object"],
        "nobody": {"max_input_tokens": 1},
        "openai/": {"litellm_provider": "openai"},
        "high/1024-x-1024/gpt-image-1": {"litellm_provider": "openai"},
        "ollama/llama3": {"litellm_provider": "ollama"},
        "gpt-5": {"litellm_provider": "openai"},
    }
    table = litellm.parse(json.dumps(listing).encode(), {"ollama": ""})
    assert list(table.models) == ["openai/gpt-5"]
    assert table.skipped == {
        "special key": 2,
        "not an object": 1,
        "no provider": 1,
        "no model id": 1,
        "price of one picture": 1,
        "speaks of no provider of ours": 1,
    }


@pytest.mark.parametrize("value", [0, None, -1, 0.5, "131072", True, 1e300, [1]])
def test_a_limit_that_is_no_limit_is_unknown(value: object) -> None:
    """Zero, null and nonsense mean that nothing is known, in both tables."""
    assert _litellm("m", max_input_tokens=value).max_input_tokens is None
    assert _models_dev(limit={"context": value}).context_window is None


def test_a_limit_written_as_a_float_is_a_whole_number() -> None:
    """LiteLLM 1.85.0 writes 2000000.0."""
    limit = _litellm("m", max_input_tokens=2000000.0).max_input_tokens
    assert limit == 2000000
    assert isinstance(limit, int)


@given(st.integers(1, 10**9))
def test_litellm_max_tokens_is_never_read(size: int) -> None:
    """``max_tokens`` means output there, never a window, and ``max_output_tokens`` says it too."""
    claims = _litellm("m", max_tokens=size)
    assert claims == Claims()


def test_an_unknown_mode_breaks_nothing() -> None:
    """New modes appear with each release; a model of one is a model."""
    assert _litellm("m", mode="telepathy", max_input_tokens=7).max_input_tokens == 7


@pytest.mark.parametrize(
    ("key", "provider", "model_id"),
    [
        ("gpt-5", "openai", "openai/gpt-5"),
        ("gemini/gemini-2.5-pro", "gemini", "gemini/gemini-2.5-pro"),
        ("together_ai/Qwen/Qwen3", "together_ai", "together/Qwen/Qwen3"),
        (
            "fireworks_ai/accounts/fireworks/models/x",
            "fireworks_ai-embedding-models",
            "fireworks/accounts/fireworks/models/x",
        ),
        ("vertex_ai/claude@20251001", "vertex_ai-anthropic_models", "vertex_ai/claude@20251001"),
        ("amazon-nova/nova-micro-v1", "amazon_nova", "amazon_nova/nova-micro-v1"),
        ("openrouter/anthropic/claude-x", "openrouter", "openrouter/anthropic/claude-x"),
        ("anthropic.claude-v2", "bedrock", "bedrock/anthropic.claude-v2"),
    ],
)
def test_litellm_keys_become_ids_at_our_providers(key: str, provider: str, model_id: str) -> None:
    """A key loses its own provider's prefix, nothing else, and the provider gets our name."""
    body = json.dumps({key: {"litellm_provider": provider}}).encode()
    assert list(litellm.parse(body, provider_names("litellm", kinds())).models) == [model_id]


def test_of_two_spellings_of_a_litellm_id_the_prefixed_one_is_kept() -> None:
    """The table lists some models twice; which comes first does not matter."""
    bare = {"litellm_provider": "gemini", "max_input_tokens": 1}
    prefixed = {"litellm_provider": "gemini", "max_input_tokens": 2}
    for listing in (
        {"x": bare, "gemini/x": prefixed},
        {"gemini/x": prefixed, "x": bare},
    ):
        table = litellm.parse(json.dumps(listing).encode(), {})
        assert table.models["gemini/x"].max_input_tokens == 2
        assert table.skipped == {"duplicate": 1}


def test_prices_are_exact_and_per_million() -> None:
    """LiteLLM's are per token, models.dev's per million; both come out as the same decimals."""
    theirs = _litellm("m", input_cost_per_token=1.25e-06, cache_read_input_token_cost=1.25e-07)
    ours = {"input": Decimal("1.25"), "input_cache_read": Decimal("0.125")}
    assert theirs.prices == ours
    assert _models_dev(cost={"input": 1.25, "cache_read": 0.125}).prices == ours


def test_tier_prices_are_not_base_prices() -> None:
    """A price above a size or for a service tier never stands for the base price."""
    claims = _litellm(
        "m",
        input_cost_per_token_above_272k_tokens=5e-06,
        input_cost_per_token_priority=5e-06,
        cache_creation_input_token_cost_above_1hr=1e-05,
    )
    assert claims.prices == {
        "input>272000": Decimal(5),
        "input@priority": Decimal(5),
        "input_cache_write_1h": Decimal(10),
    }


def test_models_devs_price_lists_by_size_and_by_mode() -> None:
    """Above a size of the context, the older form of that, and what a request says to get them."""
    fast = {"provider": {"body": {"speed": "fast"}}, "cost": {"input": 30, "output": 150}}
    priority = {"provider": {"body": {"service_tier": "priority"}}, "cost": {"input": 10}}
    tiers = [
        {"tier": {"type": "context", "size": 272000}, "input": 8, "cache_read": 0.8},
        {"tier": {"size": 32000}, "input": 6},
        {"tier": {"type": "images", "size": 3}, "input": 7},
        "odd",
    ]
    claims = _models_dev(
        cost={"input": 5, "output": 25, "tiers": tiers, "context_over_200k": {"input": 7}},
        experimental={"modes": {"fast": fast, "quick": priority, "odd": {"cost": {"input": 1}}}},
    )
    assert claims.prices == {
        "input": 5, "output": 25,
        "input>272000": 8, "input_cache_read>272000": Decimal("0.8"),
        "input>32000": 6, "input>200000": 7,
        "input@fast": 30, "output@fast": 150, "input@priority": 10,
    }  # fmt: skip


@pytest.mark.parametrize("tier", ["a b", "x@y", "x>1", "", "standard", 3, None, "x" * 40])
def test_a_mode_whose_tier_no_reply_could_name_is_left_out(tier: Any) -> None:
    """It would make a key out of form, or a second base price."""
    mode = {"provider": {"body": {"service_tier": tier}}, "cost": {"input": 10}}
    found = _models_dev(cost={"input": 5}, experimental={"modes": {"m": mode}})
    assert found.prices == {"input": 5}


def test_zero_is_a_price_only_where_it_can_be_meant() -> None:
    """A free model is free; a paid model's zero for cached tokens means that none is known."""
    assert _models_dev(cost={"input": 0, "output": 0}).prices == {"input": 0, "output": 0}
    paid = _models_dev(cost={"input": 0.5, "output": 1.5, "cache_read": 0, "cache_write": -1})
    assert paid.prices == {"input": Decimal("0.5"), "output": Decimal("1.5")}


def test_a_capability_that_is_not_named_is_unknown() -> None:
    """Only a boolean says yes or no."""
    claims = _litellm("m", supports_vision=False, supports_function_calling=True, supports_x=1)
    assert claims.capabilities == {Capability.IMAGES: False, Capability.TOOLS: True}


def test_models_dev_lists_what_a_model_takes() -> None:
    """A listed input is a yes; one left out is a weak no, and only where nothing is attachable."""
    text = {"input": ["text"]}
    assert _models_dev(attachment=True, modalities=text).unlisted == ()
    closed = _models_dev(attachment=False, modalities={"input": ["text", "audio"]})
    assert closed.capabilities == {Capability.AUDIO: True}
    assert closed.unlisted == (Capability.IMAGES, Capability.DOCUMENTS)


@pytest.mark.parametrize("source", sorted(PARSERS))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'"x"',
        b"\xff",
        gzip.compress(b"{}", mtime=0),
        b'{"a":' * 100_000,
        b"1e999999999999999999",
    ],
)
def test_what_is_no_json_object_is_a_failed_source(source: str, body: bytes) -> None:
    """Damaged bytes are an error with a message, never a crash or an empty table."""
    with pytest.raises(SourceFailed):
        PARSERS[source](body, {})


@pytest.mark.parametrize("source", sorted(PARSERS))
def test_numbers_beyond_belief_do_not_hurt(source: str) -> None:
    """A hostile exponent is not expanded into a number with a billion digits."""
    body = (
        b'{"m":{"litellm_provider":"p","max_input_tokens":1e999999,"input_cost_per_token":1e999999,'
        b'"models":{"m":{"limit":{"context":1e999999},"cost":{"input":1e999999999999999999999}}}}}'
    )
    (claims,) = PARSERS[source](body, {}).models.values()
    assert claims == Claims()


@given(listing=st.dictionaries(st.text(), JSON, max_size=6), model=JSON)
def test_any_object_is_read_or_counted(listing: dict[str, Any], model: Any) -> None:
    """Whatever an entry holds, nothing is raised and parsed + skipped is all there was."""
    listing = {**listing, "k": {"litellm_provider": "p", "max_input_tokens": model}}
    table = litellm.parse(json.dumps(listing).encode(), {})
    assert len(table.models) + sum(table.skipped.values()) == len(listing)
    listed = {"p": {"models": {**listing, "": model}}}
    table = models_dev.parse(json.dumps(listed).encode(), {})
    assert len(table.models) + sum(table.skipped.values()) == len(listed["p"]["models"])
