"""LM Studio's own listings: ``/api/v1/models`` since 0.4, before that ``/api/v0/models``.

``max_context_length`` is what a model could take; what it runs with is known while it is loaded:
per instance in v1, as ``loaded_context_length`` in v0.
"""

from collections.abc import Mapping
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked, asked_if_there
from gatewayctl.registry.sources.entries import Collected, flags, inner, items, named

_FLAGS = {Capability.TOOLS: "trained_for_tool_use", Capability.IMAGES: "vision"}


def listing(origin: Origin) -> Listing:
    """Ask the newest listing that is there; the compatible one has ids alone."""
    collected = Collected(origin.provider)
    page = yield from asked_if_there(f"{origin.root}/api/v1/models")
    entries = inner(page).get("models")
    if isinstance(entries, list):
        _take_instances(entries, collected)
        return collected.table()
    page = yield from asked_if_there(f"{origin.root}/api/v0/models")
    if not isinstance(inner(page).get("data"), list):
        page = yield from asked(origin.models_url)
    collected.take(inner(page).get("data"), _read_v0)
    return collected.table()


def _take_instances(entries: list[Any], collected: Collected) -> None:
    """Keep the models of a v1 listing, and under their own names those that are loaded again."""
    collected.take(entries, _read_v1, key="key")
    for entry in entries:
        loaded = _loaded(entry)
        collected.alias((name for name, _ in loaded), inner(entry).get("key"))


def _read_v1(entry: Mapping[str, Any]) -> Claims:
    sizes = [size for _, size in _loaded(entry) if size is not None]
    return Claims(
        context_window=tokens(entry.get("max_context_length")),
        # who asks for the model by its name may get any of its instances
        served=min(sizes, default=None),
        capabilities=flags(inner(entry, "capabilities"), _FLAGS),
    )


def _loaded(entry: object) -> list[tuple[object, int | None]]:
    """Return a model's instances: their names, and what they run with."""
    return [
        (inner(each).get("id"), tokens(inner(each, "config").get("context_length")))
        for each in items(inner(entry).get("loaded_instances"))
    ]


def _read_v0(entry: Mapping[str, Any]) -> Claims:
    capabilities = named(entry.get("capabilities"), {Capability.TOOLS: "tool_use"})
    if entry.get("type") == "vlm":
        capabilities[Capability.IMAGES] = True
    loaded = entry.get("state", "loaded") == "loaded"
    return Claims(
        context_window=tokens(entry.get("max_context_length")),
        served=tokens(entry.get("loaded_context_length")) if loaded else None,
        capabilities=capabilities,
    )
