"""The registry as a config's checks see it: the packaged table, asked by kind."""

import pytest

from gatewayctl.core.model import Capability
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
    """Limits, abilities, retirement and whether it is listed; nothing of what is not."""
    facts = catalog.facts("anthropic/claude-haiku-4-5")
    assert facts is not None
    assert facts.context_window is not None
    assert facts.context_window.value == 200_000
    assert facts.context_window.source
    assert facts.capabilities[Capability.TOOLS].value
    assert "anthropic" in catalog.listed_by("claude-haiku-4-5")
    retiring = catalog.facts("anthropic/claude-sonnet-4-5")
    assert retiring is not None
    assert retiring.retires_at is not None
    assert not catalog.listed_by("claude-of-nowhere")
    assert catalog.facts("anthropic/claude-of-nowhere") is None


def test_it_names_what_looks_alike(catalog: CheckedAgainst) -> None:
    """A typo finds its model."""
    assert "anthropic/claude-haiku-4-5" in catalog.nearest("anthropic/claude-haiku-45")
