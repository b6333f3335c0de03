"""How much a name can hold, for lists and hints: the window of a model, an alias or a route.

An alloy holds what its smallest constituent holds, another route what its largest place holds.
Whether a request fits is judged leaf by leaf in ``plan``, never by these figures.
"""

from collections.abc import Sequence

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.graph import Alloy, Cascade, Dispatcher, Place
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.world import World


def window(name: str, world: World) -> int | None:
    """Return the context window behind a name in tokens, None when it is unknown."""
    named = resolve(name, world, WireProtocol.CHAT_COMPLETIONS)
    match named:
        case None:
            return None
        case ExactModel():
            facts = world.facts(named.provider, named.model)
            known = None if facts is None else facts.context_window
            return None if known is None else known.value
        case Aliased():
            return window(named.target, world)
        case Alloy():
            sizes = [size for place in named.places if (size := _placed(place, world)) is not None]
            least = named.min_context_window
            return min(sizes if least is None else [*sizes, least], default=None)
        case Cascade():
            return _largest(named.places, world)
        case Dispatcher():
            return _largest((*named.places, *(rule.target for rule in named.rules)), world)


def _largest(places: Sequence[Place], world: World) -> int | None:
    sizes = (size for place in places if (size := _placed(place, world)) is not None)
    return max(sizes, default=None)


def _placed(place: Place, world: World) -> int | None:
    return window(place.model, world) if place.context_window is None else place.context_window
