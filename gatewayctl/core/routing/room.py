"""How much a client may count on behind a name, before any request: what ``env`` tells a tool.

By the places, ceilings and policies that a plan judges by: an alloy has the room of its smallest
constituent, any other route that of its largest place. What a tool makes of it is its own business.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gatewayctl.core.model import Auth, Overflow, WireProtocol
from gatewayctl.core.routing.graph import Alloy, FitMode
from gatewayctl.core.routing.place import AliasPlace, ModelPlace, Resolved, RoutePlace
from gatewayctl.core.routing.resolved import resolved
from gatewayctl.core.routing.world import World
from gatewayctl.core.shape import RequestShape
from gatewayctl.core.translation import outgoing


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation may grow to, in tokens; None is unknown.

    ``total`` holds input and output, ``input`` the input alone, ``output`` is the model's own limit
    on what it writes. ``surely``: a request is only sent there if even the highest estimate fits.
    ``forwards`` are the providers that are sent the client's own credential. ``members`` are the
    models that may answer, in declaration order.
    """

    total: int | None = None
    input: int | None = None
    output: int | None = None
    surely: bool = False
    forwards: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def most(self) -> int | None:
        """The tighter of the two limits."""
        return _least((self.total, self.input))


def room(name: str, world: World, protocol: WireProtocol) -> Room | None:
    """Return the room behind a name for a client of this protocol, None for an unknown name.

    Models that such a client can never reach are left out.
    """
    root = resolved(name, world, protocol)
    if root is None:
        return None
    shape = RequestShape(protocol=protocol, model=name, stream=True, body_bytes=0)
    return _behind(root.place, shape) or Room()


def _behind(place: Resolved, shape: RequestShape) -> Room | None:
    match place:
        case ModelPlace():
            return _of_model(place, shape)
        case AliasPlace():
            return _behind(place.child, shape)
        case RoutePlace():
            found = [_behind(child, shape) for child in (*place.children, *place.rules)]
            rooms = [each for each in found if each is not None]
            if not rooms:
                return None
            return _blend(place.route, rooms) if isinstance(place.route, Alloy) else _either(rooms)


def _of_model(place: ModelPlace, shape: RequestShape) -> Room | None:
    provider = place.at
    if provider is None or outgoing(provider, shape) is None:
        return None
    cut = provider.overflow is Overflow.TRUNCATES or bool(place.facts and place.facts.truncates)
    return Room(
        total=place.limits.total,
        input=place.limits.input,
        output=place.most_output,
        surely=cut or place.policy.fit is FitMode.STRICT,
        forwards=(provider.name,) if provider.auth is Auth.FORWARD else (),
        members=(place.model,),
    )


def _blend(alloy: Alloy, rooms: Sequence[Room]) -> Room:
    """Return what holds for whichever constituent is drawn."""
    return _together(
        rooms,
        Room(
            total=_least((*(each.total for each in rooms), alloy.min_context_window)),
            input=_least(each.input for each in rooms),
            output=_least(each.output for each in rooms),
            surely=any(each.surely for each in rooms),
        ),
    )


def _either(rooms: Sequence[Room]) -> Room:
    """Return what the largest holds: there goes what the others cannot."""
    return _together(rooms, max(rooms, key=lambda each: each.most or 0))


def _together(rooms: Sequence[Room], found: Room) -> Room:
    return msgspec.structs.replace(
        found,
        forwards=tuple(dict.fromkeys(name for each in rooms for name in each.forwards)),
        members=tuple(dict.fromkeys(name for each in rooms for name in each.members)),
    )


def _least(sizes: Iterable[int | None]) -> int | None:
    return min((size for size in sizes if size is not None), default=None)
