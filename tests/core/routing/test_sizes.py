"""How much a name holds, and how large a request is at every model behind it."""

from support.world import FakeWorld, Sized, model, places, shape

from gatewayctl.core.routing.decision import Fit
from gatewayctl.core.routing.graph import (
    Alloy,
    Cascade,
    Dispatcher,
    Place,
    Policy,
    Route,
    Rule,
    When,
)
from gatewayctl.core.routing.sizes import window
from gatewayctl.core.routing.sizing import sized
from gatewayctl.core.routing.world import Context, Request

POLICY = Policy()
MODELS = [model("x/small", 32_768), model("x/large", 262_144), model("k/eyes", 1_048_576)]
RULE = Rule(when=When(images=True), target=Place(model="k/eyes"))
ROUTES: list[Route] = [
    Alloy(id="a", name="A", places=places("x/small", "x/large"), policy=POLICY),
    Cascade(id="c", places=places("x/small", "a", "x/large"), policy=POLICY),
    Dispatcher(id="d", places=places("c"), policy=POLICY, rules=(RULE,)),
]
WORLD = FakeWorld(MODELS, ROUTES, keyless=["k"])


def test_an_alloy_holds_its_smallest_and_another_route_its_largest() -> None:
    """The target of a rule counts like any other."""
    assert [window(name, WORLD) for name in ("a", "c", "d")] == [32_768, 262_144, 1_048_576]


def test_every_model_behind_a_name_is_sized_once_key_or_no_key() -> None:
    """``estimate`` asks how large a request is, not whether it may be sent."""
    context = Context(request=Request(shape=shape()), world=WORLD, estimator=Sized(40_000))
    found = sized("d", context)
    assert [(each.model, each.fit) for each in found] == [
        ("x/small", Fit.UNFIT),
        ("x/large", Fit.SAFE),
        ("k/eyes", Fit.SAFE),
    ]
    assert found[0].sized.verdict.shortfall == 40_000 + 4096 - 32_768
    assert sized("nothing", context) == ()


def test_who_may_use_some_models_alone_has_their_room() -> None:
    """A blend is as large as the smallest that is left, another route as the largest."""
    only = frozenset({"x/large"})
    assert [window(name, WORLD, only=only) for name in ("a", "c", "d")] == [262_144] * 3
    assert window("x/small", WORLD, only=only) is None
    assert window("a", WORLD, only=frozenset()) is None
