"""Whom the registry believes, field by field, and what it keeps of the others."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Capability, ModelFacts, Sourced
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.merge import Entry, Spoken, merge, overlay

DATES = {"litellm": "2026-01-01T00:00:00Z", "models_dev": "2026-02-02T00:00:00Z"}
SIZES = st.none() | st.integers(1, 10**7)
CLAIMS = (
    st.builds(Claims, context_window=SIZES, max_input_tokens=SIZES, max_output_tokens=SIZES)
    | st.none()
)


def _merge(models_dev: Claims | None = None, litellm: Claims | None = None) -> Entry:
    said = {"models_dev": models_dev, "litellm": litellm}
    spoken = {
        name: Spoken(claims=claims, fetched_at=DATES[name])
        for name, claims in said.items()
        if claims is not None
    }
    return merge("p/m", "p", spoken)


def _value(sourced: Sourced[int] | None) -> int | None:
    return sourced.value if sourced is not None else None


def test_gpt_5_has_a_window_and_a_smaller_input_limit() -> None:
    """Both tables agree on the input; only models.dev knows the window."""
    entry = _merge(
        Claims(context_window=400_000, max_input_tokens=272_000, max_output_tokens=128_000),
        Claims(max_input_tokens=272_000, max_output_tokens=128_000),
    )
    assert entry.facts.context_window == Sourced(
        value=400_000, source="models_dev", fetched_at=DATES["models_dev"]
    )
    assert _value(entry.facts.max_input_tokens) == 272_000
    assert [other.source for other in entry.others["max_input_tokens"]] == ["litellm"]


def test_litellms_input_limit_is_the_window_only_where_nobody_knows_it() -> None:
    """gpt-5-pro's 400,000 alone is a total; beside a window of the same size it is doubted."""
    alone = _merge(None, Claims(max_input_tokens=400_000)).facts
    assert _value(alone.context_window) == 400_000
    assert alone.max_input_tokens is None
    both = _merge(Claims(context_window=400_000), Claims(max_input_tokens=400_000))
    assert both.facts.max_input_tokens is None
    assert [other.value for other in both.others["max_input_tokens"]] == [400_000]
    smaller = _merge(Claims(context_window=400_000), Claims(max_input_tokens=272_000)).facts
    assert _value(smaller.max_input_tokens) == 272_000


def test_an_output_limit_as_large_as_the_window_is_doubted() -> None:
    """models.dev repeats the window where it does not know; LiteLLM's figure is taken then."""
    entry = _merge(
        Claims(context_window=8192, max_output_tokens=8192), Claims(max_output_tokens=4096)
    )
    assert _value(entry.facts.max_output_tokens) == 4096
    assert [other.value for other in entry.others["max_output_tokens"]] == [8192]
    alone = _merge(Claims(context_window=8192, max_output_tokens=8192)).facts
    assert alone.max_output_tokens is None
    assert _value(_merge(Claims(max_output_tokens=8192)).facts.max_output_tokens) == 8192


def test_prices_come_from_litellm_first_dimension_by_dimension() -> None:
    """A dimension that only models.dev knows is still known."""
    entry = _merge(
        Claims(prices={"input": Decimal(3), "input_cache_read": Decimal("0.3")}),
        Claims(prices={"input": Decimal(2)}),
    )
    prices = entry.facts.prices
    assert (prices["input"].value, prices["input"].source) == (Decimal(2), "litellm")
    assert prices["input_cache_read"].source == "models_dev"
    assert [other.value for other in entry.others["prices.input"]] == [Decimal(3)]


def test_a_weak_no_yields_to_any_explicit_claim() -> None:
    """What models.dev leaves out of a list is a no only while nobody says yes."""
    silent = Claims(unlisted=(Capability.IMAGES,))
    images = _merge(silent).facts.capabilities[Capability.IMAGES]
    assert (images.value, images.source) == (False, "models_dev")
    images = _merge(silent, Claims(capabilities={Capability.IMAGES: True})).facts.capabilities[
        Capability.IMAGES
    ]
    assert (images.value, images.source) == (True, "litellm")


def test_the_users_own_facts_come_over_the_tables_field_by_field() -> None:
    """What the config leaves unsaid stays the tables', and their figure is kept beside its own."""
    tables = _merge(
        Claims(context_window=400_000, max_output_tokens=128_000, prices={"input": Decimal(1)}),
    )
    own = ModelFacts(
        id="p/m",
        provider="p",
        context_window=Sourced(value=32_768, source="config"),
        prices={"input": Sourced(value=Decimal(0), source="config")},
    )
    entry = overlay(tables, own)
    assert entry.facts.context_window == own.context_window
    assert _value(entry.facts.max_output_tokens) == 128_000
    assert entry.facts.prices == own.prices
    assert [other.value for other in entry.others["context_window"]] == [400_000]
    assert overlay(None, own) == Entry(facts=own)


def _own(own: Claims, **tables: Claims) -> Entry:
    """Merge what a provider's own listing says with what the tables say."""
    said = {"acme": own, **tables}
    spoken = {name: Spoken(claims=claims, fetched_at="x") for name, claims in said.items()}
    return merge("acme/m", "acme", spoken, "acme")


def test_the_providers_own_word_comes_before_every_table() -> None:
    """Field by field, in each field's own order after it; what it leaves unsaid is the tables'."""
    entry = _own(
        Claims(
            context_window=1000,
            prices={"input": Decimal(1)},
            capabilities={Capability.TOOLS: False},
            lifecycle="deprecated",
            retires_at="2026-01-01",
        ),
        litellm=Claims(max_output_tokens=9, prices={"input": Decimal(2)}, retires_at="2027-01-01"),
        models_dev=Claims(
            context_window=2000,
            max_output_tokens=8,
            prices={"input": Decimal(3)},
            capabilities={Capability.TOOLS: True},
        ),
    )
    facts = entry.facts
    assert (_value(facts.context_window), _value(facts.max_output_tokens)) == (1000, 8)
    assert [each.value for each in entry.others["prices.input"]] == [2, 3]
    assert not facts.capabilities[Capability.TOOLS].value
    assert facts.lifecycle == Sourced(value="deprecated", source="acme", fetched_at="x")
    assert [each.source for each in entry.others["retires_at"]] == ["litellm"]


def test_an_input_limit_alone_is_no_window() -> None:
    """Gemini's listing names the input and the output; the window stays the tables' to say."""
    own = Claims(max_input_tokens=1000, max_output_tokens=100)
    facts = _own(own, models_dev=Claims(context_window=1100)).facts
    assert (_value(facts.context_window), _value(facts.max_input_tokens)) == (1100, 1000)
    assert _own(own).facts.context_window is None


def test_what_is_served_stands_beside_the_window_that_was_trained() -> None:
    """It caps whatever the others say, and the config's own figure does not displace it."""
    entry = _own(Claims(context_window=40_960, served=4096))
    own = ModelFacts(
        id="acme/m", provider="acme", context_window=Sourced(value=32_768, source="config")
    )
    for facts in (entry.facts, overlay(entry, own).facts):
        assert _value(facts.served) == 4096
    assert _value(overlay(entry, own).facts.context_window) == 32_768


@given(CLAIMS, CLAIMS)
def test_no_limit_is_ever_made_up(models_dev: Claims | None, litellm: Claims | None) -> None:
    """Every merged limit is some source's own figure, and the three are never mixed up."""
    entry = _merge(models_dev, litellm)
    facts = entry.facts
    spoken = {"models_dev": models_dev or Claims(), "litellm": litellm or Claims()}
    for name in ("max_input_tokens", "max_output_tokens"):
        chosen: Sourced[int] | None = getattr(facts, name)
        if chosen is not None:
            assert chosen.value == getattr(spoken[chosen.source], name)
    window = facts.context_window
    if window is not None:
        source = spoken[window.source]
        assert window.value in {source.context_window, source.max_input_tokens}
        assert window.value not in {None} - {source.max_output_tokens}
        if spoken["models_dev"].context_window is not None:
            assert window.source == "models_dev"


NIGHT = Hours(((0, 60),))
NIGHTLY = Claims(
    prices={"input": Decimal(2), "output": Decimal(4), "input@off_peak": Decimal(1)},
    off_peak=NIGHT,
)


def test_hours_come_with_the_prices_that_hold_at_them() -> None:
    """From the source of those, with its date; without such a price they are nobody's."""
    facts = _merge(Claims(prices={"input": Decimal(2)}), NIGHTLY).facts
    assert facts.off_peak == Sourced(value=NIGHT, source="litellm", fetched_at=DATES["litellm"])
    assert _merge(None, Claims(prices={"input": Decimal(2)}, off_peak=NIGHT)).facts.off_peak is None


def test_whose_price_list_it_is_not_has_no_hours_either() -> None:
    """Who says another base price has to say the price of those hours too: then they hold."""

    def own(**prices: str) -> ModelFacts:
        said = {
            key.replace("__", "@"): Sourced(value=Decimal(it), source="config")
            for key, it in prices.items()
        }
        return overlay(_merge(None, NIGHTLY), ModelFacts(id="p/m", provider="p", prices=said)).facts

    assert own(input="3").off_peak is None
    assert own(output="3").off_peak is not None
    kept = own(input="3", input__off_peak="2")
    assert kept.off_peak is not None
    assert kept.prices["input@off_peak"].value == 2


def test_the_hours_of_the_config_stand_over_those_of_a_table() -> None:
    """With a price for them from either side; without any they mean nothing."""
    day = Sourced(value=Hours(((600, 660),)), source="config")
    own = ModelFacts(id="p/m", provider="p", off_peak=day)
    assert overlay(_merge(None, NIGHTLY), own).facts.off_peak == day
    assert overlay(_merge(None, Claims(prices={"input": Decimal(2)})), own).facts.off_peak is None
    assert overlay(None, own).facts.off_peak is None
