"""The registry in use: made of a config and a table, and replaced whole when the table is.

Whoever keeps a ``Live`` and asks it anew sees a newer table as soon as it is there; a ``Registry``
itself never changes. When a table is loaded is not decided here.
"""

from gatewayctl.config.kinds import table_name
from gatewayctl.config.settings import Settings
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.table import Table


class Live:
    """What is known of models now: ``current`` is another registry after each ``renew``."""

    def __init__(self, settings: Settings, table: Table) -> None:
        self._settings = settings
        self.current = registry_of(settings, table)

    def renew(self, table: Table) -> None:
        """Have a newer table answer from now on."""
        self.current = registry_of(self._settings, table)


def registry_of(settings: Settings, table: Table) -> Registry:
    """Make the registry that knows a config's own models, providers and sources."""
    names = {
        name: table_name(name, provider.provider.kind)
        for name, provider in settings.providers.items()
    }
    return Registry(
        table,
        overrides={model_id: model.facts for model_id, model in settings.models.items()},
        usual=settings.model_defaults.facts,
        kinds={name: listed for name, listed in names.items() if listed != name},
        listings={
            each.provider: name
            for name, each in settings.registry.sources.items()
            if each.provider is not None and each.url and table.is_from(name, each.place)
        },
        off=frozenset(name for name, each in settings.registry.sources.items() if not each.url),
    )
