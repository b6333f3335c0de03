"""LiteLLM's ``model_prices_and_context_window.json``: one flat object, prices per token.

Three shapes of it are in use. ``max_tokens`` means output where it exists and is never read here;
``max_input_tokens`` is the input limit for some models and the whole window for others, which
only ``registry.merge`` can tell. What its price keys mean is in ``litellm_prices``, which hours it
means in ``litellm_hours``.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, SourceTable, stated_prices, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked
from gatewayctl.registry.sources.entries import day, flags
from gatewayctl.registry.sources.litellm_hours import hours_of
from gatewayctl.registry.sources.litellm_prices import prices_of
from gatewayctl.registry.sources.replies import read_object

_SPECIAL_KEYS = frozenset({"sample_spec", "fallback_generalizations"})

# Several of LiteLLM's names are one provider's endpoints or model makers, not other providers.
_SAME_PROVIDER = (
    (re.compile(r"^vertex_ai-.+$"), "vertex_ai"),
    (re.compile(r"^fireworks_ai-.+$"), "fireworks_ai"),
    (re.compile(r"^text-completion-(.+)$"), r"\1"),
    (re.compile(r"^bedrock_converse$"), "bedrock"),
    (re.compile(r"^cohere_chat$"), "cohere"),
    (re.compile(r"^azure_text$"), "azure"),
)

# "high/1024-x-1024/gpt-image-1" is what one picture costs, not something one can ask for.
_PICTURE_PRICE = re.compile(r"(?:^|/)(?:\d+-x-\d+|max-x-max)(?:/|$)")

_CAPABILITIES = {
    Capability.TOOLS: "supports_function_calling",
    Capability.PARALLEL_TOOLS: "supports_parallel_function_calling",
    Capability.TOOL_CHOICE: "supports_tool_choice",
    Capability.IMAGES: "supports_vision",
    Capability.DOCUMENTS: "supports_pdf_input",
    Capability.AUDIO: "supports_audio_input",
    Capability.JSON_SCHEMA: "supports_response_schema",
    Capability.REASONING: "supports_reasoning",
    Capability.SYSTEM_MESSAGES: "supports_system_messages",
    Capability.PREFILL: "supports_assistant_prefill",
}


def listing(origin: Origin) -> Listing:
    """Ask for the table, which is one object."""
    return read((yield from asked(origin.base_url)), origin.names)


def parse(body: bytes, names: Mapping[str, str]) -> SourceTable:
    """Read the table's bytes, see ``read``. SourceFailed: no JSON object."""
    return read(read_object(body), names)


def read(entries: Mapping[str, Any], names: Mapping[str, str]) -> SourceTable:
    """Read the table; ``names`` maps LiteLLM's provider names to ours."""
    models: dict[str, Claims] = {}
    spelled_out: set[str] = set()
    skipped: Counter[str] = Counter()
    for key, entry in entries.items():
        reason = _reason_to_skip(key, entry)
        if reason is not None:
            skipped[reason] += 1
            continue
        table_name, model = _split(key, entry["litellm_provider"])
        provider = names.get(table_name, table_name)
        if not provider:
            skipped["speaks of no provider of ours"] += 1
            continue
        model_id = f"{provider}/{model}"
        if model_id in models:
            # "deepseek-chat" beside "deepseek/deepseek-chat": the one with its prefix is kept.
            skipped["duplicate"] += 1
            if model_id in spelled_out or model == key:
                continue
        if model != key:
            spelled_out.add(model_id)
        models[model_id] = _claims(entry)
    return SourceTable(models=models, skipped=dict(skipped))


def _reason_to_skip(key: str, entry: object) -> str | None:
    if key in _SPECIAL_KEYS:
        return "special key"
    if not isinstance(entry, dict):
        return "not an object"
    provider = entry.get("litellm_provider")
    if not isinstance(provider, str) or not provider or "/" in provider:
        return "no provider"
    if _PICTURE_PRICE.search(key):
        return "price of one picture"
    if not _split(key, provider)[1]:
        return "no model id"
    return None


def _split(key: str, provider: str) -> tuple[str, str]:
    """Return LiteLLM's name of the provider and the model's id there, its own prefix removed."""
    name = provider
    for pattern, replacement in _SAME_PROVIDER:
        if pattern.match(provider):
            name = pattern.sub(replacement, provider)
            break
    for prefix in (provider, name, name.replace("_", "-")):
        if key.startswith(f"{prefix}/"):
            return name, key[len(prefix) + 1 :]
    return name, key


def _claims(entry: Mapping[str, Any]) -> Claims:
    return Claims(
        max_input_tokens=tokens(entry.get("max_input_tokens")),
        max_output_tokens=tokens(entry.get("max_output_tokens")),
        prices=stated_prices(prices_of(entry)),
        capabilities=flags(entry, _CAPABILITIES),
        retires_at=day(entry.get("deprecation_date")),
        off_peak=hours_of(entry),
    )
