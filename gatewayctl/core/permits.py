"""Which models, routes and aliases a client key may use.

A permit lists patterns over full ids and over the names of routes and aliases. Who may use a route
or an alias may use it with all that stands behind it; of any other route a client sees and gets the
members that it may use. Names that clients make up grant nothing: where an alias is a pattern, that
pattern has to be listed, or the very name.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.place import AliasPlace, ModelPlace, Resolved, RoutePlace
from gatewayctl.core.routing.resolved import resolved
from gatewayctl.core.routing.world import World

_WILD: Final = frozenset("*?[")


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """What is permitted; no pattern at all is everything. ``*`` is any run of characters."""

    patterns: tuple[str, ...] = ()

    def lists(self, name: str) -> bool:
        """Tell whether a name of the gateway's own (never one a client made up) is permitted."""
        return not self.patterns or any(
            each == name or fnmatchcase(name, each) for each in self.patterns
        )

    def behind(self, name: str, world: World) -> frozenset[str]:
        """Return the full ids of the models that may answer to a name; none for an unknown one.

        Whichever protocol it is asked for in: where that matters, routing sees to it.
        """
        whole = not self.patterns or (name in self.patterns and _WILD.isdisjoint(name))
        roots = (resolved(name, world, protocol) for protocol in WireProtocol)
        places = [root.place for root in roots if root is not None]
        return frozenset(model for place in places for model in self._models(place, whole=whole))

    def _models(self, place: Resolved, *, whole: bool) -> Iterator[str]:
        match place:
            case ModelPlace():
                if whole or self.lists(place.model):
                    yield place.model
            case AliasPlace():
                named = self.lists(place.pattern or place.id)
                yield from self._models(place.child, whole=whole or named)
            case RoutePlace():
                named = self.lists(place.route.id)
                for child in (*place.children, *place.rules):
                    yield from self._models(child, whole=whole or named)
