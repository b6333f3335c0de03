"""Alloys: a blend of interchangeable models, drawn by weight or in turn, kept within its scope.

An alloy is as fit as its least fit constituent, so that whichever is drawn can hold the request.
Constituents without a key, protocol or capability are pruned like anywhere else; one that is too
small makes the whole alloy unfit, unless ``partial_context`` lets it be dropped.
"""

from typing import Final

from gatewayctl.core.chance import drawn
from gatewayctl.core.routing.decision import GREY, SAFE, UNCHECKED, UNFIT, Fit, SkipReason
from gatewayctl.core.routing.graph import Alloy, AlloyScope, AlloyStrategy, FitMode
from gatewayctl.core.routing.place import RoutePlace
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.session import Pick, Session
from gatewayctl.core.routing.tree import (
    Branch,
    Tree,
    condemn,
    largest,
    leaves,
    name_of,
    smallest,
    too_large,
)

# See decision.SAFE: members are slow to look up.
_ROUND_ROBIN: Final = AlloyStrategy.ROUND_ROBIN
_REQUEST: Final = AlloyScope.REQUEST
_SESSION: Final = AlloyScope.SESSION
_OFF: Final = FitMode.OFF


def blend(
    alloy: Alloy, place: RoutePlace, children: tuple[Tree, ...], planning: Planning
) -> Branch:
    """Return the alloy with its constituents in drawn order, or unfit as a whole."""
    able = [index for index, child in enumerate(children) if child.fit is not UNFIT]
    small = [] if len(able) == len(children) else [it for it in children if too_large(it)]
    why = _exceeds_minimum(alloy, children)
    if why is None and small and not alloy.partial_context:
        why = f"{name_of(small[0])} cannot hold it, and a blend is as large as its smallest"
    ceiling = _ceiling(alloy, children)
    if why is not None or not able:
        if why is not None:
            children = tuple(condemn(it, SkipReason.ALLOY_UNFIT, why) for it in children)
        return Branch(
            id=alloy.id,
            kind=place.kind,
            children=children,
            fit=UNFIT,
            reason=why or "no constituent can answer",
            ceiling=ceiling,
        )
    order = _drawn(alloy, place, able, planning)
    reason = f"{place.how} over {len(able)} of {len(children)}"
    if small:
        reason += f"; the blend changed: without {', '.join(map(name_of, small))}"
    kept = _kept(alloy, planning.session)
    holds = kept is not None and _first(alloy, order, kept.child)
    if kept is not None and holds:
        reason += f"; {kept.child} kept since turn {kept.turn}"
    picks = _picks(alloy, order, kept if holds else None, planning.session)
    if len(able) < len(children):
        order += [index for index in range(len(children)) if index not in able]
    return Branch(
        id=alloy.id,
        kind=place.kind,
        children=tuple([children[index] for index in order]),
        fit=_worst(children),
        reason=reason,
        ceiling=ceiling,
        turns=alloy.strategy is _ROUND_ROBIN and not holds,
        picks=picks,
        memory=_memory(alloy, planning.session),
        held=holds,
    )


def _kept(alloy: Alloy, session: Session | None) -> Pick | None:
    """Return what this session picked before, where the alloy's scope still covers it."""
    if session is None or alloy.scope is _REQUEST:
        return None
    pick = session.picks.get(_memory(alloy, session))
    if pick is None or alloy.scope is _SESSION:
        return pick
    return pick if session.continues and pick.turn == session.turn else None


def _memory(alloy: Alloy, session: Session | None) -> str:
    """Return under what the alloy's pick is remembered: a turn belongs to one conversation."""
    if session is None or alloy.scope is _SESSION:
        return alloy.id
    return session.of_thread(alloy.id)


def _first(alloy: Alloy, order: list[int], name: str) -> bool:
    """Put the constituent of this name first; False when it is not among those that can answer."""
    for index in order:
        if alloy.places[index].model == name:
            order.remove(index)
            order.insert(0, index)
            return True
    return False


def _picks(
    alloy: Alloy, order: list[int], kept: Pick | None, session: Session | None
) -> tuple[Pick, ...]:
    """Return what is remembered of each constituent, should it answer."""
    if session is None or alloy.scope is _REQUEST:
        return ()
    picks = [Pick(child=alloy.places[index].model, turn=session.turn) for index in order]
    if kept is not None:
        picks[0] = kept
    return tuple(picks)


def _worst(children: tuple[Tree, ...]) -> Fit:
    """Return the worst fit of the constituents that remain."""
    found = SAFE
    for child in children:
        if child.fit is GREY:
            return GREY
        if child.fit is UNCHECKED:
            found = UNCHECKED
    return found


def _ceiling(alloy: Alloy, children: tuple[Tree, ...]) -> int | None:
    """Return the smallest constituent's, or the largest's where small ones may be dropped."""
    held = largest(children) if alloy.partial_context else smallest(children)
    least = alloy.min_context_window
    return held if least is None else min(least, held or least)


def _exceeds_minimum(alloy: Alloy, children: tuple[Tree, ...]) -> str | None:
    """Say how the request exceeds an explicit ``min_context_window``, if it does."""
    minimum = alloy.min_context_window
    if minimum is None or alloy.policy.fit is _OFF:
        return None
    needed = max(
        (
            leaf.estimate.high + leaf.wanted
            for child in children
            for leaf in leaves(child)
            if leaf.skip is None and leaf.estimate is not None
        ),
        default=0,
    )
    if needed <= minimum:
        return None
    return f"{needed:,} tokens exceed the alloy's min_context_window {minimum:,}"


def _drawn(alloy: Alloy, place: RoutePlace, able: list[int], planning: Planning) -> list[int]:
    """Return the indices of those that can answer, in the order they are tried."""
    if alloy.strategy is _ROUND_ROBIN:
        start = planning.request.counters.get(alloy.id, 0) % len(able)
        return able[start:] + able[:start]
    return draw(place.weights, able, planning.request.seed ^ place.salt)


def draw(weights: tuple[int, ...], able: list[int], state: int) -> list[int]:
    """Draw without replacement, each with a chance proportional to its weight.

    ``able`` are indices of ``weights``; ``state`` is 64 bits of chance.
    """
    left = list(able)
    total = sum([weights[index] for index in left])
    order: list[int] = []
    while len(left) > 1:
        state, chance = drawn(state)
        point = chance * total >> 64
        for index in left:
            point -= weights[index]
            if point < 0:
                break
        order.append(index)
        left.remove(index)
        total -= weights[index]
    return order + left
