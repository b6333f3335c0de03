"""Which names lead to a route that remembers: where only that is asked, the answer is cheap.

Reading a conversation out of a body costs time that most requests can save.
"""

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.graph import (
    Alloy,
    AlloyScope,
    Cascade,
    Dispatcher,
    Place,
    Reevaluate,
    Route,
)
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.world import World


def remembers(name: str, world: World) -> bool:
    """Tell whether a name leads to a route whose picks outlive a request."""
    named = resolve(name, world, WireProtocol.CHAT_COMPLETIONS)
    match named:
        case None | ExactModel():
            return False
        case Aliased():
            return remembers(named.target, world)
        case _:
            return _keeps(named) or any(remembers(place.model, world) for place in _places(named))


def _keeps(route: Route) -> bool:
    match route:
        case Alloy():
            return route.scope is not AlloyScope.REQUEST
        case Cascade():
            return False
        case Dispatcher():
            return route.reevaluate is not Reevaluate.PER_TURN


def _places(route: Route) -> tuple[Place, ...]:
    if isinstance(route, Dispatcher):
        return (*(rule.target for rule in route.rules), *route.places)
    return route.places
