"""The registry as a config's checks see it: the packaged table, asked by kind."""

import pytest

from gatewayctl.core.learning import Cap, Cause
from gatewayctl.core.model import Capability
from gatewayctl.registry import snapshot
from gatewayctl.registry.checking import CheckedAgainst
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.table import Part, Table, join


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


def test_a_providers_own_listing_is_asked_where_it_was_fetched() -> None:
    """By the provider's name in the file; what another server said is not this one's."""
    url = "http://127.0.0.1:8001/v1"
    claims = {"local/m": Claims(context_window=40_960, served=4096)}
    part = Part(fetched_at="2026-05-01T00:00:00Z", models=claims, provider="local", url=url)
    catalog = CheckedAgainst(Registry(Table.load(join({"local": part}))))
    facts = catalog.own("local/m", url)
    assert facts is not None
    assert facts.context_window is not None
    assert facts.served is not None
    assert (facts.context_window.value, facts.served.value) == (40_960, 4096)
    assert catalog.own("local/m", "http://127.0.0.1:8002/v1") is None
    assert catalog.own("local/other", url) is None


def test_what_replies_gave_away_holds_while_the_same_window_is_believed() -> None:
    """Without knowledge nothing was learned."""
    cap = Cap(window=100, at="2026-05-01T00:00:00Z", evidence="", cause=Cause.REFUSED, over=200)

    class Learned:
        def cap(self, model: str) -> Cap | None:
            """Return it of one model."""
            return cap if model == "local/m" else None

    catalog = CheckedAgainst(Registry(snapshot.load()), Learned())
    learned = catalog.learned("local/m", 200)
    assert learned is not None
    assert (learned.value, learned.source, learned.fetched_at) == (100, "learned", cap.at)
    assert catalog.learned("local/m", 300) is None
    assert catalog.learned("local/other", 200) is None
    assert CheckedAgainst(Registry(snapshot.load())).learned("local/m", 200) is None
