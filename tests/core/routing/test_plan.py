"""Plans: order, skips with reasons, refusals, and what must hold for every tree."""

from collections import Counter
from decimal import Decimal

import msgspec
from support.world import (
    FakeWorld,
    Sized,
    attempted,
    decide,
    model,
    places,
    provider,
    refused,
    shape,
    skipped,
)

from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.model import Capability, Overflow, WireProtocol
from gatewayctl.core.routing.decision import Fit
from gatewayctl.core.routing.graph import (
    Alloy,
    AlloyStrategy,
    Cascade,
    Dispatcher,
    FitMode,
    Order,
    Place,
    Policy,
    RouteGraph,
)
from gatewayctl.core.routing.plan import settled
from gatewayctl.core.shape import Demand

POLICY = Policy()
SMALL = model("demo/small", 32_768)
LARGE = model("demo/large", 262_144)
MODELS = [SMALL, LARGE]


def cascade(*names: str, policy: Policy = POLICY) -> Cascade:
    """Return a cascade called c."""
    return Cascade(id="c", places=places(*names), policy=policy)


def alloy(*names: str, **options: object) -> Alloy:
    """Return an alloy called a."""
    base = Alloy(id="a", name="A", places=places(*names), policy=POLICY)
    return msgspec.structs.replace(base, **options)


def test_a_dispatcher_takes_the_first_target_that_fits() -> None:
    """A small request goes to the small model, a 40k one past it, with the reason on record."""
    route = Dispatcher(id="d", places=places("demo/small", "demo/large"), policy=POLICY)
    world = FakeWorld(MODELS, [route])
    assert attempted(decide("d", world, 1000)) == ["demo/small", "demo/large"]
    large = decide("d", world, 40_000)
    assert attempted(large) == ["demo/large"]
    assert skipped(large) == {"demo/small": "too_large"}
    assert large.skipped[0].shortfall == 40_000 + 4096 - 32_768


def test_a_model_that_cannot_hold_a_request_refuses_it_and_names_one_that_can() -> None:
    """Asked for by name, the small model is refused by size and the large one suggested."""
    decision = decide("demo/small", FakeWorld(MODELS), 40_000)
    assert refused(decision) is ErrorKind.TOO_LARGE
    assert decision.error is not None
    assert decision.error.details["would_fit"] == ["demo/large"]
    assert decision.error.limit == 32_768
    assert decision.error.tokens == 40_000 + 4096


def test_the_told_count_is_always_over_the_limit() -> None:
    """Where only the safety margin exceeds it, N is M + 1, so that an agent still compacts."""
    world = FakeWorld(MODELS, graph=RouteGraph(policy=Policy(fit=FitMode.STRICT)))
    decision = decide("demo/small", world, Sized(20_000, 22_000, 30_000))
    assert decision.error is not None
    assert decision.error.tokens == 32_769


def test_where_only_the_input_is_limited_no_output_is_asked_to_be_dropped() -> None:
    """N is the input alone there: one round too many that an agent drops can end its run."""
    for window in (None, 100_000):
        one = FakeWorld([model("x/a", window, most_input=5_000)])
        decision = decide("x/a", one, Sized(6_000, 7_000, 9_000))
        assert decision.error is not None
        assert (decision.error.tokens, decision.error.limit) == (7_000, 5_000)
        assert decision.error.details["estimated_input_tokens"] == 7_000


def test_grey_candidates_come_last_and_the_largest_of_them_first() -> None:
    """What surely fits is tried before what may fit."""
    models = [model("x/a", 10_000), model("x/b", 11_000), model("x/c", 50_000)]
    world = FakeWorld(models, [cascade("x/a", "x/b", "x/c")])
    decision = decide("c", world, Sized(5_000, 6_000, 9_000), asked=shape(output=4096))
    assert attempted(decision) == ["x/c", "x/b", "x/a"]
    assert [each.fit for each in decision.attempts] == [Fit.SAFE, Fit.GREY, Fit.GREY]


def test_a_grey_candidate_of_a_route_is_sent_a_budget_that_may_fit() -> None:
    """Its output is cut to what is left over the likely input, never under the least."""
    world = FakeWorld([model("x/a", 20_000)], [cascade("x/a")])
    asked = shape(output=12_000)
    decision = decide("c", world, Sized(9_000, 10_000, 12_000), asked=asked)
    assert decision.attempts[0].fit is Fit.GREY
    assert decision.attempts[0].send_budget == 10_000
    direct = decide("x/a", world, Sized(9_000, 10_000, 12_000), asked=asked)
    assert direct.attempts[0].send_budget is None


def test_a_server_that_truncates_silently_is_never_tried_grey() -> None:
    """Ollama and its like answer nonsense instead of refusing, so "may fit" is not enough."""
    world = FakeWorld(
        [model("local/m", 10_000)],
        providers=[provider("local", overflow=Overflow.TRUNCATES)],
    )
    decision = decide("local/m", world, Sized(5_000, 6_000, 9_000))
    assert refused(decision) is ErrorKind.TOO_LARGE


def test_strict_refuses_what_guard_would_try() -> None:
    """Under strict the conservative estimate decides alone."""
    world = FakeWorld([model("x/a", 10_000)], [cascade("x/a", policy=Policy(fit=FitMode.STRICT))])
    size = Sized(5_000, 6_000, 9_000)
    assert attempted(decide("x/a", world, size)) == ["x/a"]
    assert skipped(decide("c", world, size)) == {"x/a": "too_large"}


def test_a_nested_route_has_its_own_say_on_what_fits() -> None:
    """Strict inside a guard refuses its own models alone, and the other way round."""
    models = [model("x/a", 10_000), model("x/b", 10_000), model("x/c")]
    size = Sized(5_000, 6_000, 9_000)
    strict = Policy(fit=FitMode.STRICT, strict_unknown=True)
    for own, around, tried in ((strict, POLICY, ["x/b"]), (POLICY, strict, ["x/c", "x/a"])):
        inner = Cascade(id="inner", places=places("x/a", "x/c"), policy=own)
        world = FakeWorld(models, [cascade("inner", "x/b", policy=around), inner])
        assert attempted(decide("c", world, size)) == tried


def test_fit_off_checks_nothing_and_says_so() -> None:
    """Nothing is refused by size, and every decision tells that nothing was checked."""
    world = FakeWorld([model("x/a", 100)], [cascade("x/a", policy=Policy(fit=FitMode.OFF))])
    decision = decide("c", world, 10**6)
    assert decision.attempts[0].fit is Fit.UNCHECKED
    assert "fit is off" in decision.attempts[0].reason


def test_an_unknown_window_is_tried_unless_the_config_forbids_it() -> None:
    """Unchecked by default; with strict_unknown refused with a reason of its own."""
    world = FakeWorld([model("x/a")], [cascade("x/a", policy=Policy(strict_unknown=True))])
    assert decide("x/a", world).attempts[0].fit is Fit.UNCHECKED
    assert skipped(decide("c", world)) == {"x/a": "unknown_window"}


def test_skip_reasons_are_looked_for_in_their_order() -> None:
    """Key before protocol before capability before retirement before size."""
    lacking = model("x/a", 10, lacks=[Capability.TOOLS], retires_at="2020-01-01")
    asked = shape(needs=[Capability.TOOLS], demands=[Demand.ANSWERS])
    chat_only = provider("x", protocols=[WireProtocol.MESSAGES])
    keyless = FakeWorld([lacking], providers=[chat_only], keyless=["x"])
    assert skipped(decide("x/a", keyless, asked=asked)) == {"x/a": "no_key"}
    assert refused(decide("x/a", keyless, asked=asked)) is ErrorKind.FORBIDDEN
    silent = FakeWorld([lacking], providers=[chat_only])
    assert skipped(decide("x/a", silent, asked=asked)) == {"x/a": "protocol"}
    assert refused(decide("x/a", silent, asked=asked)) is ErrorKind.UNSUPPORTED
    assert skipped(decide("x/a", FakeWorld([lacking]), asked=asked)) == {"x/a": "capability"}
    assert skipped(decide("x/a", FakeWorld([lacking]))) == {"x/a": "retired"}
    assert skipped(decide("x/a", FakeWorld([lacking]), today="2019-01-01")) == {"x/a": "too_large"}


def test_an_alloy_is_as_large_as_its_smallest_constituent() -> None:
    """One constituent that cannot hold a request makes the blend refuse it, and says which."""
    decision = decide("a", FakeWorld(MODELS, [alloy("demo/small", "demo/large")]), 40_000)
    assert skipped(decision) == {"demo/small": "too_large", "demo/large": "alloy_unfit"}
    assert refused(decision) is ErrorKind.TOO_LARGE


def test_a_refused_blend_names_the_constituent_that_would_take_it_alone() -> None:
    """What only the blend keeps from answering is worth asking for by its own name."""
    decision = decide("a", FakeWorld(MODELS, [alloy("demo/small", "demo/large")]), 40_000)
    assert decision.error is not None
    assert decision.error.details["would_fit"] == ["demo/large"]


def test_the_told_limit_of_an_alloy_is_its_smallest_ceiling_and_never_inflated() -> None:
    """An agent that compacts by N - M ends below every constituent, and drops no more."""
    models = [SMALL, model("demo/mid", 100_000), LARGE]
    world = FakeWorld(models, [alloy("demo/small", "demo/mid", "demo/large")])
    error = decide("a", world, 150_000).error
    assert error is not None
    assert (error.tokens, error.limit) == (150_000 + 4096, 32_768)
    least = FakeWorld(models, [alloy("demo/mid", "demo/large", min_context_window=50_000)])
    error = decide("a", least, 60_000).error
    assert error is not None
    assert (error.tokens, error.limit) == (60_000 + 4096, 50_000)


def test_where_the_input_side_binds_the_told_limit_is_the_input_limit() -> None:
    """300,000 tokens into gpt-5's 272,000 of input: its total of 400,000 would mislead."""
    world = FakeWorld([model("x/gpt-5", 400_000, most_input=272_000)])
    error = decide("x/gpt-5", world, 300_000).error
    assert error is not None
    assert (error.tokens, error.limit) == (300_000, 272_000)
    assert error.details["estimated_input_tokens"] == 300_000


def test_partial_context_drops_the_small_constituent_and_says_so() -> None:
    """The rest of the blend goes on, and the tree tells that it changed."""
    route = alloy("demo/small", "demo/large", partial_context=True)
    decision = decide("a", FakeWorld(MODELS, [route]), 40_000)
    assert attempted(decision) == ["demo/large"]
    assert decision.tree is not None
    assert "without demo/small" in decision.tree.reason


def test_a_minimum_window_of_an_alloy_binds_whatever_its_models_hold() -> None:
    """The explicit minimum is a promise about the blend."""
    route = alloy("demo/large", "demo/large2", min_context_window=50_000)
    world = FakeWorld([LARGE, model("demo/large2", 262_144)], [route])
    assert attempted(decide("a", world, 45_904))
    assert set(skipped(decide("a", world, 45_905)).values()) == {"alloy_unfit"}


def test_a_constituent_without_a_key_is_pruned_and_does_not_fail_the_alloy() -> None:
    """Unfit children are pruned with a reason and never fail their parent."""
    models = [model("x/a", 100_000), model("y/b", 100_000)]
    world = FakeWorld(models, [alloy("x/a", "y/b")], keyless=["y"])
    decision = decide("a", world)
    assert attempted(decision) == ["x/a"]
    assert skipped(decision) == {"y/b": "no_key"}


def test_weights_are_kept_within_four_standard_deviations() -> None:
    """Over 20,000 draws the first choices come as often as their weights say."""
    route = Alloy(
        id="a",
        name="A",
        policy=POLICY,
        places=(
            Place(model="demo/small", weight=Decimal(80)),
            Place(model="demo/large", weight=Decimal(20)),
        ),
    )
    world = FakeWorld(MODELS, [route])
    draws = 20_000
    firsts = Counter(decide("a", world, seed=seed).chosen for seed in range(draws))
    sigma = (draws * 0.8 * 0.2) ** 0.5
    assert abs(firsts["demo/small"] - draws * 0.8) < 4 * sigma


def test_round_robin_follows_its_counter() -> None:
    """Each counter value starts with the next constituent; planning itself moves nothing."""
    route = alloy("demo/small", "demo/large", strategy=AlloyStrategy.ROUND_ROBIN)
    world = FakeWorld(MODELS, [route])
    firsts = [decide("a", world, counters={"a": count}).chosen for count in range(4)]
    assert firsts == ["demo/small", "demo/large", "demo/small", "demo/large"]
    decision = decide("a", world)
    assert [each.turns for each in decision.attempts] == [("a",), ()]


def test_smallest_looks_at_the_smallest_ceiling_first_and_at_unknown_ones_last() -> None:
    """Declaration order does not matter where the order is by size."""
    models = [*MODELS, model("demo/unknown")]
    route = Dispatcher(
        id="d",
        places=places("demo/unknown", "demo/large", "demo/small"),
        policy=POLICY,
        order=Order.SMALLEST,
    )
    decision = decide("d", FakeWorld(models, [route]))
    assert attempted(decision) == ["demo/small", "demo/large", "demo/unknown"]


def test_a_model_in_two_places_is_tried_once_and_marked_in_the_tree() -> None:
    """Its first fitting place counts; the other stands in the tree as a duplicate."""
    inner = Cascade(id="inner", places=places("demo/small", "demo/large"), policy=POLICY)
    decision = decide("c", FakeWorld(MODELS, [cascade("demo/large", "inner"), inner]))
    assert attempted(decision) == ["demo/large", "demo/small"]
    assert decision.tree is not None
    inner_node = decision.tree.children[1]
    assert [child.duplicate for child in inner_node.children] == [False, True]


def test_a_bound_settles_a_decision_only_where_size_plays_no_part() -> None:
    """As soon as something is grey or too large, a finer estimate is worth making."""
    world = FakeWorld(MODELS, [cascade("demo/small", "demo/large")])
    assert settled(decide("c", world, Sized(0, 1000, 1000)))
    assert not settled(decide("c", world, Sized(0, 40_000, 40_000)))
    assert not settled(decide("demo/small", world, Sized(40_000)))


def test_what_a_larger_model_held_never_falls_back_to_a_smaller_one_litellm_31557() -> None:
    """A model too small for the request is skipped beforehand, with the reason told truly."""
    world = FakeWorld(MODELS, [cascade("demo/large", "demo/small")])
    decision = decide("c", world, 40_000)
    assert attempted(decision) == ["demo/large"]
    assert skipped(decision) == {"demo/small": "too_large"}
    assert "exceeds the ceiling 32,768 by 11,328" in decision.skipped[0].detail


def test_size_and_another_reason_together_are_told_by_the_other_reason() -> None:
    """Compacting would not help where a key is missing as well."""
    models = [SMALL, model("k/large", 262_144)]
    decision = decide(
        "c", FakeWorld(models, [cascade("demo/small", "k/large")], keyless=["k"]), 40_000
    )
    assert skipped(decision) == {"demo/small": "too_large", "k/large": "no_key"}
    assert refused(decision) is ErrorKind.FORBIDDEN


def test_a_window_that_nobody_knows_is_not_told_as_an_overflow() -> None:
    """No limit to compact to: the refusal says what is unknown, not that 0 tokens fit."""
    policy = Policy(strict_unknown=True)
    world = FakeWorld([model("x/a"), LARGE], [cascade("x/a", policy=policy)])
    decision = decide("c", world)
    assert refused(decision) is ErrorKind.UNSUPPORTED
    assert decision.error is not None
    assert "x/a: window unknown" in decision.error.message
    both = FakeWorld([model("x/a"), SMALL], [cascade("x/a", "demo/small", policy=policy)])
    assert refused(decide("c", both, 40_000)) is ErrorKind.TOO_LARGE


def test_a_place_that_does_not_show_keeps_a_bound_from_deciding() -> None:
    """A model too large for its first place by the bound may belong there by its true size."""
    route = Cascade(
        id="c",
        places=(
            Place(model="demo/large", context_window=10_000),
            Place(model="demo/small"),
            Place(model="demo/large"),
        ),
        policy=Policy(fit=FitMode.STRICT),
    )
    world = FakeWorld(MODELS, [route])
    rough = decide("c", world, Sized(0, 9_000, 9_000))
    assert attempted(rough) == ["demo/small", "demo/large"]
    assert not settled(rough)
    assert attempted(decide("c", world, 1_000)) == ["demo/large", "demo/small"]
