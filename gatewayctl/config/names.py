"""What the names in a file refer to, and how large what they refer to is.

The order in which a name is looked up is ``core.routing.names``'s; here it is asked without a
request, for every reference at once, and against built-in providers without a key too.
"""

from collections.abc import Iterator, Mapping

import msgspec

from gatewayctl.config.catalog import Catalog
from gatewayctl.config.settings import ModelOverride, ProviderSettings
from gatewayctl.core.model import Sourced
from gatewayctl.core.routing.graph import Alloy, Place, Route, RouteGraph
from gatewayctl.core.routing.names import Aliased, ExactModel, alias

Named = ExactModel | Aliased | Route


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reference can mean.

    ``kind_of`` maps each provider that a reference may name to its kind, built-in ones without a
    key included; ``providers`` are the configured ones, in declaration order.
    """

    graph: RouteGraph
    kind_of: Mapping[str, str]
    providers: Mapping[str, ProviderSettings]
    models: Mapping[str, ModelOverride]
    catalog: Catalog

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
        return f"{self.kind_of.get(provider, provider)}/{model}"

    def end(self, name: str) -> ExactModel | Route | None:
        """Return what a name means after all aliases. The file must have no cycles."""
        named = self.find(name)
        while isinstance(named, Aliased):
            named = self.find(named.target)
        return named

    def window(self, name: str) -> int | None:
        """Return the window of a model, or the ceiling of a route, before any fraction."""
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

    def leaves(self, name: str) -> Iterator[ExactModel]:
        """Yield every model that a name can lead to, in declaration order."""
        named = self.end(name)
        if isinstance(named, ExactModel):
            yield named
        elif named is not None:
            for place in named.places:
                yield from self.leaves(place.model)

    def _bare(self, name: str) -> ExactModel | None:
        for provider in self.providers:
            model = f"{provider}/{name}"
            if model in self.models or self.catalog.lists(self.listed_as(model)):
                return ExactModel(provider=provider, model=name)
        return None


def full_id(model: ExactModel) -> str:
    """Return ``provider/model``."""
    return f"{model.provider}/{model.model}"
