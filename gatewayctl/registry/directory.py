"""What routing looks things up in: the config, the registry and what was learned, as one ``World``.

Everything here is in memory. Whether a credential is at hand is asked of whoever can know it, and
so is what replies have taught, so that this stays free of files and variables.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gatewayctl.config.kinds import is_provider, kinds
from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core.model import (
    ModelFacts,
    ModelSettings,
    Provider,
)
from gatewayctl.core.routing.graph import RouteGraph
from gatewayctl.registry.live import Live

_REMEMBERED: Final = 4096


class Directory:
    """``core.routing.world.World`` over settings, the registry in use, and what was learned."""

    def __init__(
        self,
        settings: Settings,
        live: Live,
        has_key: Callable[[ProviderSettings], bool],
    ) -> None:
        self._settings = settings
        self._live = live
        self._has_key = has_key
        self._names = tuple(settings.providers)
        self._used: dict[str, ModelSettings] = {}

    @property
    def graph(self) -> RouteGraph:
        """Aliases and routes."""
        return self._settings.graph

    @property
    def version(self) -> object:
        """The registry in use: settings never change, a newer registry is another object."""
        return self._live.current

    @property
    def betas(self) -> frozenset[str]:
        """Values of the beta header that unlock a larger window of a configured provider's."""
        return frozenset()

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
        """Return what is known about a model, the config's word first."""
        return self._live.current.facts(provider, model)

    def settings(self, full_id: str) -> ModelSettings:
        """Return how a model is used, with what is published and was observed of its tokenizer."""
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
        return msgspec.structs.replace(said, estimator=estimator)

    def _own(self) -> tuple[str, ...]:
        graph = self._settings.graph
        return (*graph.routes, *graph.aliases, *self._settings.models)


def nearest(name: str, own: Sequence[str], others: Sequence[str], limit: int = 3) -> Sequence[str]:
    """Return the best of the user's own names, then of the tables'."""
    close = difflib.get_close_matches(name, own, n=limit, cutoff=0.5)
    return tuple(dict.fromkeys((*close, *others)))[:limit]
