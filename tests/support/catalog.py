"""A table of models for tests of the config's checks: small, known, and never changing."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from gatewayctl.core.model import Capability, ModelFacts, Sourced

T = TypeVar("T")

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
OWN, OWN_URL = "local/served", "http://127.0.0.1:8001/v1"
LEARNED = ("anthropic/claude-haiku-4-5", 190_000)
OUTPUTS = {"openai/gpt-4o": 16_384}
PRICES = {"openai/gpt-4o": {"input": Decimal("2.5"), "output": Decimal(10)}}
ABILITIES = {
    "openai/gpt-4o": {Capability.TOOLS: True, Capability.IMAGES: True},
    "anthropic/claude-haiku-4-5": {Capability.TOOLS: True, Capability.IMAGES: True},
    "openai/gpt-lasting": {
        Capability.TOOLS: False,
        Capability.IMAGES: False,
        Capability.REASONING: False,
    },
    "gemini/gemini-2.5-flash": {
        Capability.TOOLS: True,
        Capability.IMAGES: True,
        Capability.REASONING: True,
    },
}


def _said(value: T) -> Sourced[T]:
    return Sourced(value=value, source="models_dev", fetched_at=_FETCHED)


class SmallCatalog:
    """``config.catalog.Catalog`` over the tables above."""

    def covers(self, kind: str) -> bool:
        """Tell whether any model is of this kind."""
        return any(name.startswith(f"{kind}/") for name in WINDOWS)

    def listed_by(self, model: str) -> Sequence[str]:
        """Return the kinds of our models of this bare id."""
        return [full_id.partition("/")[0] for full_id in WINDOWS if full_id.endswith(f"/{model}")]

    def facts(self, full_id: str) -> ModelFacts | None:
        """Return what the tables say."""
        if full_id not in WINDOWS:
            return None
        day = RETIREMENTS.get(full_id)
        return ModelFacts(
            id=full_id,
            provider=full_id.partition("/")[0],
            context_window=_said(WINDOWS[full_id]),
            max_output_tokens=_said(OUTPUTS[full_id]) if full_id in OUTPUTS else None,
            prices={name: _said(price) for name, price in PRICES.get(full_id, {}).items()},
            capabilities={it: _said(able) for it, able in ABILITIES.get(full_id, {}).items()},
            retires_at=_said(day) if day else None,
        )

    def own(self, full_id: str, url: str) -> ModelFacts | None:
        """Return what a provider lists itself: one model of one server."""
        if (full_id, url) != (OWN, OWN_URL):
            return None
        served = Sourced(value=4096, source="local", fetched_at=_FETCHED)
        trained = Sourced(value=40_960, source="local", fetched_at=_FETCHED)
        return ModelFacts(id=OWN, provider="local", context_window=trained, served=served)

    def learned(self, full_id: str, believed: int | None) -> Sourced[int] | None:
        """Return what replies gave away, while the window of then is believed."""
        if (full_id, believed) != LEARNED:
            return None
        return Sourced(value=100_000, source="learned", fetched_at=_FETCHED)

    def nearest(self, name: str) -> Sequence[str]:
        """Return the models that share the name's beginning."""
        return [full_id for full_id in WINDOWS if full_id.startswith(name[:12])]
