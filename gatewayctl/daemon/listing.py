"""What can be asked for, as ``GET /v1/models`` lists it: routes first, then models.

How the list is written is ``protocols.models_list``' business.
"""

import asyncio
from collections.abc import Iterator
from typing import assert_never

from gatewayctl.core.errors import ApiError
from gatewayctl.core.model import ModelFacts, Sourced, WireProtocol
from gatewayctl.core.routing.graph import Route
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.refusal import unknown_model
from gatewayctl.core.routing.sizes import window
from gatewayctl.protocols.models_list import (
    ModelEntry,
    anthropic_list,
    anthropic_model,
    gemini_list,
    gemini_model,
    openai_list,
    openai_model,
    unvia,
)
from gatewayctl.registry.directory import Directory

OURS = "gatewayctl"
"""Who a route belongs to, in the list."""

AT_ONCE = 32
"""Models that are looked up without letting others run; a first look-up takes up to 0.1 ms."""


class Listing:
    """Renders models and routes of one directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def all(self, protocol: WireProtocol) -> bytes:
        """Return the whole list in the protocol's shape; other requests go on meanwhile."""
        entries = list(self._routes())
        for number, full_id in enumerate(self._models(), 1):
            entries.append(self._entry(full_id))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        match protocol:
            case WireProtocol.MESSAGES:
                return anthropic_list(entries)
            case WireProtocol.GEMINI:
                return gemini_list(entries)
            case WireProtocol.CHAT_COMPLETIONS | WireProtocol.RESPONSES:
                return openai_list(entries)
        assert_never(protocol)

    def one(self, name: str, protocol: WireProtocol) -> bytes | None:
        """Return one entry by any name that can be asked for, None when nothing is known of it."""
        found = self._found(unvia(name), protocol)
        if found is None:
            return None
        match protocol:
            case WireProtocol.MESSAGES:
                return anthropic_model(found, name)
            case WireProtocol.GEMINI:
                return gemini_model(found)
            case WireProtocol.CHAT_COMPLETIONS | WireProtocol.RESPONSES:
                return openai_model(found)
        assert_never(protocol)

    def unknown(self, name: str) -> ApiError:
        """Return the refusal of a name that is not listed."""
        return unknown_model(name, self._directory.nearest(name), self._directory.absent(name))

    def _found(self, name: str, protocol: WireProtocol) -> ModelEntry | None:
        named = resolve(name, self._directory, protocol)
        match named:
            case None:
                return None
            case Aliased():
                return self._alias(name, named.target)
            case ExactModel():
                full_id = f"{named.provider}/{named.model}"
                known = self._directory.facts(named.provider, named.model)
                return None if known is None else self._entry(full_id)
            case _:
                return self._route(named)

    def _routes(self) -> Iterator[ModelEntry]:
        graph = self._directory.graph
        for route in graph.routes.values():
            yield self._route(route)
        for alias, target in graph.aliases.items():
            yield self._alias(alias, target)

    def _models(self) -> Iterator[str]:
        """Yield what the config names, and what is known of providers with a credential."""
        declared = set(self._directory.declared())
        for name in self._directory.providers():
            known = {full_id for full_id in declared if full_id.startswith(f"{name}/")}
            if self._directory.has_key(name):
                known |= {f"{name}/{model}" for model in self._directory.ids(name)}
            yield from sorted(known)

    def _route(self, route: Route) -> ModelEntry:
        return ModelEntry(
            id=route.id,
            owned_by=OURS,
            display_name=route.name or route.id,
            context_window=window(route.id, self._directory),
            members=tuple(place.model for place in route.places),
        )

    def _alias(self, alias: str, target: str) -> ModelEntry:
        size = window(target, self._directory)
        return ModelEntry(id=alias, owned_by=OURS, context_window=size, members=(target,))

    def _entry(self, full_id: str) -> ModelEntry:
        provider, _, model = full_id.partition("/")
        facts = self._directory.facts(provider, model) or ModelFacts(id=full_id, provider=provider)
        return ModelEntry(
            id=full_id,
            owned_by=provider,
            display_name=full_id,
            context_window=window(full_id, self._directory),
            max_output_tokens=_value(facts.max_output_tokens),
            capabilities={name.value: said.value for name, said in facts.capabilities.items()},
        )


def _value(said: Sourced[int] | None) -> int | None:
    return None if said is None else said.value
