"""Models and sources as JSON-ready values: what ``models list --json`` and the daemon's API say.

Field names are a contract (``schema_version`` 1). How they look on a terminal is the command
line's business.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gatewayctl.config.settings import RegistrySettings
from gatewayctl.core.model import Sourced
from gatewayctl.registry.cache import Cache, usual_folder
from gatewayctl.registry.freshness import SourceStatus, statuses
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.merge import Entry
from gatewayctl.registry.table import Table

SCHEMA_VERSION = 1
LIMITS = ("context_window", "max_input_tokens", "max_output_tokens")

Json = dict[str, object]


def entries(registry: Registry, provider: str | None = None) -> Iterator[Entry]:
    """Yield every known model, sorted; of one provider if named. Each takes up to 0.1 ms."""
    for name, model in registry.ids(provider):
        if (entry := registry.entry(name, model)) is not None:
            yield entry


def sources(settings: RegistrySettings, table: Table, now: datetime) -> tuple[SourceStatus, ...]:
    """Return how fresh each source is, from the cache on disk; ``now`` is aware."""
    return statuses(settings.sources, Cache(usual_folder()).attempts(), table, now)


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
        **{name: field(name, getattr(facts, name)) for name in LIMITS},
        "prices": {key: field(f"prices.{key}", said) for key, said in facts.prices.items()},
        "capabilities": {
            key.value: field(f"capabilities.{key}", said)
            for key, said in facts.capabilities.items()
        },
        "retires_at": field("retires_at", facts.retires_at),
    }


def _said(said: Sourced[Any] | None) -> Json:
    if said is None:
        return {"value": None, "source": None, "fetched_at": None}
    return {"value": said.value, "source": said.source, "fetched_at": said.fetched_at}
