"""Dispatchers: the target that a rule names, else the first in order that can hold the request.

What a session makes of an earlier pick is ``sticky``'s business, whether a rule holds ``rules``'.
"""

from collections.abc import Callable
from typing import Final

from gatewayctl.core.routing import sticky
from gatewayctl.core.routing.cheapest import by_price
from gatewayctl.core.routing.decision import UNFIT
from gatewayctl.core.routing.graph import Dispatcher, Order, Reevaluate
from gatewayctl.core.routing.place import Resolved, RoutePlace
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.rules import holds
from gatewayctl.core.routing.sticky import Target
from gatewayctl.core.routing.tree import Branch, Leaf, Tree, best

# See decision.SAFE: members are slow to look up.
_SMALLEST: Final = Order.SMALLEST
_CHEAPEST: Final = Order.CHEAPEST
_WORST_CASE: Final = Reevaluate.WORST_CASE

Judge = Callable[[Resolved, Planning], Tree]


def pick(
    dispatcher: Dispatcher, place: RoutePlace, planning: Planning, judge: Judge, bar: Judge
) -> Branch:
    """Return the dispatcher with its targets in the order they are looked at.

    ``judge`` judges a place, ``bar`` marks what a rule that does not hold would lead to.
    """
    before = sticky.remembered(dispatcher, planning.session)
    trees = tuple([judge(child, planning) for child in place.children])
    looked = [
        Target(name=dispatcher.places[index].model, tree=trees[index])
        for index in _order(dispatcher.order, trees, planning)
    ]
    matched: list[Target] = []
    barred: list[Tree] = []
    for index, rule in enumerate(dispatcher.rules):
        there, name = place.rules[index], rule.target.model
        if holds(rule.when, place.estimators[index], planning):
            matched.append(Target(name=name, tree=judge(there, planning), rule=index + 1))
        elif before is not None and before.child == name:
            # What a session keeps it keeps, even where the rule that led there holds no longer.
            looked.append(Target(name=name, tree=judge(there, planning)))
        else:
            barred.append(bar(there, planning))
    if matched:
        looked = _with_rules(looked, matched)
    if dispatcher.reevaluate is _WORST_CASE:
        tokens = dispatcher.assume_session_max_tokens
        looked.sort(key=lambda target: not _holds(target.tree, tokens))
    chosen = sticky.choose(dispatcher, looked, place.how, before, planning.session)
    children = [target.tree for target in chosen.targets]
    return Branch(
        id=dispatcher.id,
        kind=place.kind,
        children=(*children, *barred),
        fit=best(children),
        reason=chosen.reason,
        ceiling=chosen.ceiling,
        picks=() if chosen.pick is None else (chosen.pick,) * len(children),
        held=chosen.held,
    )


def _with_rules(looked: list[Target], matched: list[Target]) -> list[Target]:
    """Put the first rule's target that can answer before all others, the other rules' last."""
    lead = next((target for target in matched if target.tree.fit is not UNFIT), None)
    if lead is None:
        return [*looked, *matched]
    return [lead, *looked, *(target for target in matched if target is not lead)]


def _order(order: Order, trees: tuple[Tree, ...], planning: Planning) -> list[int]:
    """Return the indices of the targets; those without any known size last, whatever the order."""
    sized = [index for index, tree in enumerate(trees) if tree.ceiling is not None]
    if order is _SMALLEST:
        sized.sort(key=lambda index: trees[index].ceiling or 0)
    elif order is _CHEAPEST:
        sized = by_price(sized, trees, planning)
    if len(sized) == len(trees):
        return sized
    unsized = [index for index, tree in enumerate(trees) if tree.ceiling is None]
    return sized + (by_price(unsized, trees, planning) if order is _CHEAPEST else unsized)


def _holds(tree: Tree, tokens: int) -> bool:
    """Tell whether a target could hold so many tokens, by every limit that is known of it."""
    if isinstance(tree, Leaf):
        limits = (tree.place.limits.total, tree.place.limits.input)
        known = [limit for limit in limits if limit is not None]
        return bool(known) and min(known) >= tokens
    able = [child for child in tree.children if child.fit is not UNFIT]
    if tree.kind == "alloy":
        return bool(able) and all(_holds(child, tokens) for child in able)
    return any(_holds(child, tokens) for child in able)
