"""Google's ``GET /v1beta/models``: an input limit and an output limit, no window of both."""

from collections.abc import Mapping
from typing import Any

from gatewayctl.config.addresses import versioned
from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import Listing, Origin, cursor, paged
from gatewayctl.registry.sources.entries import Collected, flags, items

_COMPATIBLE = "/openai"  # the address of its compatible API, which lists no limits
_PAGE = "/models?pageSize=1000"


def listing(origin: Origin) -> Listing:
    """Ask page after page, as many models to each as are allowed."""
    collected = Collected(origin.provider)
    first = f"{versioned(origin.base_url.rstrip('/').removesuffix(_COMPATIBLE))}{_PAGE}"

    def take(page: Mapping[str, Any]) -> str | None:
        following = page.get("nextPageToken")
        # a page without models has no list of them, but one at least is some page's
        if "models" in page or not (following or collected):
            collected.take(page.get("models"), _read, key="name", prefix="models/")
        if following is None or following == "":
            return None
        return f"{first}&pageToken={cursor(following)}"

    yield from paged(first, take)
    return collected.table()


def _read(entry: Mapping[str, Any]) -> Claims | str:
    if "generateContent" not in items(entry.get("supportedGenerationMethods")):
        return "generates no content"
    return Claims(
        max_input_tokens=tokens(entry.get("inputTokenLimit")),
        max_output_tokens=tokens(entry.get("outputTokenLimit")),
        capabilities=flags(entry, {Capability.REASONING: "thinking"}),
    )
