"""Whether a request fits a model: ceilings, output budgets, shortfalls, and the verdict.

::

    safe   high + wanted <= ceiling  and  high <= input_ceiling
    grey   not safe, but low + least <= ceiling  and  low <= input_ceiling
    unfit  otherwise

Equality fits. An unknown limit is not checked. One function computes the budget, for every place
that needs it; which candidate is tried is ``core.routing``'s business.
"""

from decimal import Decimal

import msgspec

from gatewayctl.core.exact import floor_product
from gatewayctl.core.model import ModelFacts
from gatewayctl.core.routing.decision import Estimate, Fit
from gatewayctl.core.routing.graph import Policy
from gatewayctl.core.shape import RequestShape


class Ceilings(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may be filled to, in tokens; None is unknown.

    ``window`` is the window before ``capacity_fraction``, for explanations.
    """

    window: int | None = None
    total: int | None = None
    input: int | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Output tokens: what is ``wanted``, and the ``least`` that is worth sending for."""

    wanted: int
    least: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A fit and by how many tokens the request is too large (0 when it is safe)."""

    fit: Fit
    shortfall: int = 0


def ceilings(facts: ModelFacts | None, declared: int | None, fraction: Decimal) -> Ceilings:
    """Return the ceilings of a model: ``declared`` (a place's own window) before its facts."""
    window = declared
    most_input = None
    if facts is not None:
        if window is None and facts.context_window is not None:
            window = facts.context_window.value
        if facts.max_input_tokens is not None:
            most_input = facts.max_input_tokens.value
    return Ceilings(
        window=window,
        total=None if window is None else floor_product(window, fraction),
        input=None if most_input is None else floor_product(most_input, fraction),
    )


def budget(
    shape: RequestShape,
    facts: ModelFacts | None,
    window: int | None,
    policy: Policy,
    *,
    clamp: bool,
) -> Budget:
    """Return the output budget of a request at a model.

    ``clamp``: under a route a caller's budget is cut to the model's maximum; a model that is
    asked for directly gets it as it is. Without a caller's budget: the smallest known of the
    default, the model's maximum and a quarter of its window.
    """
    most = facts.max_output_tokens.value if facts and facts.max_output_tokens else None
    if shape.output_budget is not None:
        wanted = shape.output_budget
        if clamp and most is not None:
            wanted = min(wanted, most)
    else:
        known = [policy.default_output_tokens]
        if most is not None:
            known.append(most)
        if window is not None:
            known.append(window // 4)
        wanted = min(known)
    thinking = shape.thinking_budget + 1 if shape.thinking_budget else 0
    return Budget(wanted=wanted, least=min(wanted, max(policy.min_output, thinking)))


def judge(estimate: Estimate, output: Budget, limits: Ceilings) -> Verdict:
    """Return whether a request of this size, with this output, fits these ceilings."""
    if limits.total is None and limits.input is None:
        return Verdict(fit=Fit.UNCHECKED)
    shortfall = _excess(estimate.high, output.wanted, limits)
    if shortfall <= 0:
        return Verdict(fit=Fit.SAFE)
    grey = _excess(estimate.low, output.least, limits) <= 0
    return Verdict(fit=Fit.GREY if grey else Fit.UNFIT, shortfall=shortfall)


def _excess(tokens: int, output: int, limits: Ceilings) -> int:
    """Return by how much the tighter side is exceeded; at most 0 when both hold."""
    sides = []
    if limits.total is not None:
        sides.append(tokens + output - limits.total)
    if limits.input is not None:
        sides.append(tokens - limits.input)
    return max(sides)
