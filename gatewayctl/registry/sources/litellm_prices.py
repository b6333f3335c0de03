"""LiteLLM's price keys: which rate each one is, and why those that are left out are left out.

Data and their reading alone: what an entry is and whose model it speaks of is ``litellm``'s
business, how a rate becomes money ``core.pricing``'s. Every key of a release is either read here or
listed in ``IGNORED``; ``docs/prices.md`` shows both lists.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from math import prod
from typing import Any

from gatewayctl.core.pricing import OFF_PEAK, RateKey
from gatewayctl.registry.claims import price
from gatewayctl.registry.sources import litellm_hours
from gatewayctl.registry.sources.entries import inner, items

DIMENSIONS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "input_cache_read",
    "input_cost_per_token_cache_hit": "input_cache_read",
    "cache_creation_input_token_cost": "input_cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "input_cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "input_cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning_output",
    "input_cost_per_image_token": "image",
    "input_cost_per_audio_token": "audio",
    "output_cost_per_image_token": "output_image",
    "output_cost_per_audio_token": "output_audio",
}
"""What a key prices, without its step and tier. The first of two for one dimension counts; what is
written to a cache for longer than usual is one dimension, whether for one hour or for twelve."""

TIERS = {
    "flex": "flex",
    "priority": "priority",
    "batches": "batch",
    "batch_requests": "batch",
    "ultrafast": "ultrafast",
    "balanced": "balanced",
}
"""The tiers that a key may end with, and what replies call them."""

RANGES = "tiered_pricing"
"""A list of price lists, each for a range of input tokens."""

FACTORS = "provider_specific_entry"
"""An object whose numbers, under the names in ``TIMES``, multiply every price."""

TIMES = ("fast", "us")
"""Tiers that are told as factors: Anthropic's fast mode, and inference in the US alone."""

_MEDIA = "priced by what no reply counts: pictures, seconds, characters, pages, credits"
_CACHED_MEDIA = (
    "what is read from a cache is one dimension, whatever its medium: billed as cached text"
)
_TOOLS = "a fee for a tool of the provider, beside the tokens"
_RENTED = "rented by the hour, whatever is asked of it"
_ADDRESS = "depends on the provider's regional address, which the config knows and no reply tells"
_DECISIONS = "the price at an endpoint that is not served here"

IGNORED: Mapping[str, str] = {
    "annotation_cost_per_page": _MEDIA,
    "annotation_cost_per_page_batches": _MEDIA,
    "cache_creation_input_audio_token_cost": _CACHED_MEDIA,
    "cache_creation_input_token_cost_above_272k_tokens_decisions": _DECISIONS,
    "cache_creation_input_token_cost_decisions": _DECISIONS,
    "cache_read_input_audio_token_cost": _CACHED_MEDIA,
    "cache_read_input_audio_token_cost_batches": _CACHED_MEDIA,
    "cache_read_input_audio_token_cost_flex": _CACHED_MEDIA,
    "cache_read_input_audio_token_cost_priority": _CACHED_MEDIA,
    "cache_read_input_image_token_cost": _CACHED_MEDIA,
    "cache_read_input_token_cost_above_272k_tokens_decisions": _DECISIONS,
    "cache_read_input_token_cost_decisions": _DECISIONS,
    "cache_read_input_token_cost_per_audio_token": _CACHED_MEDIA,
    "citation_cost_per_token": "citations are not counted apart in a reply's usage",
    "code_interpreter_cost_per_session": _TOOLS,
    "computer_use_input_cost_per_1k_tokens": _TOOLS,
    "computer_use_output_cost_per_1k_tokens": _TOOLS,
    "cost_per_second": _RENTED,
    "explicit_cache_read_input_token_cost": (
        "replies do not tell which kind of cache was read: billed as the usual, dearer kind"
    ),
    "file_search_cost_per_1k_calls": _TOOLS,
    "file_search_cost_per_gb_per_day": _TOOLS,
    "google_maps_grounding_cost_per_query": _TOOLS,
    "guardrail_cost_per_unit": _TOOLS,
    "input_cost_per_audio_per_second": _MEDIA,
    "input_cost_per_audio_per_second_above_128k_tokens": _MEDIA,
    "input_cost_per_character": _MEDIA,
    "input_cost_per_character_above_128k_tokens": _MEDIA,
    "input_cost_per_image": _MEDIA,
    "input_cost_per_image_above_128k_tokens": _MEDIA,
    "input_cost_per_pixel": _MEDIA,
    "input_cost_per_query": _MEDIA,
    "input_cost_per_request": "a fee for the request, beside the tokens",
    "input_cost_per_second": _MEDIA,
    "input_cost_per_text_message": _MEDIA,
    "input_cost_per_token_above_272k_tokens_decisions": _DECISIONS,
    "input_cost_per_token_decisions": _DECISIONS,
    "input_cost_per_video_per_second": _MEDIA,
    "input_cost_per_video_per_second_above_128k_tokens": _MEDIA,
    "input_cost_per_video_per_second_above_15s_interval": _MEDIA,
    "input_cost_per_video_per_second_above_8s_interval": _MEDIA,
    "input_cost_per_video_token": "tokens of videos are counted with those of images",
    "input_cost_per_video_token_batches": "tokens of videos are counted with those of images",
    "input_dbu_cost_per_token": "in units of the provider's own; the same price stands in USD",
    "ocr_cost_per_credit": _MEDIA,
    "ocr_cost_per_page": _MEDIA,
    "ocr_cost_per_page_batches": _MEDIA,
    "original_pricing_per_hour": _RENTED,
    "original_pricing_per_minute": _RENTED,
    "output_cost_per_character": _MEDIA,
    "output_cost_per_character_above_128k_tokens": _MEDIA,
    "output_cost_per_image": _MEDIA,
    "output_cost_per_image_0.5K": _MEDIA,
    "output_cost_per_image_1024": _MEDIA,
    "output_cost_per_image_1536": _MEDIA,
    "output_cost_per_image_1K": _MEDIA,
    "output_cost_per_image_2K": _MEDIA,
    "output_cost_per_image_4K": _MEDIA,
    "output_cost_per_image_512": _MEDIA,
    "output_cost_per_image_above_1024_and_1024_pixels": _MEDIA,
    "output_cost_per_image_above_1024_and_1024_pixels_and_premium_image": _MEDIA,
    "output_cost_per_image_above_512_and_512_pixels": _MEDIA,
    "output_cost_per_image_above_512_and_512_pixels_and_premium_image": _MEDIA,
    "output_cost_per_image_premium_image": _MEDIA,
    "output_cost_per_pixel": _MEDIA,
    "output_cost_per_second": _MEDIA,
    "output_cost_per_second_1080p": _MEDIA,
    "output_cost_per_second_2k": _MEDIA,
    "output_cost_per_second_480p": _MEDIA,
    "output_cost_per_second_4k": _MEDIA,
    "output_cost_per_second_720p": _MEDIA,
    "output_cost_per_second_768p": _MEDIA,
    "output_cost_per_token_above_272k_tokens_decisions": _DECISIONS,
    "output_cost_per_token_decisions": _DECISIONS,
    "output_cost_per_video_per_second": _MEDIA,
    "output_cost_per_video_token": "tokens of videos are not counted apart in a reply's output",
    "output_dbu_cost_per_token": "in units of the provider's own; the same price stands in USD",
    "regional_endpoint_uplift_multiplier": _ADDRESS,
    "regional_processing_uplift_multiplier_eu": _ADDRESS,
    "regional_processing_uplift_multiplier_us": _ADDRESS,
    "search_context_cost_per_query": _TOOLS,
    "search_free_requests": _TOOLS,
    "vector_store_cost_per_gb_per_day": _TOOLS,
    "web_search_billing_unit": _TOOLS,
}
"""Keys that are no rate here, each with its reason."""

IGNORED_FACTORS: Mapping[str, str] = {
    "bedrock_invocation_schema": "the form of a request",
    "dashscope_video_reference_input": "the form of a request",
    "minimax_free_input_images": _MEDIA,
    "volcengine_video_frames": _MEDIA,
}
"""What else stands under ``FACTORS``, with its reason."""

_KEY = re.compile(
    rf"(?P<dimension>{'|'.join(sorted(DIMENSIONS, key=len, reverse=True))})"
    r"(?:_above_(?P<thousands>\d{1,6})k_tokens)?"
    rf"(?:_(?P<tier>{'|'.join(TIERS)}))?"
)
_MOST_FACTOR = 100
_MOST_STEP = 10**9


@lru_cache(maxsize=1024)
def meaning(key: str) -> RateKey | None:
    """Return the rate that a key of an entry is, None where it is none."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    tier = TIERS.get(found["tier"], "")
    return RateKey(DIMENSIONS[found["dimension"]], tier, int(found["thousands"] or 0) * 1000)


def prices_of(entry: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return all rates that an entry states, USD per million tokens, by rate key."""
    found = dict(_rates(entry, 0))
    for each in items(entry.get(RANGES)):
        if (start := _start(each)) is not None:
            found = dict(_rates(each, start)) | found
    if litellm_hours.hours_of(entry) is not None:
        for key, amount in _rates(inner(entry, litellm_hours.KEY), 0):
            if not key.tier:
                found[key._replace(tier=OFF_PEAK)] = amount
    factors = inner(entry, FACTORS)
    times = {name: it for name in TIMES if (it := _factor(factors.get(name))) is not None}
    if len(times) > 1:
        times["+".join(times)] = prod(times.values(), start=Decimal(1))
    base = [(key, amount) for key, amount in found.items() if not key.tier]
    for tier, factor in times.items():
        for key, amount in base:
            if (scaled := price(amount * factor)) is not None:
                found.setdefault(key._replace(tier=tier), scaled)
    return {str(key): amount for key, amount in found.items()}


def _rates(entry: Mapping[str, Any], start: int) -> Iterator[tuple[RateKey, Decimal]]:
    """Yield the rates that stand in one object, the first key of each; ``start`` is its step."""
    seen = set()
    for name in sorted(entry, key=_rank):
        key = meaning(name)
        amount = None if key is None else price(entry[name], per=1)
        if key is None or amount is None:
            continue
        key = key._replace(step=max(key.step, start))
        if key not in seen:
            seen.add(key)
            yield key, amount


def _rank(name: str) -> int:
    """Return where a key stands among those of ``DIMENSIONS``: the first for a dimension counts."""
    return _RANKS.get(name, len(_RANKS))


_RANKS = {name: rank for rank, name in enumerate(DIMENSIONS)}


def _start(listed: object) -> int | None:
    """Return how many tokens a range is above, None where it is no range of tokens."""
    bounds = items(listed.get("range")) if isinstance(listed, Mapping) else ()
    if not bounds or isinstance(bounds[0], bool) or not isinstance(bounds[0], int | Decimal):
        return None
    return int(bounds[0]) if 0 <= bounds[0] <= _MOST_STEP else None


def _factor(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value) if 0 < value <= _MOST_FACTOR else None
