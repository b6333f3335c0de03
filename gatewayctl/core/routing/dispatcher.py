"""Dispatchers: the first target that can hold the request, in declared or in size order."""

from typing import assert_never

from gatewayctl.core.routing.decision import Fit
from gatewayctl.core.routing.graph import Dispatcher, Order
from gatewayctl.core.routing.tree import Branch, Tree, best, ceiling, ceilings, fit_of, name_of


def pick(dispatcher: Dispatcher, children: tuple[Tree, ...]) -> Branch:
    """Return the dispatcher with its targets in the order they are looked at."""
    looked = _order(dispatcher.order, children)
    first = next((child for child in looked if fit_of(child) is not Fit.UNFIT), None)
    reason = "no target can answer"
    if first is not None:
        reason = f"first of {len(looked)} targets that fits ({dispatcher.order}): {name_of(first)}"
    return Branch(
        id=dispatcher.id,
        kind="dispatcher",
        children=looked,
        fit=best([fit_of(child) for child in looked]),
        reason=reason,
        ceiling=max(ceilings(looked), default=None),
    )


def _order(order: Order, children: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """Targets without any known size come last, whatever the order."""
    match order:
        case Order.DECLARED:
            return tuple(sorted(children, key=lambda child: ceiling(child) is None))
        case Order.SMALLEST:
            return tuple(
                sorted(children, key=lambda child: (ceiling(child) is None, ceiling(child) or 0))
            )
        case Order.CHEAPEST:
            raise AssertionError("refused at load until prices are known to routing")
        case _:
            assert_never(order)
