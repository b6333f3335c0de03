"""The registry as the checks of a config ask it: ``config.catalog.Catalog`` over a ``Registry``.

The checks come before settings exist, so the registry here knows no overrides and no providers of
the user's making: ids start with a kind. What a provider lists itself is asked for by its name.
"""

from collections.abc import Sequence
from typing import Protocol

from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import source_name
from gatewayctl.core.learning import Cap, holds
from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.routing.place import LEARNED
from gatewayctl.registry.lookup import Registry


class Caps(Protocol):
    """What replies gave away."""

    def cap(self, model: str) -> Cap | None:
        """Return a model's window, by its full id."""
        ...


class CheckedAgainst:
    """A table of models as ``config validate`` and every load of a config see it."""

    def __init__(self, registry: Registry, caps: Caps | None = None) -> None:
        self._registry = registry
        self._caps = caps
        self._listings: dict[str, Registry] = {}
        self._covered: dict[str, bool] = {}

    def covers(self, kind: str) -> bool:
        """Tell whether the table has models of this kind at all."""
        if kind not in self._covered:
            self._covered[kind] = next(iter(self._registry.ids(kind)), None) is not None
        return self._covered[kind]

    def listed_by(self, model: str) -> Sequence[str]:
        """Return the kinds of which any source lists exactly this bare id."""
        return self._registry.listed_by(model, tuple(kinds()))

    def facts(self, full_id: str) -> ModelFacts | None:
        """Return what the table says of a model, None when no source lists it."""
        kind, _, model = full_id.partition("/")
        return self._registry.facts(kind, model)

    def own(self, full_id: str, url: str) -> ModelFacts | None:
        """Return what a provider itself lists of a model; nothing of one that moved since."""
        provider, _, model = full_id.partition("/")
        source, table = source_name(provider), self._registry.table
        if not table.is_from(source, url):
            return None
        if provider not in self._listings:
            self._listings[provider] = Registry(table, listings={provider: source})
        return self._listings[provider].facts(provider, model)

    def learned(self, full_id: str, believed: int | None) -> Sourced[int] | None:
        """Return the window that replies gave away, while ``believed`` is what it was then."""
        cap = None if self._caps is None else self._caps.cap(full_id)
        if cap is None or not holds(cap, believed):
            return None
        return Sourced(value=cap.window, source=LEARNED, fetched_at=cap.at)

    def nearest(self, name: str) -> Sequence[str]:
        """Return a few listed names that look like this one, best first."""
        return self._registry.nearest(name)
