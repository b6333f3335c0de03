"""How much a name can hold, for lists and hints: the window of a model, an alias or a route.

An alloy holds what its smallest constituent holds, another route what its largest place holds.
Whether a request fits is judged leaf by leaf in ``plan``, never by these figures.
"""

from collections.abc import Sequence
from decimal import Decimal

from gatewayctl.core.fit import ceilings
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.graph import Alloy, Cascade, Dispatcher, Place
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.world import World


def window(
    name: str, world: World, declared: int | None = None, only: frozenset[str] | None = None
) -> int | None:
    """Return the context window behind a name in tokens, None when it is unknown.

    ``declared`` is what its place says of it. ``only`` are the models (full ids) that count, None
    for all.
    """
    named = resolve(name, world, WireProtocol.CHAT_COMPLETIONS)
    match named:
        case None:
            return declared
        case ExactModel():
            facts = world.facts(named.provider, named.model)
            counts = only is None or f"{named.provider}/{named.model}" in only
            return ceilings(facts, declared, Decimal(1)).window if counts else None
        case Aliased():
            return window(named.target, world, declared, only)
        case Alloy():
            sizes = _sizes(named.places, world, only)
            sizes += [size for size in (named.min_context_window, declared) if size is not None]
            return min(sizes, default=None)
        case Cascade():
            return _least(max(_sizes(named.places, world, only), default=None), declared)
        case Dispatcher():
            places = (*named.places, *(rule.target for rule in named.rules))
            return _least(max(_sizes(places, world, only), default=None), declared)


def _sizes(places: Sequence[Place], world: World, only: frozenset[str] | None) -> list[int]:
    found = (window(place.model, world, place.context_window, only) for place in places)
    return [size for size in found if size is not None]


def _least(one: int | None, other: int | None) -> int | None:
    return min((size for size in (one, other) if size is not None), default=None)
