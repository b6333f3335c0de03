"""What planning looks things up in: declared here, implemented by whoever holds the facts.

``World`` is the one seam between routing and the config and registry; ``Request`` is everything
about one request that a plan depends on, chance included. Nothing here decides anything.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from gatewayctl.core.model import (
    EstimatorSettings,
    ModelFacts,
    ModelSettings,
    Provider,
)
from gatewayctl.core.routing.decision import Barred, Estimate
from gatewayctl.core.routing.graph import RouteGraph
from gatewayctl.core.routing.session import Session
from gatewayctl.core.shape import RequestShape


class World(Protocol):
    """Providers, models and routes as they are now. Look-ups are in memory and cannot fail."""

    @property
    def graph(self) -> RouteGraph:
        """Aliases and routes."""
        ...

    @property
    def version(self) -> object:
        """What is another object as soon as any answer but ``has_key``'s may be another.

        What was looked up is kept for as long as this is the same object, which is kept with it
        (so never the world itself: it would keep itself).
        """
        ...

    @property
    def betas(self) -> frozenset[str]:
        """Values of the beta header that unlock a larger window for any model known here."""
        ...

    def provider(self, name: str) -> Provider | None:
        """Return a configured provider."""
        ...

    def providers(self) -> Sequence[str]:
        """Return the names of all configured providers, in declaration order."""
        ...

    def has_key(self, provider: str) -> bool:
        """Tell whether a credential for the provider is at hand (True where none is needed)."""
        ...

    def facts(self, provider: str, model: str) -> ModelFacts | None:
        """Return what is known about a model, None when no source lists it."""
        ...

    def settings(self, full_id: str) -> ModelSettings:
        """Return how a model is used, defaults applied."""
        ...

    def listed_by(self, model: str) -> Sequence[str]:
        """Return the configured providers that list exactly this bare id, in order."""
        ...

    def declared(self) -> Sequence[str]:
        """Return the full ids of the models that the config itself names."""
        ...

    def nearest(self, name: str) -> Sequence[str]:
        """Return a few known names that look like this one, best first."""
        ...

    def absent(self, name: str) -> str | None:
        """Say what to do about a name whose provider is known but not configured, else None."""
        ...


class Standing(Protocol):
    """What one client's request may use, by its keys and those of the upstreams, as of now."""

    def barred(self, asked: str, provider: str, model: str) -> Barred | None:
        """Tell why a model (full id) may not be used for a request for ``asked``, None if it may.

        The reason is ``not_allowed``, ``no_key``, ``credential_terminal`` or ``quota_exhausted``.
        """
        ...

    def sees(self, name: str) -> bool:
        """Tell whether the client may know of a model, a route or an alias."""
        ...


class Estimator(Protocol):
    """Sizes one request for one model's tokenizer."""

    def __call__(self, settings: EstimatorSettings, /) -> Estimate:
        """Return the input estimate under these settings."""
        ...


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request as a plan sees it.

    ``seed`` is the request's chance, 64 bits; ``counters`` are the round-robin counters by alloy;
    ``today`` is an ISO date, for retirements, ``at`` the moment in seconds since 1970, for prices
    that go by the hour (None: by the usual ones). ``headers`` (names in lower case) and ``client``
    (the client key's name) are for rules; ``session`` is None where nothing tells conversations
    apart. ``standing`` None: it may use whatever there is.
    """

    shape: RequestShape
    seed: int = 0
    counters: Mapping[str, int] = {}
    today: str = ""
    at: float | None = None
    headers: Mapping[str, str] = {}
    client: str | None = None
    session: Session | None = None
    standing: Standing | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What every judgement of one planning shares."""

    request: Request
    world: World
    estimator: Estimator
    asked: str = ""
