"""What the names in a file refer to, and how large what they refer to is.

The order in which a name is looked up is ``core.routing.names``'s; here it is asked without a
request, for every reference at once, and against built-in providers without a key too.
"""

from collections.abc import Mapping

import msgspec

from gatewayctl.config.catalog import Catalog
from gatewayctl.config.kinds import table_name
from gatewayctl.config.settings import ModelOverride, ProviderSettings
from gatewayctl.core.model import Sourced
from gatewayctl.core.routing.graph import Alloy, Place, Route, RouteGraph
from gatewayctl.core.routing.names import Aliased, ExactModel, alias

Named = ExactModel | Aliased | Route


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reference can mean.

    ``kind_of`` maps each provider that a reference may name to its kind, built-in ones without a
    key included; ``providers`` are the configured ones, in declaration order; ``known`` remembers
    windows, since routes may share places many times over.
    """

    graph: RouteGraph
    kind_of: Mapping[str, str]
    providers: Mapping[str, ProviderSettings]
    models: Mapping[str, ModelOverride]
    catalog: Catalog
    known: dict[str, int | None]

    def find(self, name: str) -> Named | None:
        """Return what a name means, None when nothing is called so."""
        first, slash, rest = name.partition("/")
        if slash and rest and first in self.kind_of:
            return ExactModel(provider=first, model=rest)
        aliased = alias(name, self.graph)
        return aliased or self.graph.routes.get(name) or self._bare(name)

    def listed_as(self, full_id: str) -> str:
        """Return the id that the catalog knows a model by: its provider's kind comes first."""
        provider, _, model = full_id.partition("/")
        return f"{table_name(provider, self.kind_of.get(provider, provider))}/{model}"

    def end(self, name: str) -> ExactModel | Route | None:
        """Return what a name means after all aliases, None when they lead nowhere."""
        seen: set[str] = set()
        named = self.find(name)
        while isinstance(named, Aliased) and named.target not in seen:
            seen.add(named.target)
            named = self.find(named.target)
        return None if isinstance(named, Aliased) else named

    def window(self, name: str) -> int | None:
        """Return the window of a model, or the ceiling of a route, before any fraction."""
        if name not in self.known:
            # until it is known, a cycle comes back to nothing
            self.known[name] = None
            self.known[name] = self._window(name)
        return self.known[name]

    def _window(self, name: str) -> int | None:
        named = self.end(name)
        if isinstance(named, ExactModel):
            found = self.model_window(full_id(named))
            return found.value if found else None
        if named is None:
            return None
        sizes = [size for place in named.places if (size := self.place_window(place)) is not None]
        if not sizes:
            return None
        return min(sizes) if isinstance(named, Alloy) else max(sizes)

    def model_window(self, model: str) -> Sourced[int] | None:
        """Return a model's window, the user's own figure before the registry's."""
        entry = self.models.get(model)
        declared = entry.facts.context_window if entry else None
        return declared or self.catalog.window(self.listed_as(model))

    def place_window(self, place: Place) -> int | None:
        """Return the window that a place has, said there or else its target's."""
        return place.context_window or self.window(place.model)

    def leaves(self, name: str) -> tuple[ExactModel, ...]:
        """Return every model that a name can lead to, each once, in declaration order."""
        found: dict[ExactModel, None] = {}
        seen = set()
        pending = [name]
        while pending:
            named = self.end(pending.pop(0))
            if isinstance(named, ExactModel):
                found[named] = None
            elif named is not None and named.id not in seen:
                seen.add(named.id)
                pending[:0] = [place.model for place in named.places]
        return tuple(found)

    def _bare(self, name: str) -> ExactModel | None:
        # an unset key variable must not make a file invalid: other built-in providers come last
        for provider in dict.fromkeys([*self.providers, *self.kind_of]):
            model = f"{provider}/{name}"
            if model in self.models or self.catalog.lists(self.listed_as(model)):
                return ExactModel(provider=provider, model=name)
        return None


def full_id(model: ExactModel) -> str:
    """Return ``provider/model``."""
    return f"{model.provider}/{model.model}"
