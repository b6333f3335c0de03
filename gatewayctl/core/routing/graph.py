"""What can be asked for: aliases, routes and their places, as values.

Built by ``config.resolve`` from a valid file (ids unique, no cycles, every reference known), read
by ``core.routing.plan``. How people write these is ``config.schema``'s business.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import EstimatorSettings, WireProtocol


class FitMode(StrEnum):
    """How strictly size decides: see ``core.fit``."""

    GUARD = "guard"
    STRICT = "strict"
    OFF = "off"


class OnBreak(StrEnum):
    """What happens when a stream breaks after its commit."""

    ERROR = "error"
    BUFFER = "buffer"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How requests are tried: ``[routing]``, or a route's own overrides of it.

    ``deadline`` is in seconds, to the commit, over all attempts; ``min_output`` and
    ``default_output_tokens`` are tokens.
    """

    fit: FitMode = FitMode.GUARD
    strict_unknown: bool = False
    min_output: int = 4096
    default_output_tokens: int = 4096
    on_break: OnBreak = OnBreak.ERROR
    fallback_on: frozenset[FailureKind] = frozenset(
        {
            FailureKind.TIMEOUT,
            FailureKind.NETWORK,
            FailureKind.RATE_LIMITED,
            FailureKind.QUOTA_EXHAUSTED,
            FailureKind.OVERLOADED,
            FailureKind.SERVER_ERROR,
            FailureKind.BAD_RESPONSE,
            FailureKind.MODEL_NOT_FOUND,
            FailureKind.CONTEXT_OVERFLOW,
        }
    )
    deadline: float = 300.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One reference inside a route, with what is said about it there.

    ``model`` is a name as written: ``provider/model``, an alias or a route. ``context_window`` is
    tokens, None for "auto"; ``timeout`` is seconds from an attempt's start to its commit.
    """

    model: str
    context_window: int | None = None
    weight: Decimal = Decimal(1)
    timeout: float | None = None
    estimator: EstimatorSettings | None = None


ATTEMPTING: Final = ("on_break", "fallback_on", "deadline")
"""What a policy says of attempts, as opposed to what fits."""


class AlloyStrategy(StrEnum):
    """How an alloy chooses its head."""

    WEIGHTED = "weighted"
    ROUND_ROBIN = "round_robin"


class AlloyScope(StrEnum):
    """How long an alloy keeps its choice."""

    TURN = "turn"
    REQUEST = "request"
    SESSION = "session"


class Alloy(msgspec.Struct, frozen=True, kw_only=True, tag="alloy"):
    """A blend of interchangeable models: safe up to its smallest window.

    ``min_context_window`` is tokens, None when it follows from the constituents. ``inherits`` are
    the fields of its policy, of ``ATTEMPTING``, that inside another route are that one's.
    """

    id: str
    name: str
    places: tuple[Place, ...]
    policy: Policy
    inherits: frozenset[str] = frozenset()
    strategy: AlloyStrategy = AlloyStrategy.WEIGHTED
    scope: AlloyScope = AlloyScope.TURN
    min_context_window: int | None = None
    partial_context: bool = False


class Cascade(msgspec.Struct, frozen=True, kw_only=True, tag="cascade"):
    """Ordered fallback: steps in declaration order. ``inherits`` is as in Alloy."""

    id: str
    places: tuple[Place, ...]
    policy: Policy
    inherits: frozenset[str] = frozenset()
    name: str = ""


class Order(StrEnum):
    """In which order a dispatcher looks at its targets."""

    DECLARED = "declared"
    SMALLEST = "smallest"
    CHEAPEST = "cheapest"


class Reevaluate(StrEnum):
    """Whether a dispatcher picks anew within a session."""

    PER_TURN = "per_turn"
    STICKY = "sticky"
    STICKY_ESCALATE = "sticky_escalate"
    WORST_CASE = "worst_case"


class When(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's conditions, all of which must hold; None is not asked."""

    max_input_tokens: int | None = None
    min_input_tokens: int | None = None
    tools: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    stream: bool | None = None
    reasoning: bool | None = None
    json_schema: bool | None = None
    protocol: WireProtocol | None = None
    client: str | None = None
    header: Mapping[str, str] = {}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatcher's explicit rule: where the request goes when its conditions hold."""

    when: When
    target: Place


class Dispatcher(msgspec.Struct, frozen=True, kw_only=True, tag="dispatcher"):
    """Routing by size and shape: rules first, then targets in order. ``inherits`` as in Alloy."""

    id: str
    places: tuple[Place, ...]
    policy: Policy
    inherits: frozenset[str] = frozenset()
    name: str = ""
    order: Order = Order.DECLARED
    reevaluate: Reevaluate = Reevaluate.PER_TURN
    max_escalations: int = 1
    assume_session_max_tokens: int = 0
    rules: tuple[Rule, ...] = ()


Route = Alloy | Cascade | Dispatcher


class RouteGraph(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that has a name of the user's making.

    ``aliases`` maps exact names and ``wildcards`` patterns with ``*`` (longest first) to a target
    name; ``policy`` is for models that are asked for directly.
    """

    aliases: Mapping[str, str] = {}
    wildcards: tuple[tuple[str, str], ...] = ()
    routes: Mapping[str, Route] = {}
    policy: Policy = Policy()
