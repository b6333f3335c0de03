"""The listing of a server that speaks OpenAI's API: its ids, and the limits many add to them.

Each field means what the servers that have it mean by it; ``max_tokens`` is never read, because
they do not agree on it. Some send the list alone, without an object around it.
"""

from collections.abc import Mapping
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources import copilot
from gatewayctl.registry.sources.asking import Listing, Origin, asked_anything
from gatewayctl.registry.sources.entries import Collected, day, flags, inner

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


def listing(origin: Origin) -> Listing:
    """Ask for its one page."""
    collected = Collected(origin.provider)
    page = yield from asked_anything(origin.models_url)
    collected.take(page.get("data") if isinstance(page, dict) else page, read)
    return collected.table()


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
