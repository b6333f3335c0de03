"""The registry as the checks of a config ask it: ``config.catalog.Catalog`` over a ``Registry``.

The checks come before settings exist, so the registry here knows no overrides and no providers of
the user's making: ids start with a kind.
"""

from collections.abc import Sequence

from gatewayctl.config.kinds import kinds
from gatewayctl.core.model import ModelFacts
from gatewayctl.registry.lookup import Registry


class CheckedAgainst:
    """A table of models as ``config validate`` and every load of a config see it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
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

    def nearest(self, name: str) -> Sequence[str]:
        """Return a few listed names that look like this one, best first."""
        return self._registry.nearest(name)
