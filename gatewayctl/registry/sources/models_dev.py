"""models.dev's ``api.json``: providers, their models, prices in USD per million tokens.

``limit.context`` is the whole window, ``limit.input`` the input alone; 0 is "unknown".
``cost.tiers`` are not base prices and are not read here.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, SourceTable, price, stated_prices, tokens
from gatewayctl.registry.sources.table_json import read_object

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


def parse(body: bytes, names: Mapping[str, str]) -> SourceTable:
    """Read the table; ``names`` maps models.dev's provider ids to ours. SourceFailed: no object."""
    models: dict[str, Claims] = {}
    skipped: Counter[str] = Counter()
    for table_name, provider in read_object(body).items():
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
    limit, cost = _object(entry, "limit"), _object(entry, "cost")
    found = {
        dimension: next(
            (amount for key in keys if (amount := price(cost.get(key))) is not None), None
        )
        for dimension, keys in _PRICES.items()
    }
    inputs = _object(entry, "modalities").get("input")
    inputs = inputs if isinstance(inputs, list) else []
    capabilities = {
        capability: entry[key]
        for capability, key in _CAPABILITIES.items()
        if isinstance(entry.get(key), bool)
    }
    capabilities |= {
        capability: True for capability, modality in _MODALITIES.items() if modality in inputs
    }
    # A list of inputs without "pdf" says little where attachments are possible; where they are
    # not, it is meant.
    closed = bool(inputs) and entry.get("attachment") is False
    return Claims(
        context_window=tokens(limit.get("context")),
        max_input_tokens=tokens(limit.get("input")),
        max_output_tokens=tokens(limit.get("output")),
        prices=stated_prices(found),
        capabilities=capabilities,
        unlisted=tuple(c for c in _MODALITIES if closed and c not in capabilities),
    )


def _object(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = entry.get(key)
    return value if isinstance(value, dict) else {}
