"""What routing looks things up in: the config, the registry and what was learned, as one ``World``.

Everything here is in memory. Whether a credential is at hand is asked of whoever can know it, and
so is what replies have taught, so that this stays free of files and variables.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from gatewayctl.config.kinds import Kind, is_provider, kinds
from gatewayctl.config.models import SOURCE
from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core.correction import Observed
from gatewayctl.core.learning import Cap, Cause, believed_of, holds
from gatewayctl.core.model import (
    EstimatorKind,
    ModelFacts,
    ModelSettings,
    Provider,
    Sourced,
    Unlocked,
)
from gatewayctl.core.routing.graph import RouteGraph
from gatewayctl.core.routing.place import ASSUMED, LEARNED
from gatewayctl.registry.live import Live
from gatewayctl.registry.merge import Entry
from gatewayctl.registry.told import entries

_REMEMBERED: Final = 512  # some kilobytes each


class Knowledge(Protocol):
    """What replies have taught of models, by full id."""

    @property
    def version(self) -> object:
        """Another object as soon as any answer may be another."""
        ...

    def cap(self, model: str) -> Cap | None:
        """Return the window that an upstream gave away."""
        ...

    def observed(self, model: str) -> Observed | None:
        """Return how its own counts differ from ours."""
        ...


class Directory:
    """``core.routing.world.World`` over settings, the registry in use, and what was learned."""

    def __init__(
        self,
        settings: Settings,
        live: Live,
        has_key: Callable[[ProviderSettings], bool],
        knowledge: Knowledge | None = None,
    ) -> None:
        self._settings = settings
        self._live = live
        self._has_key = has_key
        self._knowledge = knowledge
        self._names = tuple(settings.providers)
        self._used: dict[str, ModelSettings] = {}
        self._facts: dict[tuple[str, str], ModelFacts | None] = {}
        self._version: tuple[object, object] = (live.current, self._learned())
        self._betas = frozenset(
            beta.beta
            for provider in settings.providers.values()
            if (kind := kinds().get(provider.provider.kind)) is not None
            for beta in kind.beta_windows
        )

    @property
    def graph(self) -> RouteGraph:
        """Aliases and routes."""
        return self._settings.graph

    @property
    def version(self) -> object:
        """The registry and the knowledge: settings never change, these are replaced."""
        registry, learned = self._live.current, self._learned()
        if self._version[0] is not registry or self._version[1] is not learned:
            self._version = (registry, learned)
            self._facts.clear()
            self._used.clear()
        return self._version

    def _learned(self) -> object:
        return None if self._knowledge is None else self._knowledge.version

    @property
    def betas(self) -> frozenset[str]:
        """Values of the beta header that unlock a larger window of a configured provider's."""
        return self._betas

    def provider(self, name: str) -> Provider | None:
        """Return a configured provider."""
        found = self._settings.providers.get(name)
        return None if found is None else found.provider

    def providers(self) -> Sequence[str]:
        """Return the names of all configured providers."""
        return self._names

    def has_key(self, provider: str) -> bool:
        """Tell whether a credential for the provider is at hand."""
        return self._has_key(self._settings.providers[provider])

    def facts(self, provider: str, model: str) -> ModelFacts | None:
        """Return what is known about a model, the config's word first, capped by what is run."""
        _ = self.version  # what is remembered is of it
        key = (provider, model)
        if key not in self._facts:
            if len(self._facts) >= _REMEMBERED:  # ids are the clients' choice
                self._facts.clear()
            self._facts[key] = self._known(provider, model)
        return self._facts[key]

    def entries(self, provider: str | None = None) -> Iterator[Entry]:
        """Yield every model that a source or the config lists, sorted, and who says what of it.

        ``provider`` leaves out all others. What caps a window is in its facts.
        """
        for entry in entries(self._live.current, provider):
            yield msgspec.structs.replace(entry, facts=self._capped(entry.facts))

    def settings(self, full_id: str) -> ModelSettings:
        """Return how a model is used, with what is published and was observed of its tokenizer."""
        _ = self.version  # what is remembered is of it
        found = self._used.get(full_id)
        if found is None:
            if len(self._used) >= _REMEMBERED:  # ids are the clients' choice
                self._used.clear()
            found = self._used[full_id] = self._settings_of(full_id)
        return found

    def listed_by(self, model: str) -> Sequence[str]:
        """Return the configured providers that list exactly this bare id."""
        return self._live.current.listed_by(model, self._names)

    def ids(self, provider: str) -> Sequence[str]:
        """Return the bare ids of all models that a provider is known to have."""
        return tuple(model for _, model in self._live.current.ids(provider))

    def declared(self) -> Sequence[str]:
        """Return the full ids of the models that the config itself names."""
        return tuple(self._settings.models)

    def nearest(self, name: str) -> Sequence[str]:
        """Return a few names that may be asked for and look like this one: the user's own first."""
        return nearest(name, self._own(), self._live.current.nearest(name, among=self._names))

    def absent(self, name: str) -> str | None:
        """Say how to configure the built-in provider that a name begins with, if it is not."""
        first, slash, _ = name.partition("/")
        kind = kinds().get(first)
        if not slash or kind is None or not is_provider(kind) or first in self._settings.providers:
            return None
        key = f"set {kind.key_env[0]}, or " if kind.key_env else ""
        return f"{first} is not configured: {key}add a table [providers.{first}]"

    def _settings_of(self, full_id: str) -> ModelSettings:
        override = self._settings.models.get(full_id)
        said = self._settings.defaults if override is None else override.settings
        name, _, model = full_id.partition("/")
        provider = self._settings.providers.get(name)
        kind = None if provider is None else kinds().get(provider.provider.kind)
        if kind is None:
            return said
        estimator = kind.families.known(said.estimator, model)
        if self._knowledge is not None and estimator.kind is not EstimatorKind.CHAR_RATIO:
            observed = self._knowledge.observed(full_id)
            estimator = msgspec.structs.replace(estimator, observed=observed)
        return msgspec.structs.replace(said, estimator=estimator)

    def _known(self, name: str, model: str) -> ModelFacts | None:
        facts = self._live.current.facts(name, model)
        found = self._capped(facts or ModelFacts(id=f"{name}/{model}", provider=name))
        return facts if found == ModelFacts(id=found.id, provider=name) else found

    def _capped(self, facts: ModelFacts) -> ModelFacts:
        """Return what the sources say of a model with what caps and what unlocks its window."""
        provider = self._settings.providers.get(facts.provider)
        kind = None if provider is None else kinds().get(provider.provider.kind)
        found, said = facts, facts.context_window
        if kind is not None:
            found = _with_betas(kind, found.id.partition("/")[2], found)
            if kind.output_apart and said is not None and said.source != SOURCE:
                found = msgspec.structs.replace(found, output_apart=True)
        cap = None if self._knowledge is None else self._knowledge.cap(found.id)
        if cap is not None and holds(cap, believed_of(found)):
            learned = Sourced(value=cap.window, source=LEARNED, fetched_at=cap.at)
            cut = facts.truncates or cap.cause is Cause.TRUNCATED
            found = msgspec.structs.replace(found, learned=learned, truncates=cut)
        if kind is not None and kind.assumed_window and found.served is None:
            served = Sourced(value=kind.assumed_window, source=ASSUMED)
            found = msgspec.structs.replace(found, served=served)
        return found

    def _own(self) -> tuple[str, ...]:
        graph = self._settings.graph
        return (*graph.routes, *graph.aliases, *self._settings.models)


def _with_betas(kind: Kind, model: str, facts: ModelFacts) -> ModelFacts:
    """Return facts with the windows that a beta header unlocks apart from the one that holds."""
    found = [each for each in kind.beta_windows if each.holds_for(model)]
    said = facts.context_window
    if not found or said is None or said.source == SOURCE:
        return facts
    without = min(each.without for each in found)
    if said.value > without:  # a table that says what holds with the header alone
        said = msgspec.structs.replace(said, value=without)
    unlocked = tuple(Unlocked(beta=each.beta, context_window=each.window) for each in found)
    return msgspec.structs.replace(facts, context_window=said, unlocked=unlocked)


def nearest(name: str, own: Sequence[str], others: Sequence[str], limit: int = 3) -> Sequence[str]:
    """Return the best of the user's own names, then of the tables'."""
    close = difflib.get_close_matches(name, own, n=limit, cutoff=0.5)
    return tuple(dict.fromkeys((*close, *others)))[:limit]
