"""The directory: what routing looks things up in, from the config and the registry."""

from support.gateway import settings_of

from gatewayctl.config.settings import ProviderSettings
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
    assert len(found._used) <= 4096
