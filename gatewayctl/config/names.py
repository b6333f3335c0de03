"""What the names in a file refer to, and what is known of what they refer to.

The order in which a name is looked up is ``core.routing.names``'s; here it is asked without a
request, for every reference at once, and against built-in providers without a key too.
"""

from collections.abc import Mapping

import msgspec

from gatewayctl.config.catalog import Catalog
from gatewayctl.config.kinds import kinds, table_name
from gatewayctl.config.settings import ModelOverride, ProviderSettings
from gatewayctl.core.model import Capability, ModelFacts, Overflow, Sourced, WireProtocol, layered
from gatewayctl.core.routing.graph import Dispatcher, Place, Route, RouteGraph
from gatewayctl.core.routing.names import Aliased, ExactModel, alias

Named = ExactModel | Aliased | Route


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reference can mean.

    ``kind_of`` maps each provider that a reference may name to its kind, built-in ones without a
    key included; ``providers`` are the configured ones, in declaration order; ``models`` and
    ``usual`` are what the file says of models, of one and of all. What was looked up once is
    remembered, since routes may share places many times over.
    """

    graph: RouteGraph
    kind_of: Mapping[str, str]
    providers: Mapping[str, ProviderSettings]
    models: Mapping[str, ModelOverride]
    usual: ModelOverride
    catalog: Catalog
    _found: dict[str, Named | None] = msgspec.field(default_factory=dict)
    _facts: dict[str, ModelFacts | None] = msgspec.field(default_factory=dict)

    def find(self, name: str) -> Named | None:
        """Return what a name means, None when nothing is called so."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Named | None:
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

    def said(self, model: str) -> ModelOverride:
        """Return what the file says of a model, by its full id."""
        return self.models.get(model, self.usual)

    def listed(self, model: str) -> ModelFacts | None:
        """Return what the sources say of a model, without the user's own word.

        What its provider lists itself comes before the tables.
        """
        if model not in self._facts:
            own, tables = self._own(model), self.catalog.facts(self.listed_as(model))
            self._facts[model] = tables if own is None else layered(own, tables)
        return self._facts[model]

    def held(self, model: str, declared: int) -> Sourced[int] | None:
        """Return the least that is known of a model's window, served and learned limits included.

        ``declared`` is what the file says of it. None where nobody knows anything.
        """
        facts = self.listed(model)
        served = None if facts is None else facts.served
        believed = declared if served is None else min(declared, served.value)
        said = (window_of(facts), served, self.catalog.learned(model, believed))
        known = [each for each in said if each is not None]
        return min(known, key=lambda each: each.value, default=None)

    def _own(self, model: str) -> ModelFacts | None:
        configured = self.providers.get(model.partition("/")[0])
        return None if configured is None else self.catalog.own(model, configured.base_url)

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model, the user's own word before the sources'."""
        return layered(self.said(model).facts, self.listed(model))

    def overflow(self, provider: str) -> Overflow:
        """Return what a provider does with a request that is too large."""
        configured = self.providers.get(provider)
        if configured is not None:
            return configured.provider.overflow
        return kinds()[self.kind_of[provider]].overflow

    def protocols(self, provider: str) -> tuple[WireProtocol, ...]:
        """Return what a provider speaks."""
        configured = self.providers.get(provider)
        if configured is not None:
            return configured.provider.protocols
        return kinds()[self.kind_of[provider]].protocols

    def denies(self, name: str, capability: Capability) -> Sourced[bool] | None:
        """Return who says so, where every model behind a name is known to lack a capability."""
        said = [
            self.facts(full_id(model)).capabilities.get(capability) for model in self.leaves(name)
        ]
        lacking = [each for each in said if each is not None and not each.value]
        return lacking[0] if lacking and len(lacking) == len(said) else None

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
                pending[:0] = [place.model for place in places_of(named)]
        return tuple(found)

    def _bare(self, name: str) -> ExactModel | None:
        # an unset key variable must not make a file invalid: other built-in providers come last
        listing = self.catalog.listed_by(name)
        for provider in dict.fromkeys([*self.providers, *self.kind_of]):
            table = table_name(provider, self.kind_of.get(provider, provider))
            model = f"{provider}/{name}"
            if model in self.models or table in listing or self._own(model) is not None:
                return ExactModel(provider=provider, model=name)
        return None


def full_id(model: ExactModel) -> str:
    """Return ``provider/model``."""
    return f"{model.provider}/{model.model}"


def places_of(route: Route) -> tuple[Place, ...]:
    """Return the places of a route, those of a dispatcher's rules included."""
    rules = route.rules if isinstance(route, Dispatcher) else ()
    return (*route.places, *(rule.target for rule in rules))


def window_of(facts: ModelFacts | None) -> Sourced[int] | None:
    """Return a model's window, or its input limit where nobody knows the window."""
    return (facts.context_window or facts.max_input_tokens) if facts else None
