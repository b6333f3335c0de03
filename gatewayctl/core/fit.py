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
from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.routing.decision import GREY, SAFE, UNCHECKED, UNFIT, Estimate, Fit
from gatewayctl.core.routing.graph import Policy
from gatewayctl.core.routing.place import Ceilings
from gatewayctl.core.shape import RequestShape


class Budget(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Output tokens: what is ``wanted``, and the ``least`` that is worth sending for."""

    wanted: int
    least: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fit and by how many tokens the request is too large (0 when it is safe)."""

    fit: Fit
    shortfall: int = 0


_SAFE = Verdict(fit=SAFE)
_UNCHECKED = Verdict(fit=UNCHECKED)


def ceilings(
    facts: ModelFacts | None,
    declared: int | None,
    fraction: Decimal,
    *,
    most: int | None = None,
    betas: frozenset[str] = frozenset(),
) -> Ceilings:
    """Return the ceilings of a model: ``declared`` (a place's own window) before its facts.

    What is served or learned caps the window, whoever says it; so does ``most``, which the place
    of a route around this one declares. ``betas`` are those that the request carries. Where the
    output stands apart, the window that sources say bounds the input alone; one that is declared,
    served or learned holds both.
    """
    window = declared
    most_input = None
    cap = None
    if facts is not None:
        if window is None:
            window = _said(facts, betas)
        if facts.max_input_tokens is not None:
            most_input = facts.max_input_tokens.value
        cap = cap_of(facts, window)
    whole = declared is not None or facts is None or not facts.output_apart
    if cap is not None:
        window, whole = cap.value, True
    if most is not None and (window is None or most < window):
        window, cap, whole = most, None, True
    total = window
    if not whole and (most_input is None or window is None or window <= most_input):
        total, most_input = None, most_input or window
    return Ceilings(
        window=window,
        cap=cap,
        total=None if total is None else floor_product(total, fraction),
        input=None if most_input is None else floor_product(most_input, fraction),
    )


def cap_of(facts: ModelFacts, window: int | None) -> Sourced[int] | None:
    """Return the served or learned window that is smaller than ``window``, the smallest; or None.

    Where nobody says a window, the cap is all that is known of it.
    """
    caps = [cap for cap in (facts.served, facts.learned) if cap is not None]
    least = min(caps, key=lambda cap: cap.value, default=None)
    return least if least is not None and (window is None or least.value < window) else None


def _said(facts: ModelFacts, betas: frozenset[str]) -> int | None:
    """Return the window that is said of a model, for a request that carries these betas."""
    window = None if facts.context_window is None else facts.context_window.value
    unlocked = (each.context_window for each in facts.unlocked if each.beta in betas)
    return max(unlocked, default=None) or window


def budget(
    shape: RequestShape,
    most_output: int | None,
    window: int | None,
    policy: Policy,
    *,
    clamp: bool,
) -> Budget:
    """Return the output budget of a request at a model.

    ``most_output`` is the model's maximum, ``window`` its window before ``capacity_fraction``;
    None is unknown. ``clamp``: under a route a caller's budget is cut to the model's maximum; a
    model that is asked for directly gets it as it is. Without a caller's budget: the smallest
    known of the default, the model's maximum and a quarter of its window.
    """
    wanted = shape.output_budget
    if wanted is None:
        wanted = policy.default_output_tokens
        if most_output is not None and most_output < wanted:
            wanted = most_output
        if window is not None and window // 4 < wanted:
            wanted = window // 4
    elif clamp and most_output is not None and most_output < wanted:
        wanted = most_output
    least = wanted
    if policy.min_output < wanted:
        least = min(wanted, max(policy.min_output, shape.thinking_budget + 1))
    return Budget(wanted=wanted, least=least)


def judge(estimate: Estimate, output: Budget, limits: Ceilings) -> Verdict:
    """Return whether a request of this size, with this output, fits these ceilings."""
    if limits.total is None and limits.input is None:
        return _UNCHECKED
    shortfall = _excess(estimate.high, output.wanted, limits)
    if shortfall <= 0:
        return _SAFE
    grey = _excess(estimate.low, output.least, limits) <= 0
    return Verdict(fit=GREY if grey else UNFIT, shortfall=shortfall)


def _excess(tokens: int, output: int, limits: Ceilings) -> int:
    """Return by how much the tighter side is exceeded; at most 0 when both hold."""
    total, most_input = limits.total, limits.input
    if total is None:
        return 0 if most_input is None else tokens - most_input
    over = tokens + output - total
    return over if most_input is None else max(over, tokens - most_input)
