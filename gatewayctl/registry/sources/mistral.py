"""Mistral's ``GET /v1/models``: windows, other names of the same model, and when one goes.

``deprecation`` is the day from which a deprecated model is gone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked_anything
from gatewayctl.registry.sources.entries import Collected, day, flags, inner, items, model_id

_CAPABILITIES = {
    Capability.TOOLS: "function_calling",
    Capability.IMAGES: "vision",
    Capability.AUDIO: "audio",
    Capability.REASONING: "reasoning",
}


def listing(origin: Origin) -> Listing:
    """Ask for its one page."""
    collected = Collected(origin.provider)
    page = yield from asked_anything(origin.models_url)
    entries = page.get("data") if isinstance(page, dict) else page
    collected.take(entries, _read)
    for entry in items(entries):
        if isinstance(entry, dict):
            collected.alias(items(entry.get("aliases")), entry.get("id"))
    return collected.table()


def _read(entry: Mapping[str, Any]) -> Claims | str:
    if entry.get("archived") is True:
        return "archived"
    gone = day(entry.get("deprecation"))
    claims = Claims(
        context_window=tokens(entry.get("max_context_length")),
        capabilities=flags(inner(entry, "capabilities"), _CAPABILITIES),
        lifecycle="deprecated" if gone else None,
        retires_at=gone,
    )
    # An alias may have an entry of its own, which then names the model that it stands for.
    name = model_id(entry.get("name"))
    if name is not None and name != entry["id"] and name in items(entry.get("aliases")):
        return msgspec.structs.replace(claims, alias_of=name)
    return claims
