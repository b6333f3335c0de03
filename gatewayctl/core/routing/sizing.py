"""Sizing every model behind a name, whether or not it may be sent to: what ``estimate`` shows.

Unlike a plan this asks for no key, protocol or capability; it only says how large the request is
at each model, and whether it would fit there.
"""

import msgspec

from gatewayctl.core.routing import leaf
from gatewayctl.core.routing.decision import Fit, SkipReason
from gatewayctl.core.routing.place import models
from gatewayctl.core.routing.plan import judged
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.resolved import asked_for
from gatewayctl.core.routing.tree import Tree, leaves
from gatewayctl.core.routing.world import Context


class SizedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model's figures; ``fit`` is the verdict there under the fit mode in force."""

    model: str
    sized: leaf.Sized
    fit: Fit


def sized(name: str, context: Context) -> tuple[SizedModel, ...]:
    """Return each model behind a name once; empty for an unknown name.

    By its first place that fits, else by its first. A model fits nowhere in a blend that cannot
    hold the request, however large it is itself.
    """
    root = asked_for(name, context.request, context.world)
    if root is None:
        return ()
    planning = Planning(context, sizes_only=True)
    found: dict[str, SizedModel] = {}
    blended = _blended(judged(root.place, planning))
    for place in models(root.place):
        if place.at is None:
            continue
        known = found.get(place.model)
        if known is not None and known.fit is not Fit.UNFIT:
            continue
        figures = leaf.size(place, planning)
        fit, _ = leaf.grade(figures.verdict, place, place.at)
        if id(place) in blended:
            fit = Fit.UNFIT
        if known is None or fit is not Fit.UNFIT:
            found[place.model] = SizedModel(model=place.model, sized=figures, fit=fit)
    return tuple(found.values())


def _blended(tree: Tree) -> set[int]:
    """Return the ids of the places that only the blend around them keeps from answering.

    Ids are of use only while the tree is there.
    """
    by_blend: set[int] = set()
    free: set[int] = set()
    for each in leaves(tree):
        (by_blend if each.skip is SkipReason.ALLOY_UNFIT else free).add(id(each.place))
    return by_blend - free
