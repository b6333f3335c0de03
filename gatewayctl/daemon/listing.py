"""What can be asked for, as ``GET /v1/models`` lists it: routes first, then models.

How the list is written is ``protocols.models_list``' business.
"""

import asyncio
from collections.abc import Iterator
from typing import assert_never

from gatewayctl.core.errors import ApiError
from gatewayctl.core.model import ModelFacts, Sourced, WireProtocol
from gatewayctl.core.permits import Permit
from gatewayctl.core.routing.graph import Route
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.refusal import unknown_model
from gatewayctl.core.routing.sizes import window
from gatewayctl.daemon.permitted import Client
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

_ALL = Permit()


class Listing:
    """Renders models and routes of one directory, as one client may know of them.

    A client of None knows of everything.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def all(self, protocol: WireProtocol, client: Client | None = None) -> bytes:
        """Return the whole list in the protocol's shape; other requests go on meanwhile."""
        entries = list(self._routes(client))
        for number, full_id in enumerate(self._models(), 1):
            if _sees(client, full_id):
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

    def one(self, name: str, protocol: WireProtocol, client: Client | None = None) -> bytes | None:
        """Return one entry by any name that can be asked for, None when nothing is known of it."""
        found = self._found(unvia(name), protocol, client)
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

    def unknown(self, name: str, client: Client | None = None) -> ApiError:
        """Return the refusal of a name that is not listed."""
        near = [each for each in self._directory.nearest(name) if _sees(client, each)]
        return unknown_model(name, near, self._directory.absent(name))

    def _found(self, name: str, protocol: WireProtocol, client: Client | None) -> ModelEntry | None:
        named = resolve(name, self._directory, protocol)
        if named is None or not _sees(client, name):
            return None
        match named:
            case Aliased():
                return self._alias(name, named.target, client)
            case ExactModel():
                full_id = f"{named.provider}/{named.model}"
                known = self._directory.facts(named.provider, named.model)
                return None if known is None else self._entry(full_id)
            case _:
                return self._route(named, client)

    def _routes(self, client: Client | None) -> Iterator[ModelEntry]:
        graph = self._directory.graph
        for route in graph.routes.values():
            if _sees(client, route.id):
                yield self._route(route, client)
        for alias, target in graph.aliases.items():
            if _sees(client, alias):
                yield self._alias(alias, target, client)

    def _models(self) -> Iterator[str]:
        """Yield what the config names, and what is known of providers with a credential."""
        declared = set(self._directory.declared())
        for name in self._directory.providers():
            known = {full_id for full_id in declared if full_id.startswith(f"{name}/")}
            if self._directory.has_key(name):
                known |= {f"{name}/{model}" for model in self._directory.ids(name)}
            yield from sorted(known)

    def _route(self, route: Route, client: Client | None) -> ModelEntry:
        only = None if client is None else client.behind(route.id)
        return ModelEntry(
            id=route.id,
            owned_by=OURS,
            display_name=route.name or route.id,
            context_window=window(route.id, self._directory, only=only),
            members=tuple(place.model for place in route.places if self._within(place.model, only)),
        )

    def _alias(self, alias: str, target: str, client: Client | None) -> ModelEntry:
        only = None if client is None else client.behind(alias)
        size = window(target, self._directory, only=only)
        return ModelEntry(id=alias, owned_by=OURS, context_window=size, members=(target,))

    def _within(self, name: str, only: frozenset[str] | None) -> bool:
        """Tell whether any of some models stands behind a name."""
        return only is None or not only.isdisjoint(_ALL.behind(name, self._directory))

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


def _sees(client: Client | None, name: str) -> bool:
    """Tell whether a client may know of a name: whether it may use any model by it."""
    return client is None or client.behind(name) != frozenset()


def _value(said: Sourced[int] | None) -> int | None:
    return None if said is None else said.value
