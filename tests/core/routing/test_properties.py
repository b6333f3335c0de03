"""What must hold for every plan, on random worlds of nested routes, rules and sessions."""

import random
from collections import Counter
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import Reference
from support.trees import Drawn, drawn
from support.world import FakeWorld, Sized, attempted, decide, model, places, shape, skipped

from gatewayctl.core.exact import ceil_product
from gatewayctl.core.model import EstimatorSettings, ModelSettings
from gatewayctl.core.routing.alloy import draw
from gatewayctl.core.routing.decision import Decision, Estimate, Fit, Method, Node
from gatewayctl.core.routing.graph import (
    Alloy,
    AlloyStrategy,
    Cascade,
    Dispatcher,
    Place,
    Policy,
    Route,
    RouteGraph,
)
from gatewayctl.core.routing.plan import plan, settled
from gatewayctl.core.routing.world import Request

POLICY = Policy()
SIZES = st.integers(0, 60_000)


def sized(size: int) -> Sized:
    """Return an estimate with much doubt on both sides, so that a lot may fit or not."""
    return Sized(size // 2, size, size * 3 // 2)


def planned(known: Drawn, size: int) -> Decision:
    """Plan the drawn request with a given size."""
    return plan(known.name, known.request, known.world, sized(size))


def leaves(node: Node) -> list[Node]:
    """Return the leaves of a tree in order."""
    if node.kind == "model":
        return [node]
    return [leaf for child in node.children for leaf in leaves(child)]


@given(drawn(), SIZES)
def test_a_plan_is_what_plain_recursion_makes_of_the_tree(known: Drawn, size: int) -> None:
    """The flattened plan is the specification's, evaluated by other code."""
    estimate = sized(size)(EstimatorSettings())
    decision = planned(known, size)
    attempts, skips = Reference(known.world, known.request, estimate).result(known.name)
    assert attempted(decision) == attempts
    assert skipped(decision) == skips


@given(drawn(kept=True), SIZES)
def test_a_session_keeps_what_plain_recursion_says_it_keeps(known: Drawn, size: int) -> None:
    """Kept, moved up, refused or made anew, by the specification evaluated by other code."""
    estimate = sized(size)(EstimatorSettings())
    decision = planned(known, size)
    attempts, skips = Reference(known.world, known.request, estimate).result(known.name)
    assert attempted(decision) == attempts
    assert skipped(decision) == skips


@given(drawn(), SIZES)
def test_every_model_stands_once_in_attempts_or_skipped(known: Drawn, size: int) -> None:
    """None is lost and none is tried twice; the tree marks the places that do not count."""
    decision = planned(known, size)
    assert decision.tree is not None
    named = [*attempted(decision), *(each.model for each in decision.skipped)]
    placed = leaves(decision.tree)
    assert sorted(named) == sorted({leaf.id for leaf in placed})
    assert sorted(leaf.id for leaf in placed if not leaf.duplicate) == sorted(named)
    assert (decision.error is None) == bool(decision.attempts)


@given(drawn(), SIZES)
def test_nothing_unfit_is_attempted(known: Drawn, size: int) -> None:
    """Every attempt is safe, unchecked for a reason that is told, or may at least fit."""
    for each in planned(known, size).attempts:
        limits, output = each.place.limits, each.output_budget
        total = 10**9 if limits.total is None else limits.total
        most_input = 10**9 if limits.input is None else limits.input
        match each.fit:
            case Fit.SAFE:
                assert each.estimate.high + output <= total
                assert each.estimate.high <= most_input
            case Fit.GREY:
                assert each.estimate.low + each.least_budget <= total
                assert each.estimate.low <= most_input
            case _:
                assert each.fit is Fit.UNCHECKED
                assert "not checked" in each.reason


@given(drawn(), SIZES)
def test_equal_inputs_give_equal_decisions(known: Drawn, size: int) -> None:
    """In the same world and in one that has looked nothing up yet."""
    world = known.world
    again = FakeWorld([])
    again.__dict__.update(world.__dict__)
    decision = planned(known, size)
    assert planned(known, size) == decision
    assert plan(known.name, known.request, again, sized(size)) == decision


@given(drawn(sized_rules=False), SIZES, SIZES)
def test_a_larger_request_never_gains_a_candidate(known: Drawn, size: int, more: int) -> None:
    """What cannot take a request cannot take a larger one, where the same rules hold."""
    small = set(attempted(planned(known, size)))
    assert set(attempted(planned(known, size + more))) <= small


@given(drawn(), SIZES, st.integers(0, 100), st.integers(0, 100))
def test_a_settled_decision_is_that_of_every_finer_estimate(
    known: Drawn, size: int, low: int, high: int
) -> None:
    """Whatever lies within the bounds, first to last, is attempted alike."""
    rough = Sized(size // 2, size, size * 2)
    decision = plan(known.name, known.request, known.world, rough)
    if not settled(decision):
        return
    ends = sorted(size // 2 + (size * 2 - size // 2) * part // 100 for part in (low, high))
    finer = plan(known.name, known.request, known.world, Sized(ends[0], ends[0], ends[1]))
    assert attempted(finer) == attempted(decision)
    assert skipped(finer) == skipped(decision)


@given(st.permutations(["x/a", "y/b", "x/c", "z/d"]), st.integers(1, 3))
def test_declared_order_is_kept(names: list[str], split: int) -> None:
    """However routes are nested, what surely fits is tried as it was written down."""
    routes: list[Route] = [
        Cascade(id="inner", places=places(*names[split:]), policy=POLICY),
        Dispatcher(id="outer", places=places(*names[:split], "alias"), policy=POLICY),
    ]
    graph = RouteGraph(aliases={"alias": "inner"})
    world = FakeWorld([model(name, 100_000) for name in names], routes, graph=graph)
    assert attempted(decide("outer", world)) == names


@given(
    st.integers(0, 10**6),
    st.decimals(min_value=1, max_value=3, places=3),
    st.sampled_from(["a", "c", "d", "alias"]),
    st.integers(-1, 1),
)
def test_the_margin_is_applied_once(raw: int, margin: Decimal, name: str, slack: int) -> None:
    """A window of just the margined input and the output is enough, one token less is not."""
    window = ceil_product(raw, margin) + 4096 + slack
    names = ("x/m", "y/m")
    routes: list[Route] = [
        Alloy(id="a", name="A", places=places(*names), policy=POLICY),
        Cascade(id="c", places=places("a"), policy=POLICY),
        Dispatcher(id="d", places=places("c"), policy=POLICY),
    ]
    own = ModelSettings(estimator=EstimatorSettings(safety_margin=margin))
    world = FakeWorld(
        [model(each, window) for each in names],
        routes,
        graph=RouteGraph(aliases={"alias": "d"}),
        settings=dict.fromkeys(names, own),
    )

    def estimator(asked: EstimatorSettings) -> Estimate:
        high = ceil_product(raw, asked.safety_margin)
        return Estimate(low=0, likely=raw, high=high, method=Method.RATIO)

    decision = plan(name, Request(shape=shape(output=4096)), world, estimator)
    assert {each.fit is Fit.SAFE for each in decision.attempts} <= {slack >= 0}


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=4), st.integers(0, 2**32))
@settings(max_examples=3)
def test_first_choices_come_as_often_as_their_weights_say(weights: list[int], start: int) -> None:
    """Within four standard deviations over 20,000 draws, for each constituent."""
    draws, total = 20_000, sum(weights)
    chance = random.Random(start)  # noqa: S311 - seeds for a test of frequencies
    firsts = Counter(
        draw(tuple(weights), list(range(len(weights))), chance.getrandbits(64))[0]
        for _ in range(draws)
    )
    for index, weight in enumerate(weights):
        share = weight / total
        sigma = (draws * share * (1 - share)) ** 0.5
        assert abs(firsts[index] - draws * share) <= 4 * sigma


def test_a_round_robin_is_exact_however_requests_interleave() -> None:
    """Of 1,000 requests under way at once, planned and committed in any order, each takes a turn.

    A plan is committed only if its counter still stands where it was planned with; else it is
    made again.
    """
    route = Alloy(
        id="a",
        name="A",
        places=tuple(Place(model=name) for name in ("x/a", "x/b", "x/c", "x/d")),
        policy=POLICY,
        strategy=AlloyStrategy.ROUND_ROBIN,
    )
    world = FakeWorld([model(f"x/{name}", 100_000) for name in "abcd"], [route])
    chance = random.Random(7)  # noqa: S311 - an interleaving for a test
    counters = {"a": 0}
    waiting = [(dict(counters), decide("a", world, counters=counters)) for _ in range(1_000)]
    chosen: list[str | None] = []
    while waiting:
        seen, decision = waiting.pop(chance.randrange(len(waiting)))
        if seen != counters:
            waiting.append((dict(counters), decide("a", world, counters=counters)))
            continue
        for alloy in decision.attempts[0].turns:
            counters[alloy] += 1
        chosen.append(decision.chosen)
    assert chosen == ["x/a", "x/b", "x/c", "x/d"] * 250
