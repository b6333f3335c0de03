"""Anthropic's ``GET /v1/models``: both limits may be null, pages follow ``after_id``.

``max_tokens`` is the most that a reply may have; ``max_input_tokens`` bounds the input.
"""

from collections.abc import Mapping
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, cursor, paged
from gatewayctl.registry.sources.entries import Collected, day, inner, word

_PAGE = "?limit=1000"

_CAPABILITIES = {
    Capability.IMAGES: "image_input",
    Capability.DOCUMENTS: "pdf_input",
    Capability.JSON_SCHEMA: "structured_outputs",
    Capability.REASONING: "thinking",
}


def listing(origin: Origin) -> Listing:
    """Ask page after page, as many models to each as are allowed."""
    collected = Collected(origin.provider)
    first = f"{origin.models_url}{_PAGE}"

    def take(page: Mapping[str, Any]) -> str | None:
        collected.take(page.get("data"), _read)
        if page.get("has_more") is not True:
            return None
        return f"{first}&after_id={cursor(page.get('last_id'))}"

    yield from paged(first, take)
    return collected.table()


def _read(entry: Mapping[str, Any]) -> Claims | str:
    lifecycle = word(entry.get("lifecycle"))
    if lifecycle == "retired":
        return "retired"
    capabilities = inner(entry, "capabilities")
    said = {
        capability: inner(capabilities, name).get("supported")
        for capability, name in _CAPABILITIES.items()
    }
    return Claims(
        max_input_tokens=tokens(entry.get("max_input_tokens")),
        max_output_tokens=tokens(entry.get("max_tokens")),
        capabilities={name: able for name, able in said.items() if isinstance(able, bool)},
        lifecycle=lifecycle,
        deprecated_at=day(entry.get("deprecated_at")),
        retires_at=day(entry.get("retires_at")),
    )
