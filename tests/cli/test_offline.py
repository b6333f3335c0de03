"""The CLI's wiring: settings, registry and directory without the daemon."""

from pathlib import Path

import pytest

from gatewayctl.cli import offline
from gatewayctl.core.errors import ConfigInvalid, ConfigUnreadable
from gatewayctl.registry import snapshot

KEY = {"OPENAI_API_KEY": "sk-test"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Give a config with a provider of its own name and a source turned off."""
    path = tmp_path / "config.toml"
    path.write_text(
        """
        [registry.sources]
        models_dev = ""
        [providers.work]
        kind = "openai"
        [providers.deepinfra]
        kind = "openai-compatible"
        base_url = "https://api.deepinfra.com/v1/openai"
        """
    )
    return path


def test_the_registry_knows_providers_by_kind_or_by_their_own_name(config: Path) -> None:
    """A built-in kind answers for its provider; a compatible one is looked up under its name."""
    registry = offline.registry(offline.load_settings(config, {}), offline.Mode.SNAPSHOT)
    assert registry.facts("work", "gpt-5") is not None
    model = next(model for _, model in registry.ids("deepinfra"))
    assert registry.facts("deepinfra", model) is not None
    assert registry.facts("work", model) is None


def test_a_source_that_is_off_is_off_here_too(config: Path) -> None:
    """Only LiteLLM speaks."""
    registry = offline.registry(offline.load_settings(config, {}), offline.Mode.SNAPSHOT)
    facts = registry.facts("work", "gpt-5")
    assert facts is not None
    assert facts.context_window is not None
    assert facts.context_window.source == "litellm"


def test_the_packaged_table_can_be_asked_alone() -> None:
    """What CI checks against does not depend on the machine's cache."""
    assert offline.table(offline.Mode.SNAPSHOT) is snapshot.load()


def test_the_directory_has_every_built_in_provider_where_asked(config: Path) -> None:
    """A question about size alone needs no key; the configured ones come first."""
    settings = offline.load_settings(config, KEY)
    plain = offline.directory(settings, KEY)
    assert set(plain.providers()) == {"work", "deepinfra", "openai"}
    assert plain.has_key("openai")
    assert not offline.directory(settings, {}).has_key("work")
    every = offline.directory(settings, KEY, every_kind=True)
    assert list(every.providers())[: len(plain.providers())] == list(plain.providers())
    assert "anthropic" in every.providers()


def test_a_wrong_config_carries_all_of_its_errors(tmp_path: Path) -> None:
    """One message names the file and every place in it."""
    path = tmp_path / "config.toml"
    path.write_text('[server]\nport = "x"\nprot = 1\n')
    with pytest.raises(ConfigInvalid) as raised:
        offline.load_settings(path, {})
    assert len(raised.value.problems) == 2
    assert all(f"{path}:{line}:" in str(raised.value) for line in (2, 3))
    with pytest.raises(ConfigUnreadable):
        offline.load_settings(tmp_path / "none.toml", {})
