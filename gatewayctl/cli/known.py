"""What the ``models`` commands look at: config, registry and what replies taught, at one moment.

Reads files and asks nobody. How it is printed is ``cli.facts``' and ``cli.portrait``'s business.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from gatewayctl.cli import offline
from gatewayctl.cli.portrait import Portrait
from gatewayctl.config.every import with_every_provider
from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import Settings, source_name
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.freshness import SourceStatus
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.merge import Entry
from gatewayctl.storage.knowledge import Known as Learned

_NEAR = 3
_TRAINED = frozenset({"llamacpp", "lmstudio", "ollama"})
"""Listings whose window is how a model was trained, whatever it is served with."""


class Known:
    """The whole of it; ``settings`` are the config's, everything else knows every provider."""

    def __init__(self, config: Path | None) -> None:
        self.now = datetime.now(UTC)
        self.settings: Settings = offline.load_settings(config, os.environ, forgiving=True)
        self._every = with_every_provider(self.settings, os.environ)
        live = offline.live(self._every)
        self.registry: Registry = live.current
        self.learned: Learned = offline.knowledge()
        self._directory: Directory = offline.over(self._every, live, self.learned, os.environ)

    def sources(self) -> tuple[SourceStatus, ...]:
        """Return how fresh each source is."""
        return offline.sources(self.settings, os.environ).told(self.registry.table)

    def entries(self, provider: str | None) -> Iterator[Entry]:
        """Yield every known model, sorted, capped by what is served and learned."""
        return self._directory.entries(provider)

    def providers(self) -> tuple[str, ...]:
        """Return the names of all providers that are configured or that a table speaks of."""
        return tuple({*self._every.providers, *self.registry.table.providers()})

    def portrait(self, model: str) -> Portrait | None:
        """Return all that is known of a model, None where no source and no reply tells of it.

        An alias of the config stands for the model that it leads to.
        """
        model = self.settings.graph.aliases.get(model, model)
        name, slash, rest = model.partition("/")
        facts = self._directory.facts(name, rest) if slash else None
        entry = self.registry.entry(name, rest) if slash else None
        if facts is None or (entry is None and model not in self.learned.models()):
            return None
        return Portrait(
            facts=facts,
            others={} if entry is None else entry.others,
            fraction=self._directory.settings(model).capacity_fraction,
            trained=self._is_trained(name),
            aliases=tuple(self._aliases(name, rest)),
            asked_as=tuple(
                alias for alias, target in self.settings.graph.aliases.items() if target == model
            ),
            cap=self.learned.cap(model),
            truncations=self.learned.truncations(model),
            observed=self.learned.observed(model),
        )

    def near(self, model: str) -> Sequence[str]:
        """Return ids that may be meant: a bare name at its providers, else what looks alike."""
        if "/" not in model:
            listing = self.registry.listed_by(model, list(self._every.providers))
            if listing:
                return [f"{provider}/{model}" for provider in listing]
        near = [name for name in self.registry.nearest(model) if name != model]
        # a bare name that only providers of no kind of ours have is told with one of them
        elsewhere = (f"{name}/{bare}" for name, bare in self.registry.ids() if bare == model)
        return [*islice(elsewhere, 1), *near][:_NEAR]

    def _is_trained(self, provider: str) -> bool:
        settings = self._every.providers.get(provider)
        kind = None if settings is None else kinds().get(settings.provider.kind)
        return kind is not None and kind.listing in _TRAINED

    def _aliases(self, provider: str, model: str) -> Iterator[str]:
        """Yield the other names that the provider's own listing has for a model."""
        table, source = self.registry.table, source_name(provider)
        said = table.own(source, model)
        means = model if said is None else said.claims.alias_of or model
        for name in table.listed(source):
            other = table.own(source, name)
            meant = name if other is None else other.claims.alias_of or name
            if name != model and meant == means:
                yield f"{provider}/{name}"
