"""Names looked up ahead of requests: what holds at a place, and when it is looked up again."""

import gc
import weakref
from decimal import Decimal

import msgspec
from support.world import FakeWorld, attempted, decide, model, places, shape, skipped

from gatewayctl.core.correction import UNCORRECTED, Observed
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, ModelSettings, WireProtocol
from gatewayctl.core.routing import resolved as module
from gatewayctl.core.routing.graph import (
    Alloy,
    Cascade,
    Dispatcher,
    Place,
    Policy,
    Route,
    RouteGraph,
    Rule,
    When,
)
from gatewayctl.core.routing.place import Nested, models
from gatewayctl.core.routing.resolved import resolved

POLICY = Policy()
CHAT = WireProtocol.CHAT_COMPLETIONS


class Changing(FakeWorld):
    """A world whose models can be told anew."""

    def __init__(self, window: int) -> None:
        super().__init__([model("x/m", window)])
        self.current = object()

    @property
    def version(self) -> object:
        """Return what ``tell`` replaces."""
        return self.current

    def tell(self, window: int) -> None:
        """Change the model's window."""
        self._models["x/m"] = model("x/m", window)
        self.current = object()


def test_what_was_looked_up_is_forgotten_with_the_worlds_version() -> None:
    """A registry that learns of a smaller window is believed at the next request."""
    world = Changing(100_000)
    assert attempted(decide("x/m", world, 50_000))
    world.tell(32_768)
    assert skipped(decide("x/m", world, 50_000)) == {"x/m": "too_large"}


def test_names_are_looked_up_once_and_only_so_many_are_remembered() -> None:
    """Clients may ask for any id at a provider, so memory has an end."""
    world = FakeWorld([model("x/m", 100)])
    first = resolved("x/0", world, CHAT)
    assert resolved("x/0", world, CHAT) is first
    for number in range(module.MAX_REMEMBERED):
        resolved(f"x/{number + 1}", world, CHAT)
    assert resolved("x/0", world, CHAT) is not first


def test_a_world_that_is_gone_is_not_remembered() -> None:
    """A daemon that reloads its config many times keeps none of the old ones."""
    world = FakeWorld([model("x/m", 100)], [Cascade(id="c", places=places("x/m"), policy=POLICY)])
    decide("c", world)
    gone = weakref.ref(world)
    del world
    gc.collect()
    assert gone() is None


def test_an_unknown_name_is_not_remembered() -> None:
    """It may come to mean something, and there is no end of them."""
    assert resolved("nothing", FakeWorld([]), CHAT) is None


def test_what_is_declared_at_a_routes_place_caps_everything_in_it() -> None:
    """A nested route that is declared to hold 20,000 is never given more, whatever it could."""
    inner = Cascade(id="inner", places=places("x/large", "x/small", "x/unknown"), policy=POLICY)
    outer = Cascade(id="c", places=(Place(model="inner", context_window=20_000),), policy=POLICY)
    facts = [model("x/large", 200_000), model("x/small", 10_000), model("x/unknown")]
    world = FakeWorld(facts, [inner, outer])
    found = resolved("c", world, CHAT)
    assert found is not None
    assert [each.ceiling for each in models(found.place)] == [20_000, 10_000, 20_000]
    assert skipped(decide("c", world, 15_905, asked=shape(output=4096))).keys() >= {"x/large"}
    assert attempted(decide("c", world, 15_904, asked=shape(output=4096)))[0] == "x/large"


def test_a_places_time_and_estimator_hold_for_the_route_behind_it() -> None:
    """The tighter time, and the estimator written closest to the model."""
    near = EstimatorSettings(kind=EstimatorKind.CHAR_RATIO, chars_per_token=Decimal(2))
    far = EstimatorSettings(kind=EstimatorKind.CHAR_RATIO, chars_per_token=Decimal(3))
    inner = Cascade(
        id="inner",
        places=(Place(model="x/a", timeout=90.0, estimator=near), Place(model="x/b", timeout=10.0)),
        policy=POLICY,
    )
    outer = Dispatcher(
        id="d", places=(Place(model="inner", timeout=60.0, estimator=far),), policy=POLICY
    )
    found = resolved("d", FakeWorld([model("x/a"), model("x/b")], [inner, outer]), CHAT)
    assert found is not None
    assert [(each.timeout, each.estimator) for each in models(found.place)] == [
        (60.0, near),
        (10.0, far),
    ]


def test_a_place_knows_the_nested_routes_around_it() -> None:
    """Of every kind, through aliases and rules; the route that was asked for is not one of them."""
    one, two = Policy(deadline=1.0), Policy(deadline=2.0)
    routes: list[Route] = [
        Dispatcher(
            id="d",
            places=places("x/a", "blend"),
            policy=POLICY,
            rules=(Rule(when=When(tools=True), target=Place(model="again")),),
        ),
        Alloy(id="blend", name="B", places=places("x/b", "c"), policy=one),
        Cascade(id="c", places=places("x/c", "x/d"), policy=two),
    ]
    graph = RouteGraph(aliases={"again": "c", "mine": "d"})
    world = FakeWorld([model(f"x/{name}") for name in "abcd"], routes, graph=graph)
    blend, inner = Nested(path=("blend",), policy=one), Nested(path=("blend", "c"), policy=two)
    by_rule = Nested(path=("c",), policy=two)
    for name in ("d", "mine"):
        found = resolved(name, world, CHAT)
        assert found is not None
        assert [each.nested for each in models(found.place)] == [
            (),
            (blend,),
            (blend, inner),
            (blend, inner),
            (by_rule,),
            (by_rule,),
        ]
    alone = resolved("again", world, CHAT)
    assert alone is not None
    assert [each.nested for each in models(alone.place)] == [(), ()]


def test_a_places_margin_leaves_the_models_vocabulary_alone() -> None:
    """Which tokenizer a model has is nothing a place can change by saying how much to trust it."""
    known = EstimatorSettings(vocabulary="o200k_base")
    careful = EstimatorSettings(safety_margin=Decimal("1.5"))
    route = Cascade(id="c", places=(Place(model="x/m", estimator=careful),), policy=POLICY)
    world = FakeWorld(
        [model("x/m", 100)], [route], settings={"x/m": ModelSettings(estimator=known)}
    )
    found = resolved("c", world, CHAT)
    assert found is not None
    (only,) = models(found.place)
    assert only.estimator == msgspec.structs.replace(careful, vocabulary="o200k_base", model="x/m")


def test_a_place_knows_what_the_models_replies_taught() -> None:
    """Whatever it says of the margin; a ratio of the user's own has nothing to do with them."""
    observed = Observed(
        samples=3,
        factors=UNCORRECTED,
        least=UNCORRECTED,
        most=UNCORRECTED,
        low=Decimal(1),
        high=Decimal(1),
    )
    known = ModelSettings(estimator=EstimatorSettings(observed=observed))
    own = EstimatorSettings(kind=EstimatorKind.CHAR_RATIO)
    careful = EstimatorSettings(safety_margin=Decimal(2))
    steps = tuple(Place(model="x/m", estimator=each) for each in (None, careful, own))
    route = Cascade(id="c", places=steps, policy=POLICY)
    found = resolved("c", FakeWorld([model("x/m")], [route], settings={"x/m": known}), CHAT)
    assert found is not None
    assert [(each.estimator.model, each.estimator.observed) for each in models(found.place)] == [
        ("x/m", observed),
        ("x/m", observed),
        ("", None),
    ]


def test_weights_are_integers_in_the_same_proportion() -> None:
    """Decimals of any number of places, without a fraction on the way."""
    route = Alloy(
        id="a",
        name="A",
        places=(
            Place(model="x/a", weight=Decimal("0.25")),
            Place(model="x/b", weight=Decimal("1.5")),
            Place(model="x/c", weight=Decimal(2)),
        ),
        policy=POLICY,
    )
    found = resolved("a", FakeWorld([model("x/a"), model("x/b"), model("x/c")], [route]), CHAT)
    assert found is not None
    assert found.route is not None
    assert found.route.weights == (1, 6, 8)
