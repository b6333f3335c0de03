"""Sizing every model behind a name, whether or not it may be sent to: what ``estimate`` shows.

Unlike a plan this asks for no key, protocol or capability; it only says how large the request is
at each model, and whether it would fit there.
"""

import msgspec

from gatewayctl.core.routing import leaf
from gatewayctl.core.routing.decision import Fit
from gatewayctl.core.routing.place import models
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.resolved import resolved
from gatewayctl.core.routing.world import Context


class SizedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model's figures; ``fit`` is the verdict under the fit mode in force."""

    model: str
    sized: leaf.Sized
    fit: Fit


def sized(name: str, context: Context) -> tuple[SizedModel, ...]:
    """Return each model behind a name once, by its first place; empty for an unknown name."""
    root = resolved(name, context.world, context.request.shape.protocol)
    if root is None:
        return ()
    planning = Planning(context)
    found: dict[str, SizedModel] = {}
    for place in models(root.place):
        if place.at is not None and place.model not in found:
            figures = leaf.size(place, planning)
            fit, _ = leaf.grade(figures.verdict, place.at, place.policy)
            found[place.model] = SizedModel(model=place.model, sized=figures, fit=fit)
    return tuple(found.values())
