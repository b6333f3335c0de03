"""The registry as the checks of a config ask it: ``config.catalog.Catalog`` over a ``Registry``.

The checks come before settings exist, so the registry here knows no overrides and no providers of
the user's making: ids start with a kind.
"""

from collections.abc import Sequence

from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.registry.lookup import Registry


class CheckedAgainst:
    """A table of models as ``config validate`` and every load of a config see it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def covers(self, kind: str) -> bool:
        """Tell whether the table has models of this kind at all."""
        return next(iter(self._registry.ids(kind)), None) is not None

    def lists(self, full_id: str) -> bool:
        """Tell whether any source lists this id."""
        return self._facts(full_id) is not None

    def window(self, full_id: str) -> Sourced[int] | None:
        """Return a model's context window, or its input limit where nobody knows the window."""
        facts = self._facts(full_id)
        return (facts.context_window or facts.max_input_tokens) if facts else None

    def retires_at(self, full_id: str) -> Sourced[str] | None:
        """Return the ISO date on which a model retires or retired."""
        facts = self._facts(full_id)
        return facts.retires_at if facts else None

    def nearest(self, name: str) -> Sequence[str]:
        """Return a few listed names that look like this one, best first."""
        return self._registry.nearest(name)

    def _facts(self, full_id: str) -> ModelFacts | None:
        kind, _, model = full_id.partition("/")
        return self._registry.facts(kind, model)
