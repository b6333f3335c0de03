"""How much each name of a file can hold: what the fit of a request comes to before there is one.

The figures are ``core.fit``'s, and a route's follow from its places' as they do in
``core.routing``. What is unwise about them is ``proof``'s business.
"""

import msgspec

from gatewayctl.config.names import Names, full_id, places_of
from gatewayctl.core import fit
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.graph import Alloy, Cascade, Dispatcher, FitMode, Place, Policy, Route
from gatewayctl.core.routing.names import ExactModel
from gatewayctl.core.shape import RequestShape

PLAIN = RequestShape(protocol=WireProtocol.CHAT_COMPLETIONS, model="", stream=False, body_bytes=0)
"""A request that names no output budget: the gateway's own default holds."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What a place can hold, in tokens.

    ``ceiling`` is input and output together (the input alone where only that is limited), None
    when unknown; ``smallest`` is the smallest ceiling among alternatives. ``room`` is the largest
    input that is safe beside the budget of ``PLAIN``: below 1 nothing is, and None means that
    nothing is refused by size. ``output`` is that budget, the largest of several models'.
    """

    ceiling: int | None = None
    smallest: int | None = None
    room: int | None = None
    output: int = 0


class Sizes:
    """Spans by place; each route is looked at once."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._routes: dict[tuple[str, int | None], Span] = {}

    def place(self, place: Place, policy: Policy, most: int | None = None) -> Span:
        """Return the span of a place; ``most`` is what the places around it cap windows at."""
        end = self._names.end(place.model)
        match end:
            case None:
                return Span()
            case ExactModel():
                return self._model(full_id(end), place.context_window, policy, most)
            case _:
                known = [size for size in (place.context_window, most) if size is not None]
                return self._route(end, min(known, default=None))

    def name(self, name: str) -> Span:
        """Return the span of a name that is asked for as it is."""
        return self.place(Place(model=name), self._names.graph.policy)

    def _model(self, model: str, declared: int | None, policy: Policy, most: int | None) -> Span:
        facts, fraction = self._names.facts(model), self._names.said(model).settings
        limits = fit.ceilings(facts, declared, fraction.capacity_fraction, most=most)
        most_output = facts.max_output_tokens.value if facts.max_output_tokens else None
        wanted = fit.budget(PLAIN, most_output, limits.window, policy, clamp=True).wanted
        sides = []
        if limits.total is not None:
            sides.append(limits.total - wanted)
        if limits.input is not None:
            sides.append(limits.input)
        room = min(sides, default=0 if policy.strict_unknown else None)
        ceiling = limits.input if limits.total is None else limits.total
        return Span(
            ceiling=ceiling,
            smallest=ceiling,
            room=None if policy.fit is FitMode.OFF else room,
            output=wanted,
        )

    def _route(self, route: Route, most: int | None) -> Span:
        key = (route.id, most)
        if key not in self._routes:
            # until it is known, a cycle comes back to nothing
            self._routes[key] = Span()
            spans = [self.place(place, route.policy, most) for place in route.places]
            match route:
                case Alloy():
                    span = _blend(route, spans)
                case Cascade():
                    span = _largest(spans)
                case Dispatcher():
                    inner = places_of(route)[len(spans) :]
                    rules = [self.place(place, route.policy, most) for place in inner]
                    # a request that no rule is about has the targets alone
                    whole = _largest([*spans, *rules])
                    span = msgspec.structs.replace(whole, room=_largest(spans).room)
            self._routes[key] = span
        return self._routes[key]


def _largest(spans: list[Span]) -> Span:
    """Return the span of alternatives, any of which may answer."""
    rooms = [span.room for span in spans if span.room is not None]
    return Span(
        ceiling=max((span.ceiling for span in spans if span.ceiling is not None), default=None),
        smallest=min((span.smallest for span in spans if span.smallest is not None), default=None),
        room=max(rooms, default=None) if len(rooms) == len(spans) else None,
        output=max((span.output for span in spans), default=0),
    )


def _blend(alloy: Alloy, spans: list[Span]) -> Span:
    """Return the span of a blend: of its smallest member, where small ones are not left out."""
    largest = _largest(spans)
    ceiling, room = largest.ceiling, largest.room
    if not alloy.partial_context:
        ceiling = min((span.ceiling for span in spans if span.ceiling is not None), default=None)
        room = min((span.room for span in spans if span.room is not None), default=None)
    least = alloy.min_context_window
    if least is not None:
        ceiling = least if ceiling is None else min(least, ceiling)
        room = least - largest.output if room is None else min(room, least - largest.output)
    return Span(ceiling=ceiling, smallest=ceiling, room=room, output=largest.output)
