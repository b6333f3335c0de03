"""Names looked up ahead of any request: models at their places, aliases and routes, as values.

Made by ``resolved`` once for as long as the world stays the same, judged by ``plan`` for every
request. Nothing that depends on a request is here.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Capability, EstimatorSettings, ModelFacts, Provider, Sourced
from gatewayctl.core.routing.graph import Policy, Route

LEARNED = "learned"
"""The source of a cap that an upstream's replies gave away."""


ASSUMED = "assumed"
"""The source of a cap that holds for a kind of server until it says what it serves."""


class Ceilings(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may be filled to, in tokens; None is unknown.

    ``window`` is the window before ``capacity_fraction``, for explanations; ``cap`` is what is
    served or learned where that makes it smaller than what is said.
    """

    window: int | None = None
    total: int | None = None
    input: int | None = None
    cap: Sourced[int] | None = None

    @property
    def why(self) -> str:
        """Say why the window is smaller than what is said of the model, in brackets, or nothing."""
        if self.cap is None:
            return ""
        if self.cap.source == ASSUMED:
            return " (assumed until the server says what it serves)"
        told = LEARNED if self.cap.source == LEARNED else f"served, {self.cap.source}"
        return f" ({told})"


class Nested(msgspec.Struct, frozen=True, kw_only=True):
    """A route inside the one that was asked for, at one place there.

    ``path`` is its id after those of the nested routes around it, outermost first. ``policy`` is
    what holds for attempts there; whatever it inherits is filled in.
    """

    path: tuple[str, ...]
    policy: Policy


class ModelPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one place: whatever is known of it there before a request comes.

    ``model`` is the full id, ``upstream_model`` what the provider is sent. ``at`` is None for a
    name that was known when the config was loaded and no longer is. ``direct``: asked for by its
    own name, not through a route. ``policy`` is that of the innermost route around it; ``nested``
    are the routes around it, outermost first, without the one that was asked for. ``denied`` are
    the capabilities it is known to lack; ``timeout`` is in seconds to the commit.
    """

    model: str
    provider: str
    upstream_model: str
    at: Provider | None
    policy: Policy
    direct: bool
    estimator: EstimatorSettings
    tokenizer: str
    capacity_fraction: Decimal
    limits: Ceilings
    ceiling: int | None = None
    most_output: int | None = None
    denied: frozenset[Capability] = frozenset()
    retires_at: Sourced[str] | None = None
    timeout: float | None = None
    nested: tuple[Nested, ...] = ()
    facts: ModelFacts | None = None

    @property
    def prices(self) -> Mapping[str, Sourced[Decimal]]:
        """USD per million tokens by rate key; what is missing is unknown."""
        return {} if self.facts is None else self.facts.prices

    @property
    def off_peak(self) -> Hours | None:
        """The hours at which the tier ``off_peak`` holds."""
        said = None if self.facts is None else self.facts.off_peak
        return None if said is None else said.value


class AliasPlace(msgspec.Struct, frozen=True, kw_only=True):
    """An alias as it was written; ``pattern`` is the wildcard that matched, if one did."""

    id: str
    target: str
    pattern: str | None
    child: "Resolved"


class RoutePlace(msgspec.Struct, frozen=True, kw_only=True):
    """A route with what its places mean; ``rules`` are the targets of a dispatcher's rules.

    ``how`` names an alloy's strategy or a dispatcher's order. ``weights`` are an alloy's as
    integers in the same proportion, ``salt`` makes two alloys draw apart in one request.
    ``estimators`` are those of each rule's leaves.
    """

    route: Route
    kind: str
    how: str
    children: "tuple[Resolved, ...]"
    rules: "tuple[Resolved, ...]" = ()
    estimators: tuple[tuple[EstimatorSettings, ...], ...] = ()
    weights: tuple[int, ...] = ()
    salt: int = 0


Resolved = ModelPlace | AliasPlace | RoutePlace


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """What a name means: ``route`` is where it leads through aliases, None when to a model.

    ``notes`` say how bare names became models. ``repeats``: some model stands in several places.
    """

    place: Resolved
    route: RoutePlace | None
    repeats: bool
    notes: tuple[str, ...] = ()


def models(place: Resolved) -> list[ModelPlace]:
    """Return every model behind a place, in declaration order; rules' targets come last."""
    match place:
        case ModelPlace():
            return [place]
        case AliasPlace():
            return models(place.child)
        case RoutePlace():
            return [each for child in (*place.children, *place.rules) for each in models(child)]
