"""What [[models]] and [model_defaults] come to mean, and whose word on estimates counts."""

from decimal import Decimal

from support.catalog import SmallCatalog

from gatewayctl.config.load import load_text
from gatewayctl.config.settings import Settings
from gatewayctl.core.model import Capability, EstimatorKind


def settings(text: str, **environ: str) -> Settings:
    """Return what a text means; it must have no error."""
    loaded = load_text(text, name="x.toml", environ=environ, catalog=SmallCatalog())
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


def test_what_a_model_entry_means() -> None:
    """Facts are the config's, 0 is unknown, body fields are JSON, decimals stay decimals."""
    found = settings(
        """
        [[models]]
        id = "openai/gpt-4o"
        context_window = "100K"
        max_input_tokens = 0
        capacity_fraction = 0.85
        prices = { input = 0.1 }
        capabilities = { tools = true, images = false }
        set = { temperature = 0.1, nested = { a = [1, "b", true] } }
        drop = ["logit_bias"]
        timeouts = { first_token = "5m" }
        """
    ).models["openai/gpt-4o"]
    window = found.facts.context_window
    assert window is not None
    assert (window.value, window.source) == (102_400, "config")
    assert found.facts.max_input_tokens is None
    assert found.facts.prices["input"].value == Decimal("0.1")
    assert found.settings.capacity_fraction == Decimal("0.85")
    assert bytes(found.set["temperature"]) == b"0.1"
    assert bytes(found.set["nested"]) == b'{"a":[1,"b",true]}'
    assert found.timeouts == {"first_token": 300.0}


def test_the_nearest_word_on_estimates_counts() -> None:
    """Place over model over model_defaults over [tokenizer]; a ratio selects char_ratio."""
    found = settings(
        """
        [tokenizer]
        safety_margin = 1.2
        [model_defaults]
        chars_per_token = 3.2
        [[models]]
        id = "openai/gpt-4o"
        tokenizer = "auto"
        safety_margin = 1.3
        [[cascades]]
        id = "c"
        [[cascades.steps]]
        model = "openai/gpt-4o"
        tokenizer = { chars_per_token = 2.8 }
        [[cascades.steps]]
        model = "gemini/gemini-2.5-flash"
        """
    )
    assert found.defaults.estimator.kind is EstimatorKind.CHAR_RATIO
    assert found.defaults.estimator.chars_per_token == Decimal("3.2")
    assert found.defaults.estimator.safety_margin == Decimal("1.2")
    assert found.models["openai/gpt-4o"].settings.estimator.kind is EstimatorKind.AUTO
    place, plain = found.graph.routes["c"].places
    assert place.estimator is not None
    assert place.estimator.kind is EstimatorKind.CHAR_RATIO
    assert place.estimator.chars_per_token == Decimal("2.8")
    assert place.estimator.safety_margin == Decimal("1.3")
    assert plain.estimator is None


def test_defaults_hold_for_every_model_that_does_not_say_otherwise() -> None:
    """Facts, use and body edits: key by key under a model's own entry, whole without one."""
    found = settings(
        """
        [model_defaults]
        context_window = 100_000
        max_output_tokens = 4000
        prices = { input = 1.0, output = 2.0 }
        capabilities = { images = false }
        set = { temperature = 0.2, top_p = 1 }
        drop = ["logit_bias", "seed"]
        timeouts = { idle = "10s", total = "1m" }
        tokenizer = "tiktoken:cl100k_base"
        [[models]]
        id = "openai/gpt-4o"
        context_window = 0
        max_output_tokens = 8000
        prices = { input = 3.0 }
        set = { temperature = 1, seed = 7 }
        drop = ["logit_bias", "top_p"]
        timeouts = { idle = "20s" }
        chars_per_token = 3
        """
    )
    other = found.model("gemini/gemini-2.5-flash")
    assert other is found.model_defaults
    assert other.drop == ("logit_bias", "seed")
    assert other.settings.estimator.kind is EstimatorKind.TIKTOKEN
    assert other.settings.estimator.vocabulary == "cl100k_base"
    own = found.model("openai/gpt-4o")
    window, output = own.facts.context_window, own.facts.max_output_tokens
    assert window is not None
    assert output is not None
    assert (window.value, output.value) == (100_000, 8000)
    assert {name: it.value for name, it in own.facts.prices.items()} == {"input": 3, "output": 2}
    assert not own.facts.capabilities[Capability.IMAGES].value
    assert {name: bytes(raw) for name, raw in own.set.items()} == {
        "temperature": b"1",
        "seed": b"7",
    }
    assert own.drop == ("logit_bias", "top_p")
    assert own.timeouts == {"idle": 20.0, "total": 60.0}
    assert own.settings.estimator.kind is EstimatorKind.CHAR_RATIO
    assert own.settings.estimator.vocabulary is None


def test_single_prices_of_tiers_and_steps_are_said_over_the_others() -> None:
    """Each key by itself: what the defaults or the registry say of the others stays."""
    found = settings(
        """
        [model_defaults.prices]
        input = 1
        "input@flex" = 0.5

        [[models]]
        id = "openai/gpt-4o"
        prices = { "input>272000" = 2, "input@flex" = 0.25, "output@fast+us>200000" = 3.5 }
        """
    )
    prices = found.models["openai/gpt-4o"].facts.prices
    assert {key: price.value for key, price in prices.items()} == {
        "input": 1,
        "input>272000": 2,
        "input@flex": Decimal("0.25"),
        "output@fast+us>200000": Decimal("3.5"),
    }
    assert {price.source for price in prices.values()} == {"config"}


def test_hours_of_other_prices_are_one_fact_of_the_config() -> None:
    """Those of every model hold where a model says none of its own."""
    found = settings(
        """
        [model_defaults]
        off_peak_hours = ["16:30-00:30"]
        [[models]]
        id = "openai/gpt-4o"
        off_peak_hours = ["Sat-Sun", "Fri 22:00-06:00"]
        [[models]]
        id = "openai/gpt-5"
        """
    ).models
    own, usual = (found[each].facts.off_peak for each in ("openai/gpt-4o", "openai/gpt-5"))
    assert own is not None
    assert usual is not None
    assert (str(own.value), own.source) == ("Fri 22:00-24:00; Sat-Sun all day, UTC", "config")
    assert str(usual.value) == "00:00-00:30, 16:30-24:00, UTC"
