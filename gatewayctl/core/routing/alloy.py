"""Alloys: a blend of interchangeable models, drawn by weight or in turn.

An alloy is as fit as its least fit constituent, so that whichever is drawn can hold the request.
Constituents without a key, protocol or capability are pruned like anywhere else; one that is too
small makes the whole alloy unfit, unless ``partial_context`` lets it be dropped.
"""

from decimal import Decimal
from zlib import crc32

from gatewayctl.core.routing.decision import Candidate, Fit
from gatewayctl.core.routing.graph import Alloy, AlloyStrategy
from gatewayctl.core.routing.tree import (
    Branch,
    Tree,
    ceilings,
    condemn,
    fit_of,
    leaves,
    name_of,
    too_large,
    worst,
)
from gatewayctl.core.routing.world import Request

_MASK = (1 << 64) - 1
_UNIT = Decimal(1 << 64)


def blend(alloy: Alloy, children: tuple[Tree, ...], request: Request) -> Branch:
    """Return the alloy with its constituents in drawn order, or unfit as a whole."""
    order = _order(alloy, children, request)
    drawn = tuple(children[index] for index in order)
    small = [child for child in drawn if too_large(child)]
    why = _below_minimum(alloy, drawn)
    if why is None and small and not alloy.partial_context:
        why = f"{name_of(small[0])} cannot hold it, and a blend is as large as its smallest"
    if why is not None:
        return _branch(alloy, tuple(condemn(child, why) for child in drawn), Fit.UNFIT, why)
    remaining = [fit for child in drawn if (fit := fit_of(child)) is not Fit.UNFIT]
    if not remaining:
        return _branch(alloy, drawn, Fit.UNFIT, "no constituent can answer")
    reason = f"{alloy.strategy} over {len(remaining)} of {len(drawn)}"
    if small:
        reason += f"; the blend changed: without {', '.join(map(name_of, small))}"
    return _branch(alloy, drawn, worst(remaining), reason)


def _branch(alloy: Alloy, children: tuple[Tree, ...], fit: Fit, reason: str) -> Branch:
    return Branch(
        id=alloy.id,
        kind="alloy",
        children=children,
        fit=fit,
        reason=reason,
        ceiling=_ceiling(alloy, children),
        turns=alloy.strategy is AlloyStrategy.ROUND_ROBIN,
    )


def _ceiling(alloy: Alloy, children: tuple[Tree, ...]) -> int | None:
    """Return the smallest constituent's, or the largest's where small ones may be dropped."""
    known = ceilings(children)
    held = max(known, default=None) if alloy.partial_context else min(known, default=None)
    least = alloy.min_context_window
    return held if least is None else min(least, held or least)


def _below_minimum(alloy: Alloy, children: tuple[Tree, ...]) -> str | None:
    """Say how the request exceeds an explicit ``min_context_window``, if it does."""
    if alloy.min_context_window is None:
        return None
    largest = max(
        (
            each.leaf.outcome.estimate.high + each.leaf.outcome.output_budget
            for child in children
            for each in leaves(child)
            if isinstance(each.leaf.outcome, Candidate)
        ),
        default=0,
    )
    if largest <= alloy.min_context_window:
        return None
    return f"{largest:,} tokens exceed the alloy's min_context_window {alloy.min_context_window:,}"


def _order(alloy: Alloy, children: tuple[Tree, ...], request: Request) -> list[int]:
    """Return the indices of the children: those that can answer as drawn, the others after."""
    able = [index for index, child in enumerate(children) if fit_of(child) is not Fit.UNFIT]
    unable = [index for index in range(len(children)) if index not in able]
    if alloy.strategy is AlloyStrategy.ROUND_ROBIN:
        if able:
            start = request.counters.get(alloy.id, 0) % len(able)
            able = able[start:] + able[:start]
        return able + unable
    return _draw(alloy, able, request.seed) + unable


def _draw(alloy: Alloy, able: list[int], seed: int) -> list[int]:
    """Draw without replacement, each with a chance proportional to its weight."""
    state = seed ^ crc32(alloy.id.encode())
    drawn: list[int] = []
    left = list(able)
    while left:
        state, chance = _next(state)
        point = chance * sum((alloy.places[index].weight for index in left), Decimal(0))
        for index in left:
            point -= alloy.places[index].weight
            if point < 0:
                break
        drawn.append(index)
        left.remove(index)
    return drawn


def _next(state: int) -> tuple[int, Decimal]:
    """SplitMix64 (Steele, Lea, Flood 2014): the next state and a number in [0, 1)."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, Decimal(mixed ^ (mixed >> 31)) / _UNIT
