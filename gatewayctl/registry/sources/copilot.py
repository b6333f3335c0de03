"""GitHub Copilot's ``/models``: three limits that do not depend on each other, never to be added.

A prompt may have less than the window even where hardly any output is wanted.
"""

from collections.abc import Mapping
from typing import Any

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, asked
from gatewayctl.registry.sources.entries import Collected, flags, inner

_CAPABILITIES = {
    Capability.TOOLS: "tool_calls",
    Capability.PARALLEL_TOOLS: "parallel_tool_calls",
    Capability.JSON_SCHEMA: "structured_outputs",
    Capability.IMAGES: "vision",
}


def listing(origin: Origin) -> Listing:
    """Ask for its one page."""
    collected = Collected(origin.provider)
    page = yield from asked(origin.models_url)
    collected.take(page.get("data"), read)
    return collected.table()


def read(entry: Mapping[str, Any]) -> Claims | str:
    """Read one entry; the compatible listing knows it by its limits."""
    if inner(entry, "policy").get("state") == "disabled":
        return "not enabled"
    limits = inner(entry, "capabilities", "limits")
    return Claims(
        context_window=tokens(limits.get("max_context_window_tokens")),
        max_input_tokens=tokens(limits.get("max_prompt_tokens")),
        max_output_tokens=tokens(limits.get("max_output_tokens")),
        capabilities=flags(inner(entry, "capabilities", "supports"), _CAPABILITIES),
    )
