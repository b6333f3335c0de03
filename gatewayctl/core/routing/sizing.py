"""Sizing every model behind a name, whether or not it may be sent to: what ``estimate`` shows.

Unlike a plan this asks for no key, protocol or capability; it only says how large the request is
at each model, and whether it would fit there.
"""

from collections.abc import Iterator

import msgspec

from gatewayctl.core.routing import leaf
from gatewayctl.core.routing.decision import Fit
from gatewayctl.core.routing.graph import Place, Policy
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.world import Context


class SizedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model's figures; ``fit`` is the verdict under the fit mode in force."""

    model: str
    sized: leaf.Sized
    fit: Fit


def sized(name: str, context: Context) -> tuple[SizedModel, ...]:
    """Return each model behind a name once, by its first place; empty for an unknown name."""
    found: dict[str, SizedModel] = {}
    place = Place(model=name)
    for each in _walk(place, context.world.graph.policy, context, direct=True):
        found.setdefault(each.model, each)
    return tuple(found.values())


def _walk(place: Place, policy: Policy, context: Context, *, direct: bool) -> Iterator[SizedModel]:
    named = resolve(place.model, context.world, context.request.shape.protocol)
    match named:
        case None:
            return
        case ExactModel():
            figures = leaf.size(named, place, policy, context, direct=direct)
            provider = context.world.provider(named.provider)
            if provider is None:
                return
            fit, _ = leaf.grade(figures.verdict, provider, policy)
            yield SizedModel(model=f"{named.provider}/{named.model}", sized=figures, fit=fit)
        case Aliased():
            inner = msgspec.structs.replace(place, model=named.target)
            yield from _walk(inner, policy, context, direct=direct)
        case _:
            for child in named.places:
                yield from _walk(child, named.policy, context, direct=False)
