"""A decision: the plan, what was chosen, and why, for every model that could have answered.

``route-explain``, response headers, refusals and the ledger all render these values; their names
are the ones of ``route-explain --json``. Figures are kept, words are made of them when asked for:
most decisions are never read by a person.
"""

from enum import StrEnum
from typing import Final, Protocol

import msgspec

from gatewayctl.core.errors import ApiError
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, WireProtocol
from gatewayctl.core.routing.graph import Policy
from gatewayctl.core.routing.place import ModelPlace, Nested
from gatewayctl.core.routing.session import Pick
from gatewayctl.core.shape import RequestShape


class Fit(StrEnum):
    """Whether a request fits a candidate: see ``core.fit``."""

    SAFE = "safe"
    GREY = "grey"
    UNFIT = "unfit"
    UNCHECKED = "unchecked"


# Judging looks at these a hundred times a plan, and a member costs ten times a global.
SAFE: Final = Fit.SAFE
GREY: Final = Fit.GREY
UNFIT: Final = Fit.UNFIT
UNCHECKED: Final = Fit.UNCHECKED


class Method(StrEnum):
    """How an estimate was made."""

    BOUND = "bound"
    ANCHOR = "anchor"
    RATIO = "ratio"
    EXACT = "exact"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Input tokens for one candidate's tokenizer; ``high`` carries the safety margin."""

    low: int
    likely: int
    high: int
    method: Method


class SkipReason(StrEnum):
    """Why a model is not attempted, in the order in which the reasons are looked for.

    ``not_allowed``: the client, by its key or its name, may not use it. ``credential_terminal``:
    its login is missing or dead. ``pinned``: a sticky session keeps another target, which
    is too small by now. ``cooling``: it failed lately, and so did all others. ``over_budget``: what
    is left of the client key's budget does not pay for it. Both are found after planning, of what
    would have been attempted.
    """

    NOT_ALLOWED = "not_allowed"
    NO_KEY = "no_key"
    CREDENTIAL_TERMINAL = "credential_terminal"
    PROTOCOL = "protocol"
    CAPABILITY = "capability"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RETIRED = "retired"
    RULE_NOT_MATCHED = "rule_not_matched"
    TOO_LARGE = "too_large"
    UNKNOWN_WINDOW = "unknown_window"
    ALLOY_UNFIT = "alloy_unfit"
    PINNED = "pinned"
    COOLING = "cooling"
    OVER_BUDGET = "over_budget"


class Barred(msgspec.Struct, frozen=True, kw_only=True):
    """Why a model is not for this request, whatever its size, as far as credentials go.

    ``until`` is in how many seconds it will be again, None where that is not known.
    """

    reason: SkipReason
    detail: str
    until: float | None = None


def why_it_fits(place: ModelPlace, estimate: Estimate, wanted: int) -> str:
    """Say how a request of this size, with this output, stands to a model's ceiling."""
    name = place.tokenizer
    if estimate.method in {Method.BOUND, Method.ANCHOR}:
        name = estimate.method.value
    elif estimate.method is Method.EXACT and place.estimator.kind is not EstimatorKind.HUGGINGFACE:
        name = place.estimator.vocabulary or name
    told = f"{estimate.high:,}"
    total, most_input = place.limits.total, place.limits.input
    if (total is not None and estimate.high + wanted > total) or (
        most_input is not None and estimate.high > most_input
    ):
        told = f"may not fit: {estimate.low:,} to {told}"
    return f"{told} in ({name}) + {wanted:,} out, ceiling {place.ceiling or 0:,}{place.limits.why}"


def why_it_does_not(place: ModelPlace, estimate: Estimate, wanted: int) -> str:
    """Say by how much a request exceeds the tighter limit of a model."""
    high, total, most_input = estimate.high, place.limits.total, place.limits.input
    over = None if total is None else high + wanted - total
    side = f"ceiling {total or 0:,}{place.limits.why}"
    if most_input is not None and (over is None or high - most_input > over):
        side, over = f"input limit {most_input:,}", high - most_input
    return f"{high:,} in + {wanted:,} out exceeds the {side} by {over or 0:,}"


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A model that may be attempted, and everything an attempt needs to know.

    ``output_budget`` is the budget that was fitted; ``send_budget`` what the body must carry
    instead of the caller's (None: leave the body's own alone). ``note`` is why it counts as fit
    where the sizes alone do not say. ``turns`` are the round-robin alloys whose counter an attempt
    of this candidate moves.

    ``picks`` is what the session remembers, by route, from the moment this candidate is attempted;
    a later attempt's picks replace it. An alloy's is the constituent that this candidate belongs
    to: whichever model answers the turn is kept. A dispatcher's is the target it decided for, the
    same on all of its candidates: a move caused by failure changes nothing. A route without an
    entry keeps what it had.
    """

    place: ModelPlace
    protocol: WireProtocol
    fit: Fit
    estimate: Estimate
    output_budget: int
    least_budget: int
    send_budget: int | None = None
    note: str = ""
    turns: tuple[str, ...] = ()
    picks: tuple[tuple[str, Pick], ...] = ()

    @property
    def model(self) -> str:
        """The full id."""
        return self.place.model

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.place.provider

    @property
    def upstream_model(self) -> str:
        """What the provider is sent as the model."""
        return self.place.upstream_model

    @property
    def estimator(self) -> EstimatorSettings:
        """The settings that the estimate was made with."""
        return self.place.estimator

    @property
    def ceiling(self) -> int | None:
        """What it may be filled to, in tokens; None when the window is unknown."""
        return self.place.ceiling

    @property
    def context_window(self) -> int | None:
        """Its window in tokens, None when unknown."""
        return self.place.limits.window

    @property
    def timeout(self) -> float | None:
        """The place's own limit, in seconds to the commit."""
        return self.place.timeout

    @property
    def nested(self) -> tuple[Nested, ...]:
        """The routes that it stands in, outermost first, without the one that was asked for."""
        return self.place.nested

    @property
    def reason(self) -> str:
        """Why it may be attempted, for a person."""
        return self.note or why_it_fits(self.place, self.estimate, self.output_budget)

    def skipped(self, reason: SkipReason, note: str, until: float | None = None) -> "Skipped":
        """Return it as one that is not attempted after all."""
        return Skipped(
            place=self.place,
            reason=reason,
            note=note,
            estimate=self.estimate,
            output_budget=self.output_budget,
            least_budget=self.least_budget,
            until=until,
        )


class Skipped(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A model that is not attempted, and why.

    ``note`` says it where figures do not. Figures are None where the model was not sized. ``until``
    is in how many seconds the reason is over, where that is known.
    """

    place: ModelPlace
    reason: SkipReason
    note: str = ""
    estimate: Estimate | None = None
    output_budget: int | None = None
    least_budget: int | None = None
    shortfall: int | None = None
    until: float | None = None

    @property
    def model(self) -> str:
        """The full id."""
        return self.place.model

    @property
    def ceiling(self) -> int | None:
        """What it may be filled to, in tokens; None when unknown or not looked at."""
        return None if self.estimate is None else self.place.ceiling

    @property
    def input_ceiling(self) -> int | None:
        """The limit of the input alone, where the model has one."""
        return None if self.estimate is None else self.place.limits.input

    @property
    def context_window(self) -> int | None:
        """Its window in tokens, None when unknown or not looked at."""
        return None if self.estimate is None else self.place.limits.window

    @property
    def detail(self) -> str:
        """Why it is not attempted, for a person."""
        if self.note or self.estimate is None:
            return self.note
        return why_it_does_not(self.place, self.estimate, self.output_budget or 0)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the tree as it was judged; ``kind`` is model, alias or a route's kind."""

    id: str
    kind: str
    fit: Fit
    reason: str
    duplicate: bool = False
    children: tuple["Node", ...] = ()


class Judged(Protocol):
    """The tree of a plan, which can show itself."""

    def node(self) -> Node:
        """Return the tree as explanations show it."""
        ...


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The ordered attempts, the skipped models with reasons, and the tree they came from.

    ``route_kind`` is alloy, cascade, dispatcher or model; ``error`` is set when ``attempts`` is
    empty. ``ceiling`` is what the name as a whole can hold, in tokens, None when unknown.
    ``notes`` are remarks a person should read (how a bare name was resolved, say).
    ``policy`` is that of the route asked for; candidates in a nested route have that one's as well.
    ``at`` is when it was made, in seconds since 1970, None where no price is to go by the hour.
    ``needs_sizes``: a rule, an order by price or a place that does not show depended on the
    request's size, in a way that a finer estimate might change.
    """

    requested: str
    route: str | None
    route_kind: str
    shape: RequestShape
    attempts: tuple[Candidate, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    judged: Judged | None = None
    ceiling: int | None = None
    error: ApiError | None = None
    notes: tuple[str, ...] = ()
    needs_sizes: bool = False
    policy: Policy = Policy()
    at: float | None = None

    @property
    def tree(self) -> Node | None:
        """The tree with a reason at every place; None for an unknown name."""
        return None if self.judged is None else self.judged.node()

    @property
    def chosen(self) -> str | None:
        """The full id of the model that is attempted first, None when there is none."""
        return self.attempts[0].model if self.attempts else None

    def without(self, skipped: Skipped) -> "Decision":
        """Return it with a candidate passed over that was to be attempted."""
        return msgspec.structs.replace(
            self,
            attempts=tuple(it for it in self.attempts if it.model != skipped.model),
            skipped=(*self.skipped, skipped),
        )
