"""A table of models for tests of the config's checks: small, known, and never changing."""

from collections.abc import Sequence

from gatewayctl.core.model import Sourced

_FETCHED = "2026-05-01T00:00:00Z"
WINDOWS = {
    "openai/gpt-4o": 128_000,
    "openai/gpt-4o-mini": 128_000,
    "openai/gpt-retiring": 128_000,
    "openai/gpt-retired": 128_000,
    "openai/gpt-lasting": 128_000,
    "anthropic/claude-haiku-4-5": 200_000,
    "anthropic/claude-sonnet-4-5": 1_000_000,
    "gemini/gemini-2.5-flash": 1_048_576,
    "moonshot/kimi-k2.6": 262_144,
}
RETIREMENTS = {
    "openai/gpt-retired": "2026-01-01",
    "openai/gpt-retiring": "2026-07-31",
    "openai/gpt-lasting": "2026-08-01",
}


class SmallCatalog:
    """``config.catalog.Catalog`` over the tables above."""

    def covers(self, kind: str) -> bool:
        """Tell whether any model is of this kind."""
        return any(name.startswith(f"{kind}/") for name in WINDOWS)

    def lists(self, full_id: str) -> bool:
        """Tell whether the model is one of ours."""
        return full_id in WINDOWS

    def window(self, full_id: str) -> Sourced[int] | None:
        """Return the window from the table."""
        size = WINDOWS.get(full_id)
        return Sourced(value=size, source="models_dev", fetched_at=_FETCHED) if size else None

    def retires_at(self, full_id: str) -> Sourced[str] | None:
        """Return the date from the table."""
        day = RETIREMENTS.get(full_id)
        return Sourced(value=day, source="models_dev", fetched_at=_FETCHED) if day else None

    def nearest(self, name: str) -> Sequence[str]:
        """Return the models that share the name's beginning."""
        return [full_id for full_id in WINDOWS if full_id.startswith(name[:12])]
