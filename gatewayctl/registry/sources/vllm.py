"""vLLM's ``GET /v1/models``: ``max_model_len`` is what it runs with, input and output together.

An adapter (LoRA) has none of its own and runs in that of its ``parent``.
"""

from collections.abc import Mapping
from typing import Any

from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked
from gatewayctl.registry.sources.entries import Collected, items

_DEEPEST = 8


def listing(origin: Origin) -> Listing:
    """Ask for its one page."""
    collected = Collected(origin.provider)
    page = yield from asked(origin.models_url)
    entries = page.get("data")
    by_id = {
        entry["id"]: entry
        for entry in items(entries)
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    }

    def read(entry: Mapping[str, Any]) -> Claims:
        size = _window(entry, by_id)
        return Claims(context_window=size, served=size)

    collected.take(entries, read)
    return collected.table()


def _window(entry: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> int | None:
    """Return an entry's window, else that of what it is an adapter of."""
    for _ in range(_DEEPEST):
        size = tokens(entry.get("max_model_len"))
        parent = entry.get("parent")
        if size is not None or not isinstance(parent, str) or parent not in by_id:
            return size
        entry = by_id[parent]
    return None
