"""The order of a dispatcher's targets by what this request would cost at each.

The price of a target is that of the model that would most likely answer: of a cascade its first
step that can, of a dispatcher the target it decides for, of an alloy its dearest constituent,
since whichever is drawn may answer. A constituent of unknown price makes an alloy's unknown.
Where prices go by the hour, they are those of the moment.
"""

from decimal import Decimal
from itertools import pairwise

from gatewayctl.core import pricing
from gatewayctl.core.routing.decision import UNFIT, Estimate
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.tree import Leaf, Tree


def by_price(targets: list[int], trees: tuple[Tree, ...], planning: Planning) -> list[int]:
    """Return the indices of targets, the cheapest first; unknown prices last, as declared.

    Where a finer estimate might order them otherwise, the planning is told so.
    """
    found = ((index, _answering(trees[index], planning)) for index in targets)
    priced = [(index, leaf) for index, leaf in found if leaf is not None]
    known = [(index, leaf, _likely(leaf, planning)) for index, leaf in priced]
    ranked = sorted(known, key=lambda it: it[2])
    if any(_open(one, other, planning) for (_, one, _), (_, other, _) in pairwise(ranked)):
        planning.needs_sizes = True
    first = [index for index, _, _ in ranked]
    return first + [index for index in targets if index not in first]


def _answering(tree: Tree, planning: Planning) -> Leaf | None:
    """Return the leaf whose price a target has, None when it is unknown or nothing can answer."""
    if isinstance(tree, Leaf):
        return None if tree.skip is not None or _cost(tree, 0, planning) is None else tree
    able = [child for child in tree.children if child.fit is not UNFIT]
    if not able:
        return None
    if tree.kind != "alloy":
        return _answering(able[0], planning)
    priced = [leaf for child in able if (leaf := _answering(child, planning)) is not None]
    if len(priced) < len(able):
        return None
    return max(priced, key=lambda leaf: _likely(leaf, planning))


def _cost(leaf: Leaf, read: int, planning: Planning) -> Decimal | None:
    tier = pricing.tier_at(None, leaf.place.off_peak, planning.at)
    return pricing.cost(leaf.place.prices, read, leaf.wanted * planning.shape.n, tier)


def _likely(leaf: Leaf, planning: Planning) -> Decimal:
    return _known(leaf, 0 if leaf.estimate is None else leaf.estimate.likely, planning)


def _known(leaf: Leaf, read: int, planning: Planning) -> Decimal:
    found = _cost(leaf, read, planning)
    if found is None:
        raise AssertionError("only leaves with a price are compared")
    return found


def _open(one: Leaf, other: Leaf, planning: Planning) -> bool:
    """Tell whether the second may turn out cheaper than the first once sizes are known better."""
    mine, theirs = one.estimate, other.estimate
    if mine is None or theirs is None:
        return False
    if one.place.estimator is other.place.estimator:
        # Both grow with the same figure: their order at two sizes holds between these, unless one
        # of them passes a step.
        reads = {*_turns(one, mine), *_turns(other, mine)}
        return any(_known(one, read, planning) > _known(other, read, planning) for read in reads)
    most = max(_known(one, read, planning) for read in _turns(one, mine))
    return most > min(_known(other, read, planning) for read in _turns(other, theirs))


def _turns(leaf: Leaf, estimate: Estimate) -> tuple[int, ...]:
    return pricing.turns(leaf.place.prices, estimate.low, estimate.high)
