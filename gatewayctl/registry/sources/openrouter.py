"""OpenRouter's ``GET /api/v1/models``: windows, prices as strings, capabilities as lists.

``top_provider`` is who serves a model first: where its window is smaller, that is what is sure to
fit. Routers such as ``openrouter/auto`` have prices of "-1": nobody knows.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, price, stated_prices, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked
from gatewayctl.registry.sources.entries import Collected, day, inner, named, unnamed

_PRICES = {
    "input": "prompt",
    "output": "completion",
    "input_cache_read": "input_cache_read",
    "input_cache_write_5m": "input_cache_write",
    "reasoning_output": "internal_reasoning",
    "audio": "audio",
}

_MODALITIES = {
    Capability.IMAGES: "image",
    Capability.DOCUMENTS: "file",
    Capability.AUDIO: "audio",
}

_PARAMETERS = {
    Capability.TOOLS: "tools",
    Capability.TOOL_CHOICE: "tool_choice",
    Capability.PARALLEL_TOOLS: "parallel_tool_calls",
    Capability.JSON_SCHEMA: "structured_outputs",
    Capability.REASONING: "reasoning",
}

# Longer ones are no prices, and cost time.
_AMOUNT = re.compile(r"^\d{1,20}(?:\.\d{1,30})?(?:[eE]-?\d{1,3})?$")


def listing(origin: Origin) -> Listing:
    """Ask for its one page."""
    collected = Collected(origin.provider)
    page = yield from asked(origin.models_url)
    collected.take(page.get("data"), _read)
    return collected.table()


def _read(entry: Mapping[str, Any]) -> Claims:
    first, inputs = inner(entry, "top_provider"), inner(entry, "architecture")
    pricing = inner(entry, "pricing")
    windows = [tokens(entry.get("context_length")), tokens(first.get("context_length"))]
    modalities = inputs.get("input_modalities")
    return Claims(
        context_window=min((size for size in windows if size is not None), default=None),
        max_output_tokens=tokens(first.get("max_completion_tokens")),
        prices=stated_prices({name: _price(pricing.get(key)) for name, key in _PRICES.items()}),
        capabilities=named(modalities, _MODALITIES)
        | named(entry.get("supported_parameters"), _PARAMETERS),
        unlisted=unnamed(modalities, _MODALITIES),
        retires_at=day(entry.get("expiration_date")),
    )


def _price(value: object) -> Decimal | None:
    if not isinstance(value, str) or not _AMOUNT.match(value):
        return None
    return price(Decimal(value), per=1)
