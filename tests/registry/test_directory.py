"""The directory: what routing looks things up in, from the config and the registry."""

from decimal import Decimal

from support.gateway import settings_of

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.correction import Observed
from gatewayctl.core.learning import Cap, Cause, believed_of
from gatewayctl.core.model import Sourced
from gatewayctl.registry import snapshot
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.live import Live

CONFIG = """
[providers.openai]
[providers.local]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
[[models]]
id = "local/qwen"
context_window = "32K"
capacity_fraction = 0.5
[[cascades]]
id = "coding"
steps = [{ model = "local/qwen" }]
[aliases]
"nick" = "coding"
"""


def directory() -> Directory:
    """Return the directory of the config; only the local provider has a credential."""
    settings = settings_of(CONFIG)

    def has_key(provider: ProviderSettings) -> bool:
        return provider.provider.name == "local"

    return Directory(settings, Live(settings, snapshot.load()), has_key)


def test_the_configs_word_comes_with_its_source() -> None:
    """What [[models]] says is a fact like any other, and how a model is used stands beside it."""
    facts = directory().facts("local", "qwen")
    assert facts is not None
    assert facts.context_window is not None
    assert (facts.context_window.value, facts.context_window.source) == (32768, "config")
    assert (
        directory().settings("local/qwen").capacity_fraction
        == directory().settings("openai/gpt-5").capacity_fraction / 2
    )


def test_a_bare_id_is_looked_for_at_configured_providers_alone() -> None:
    """In declaration order, the config's own models included."""
    assert directory().providers() == ("openai", "local")
    assert directory().listed_by("gpt-5") == ("openai",)
    assert directory().listed_by("qwen") == ("local",)
    assert directory().listed_by("claude-haiku-4-5") == ()


def test_the_users_own_names_are_nearest() -> None:
    """Routes, aliases and models of the config before those of the tables."""
    assert directory().nearest("codin")[0] == "coding"
    assert directory().nearest("nik")[0] == "nick"
    assert directory().nearest("openai/gpt5")[0].startswith("openai/gpt-5")


def test_a_known_provider_that_is_not_configured_is_told_apart() -> None:
    """With the variable to set; an unknown one is none of ours."""
    told = directory().absent("groq/llama")
    assert told is not None
    assert "GROQ_API_KEY" in told
    assert directory().absent("openai/gpt-5") is None
    assert directory().absent("nobody/model") is None
    assert directory().absent("bare") is None


def test_keys_are_asked_of_whoever_knows() -> None:
    """The directory itself reads no variable and no file."""
    assert directory().has_key("local")
    assert not directory().has_key("openai")


def test_a_models_settings_hold_what_its_vendor_publishes() -> None:
    """The vocabulary of OpenAI's models, for OpenAI's models alone; asked again, the same value."""
    found = directory()
    assert found.settings("openai/gpt-5").estimator.vocabulary == "o200k_base"
    assert found.settings("local/gpt-5").estimator.vocabulary is None
    assert found.settings("nobody/gpt-5").estimator.vocabulary is None
    assert found.settings("openai/gpt-5") is found.settings("openai/gpt-5")


def test_ids_that_clients_make_up_are_not_kept_for_ever() -> None:
    """What is remembered of ids is bounded."""
    found = directory()
    for number in range(5000):
        found.settings(f"openai/made-up-{number}")
    assert len(found._used) <= 512


class Taught:
    """Knowledge that a test gives: caps by full id, and a version that moves with them."""

    def __init__(self, **caps: Cap) -> None:
        self.version: object = object()
        self._caps = {"local/qwen": caps.get("qwen"), "ollama/qwen3": caps.get("qwen3")}

    def cap(self, model: str) -> Cap | None:
        """Return what was given."""
        return self._caps.get(model)

    def observed(self, model: str) -> Observed | None:
        """Return nothing but for one model."""
        return OBSERVED if model == "local/qwen" else None

    def learn(self, model: str, cap: Cap | None) -> None:
        """Learn another cap, or forget it."""
        self._caps[model] = cap
        self.version = object()


OBSERVED = Observed(
    samples=60, factors=(1,), least=(1,), most=(1,), low=Decimal(1), high=Decimal(1)
)


def cap(window: int, over: int | None) -> Cap:
    """Return a cap that a refusal taught when ``over`` was believed."""
    return Cap(
        window=window, at="2026-11-20T00:00:00Z", evidence="a test", cause=Cause.REFUSED, over=over
    )


def taught(knowledge: Taught, config: str = CONFIG) -> Directory:
    """Return a directory with knowledge beside the config."""
    settings = settings_of(config)
    return Directory(settings, Live(settings, snapshot.load()), lambda _: True, knowledge)


def test_what_is_learned_and_forgotten_shows_at_the_next_question() -> None:
    """A cap needs no restart to hold, nor to be lifted; the version says that something moved."""
    knowledge = Taught()
    world = taught(knowledge)
    before = world.version
    facts = world.facts("local", "qwen")
    assert facts is not None
    assert facts.learned is None
    said = facts.context_window.value if facts.context_window else None
    knowledge.learn("local/qwen", cap(4_096, said))
    after = world.facts("local", "qwen")
    assert after is not None
    assert after.learned == Sourced(
        value=4_096, source="learned", fetched_at="2026-11-20T00:00:00Z"
    )
    assert world.version is not before
    knowledge.learn("local/qwen", None)
    assert world.facts("local", "qwen") == facts


def test_a_cap_is_void_once_the_sources_report_another_window() -> None:
    """It was learned of a model that is no longer what it was."""
    facts = taught(Taught(qwen=cap(4_096, 999_999))).facts("local", "qwen")
    assert facts is not None
    assert facts.learned is None


def test_a_cap_below_a_window_that_a_beta_header_unlocks_holds() -> None:
    """What is believed without the header is what the table says with it, cut down."""
    settings = settings_of("[providers.anthropic]")
    knowledge = Taught()
    world = Directory(settings, Live(settings, snapshot.load()), lambda _: True, knowledge)
    facts = world.facts("anthropic", "claude-sonnet-4-5")
    assert facts is not None
    assert facts.unlocked
    assert believed_of(facts) == 200_000
    knowledge.learn("anthropic/claude-sonnet-4-5", cap(190_000, 200_000))
    after = world.facts("anthropic", "claude-sonnet-4-5")
    assert after is not None
    assert after.learned is not None


def test_a_model_that_nobody_lists_is_known_by_what_it_gave_away() -> None:
    """An id of one's own at a server still does not get what it refused."""
    knowledge = Taught()
    world = taught(knowledge)
    assert world.facts("local", "unheard-of") is None
    knowledge.learn("local/unheard-of", cap(2_048, None))
    facts = world.facts("local", "unheard-of")
    assert facts is not None
    assert facts.learned is not None


def test_ollama_is_taken_to_serve_4096_until_it_says_more() -> None:
    """It cuts what does not fit without a word, and what it lists is how a model was trained."""
    config = '[providers.ollama]\n[[models]]\nid = "ollama/qwen3"\ncontext_window = 40960\n'
    world = taught(Taught(), config)
    for model in ("qwen3", "any-other"):
        facts = world.facts("ollama", model)
        assert facts is not None
        assert facts.served == Sourced(value=4_096, source="assumed")


def test_what_was_observed_of_a_tokenizer_corrects_automatic_estimates_alone() -> None:
    """A ratio that the user wrote down is applied as it was written."""
    assert taught(Taught()).settings("local/qwen").estimator.observed is OBSERVED
    own = CONFIG.replace("capacity_fraction = 0.5", 'tokenizer = "char_ratio"')
    assert taught(Taught(), own).settings("local/qwen").estimator.observed is None


def test_a_window_behind_a_beta_is_apart_from_the_one_that_holds() -> None:
    """Tables that name the larger one do not make every request look as if it fitted."""
    config = '[providers.anthropic]\napi_key = "sk-test"\n'
    world = taught(Taught(), config)
    facts = world.facts("anthropic", "claude-sonnet-4-5")
    assert facts is not None
    assert facts.context_window is not None
    assert facts.context_window.value == 200_000
    assert [each.context_window for each in facts.unlocked] == [1_000_000]
    assert {each.beta for each in facts.unlocked} <= world.betas
    plain = world.facts("anthropic", "claude-opus-4-7")
    assert plain is not None
    assert not plain.unlocked


def test_geminis_window_bounds_its_input_unless_the_config_says_one() -> None:
    """Its API names an input limit alone, whatever the tables call it (litellm 30928)."""
    config = '[providers.gemini]\napi_key = "sk-test"\n'
    own = config + '[[models]]\nid = "gemini/gemini-2.5-flash"\ncontext_window = 1000000\n'
    for text, apart in ((config, True), (own, False)):
        facts = taught(Taught(), text).facts("gemini", "gemini-2.5-flash")
        assert facts is not None
        assert facts.context_window is not None
        assert facts.output_apart is apart
