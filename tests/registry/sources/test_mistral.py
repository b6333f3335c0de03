"""Mistral's listing: windows, other names of a model, the day that it goes."""

from support.listings import drive

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims

LARGE = {
    "id": "mistral-large-2512",
    "object": "model",
    "name": "mistral-large-2512",
    "max_context_length": 262144,
    "aliases": ["mistral-large-latest", "mistral-large", 7],
    "deprecation": None,
    "capabilities": {"completion_chat": True, "function_calling": True, "vision": False},
}
SAID = Claims(
    context_window=262144, capabilities={Capability.TOOLS: True, Capability.IMAGES: False}
)


def test_aliases_lead_to_their_model() -> None:
    """Each other name has the model's claims, and says whose they are."""
    found = drive("mistral", {"/v1/models": {"data": [LARGE]}})
    alias = Claims(
        context_window=SAID.context_window,
        capabilities=SAID.capabilities,
        alias_of="mistral-large-2512",
    )
    assert found.models == {
        "mistral-large-2512": SAID,
        "mistral-large-latest": alias,
        "mistral-large": alias,
    }


def test_an_alias_with_an_entry_of_its_own_names_its_model() -> None:
    """Such entries call each other aliases; the one whose name is another's leads there."""
    latest = {
        **LARGE,
        "id": "mistral-large-latest",
        "aliases": ["mistral-large-2512", "mistral-large-latest"],
    }
    found = drive("mistral", {"/v1/models": {"data": [latest, LARGE]}})
    assert found.models["mistral-large-latest"].alias_of == "mistral-large-2512"
    assert found.models["mistral-large-2512"] == SAID
    assert found.models["mistral-large"].alias_of == "mistral-large-2512"


def test_a_deprecated_model_says_when_it_goes() -> None:
    """An archived one is gone already."""
    old = {"id": "old", "deprecation": "2026-12-31T12:00:00Z", "aliases": None}
    archived = {"id": "tuned", "archived": True}
    found = drive("mistral", {"/v1/models": {"data": [old, archived]}})
    assert found.models == {"old": Claims(lifecycle="deprecated", retires_at="2026-12-31")}
    assert found.skipped == {"archived": 1}
