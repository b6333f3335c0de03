"""OpenAI's ``GET /v1/models``: which models there are, and when one shuts down. No limits."""

from collections.abc import Mapping
from typing import Any

from gatewayctl.registry.claims import Claims
from gatewayctl.registry.sources.asking import Listing, Origin, asked
from gatewayctl.registry.sources.entries import Collected, day


def listing(origin: Origin) -> Listing:
    """Ask for its one page."""
    collected = Collected(origin.provider)
    page = yield from asked(origin.models_url)
    collected.take(page.get("data"), _read)
    return collected.table()


def _read(entry: Mapping[str, Any]) -> Claims:
    return Claims(retires_at=day(entry.get("shutdown_date")))
