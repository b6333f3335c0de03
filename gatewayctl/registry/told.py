"""Models and sources as JSON-ready values: what ``models list --json`` and the daemon's API say.

Field names are a contract (``schema_version`` 1). How they look on a terminal is the command
line's business.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from gatewayctl.config.settings import ProviderSettings, Settings, SourceSettings
from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Auth, Sourced
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.freshness import Freshness, SourceStatus, statuses
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.merge import Entry
from gatewayctl.registry.table import Table

SCHEMA_VERSION = 1
STAGES = ("lifecycle", "deprecated_at", "retires_at")
CAPS = ("served", "learned")
LIMITS = ("context_window", "max_input_tokens", "max_output_tokens")

_PERSONAL = frozenset({Auth.FORWARD, Auth.OAUTH})

Json = dict[str, object]


def entries(registry: Registry, provider: str | None = None) -> Iterator[Entry]:
    """Yield every known model, sorted; of one provider if named. Each takes up to 0.1 ms."""
    for name, model in registry.ids(provider):
        if (entry := registry.entry(name, model)) is not None:
            yield entry


class Sources:
    """How fresh each source is: by the cache on disk, a clock, and the credentials at hand.

    ``askable`` tells whether a provider's own listing can be asked for with what the gateway
    itself has; ``wall`` is in seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        cache: Cache,
        askable: Callable[[ProviderSettings], bool],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._askable = askable
        self._wall = wall

    def told(self, table: Table) -> tuple[SourceStatus, ...]:
        """Return the status of every source, beside the table in use. Reads a small file."""
        sources = self._settings.registry.sources
        now = datetime.fromtimestamp(self._wall(), UTC)
        found = ((name, self._unasked(each)) for name, each in sources.items())
        unasked = {name: why for name, why in found if why is not None}
        background = self._settings.registry.background
        attempts = self._cache.attempts()
        return statuses(sources, attempts, table, now, unasked, background=background)

    def _unasked(self, source: SourceSettings) -> Freshness | None:
        """Return why a source is not asked, None where it is."""
        if source.provider is None:
            return None
        settings = self._settings.providers.get(source.provider)
        if settings is not None and self._askable(settings):
            return None
        owner = None if settings is None else settings.provider.auth
        return Freshness.PERSONAL if owner in _PERSONAL else Freshness.NO_KEY


def model_json(entry: Entry, *, others: bool) -> Json:
    """Return a model; an unknown limit has the value null. ``others``: what else is said of it."""

    def field(name: str, said: Sourced[Any] | None) -> Json:
        value = _said(said)
        if others:
            value["others"] = [_said(other) for other in entry.others.get(name, ())]
        return value

    facts = entry.facts
    return {
        "id": facts.id,
        "provider": facts.provider,
        **{name: field(name, getattr(facts, name)) for name in (*LIMITS, *CAPS)},
        "prices": {key: field(f"prices.{key}", said) for key, said in facts.prices.items()},
        "off_peak": field("off_peak", _as_text(facts.off_peak)),
        "capabilities": {
            key.value: field(f"capabilities.{key}", said)
            for key, said in facts.capabilities.items()
        },
        **{name: field(name, getattr(facts, name)) for name in STAGES},
    }


def _as_text(said: Sourced[Hours] | None) -> Sourced[str] | None:
    if said is None:
        return None
    return Sourced(value=str(said.value), source=said.source, fetched_at=said.fetched_at)


def _said(said: Sourced[Any] | None) -> Json:
    if said is None:
        return {"value": None, "source": None, "fetched_at": None}
    return {"value": said.value, "source": said.source, "fetched_at": said.fetched_at}
