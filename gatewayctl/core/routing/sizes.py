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


def window(name: str, world: World, declared: int | None = None) -> int | None:
    """Return the context window behind a name in tokens, None when it is unknown.

    ``declared`` is what its place says of it.
    """
    named = resolve(name, world, WireProtocol.CHAT_COMPLETIONS)
    match named:
        case None:
            return declared
        case ExactModel():
            facts = world.facts(named.provider, named.model)
            return ceilings(facts, declared, Decimal(1)).window
        case Aliased():
            return window(named.target, world, declared)
        case Alloy():
            sizes = [size for place in named.places if (size := _placed(place, world)) is not None]
            sizes += [size for size in (named.min_context_window, declared) if size is not None]
            return min(sizes, default=None)
        case Cascade():
            return _least(_largest(named.places, world), declared)
        case Dispatcher():
            places = (*named.places, *(rule.target for rule in named.rules))
            return _least(_largest(places, world), declared)


def _largest(places: Sequence[Place], world: World) -> int | None:
    sizes = (size for place in places if (size := _placed(place, world)) is not None)
    return max(sizes, default=None)


def _least(one: int | None, other: int | None) -> int | None:
    return min((size for size in (one, other) if size is not None), default=None)


def _placed(place: Place, world: World) -> int | None:
    return window(place.model, world, place.context_window)
