"""models.dev's ``api.json``: providers, their models, prices in USD per million tokens.

``limit.context`` is the whole window, ``limit.input`` the input alone; 0 is "unknown".
``cost.tiers`` are price lists above a size of the input, ``cost.context_over_200k`` an older form
of one; ``experimental.modes`` are price lists by what a request has to say to get them.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.core.pricing import RateKey, tier_names
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

_TIER = re.compile(r"[a-z][a-z0-9_]{0,31}")

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
    limit = inner(entry, "limit")
    inputs = inner(entry, "modalities").get("input")
    capabilities = flags(entry, _CAPABILITIES) | named(inputs, _MODALITIES)
    # A list of inputs without "pdf" says little where attachments are possible; where they are
    # not, it is meant.
    closed = bool(items(inputs)) and entry.get("attachment") is False
    return Claims(
        context_window=tokens(limit.get("context")),
        max_input_tokens=tokens(limit.get("input")),
        max_output_tokens=tokens(limit.get("output")),
        prices=stated_prices(_prices(entry)),
        capabilities=capabilities,
        unlisted=tuple(c for c in _MODALITIES if closed and c not in capabilities),
        lifecycle=word(entry.get("status")),
    )


def _prices(entry: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return every rate that an entry states, by rate key; the first of several counts."""
    cost = inner(entry, "cost")
    lists = [(cost, RateKey(""))]
    for each in items(cost.get("tiers")):
        step = tokens(inner(each, "tier").get("size"))
        if step is not None and inner(each, "tier").get("type", "context") == "context":
            lists.append((each, RateKey("", step=step)))
    lists.append((inner(cost, "context_over_200k"), RateKey("", step=200_000)))
    for mode in inner(entry, "experimental", "modes").values():
        body = inner(mode, "provider", "body")
        told = tier_names(_name(body.get("service_tier", body.get("speed"))))
        if told:
            lists.append((inner(mode, "cost"), RateKey("", told[0])))
    found: dict[str, Decimal] = {}
    for prices, of in lists:
        found = found | dict(_rates(prices, of)) | found
    return found


def _rates(cost: Mapping[str, Any], of: RateKey) -> Iterator[tuple[str, Decimal]]:
    """Yield the rates of one price list, those of the tier and the step of ``of``."""
    for dimension, keys in _PRICES.items():
        amounts = (price(cost.get(key)) for key in keys)
        if (amount := next((each for each in amounts if each is not None), None)) is not None:
            yield str(of._replace(dimension=dimension)), amount


def _name(value: object) -> str | None:
    """Return the name of a tier, None for what could not stand in a rate key."""
    return value if isinstance(value, str) and _TIER.fullmatch(value) else None
