"""The listing of a server that speaks OpenAI's API: its ids, and the limits many add to them.

Each field means what the servers that have it mean by it; ``max_tokens`` is never read, because
they do not agree on it. Some send the list alone, without an object around it. A server whose own
listing says more names itself as the owner of its models, and is asked that.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, SourceTable, tokens
from gatewayctl.registry.sources import copilot, llamacpp, lmstudio, ollama, vllm
from gatewayctl.registry.sources.asking import Listing, Origin, asked_anything
from gatewayctl.registry.sources.entries import Collected, day, flags, inner, items, word

# vLLM and SGLang say max_model_len of what they run, input and output together.
_SERVED = (("max_model_len",), ("loaded_context_length",), ("meta", "n_ctx"))
_WINDOW = (
    ("context_window",),
    ("context_length",),
    ("max_context_length",),
    ("max_model_len",),
    ("meta", "n_ctx_train"),
)
_OUTPUT = (
    ("max_output_tokens",),
    ("max_completion_tokens",),
    ("top_provider", "max_completion_tokens"),
)
_INPUT = (("max_input_tokens",),)

_CAPABILITIES = {
    Capability.TOOLS: "supports_tools",
    Capability.IMAGES: "supports_image_input",
    Capability.REASONING: "supports_reasoning",
}


_OLLAMA = "library"

# These ask nothing that must be there besides the page that just was.
_SERVERS = {
    "llamacpp": llamacpp.listing,
    "organization_owner": lmstudio.listing,
    "vllm": vllm.listing,
}
_CUTTING = frozenset({"llamacpp", "organization_owner"})
"""Those that do not refuse what is too long."""


def listing(origin: Origin) -> Listing:
    """Ask for its one page, or whatever server it turns out to be for more."""
    page = yield from asked_anything(origin.models_url)
    entries = page.get("data") if isinstance(page, dict) else page
    owners = {owner for entry in items(entries) if (owner := word(inner(entry).get("owned_by")))}
    if _OLLAMA in owners and (yield from ollama.is_there(origin)):
        return _cutting(_served_alone((yield from ollama.listing(origin))))
    owner = owners.pop() if len(owners) == 1 else ""
    if (server := _SERVERS.get(owner)) is not None:
        table = yield from server(origin)
        return _cutting(table) if owner in _CUTTING else table
    collected = Collected(origin.provider)
    collected.take(entries, read)
    return collected.table()


def _cutting(table: SourceTable) -> SourceTable:
    """Say of all models that what does not fit is cut: nobody else can, of a compatible server."""
    models = {
        model: msgspec.structs.replace(claims, truncates=True)
        for model, claims in table.models.items()
    }
    return msgspec.structs.replace(table, models=models)


def _served_alone(table: SourceTable) -> SourceTable:
    """Leave out how models were trained where nobody knows what they are served with.

    Ollama serves far less; only of a provider of its kind is the least assumed until it is known.
    """
    models = {
        model: claims
        if claims.served is not None
        else msgspec.structs.replace(claims, context_window=None)
        for model, claims in table.models.items()
    }
    return msgspec.structs.replace(table, models=models)


def read(entry: Mapping[str, Any]) -> Claims | str:
    """Read what is well known of one entry."""
    if inner(entry, "capabilities", "limits"):
        return copilot.read(entry)
    if entry.get("active") is False:
        return "not active"
    return Claims(
        context_window=_first(entry, _WINDOW),
        max_input_tokens=_first(entry, _INPUT),
        max_output_tokens=_first(entry, _OUTPUT),
        served=_first(entry, _SERVED),
        capabilities=flags(entry, _CAPABILITIES),
        retires_at=day(entry.get("shutdown_date")),
    )


def _first(entry: Mapping[str, Any], places: tuple[tuple[str, ...], ...]) -> int | None:
    """Return the first of several limits that is there."""
    said = (tokens(inner(entry, *path[:-1]).get(path[-1])) for path in places)
    return next((size for size in said if size is not None), None)
