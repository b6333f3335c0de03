"""A decision: the plan, what was chosen, and why, for every model that could have answered.

``route-explain``, response headers, refusals and the ledger all render these values; their field
names are the ones of ``route-explain --json``.
"""

from enum import StrEnum

import msgspec

from gatewayctl.core.errors import ApiError
from gatewayctl.core.model import EstimatorSettings, WireProtocol
from gatewayctl.core.routing.graph import Policy
from gatewayctl.core.routing.session import Pick
from gatewayctl.core.shape import RequestShape


class Fit(StrEnum):
    """Whether a request fits a candidate: see ``core.fit``."""

    SAFE = "safe"
    GREY = "grey"
    UNFIT = "unfit"
    UNCHECKED = "unchecked"


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

    ``pinned``: a sticky session keeps another target, which is too small by now.
    """

    NO_KEY = "no_key"
    PROTOCOL = "protocol"
    CAPABILITY = "capability"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RETIRED = "retired"
    RULE_NOT_MATCHED = "rule_not_matched"
    TOO_LARGE = "too_large"
    UNKNOWN_WINDOW = "unknown_window"
    ALLOY_UNFIT = "alloy_unfit"
    PINNED = "pinned"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A model that may be attempted, and everything an attempt needs to know.

    ``model`` is the full id, ``upstream_model`` what the provider is sent. ``output_budget`` is
    the budget that was fitted; ``send_budget`` what the body must carry instead of the caller's
    (None: leave the body's own alone). ``ceiling`` is None when the window is unknown. ``timeout``
    is the place's, in seconds to the commit. ``turns`` are the
    round-robin alloys whose counter an attempt of this candidate moves; ``picks`` is what the
    session remembers, by route, once this candidate is attempted.
    """

    model: str
    provider: str
    upstream_model: str
    protocol: WireProtocol
    fit: Fit
    reason: str
    estimate: Estimate
    estimator: EstimatorSettings
    output_budget: int
    least_budget: int
    ceiling: int | None = None
    context_window: int | None = None
    send_budget: int | None = None
    timeout: float | None = None
    turns: tuple[str, ...] = ()
    picks: tuple[tuple[str, Pick], ...] = ()


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is not attempted, and why; ``detail`` is for a person.

    ``input_ceiling`` is the limit of the input alone where the model has one besides ``ceiling``.
    """

    model: str
    reason: SkipReason
    detail: str
    estimate: Estimate | None = None
    ceiling: int | None = None
    input_ceiling: int | None = None
    context_window: int | None = None
    output_budget: int | None = None
    least_budget: int | None = None
    shortfall: int | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the tree as it was judged; ``kind`` is model, alias or a route's kind."""

    id: str
    kind: str
    fit: Fit
    reason: str
    duplicate: bool = False
    children: tuple["Node", ...] = ()


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The ordered attempts, the skipped models with reasons, and the tree they came from.

    ``route_kind`` is alloy, cascade, dispatcher or model; ``error`` is set when ``attempts`` is
    empty. ``ceiling`` is what the name as a whole can hold, in tokens, None when unknown.
    ``notes`` are remarks a person should read (how a bare name was resolved, say).
    ``needs_sizes``: a rule or an order looked at sizes, so that a bound may not decide alone.
    """

    requested: str
    route: str | None
    route_kind: str
    shape: RequestShape
    attempts: tuple[Candidate, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    tree: Node | None = None
    ceiling: int | None = None
    error: ApiError | None = None
    notes: tuple[str, ...] = ()
    needs_sizes: bool = False
    policy: Policy = Policy()

    @property
    def chosen(self) -> str | None:
        """The full id of the model that is attempted first, None when there is none."""
        return self.attempts[0].model if self.attempts else None
