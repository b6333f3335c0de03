"""models.dev's ``api.json``: providers, their models, prices in USD per million tokens.

``limit.context`` is the whole window, ``limit.input`` the input alone; 0 is "unknown".
``cost.tiers`` are not base prices and are not read here.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, SourceTable, price, stated_prices, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked
from gatewayctl.registry.sources.entries import flags, inner, items, named, word
from gatewayctl.registry.sources.replies import read_object

# Some providers' files spell the cache's keys in their own way.
_PRICES = {
    "input": ("input",),
    "output": ("output",),
    "input_cache_read": ("cache_read", "cached_input", "cache_input"),
    "input_cache_write_5m": ("cache_write", "cached_write"),
    "reasoning_output": ("reasoning",),
    "audio": ("input_audio",),
    "output_audio": ("output_audio",),
}

_CAPABILITIES = {
    Capability.TOOLS: "tool_call",
    Capability.JSON_SCHEMA: "structured_output",
    Capability.REASONING: "reasoning",
}

_MODALITIES = {
    Capability.IMAGES: "image",
    Capability.DOCUMENTS: "pdf",
    Capability.AUDIO: "audio",
}


def listing(origin: Origin) -> Listing:
    """Ask for the table, which is one object."""
    return read((yield from asked(origin.base_url)), origin.names)


def parse(body: bytes, names: Mapping[str, str]) -> SourceTable:
    """Read the table's bytes, see ``read``. SourceFailed: no JSON object."""
    return read(read_object(body), names)


def read(entries: Mapping[str, Any], names: Mapping[str, str]) -> SourceTable:
    """Read the table; ``names`` maps models.dev's provider ids to ours."""
    models: dict[str, Claims] = {}
    skipped: Counter[str] = Counter()
    for table_name, provider in entries.items():
        listed = provider.get("models") if isinstance(provider, dict) else None
        if not isinstance(listed, dict) or not table_name or "/" in table_name:
            skipped["provider without models"] += 1
            continue
        ours = names.get(table_name, table_name)
        if not ours:
            skipped["speaks of no provider of ours"] += len(listed)
            continue
        for model, entry in listed.items():
            if not isinstance(entry, dict):
                skipped["not an object"] += 1
            elif not model:
                skipped["no model id"] += 1
            else:
                models[f"{ours}/{model}"] = _claims(entry)
    return SourceTable(models=models, skipped=dict(skipped))


def _claims(entry: Mapping[str, Any]) -> Claims:
    limit, cost = inner(entry, "limit"), inner(entry, "cost")
    found = {
        dimension: next(
            (amount for key in keys if (amount := price(cost.get(key))) is not None), None
        )
        for dimension, keys in _PRICES.items()
    }
    inputs = inner(entry, "modalities").get("input")
    capabilities = flags(entry, _CAPABILITIES) | named(inputs, _MODALITIES)
    # A list of inputs without "pdf" says little where attachments are possible; where they are
    # not, it is meant.
    closed = bool(items(inputs)) and entry.get("attachment") is False
    return Claims(
        context_window=tokens(limit.get("context")),
        max_input_tokens=tokens(limit.get("input")),
        max_output_tokens=tokens(limit.get("output")),
        prices=stated_prices(found),
        capabilities=capabilities,
        unlisted=tuple(c for c in _MODALITIES if closed and c not in capabilities),
        lifecycle=word(entry.get("status")),
    )
