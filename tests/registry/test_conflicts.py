"""``registry.conflicts``: every disagreement of the sources, who wins, and why no other does."""

from decimal import Decimal

import msgspec
import pytest

from gatewayctl.core.model import Capability, ModelFacts, Sourced
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.conflicts import Conflict, Why, conflicts
from gatewayctl.registry.merge import Entry, Spoken, merge, overlay

DAY = "2026-06-30T00:00:00Z"


def spoken(**claims: Claims) -> Entry:
    """Merge what the tables say of a model."""
    return merge(
        "openai/m",
        "openai",
        {name: Spoken(claims=said, fetched_at=DAY) for name, said in claims.items()},
    )


def told(*entries: Entry) -> dict[str, Conflict]:
    """Return the conflicts of one model by field."""
    return {each.field: each for each in conflicts(entries)}


def test_an_input_limit_that_is_the_whole_window_says_so() -> None:
    """gpt-5.4: models.dev knows both, LiteLLM gives the total as the input limit."""
    found = told(
        spoken(
            models_dev=Claims(context_window=1_050_000, max_input_tokens=922_000),
            litellm=Claims(max_input_tokens=1_050_000),
        )
    )
    assert found.keys() == {"max_input_tokens"}
    conflict = found["max_input_tokens"]
    assert (conflict.model, conflict.value, conflict.source) == (
        "openai/m", 922_000, "models_dev"
    )  # fmt: skip
    (loser,) = conflict.against
    assert (loser.value, loser.source, loser.fetched_at) == (1_050_000, "litellm", DAY)
    assert loser.why is Why.WHOLE_WINDOW


def test_figures_that_agree_under_another_name_are_no_conflict() -> None:
    """The same window as an input limit or as an output limit contradicts nothing."""
    same = spoken(
        models_dev=Claims(context_window=200_000, max_output_tokens=200_000),
        litellm=Claims(max_input_tokens=200_000),
    )
    assert told(same) == {}
    assert told(spoken(models_dev=Claims(context_window=5), litellm=Claims())) == {}


def test_an_input_limit_above_the_window_is_a_conflict_that_nobody_wins() -> None:
    """The window stands, the larger figure is told, and no input limit is believed."""
    found = told(
        spoken(models_dev=Claims(context_window=240_000), litellm=Claims(max_input_tokens=262_144))
    )
    conflict = found["max_input_tokens"]
    assert (conflict.value, conflict.source, conflict.fetched_at) == (None, None, None)
    assert [each.why for each in conflict.against] == [Why.WHOLE_WINDOW]


def test_an_output_that_repeats_the_window_gives_way() -> None:
    """models.dev puts the window where it knows no output limit; LiteLLM knows one."""
    found = told(
        spoken(
            models_dev=Claims(context_window=32_768, max_output_tokens=32_768),
            litellm=Claims(max_output_tokens=8192),
        )
    )
    conflict = found["max_output_tokens"]
    assert (conflict.value, conflict.source) == (8192, "litellm")
    assert [each.why for each in conflict.against] == [Why.REPEATS_WINDOW]


def test_prices_that_differ_by_a_floats_error_agree() -> None:
    """A sum of floats is no other price; a rounded one is, and LiteLLM's stands."""
    near = spoken(
        models_dev=Claims(prices={"input": Decimal("0.06"), "output": Decimal("0.3")}),
        litellm=Claims(
            prices={"input": Decimal("0.060000000000000005"), "output": Decimal("0.2958")}
        ),
    )
    found = told(near)
    assert found.keys() == {"prices.output"}
    assert (found["prices.output"].source, found["prices.output"].against[0].why) == (
        "litellm",
        Why.ORDER,
    )


def test_a_no_by_omission_loses_as_such() -> None:
    """models.dev leaves out images, LiteLLM says yes outright."""
    found = told(
        spoken(
            models_dev=Claims(unlisted=(Capability.IMAGES,)),
            litellm=Claims(capabilities={Capability.IMAGES: True}),
        )
    )
    (loser,) = found["capabilities.images"].against
    assert (loser.value, loser.why) == (False, Why.LEFT_OUT)


def test_the_configs_word_comes_before_all() -> None:
    """What the user says is in front of every source, for the same reason."""
    entry = spoken(
        models_dev=Claims(context_window=200_000), litellm=Claims(max_input_tokens=100_000)
    )
    own = ModelFacts(
        id="openai/m", provider="openai", context_window=Sourced(value=64_000, source="config")
    )
    (loser,) = told(overlay(entry, own))["context_window"].against
    assert (loser.value, loser.why) == (200_000, Why.CONFIG)


@pytest.mark.parametrize(
    ("field", "source", "why"),
    [
        ("served", "ollama", Why.SERVED),
        ("served", "assumed", Why.ASSUMED),
        ("learned", "learned", Why.LEARNED),
    ],
)
def test_a_cap_is_told_beside_the_window_that_it_caps(field: str, source: str, why: Why) -> None:
    """A server that runs 4,096 of 40,960 is a disagreement about the effective window."""
    plain = ModelFacts(
        id="local/m",
        provider="local",
        context_window=Sourced(value=40_960, source="ollama", fetched_at=DAY),
    )
    cap = Sourced(value=4096, source=source, fetched_at=DAY)
    facts = msgspec.structs.replace(plain, **{field: cap})
    conflict = told(Entry(facts=facts))["effective_window"]
    assert (conflict.value, conflict.source) == (4096, source)
    assert [(each.value, each.why) for each in conflict.against] == [(40_960, why)]
    larger = ModelFacts(
        id="local/m", provider="local", context_window=Sourced(value=2048, source="ollama"),
        served=Sourced(value=4096, source="ollama"),
    )  # fmt: skip
    assert told(Entry(facts=larger)) == {}
