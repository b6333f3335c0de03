"""Random worlds of nested routes, requests and sessions, for properties that hold of all plans."""

from decimal import Decimal

import msgspec
from hypothesis import strategies as st
from support.world import FakeWorld, model, provider, shape

from gatewayctl.core.model import Capability, Overflow, WireProtocol
from gatewayctl.core.routing.graph import (
    Alloy,
    AlloyScope,
    AlloyStrategy,
    Cascade,
    Dispatcher,
    FitMode,
    Order,
    Place,
    Policy,
    Reevaluate,
    Route,
    RouteGraph,
    Rule,
    When,
)
from gatewayctl.core.routing.session import Pick, Session
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import Demand, RequestShape

NAMES = ["x/a", "x/b", "x/c", "y/d", "y/e", "z/f"]
SIZES = st.integers(1_000, 120_000)
NEEDS = [Capability.TOOLS, Capability.IMAGES]


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A world, the name of its outermost route, and a request."""

    world: FakeWorld
    name: str
    request: Request


def policies() -> st.SearchStrategy[Policy]:
    """Draw how sizes decide."""
    return st.builds(
        Policy,
        fit=st.sampled_from([FitMode.GUARD, FitMode.GUARD, FitMode.STRICT, FitMode.OFF]),
        strict_unknown=st.booleans(),
        min_output=st.sampled_from([0, 256, 256, 4096]),
        default_output_tokens=st.sampled_from([512, 4096]),
    )


def _maybe(values: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    return st.one_of(st.none(), values)


def _conditions(*, sized: bool) -> st.SearchStrategy[When]:
    limits = _maybe(SIZES) if sized else st.none()
    flag = st.sampled_from([None, True, False])
    return st.builds(
        When, tools=flag, stream=flag, max_input_tokens=limits, min_input_tokens=limits
    )


def _places(known: list[str]) -> st.SearchStrategy[tuple[Place, ...]]:
    place = st.builds(
        Place,
        model=st.sampled_from(known),
        context_window=_maybe(SIZES),
        weight=st.sampled_from([Decimal(1), Decimal("0.5"), Decimal(80)]),
    )
    several = st.lists(place, min_size=2, max_size=5, unique_by=lambda it: it.model)
    return several.map(tuple)


def _routes(name: str, known: list[str], *, sized: bool) -> st.SearchStrategy[Route]:
    ident, policy = st.just(name), policies()
    alloy = st.builds(
        Alloy,
        id=ident,
        name=ident,
        places=_places(known),
        policy=policy,
        strategy=st.sampled_from(AlloyStrategy),
        scope=st.sampled_from(AlloyScope),
        min_context_window=_maybe(SIZES),
        partial_context=st.booleans(),
    )
    cascade = st.builds(Cascade, id=ident, places=_places(known), policy=policy)
    target = st.builds(Place, model=st.sampled_from(known))
    rule = st.builds(Rule, when=_conditions(sized=sized), target=target)
    dispatcher = st.builds(
        Dispatcher,
        id=ident,
        places=_places(known),
        policy=policy,
        order=st.sampled_from(Order),
        reevaluate=st.sampled_from(Reevaluate),
        max_escalations=st.integers(0, 2),
        assume_session_max_tokens=SIZES,
        rules=st.lists(rule, max_size=2).map(tuple),
    )
    return st.one_of(alloy, cascade, dispatcher)


@st.composite
def sessions(draw: st.DrawFn, routes: list[Route], *, kept: bool) -> Session | None:
    """Draw a session that picked something in some of the routes, in all of them if ``kept``."""
    if not kept and draw(st.booleans()):
        return None
    picks = {}
    for route in routes:
        names = [place.model for place in route.places]
        if isinstance(route, Dispatcher):
            names += [rule.target.model for rule in route.rules]
        if kept or draw(st.booleans()):
            picks[route.id] = Pick(
                child=draw(st.sampled_from(names if kept else [*names, "gone"])),
                turn=draw(st.integers(1, 2)),
                escalations=draw(st.integers(0, 2)),
            )
    return Session(
        key="k",
        inferred=draw(st.booleans()),
        turn=2,
        continues=draw(st.booleans()),
        picks=picks,
    )


def _shapes() -> st.SearchStrategy[RequestShape]:
    return st.builds(
        shape,
        output=_maybe(st.integers(1, 20_000)),
        needs=st.lists(st.sampled_from(NEEDS), max_size=2),
        thinking=st.sampled_from([0, 0, 2_000]),
        stream=st.booleans(),
        demands=st.sampled_from([(), (), (Demand.STATE,)]),
    )


@st.composite
def drawn(draw: st.DrawFn, *, sized_rules: bool = True, kept: bool = False) -> Drawn:
    """Draw a world of nested routes with an alias in it, and a request for the outermost one.

    ``kept``: a single route, and a session that has picked in it before.
    """
    price = st.sampled_from([None, ("1", "5"), ("5", "1"), ("0.10", "0.4")])
    models = [
        model(
            name,
            draw(_maybe(SIZES)),
            most_input=draw(_maybe(SIZES)),
            most_output=draw(_maybe(st.sampled_from([1_000, 8_192]))),
            lacks=draw(st.sampled_from([(), (), (NEEDS[0],), (NEEDS[1],)])),
            prices=draw(price),
        )
        for name in NAMES
    ]
    routes: list[Route] = []
    known, aliases = list(NAMES), {}
    for number in range(1 if kept else draw(st.integers(1, 4))):
        route = draw(_routes(f"r{number}", known, sized=sized_rules))
        routes.append(route)
        aliases[f"alias{number}"] = route.id
        known += [route.id, f"alias{number}"]
    providers = [
        provider("x"),
        provider("y", overflow=draw(st.sampled_from(Overflow))),
        provider(
            "z",
            protocols=draw(
                st.sampled_from([list(WireProtocol), list(WireProtocol), [WireProtocol.MESSAGES]])
            ),
        ),
    ]
    world = FakeWorld(
        models,
        routes,
        graph=RouteGraph(aliases=aliases, policy=draw(policies())),
        providers=providers,
        keyless=draw(st.sampled_from([(), (), (), ("x",), ("y",)])),
    )
    request = Request(
        shape=draw(_shapes()),
        seed=draw(st.integers(0, 2**64 - 1)),
        counters={route.id: draw(st.integers(0, 5)) for route in routes},
        session=draw(sessions(routes, kept=kept)),
    )
    return Drawn(
        world=world, name=draw(st.sampled_from([routes[-1].id, known[-1]])), request=request
    )
