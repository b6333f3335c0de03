"""What one request may use, by the client's key and name and by the upstreams' credentials.

Planning asks this of every model behind a name, so that nothing is sent where it may not go or is
known to be refused, and whoever is left answers. What each reason rests on is the business of those
who are asked here.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import msgspec

from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core.model import Auth
from gatewayctl.core.periods import iso
from gatewayctl.core.routing.decision import Barred, SkipReason
from gatewayctl.core.routing.place import Root, models
from gatewayctl.core.routing.resolved import asked_for
from gatewayctl.core.routing.world import Request, Standing, World
from gatewayctl.daemon.forwarding import Forwarding
from gatewayctl.daemon.permitted import Client
from gatewayctl.daemon.turns import Turns
from gatewayctl.upstream.credentials import Ends, not_served, serves


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a standing asks. ``wall`` is the time in seconds since 1970."""

    settings: Settings
    world: World
    turns: Turns
    forwarding: Forwarding
    tokens: Ends
    wall: Callable[[], float]


class Standings:
    """Makes the standing of each request."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def of(self, request: Request, client: Client | None) -> Standing:
        """Return what a request may use; ``client`` is None where no keys were given out."""
        return _Standing(self._parts, request, client)


class _Standing:
    def __init__(self, parts: Parts, request: Request, client: Client | None) -> None:
        self._parts = parts
        self._request = request
        self._client = client
        self._roots: dict[str, Root | None] = {}
        self._by_provider: dict[tuple[str, str], Barred | None] = {}

    def barred(self, asked: str, provider: str, model: str) -> Barred | None:
        """Tell why a model may not be used; see ``Standing``."""
        if self._client is not None:
            why = self._client.barred(model, self._names(asked))
            if why is not None:
                return Barred(reason=SkipReason.NOT_ALLOWED, detail=why)
        key = (asked, provider)
        if key not in self._by_provider:
            self._by_provider[key] = self._at(asked, provider)
        return self._by_provider[key]

    def sees(self, name: str) -> bool:
        """Tell whether the client may know of a name."""
        return self._client is None or self._client.sees(name)

    def _at(self, asked: str, provider: str) -> Barred | None:
        """Tell why nothing of a provider's may be used."""
        parts, headers = self._parts, self._request.headers
        settings = parts.settings.providers.get(provider)
        if settings is None:
            return None
        if settings.clients and not serves(settings, self._agent):
            return Barred(reason=SkipReason.NO_KEY, detail=not_served(settings))
        match settings.provider.auth:
            case Auth.OAUTH if (why := parts.tokens.ended(settings)) is not None:
                return Barred(reason=SkipReason.CREDENTIAL_TERMINAL, detail=why)
            case Auth.FORWARD:
                keyed, leaves = self._client is not None, self._providers(asked)
                why = parts.forwarding.barred(provider, leaves, headers, keyed=keyed)
                if why is not None:
                    return Barred(reason=SkipReason.NO_KEY, detail=why)
            case _:
                pass
        until = parts.turns.spent(settings, headers)
        if until is None or self._is_alone(asked, provider, settings):
            return None
        return _spent(provider, until, parts.wall())

    def _is_alone(self, asked: str, provider: str, settings: ProviderSettings) -> bool:
        """Tell whether who asks has no choice but a plan's paid overage, which is allowed.

        Whether to spend more is theirs then, as it is without a gateway; a route moves away.
        """
        paid = self._parts.turns.is_paid_beyond(settings, self._request.headers)
        return paid and set(self._providers(asked)) == {provider}

    @cached_property
    def _agent(self) -> str:
        return self._request.headers.get("user-agent", "")

    def _root(self, asked: str) -> Root | None:
        if asked not in self._roots:
            self._roots[asked] = asked_for(asked, self._request, self._parts.world)
        return self._roots[asked]

    def _names(self, asked: str) -> Sequence[str]:
        root = self._root(asked)
        route = None if root is None or root.route is None else root.route.route.id
        return (asked,) if route is None or route == asked else (asked, route)

    def _providers(self, asked: str) -> Sequence[str]:
        root = self._root(asked)
        return () if root is None else [place.provider for place in models(root.place)]


def _spent(provider: str, until: float, now: float) -> Barred:
    return Barred(
        reason=SkipReason.QUOTA_EXHAUSTED,
        detail=f"the quota of {provider} is spent until {iso(until)}",
        until=max(0.0, until - now),
    )
