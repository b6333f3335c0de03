"""Groq's ``GET /openai/v1/models``: windows and output limits; models that are off are listed."""

from collections.abc import Mapping
from typing import Any

from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked
from gatewayctl.registry.sources.entries import Collected


def listing(origin: Origin) -> Listing:
    """Ask for its one page."""
    collected = Collected(origin.provider)
    page = yield from asked(origin.models_url)
    collected.take(page.get("data"), _read)
    return collected.table()


def _read(entry: Mapping[str, Any]) -> Claims | str:
    if entry.get("active") is False:
        return "not active"
    return Claims(
        context_window=tokens(entry.get("context_window")),
        max_output_tokens=tokens(entry.get("max_completion_tokens")),
    )
