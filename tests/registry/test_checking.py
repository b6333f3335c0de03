"""The registry as a config's checks see it: the packaged table, asked by kind."""

import pytest

from gatewayctl.registry import snapshot
from gatewayctl.registry.checking import CheckedAgainst
from gatewayctl.registry.lookup import Registry


@pytest.fixture(scope="module")
def catalog() -> CheckedAgainst:
    """Return the packaged table."""
    return CheckedAgainst(Registry(snapshot.load()))


def test_it_knows_which_kinds_it_covers(catalog: CheckedAgainst) -> None:
    """Hosted kinds are covered; of a server of the user's own no table can know."""
    assert catalog.covers("anthropic")
    assert not catalog.covers("openai-compatible")


def test_it_answers_by_full_id(catalog: CheckedAgainst) -> None:
    """Window, retirement and whether it is listed; nothing is known of what is not."""
    window = catalog.window("anthropic/claude-haiku-4-5")
    assert window is not None
    assert window.value == 200_000
    assert window.source
    assert catalog.lists("anthropic/claude-haiku-4-5")
    assert catalog.retires_at("anthropic/claude-sonnet-4-5") is not None
    assert not catalog.lists("anthropic/claude-of-nowhere")
    assert catalog.window("anthropic/claude-of-nowhere") is None
    assert catalog.retires_at("anthropic/claude-of-nowhere") is None


def test_it_names_what_looks_alike(catalog: CheckedAgainst) -> None:
    """A typo finds its model."""
    assert "anthropic/claude-haiku-4-5" in catalog.nearest("anthropic/claude-haiku-45")
