"""What can be asked for, as ``GET /v1/models`` lists it: routes first, then models.

How the list is written is ``protocols.models_list``' business.
"""

from collections.abc import Iterator

from gatewayctl.core.errors import ApiError
from gatewayctl.core.model import ModelFacts, Sourced, WireProtocol
from gatewayctl.core.routing.refusal import unknown_model
from gatewayctl.core.routing.sizes import window
from gatewayctl.protocols.models_list import (
    ModelEntry,
    anthropic_list,
    anthropic_model,
    openai_list,
    openai_model,
    unvia,
)
from gatewayctl.registry.directory import Directory


class Listing:
    """Renders models and routes of one directory; cheap enough to be asked at any time."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def all(self, protocol: WireProtocol) -> bytes:
        """Return the whole list in the protocol's shape."""
        entries = [*self._routes(), *self._models()]
        if protocol is WireProtocol.MESSAGES:
            return anthropic_list(entries)
        return openai_list(entries)

    def one(self, name: str, protocol: WireProtocol) -> bytes | None:
        """Return one entry by name (``claude-via-…`` too), None when there is none."""
        wanted = unvia(name)
        found = next(
            (entry for entry in (*self._routes(), *self._models()) if entry.id == wanted), None
        )
        if found is None:
            return None
        if protocol is WireProtocol.MESSAGES:
            return anthropic_model(found, name)
        return openai_model(found)

    def unknown(self, name: str) -> ApiError:
        """Return the refusal of a name that is not listed."""
        return unknown_model(name, self._directory.nearest(name), self._directory.absent(name))

    def _routes(self) -> Iterator[ModelEntry]:
        graph = self._directory.graph
        for route in graph.routes.values():
            yield ModelEntry(
                id=route.id,
                owned_by="gatewayctl",
                display_name=route.name or route.id,
                context_window=window(route.id, self._directory),
                members=tuple(place.model for place in route.places),
            )
        for alias, target in graph.aliases.items():
            yield ModelEntry(id=alias, owned_by="gatewayctl", members=(target,))

    def _models(self) -> Iterator[ModelEntry]:
        """Yield what the config names, and what is known of providers with a credential."""
        declared = set(self._directory.declared())
        for name in self._directory.providers():
            known = {f"{name}/{model}" for model in self._directory.ids(name)}
            own = {full_id for full_id in declared if full_id.startswith(f"{name}/")}
            if not self._directory.has_key(name):
                known = set()
            for full_id in sorted(known | own):
                yield self._entry(name, full_id)

    def _entry(self, provider: str, full_id: str) -> ModelEntry:
        model = full_id.removeprefix(f"{provider}/")
        facts = self._directory.facts(provider, model) or ModelFacts(id=full_id, provider=provider)
        return ModelEntry(
            id=full_id,
            owned_by=provider,
            display_name=full_id,
            context_window=_value(facts.context_window),
            max_output_tokens=_value(facts.max_output_tokens),
            capabilities={name.value: said.value for name, said in facts.capabilities.items()},
        )


def _value(said: Sourced[int] | None) -> int | None:
    return None if said is None else said.value
