"""What sessions keep: alloys within their scope, dispatchers in all four ways to reevaluate."""

import msgspec
import pytest
from support.world import (
    FakeWorld,
    Sized,
    attempted,
    decide,
    model,
    places,
    refused,
    shape,
    skipped,
)

from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.model import Capability
from gatewayctl.core.routing.decision import Decision, Fit
from gatewayctl.core.routing.graph import (
    Alloy,
    AlloyScope,
    AlloyStrategy,
    Cascade,
    Dispatcher,
    FitMode,
    Place,
    Policy,
    Reevaluate,
    Rule,
    When,
)
from gatewayctl.core.routing.plan import settled
from gatewayctl.core.routing.session import Pick, Session

POLICY = Policy()
SMALL, MID, LARGE = (
    model("x/small", 32_768),
    model("x/mid", 131_072),
    model("x/large", 262_144),
)
MODELS = [SMALL, MID, LARGE]


def session(
    turn: int = 5, *, inferred: bool = False, continues: bool = True, **picks: Pick
) -> Session:
    """Return a session; picks by route."""
    return Session(key="k", inferred=inferred, turn=turn, continues=continues, picks=picks)


def alloy(scope: AlloyScope, **options: object) -> Alloy:
    """Return an alloy called a over three models of one size."""
    base = Alloy(id="a", name="A", places=places("y/a", "y/b", "y/c"), policy=POLICY, scope=scope)
    return msgspec.structs.replace(base, **options)


EVEN = [model("y/a", 100_000), model("y/b", 100_000), model("y/c", 100_000)]


def firsts(world: FakeWorld, known: Session | None) -> set[str | None]:
    """Return the first choices over many draws."""
    return {decide("a", world, seed=seed, session=known).chosen for seed in range(50)}


def test_an_alloy_keeps_its_model_through_the_tool_results_of_a_turn() -> None:
    """A genuine user message draws anew; what follows it in the same turn does not."""
    world = FakeWorld(EVEN, [alloy(AlloyScope.TURN)])
    pick = Pick(child="y/b", turn=5)
    assert firsts(world, session(5, a=pick)) == {"y/b"}
    assert firsts(world, session(6, a=pick)) == {"y/a", "y/b", "y/c"}
    assert firsts(world, session(5, continues=False, a=pick)) == {"y/a", "y/b", "y/c"}


def test_a_turn_belongs_to_one_conversation_of_a_session() -> None:
    """An agent's helper in the same session draws for itself, and remembers it apart."""
    world = FakeWorld(EVEN, [alloy(AlloyScope.TURN)])
    helper = msgspec.structs.replace(session(5, a=Pick(child="y/b", turn=5)), thread="t")
    assert firsts(world, helper) == {"y/a", "y/b", "y/c"}
    assert dict(decide("a", world, session=helper).attempts[0].picks).keys() == {
        helper.of_thread("a")
    }


def test_an_alloy_may_keep_its_model_for_a_session_or_for_no_time_at_all() -> None:
    """Scope session keeps whatever turn it is; scope request never keeps, and remembers nothing."""
    pick = Pick(child="y/b", turn=1)
    assert firsts(FakeWorld(EVEN, [alloy(AlloyScope.SESSION)]), session(9, a=pick)) == {"y/b"}
    world = FakeWorld(EVEN, [alloy(AlloyScope.REQUEST)])
    assert len(firsts(world, session(1, a=pick))) == 3
    assert decide("a", world, session=session(1)).attempts[0].picks == ()


def test_without_a_session_an_alloy_draws_anew_and_remembers_nothing() -> None:
    """Nothing tells conversations apart."""
    world = FakeWorld(EVEN, [alloy(AlloyScope.TURN)])
    assert len(firsts(world, None)) == 3
    assert decide("a", world).attempts[0].picks == ()


def test_whichever_constituent_answers_is_what_an_alloy_remembers() -> None:
    """Each candidate carries its own pick: a foreign model's signatures would be refused."""
    decision = decide("a", FakeWorld(EVEN, [alloy(AlloyScope.TURN)]), session=session(7))
    assert [each.picks for each in decision.attempts] == [
        (("a", Pick(child=each.model, turn=7)),) for each in decision.attempts
    ]


def test_a_kept_constituent_says_since_when_and_moves_no_counter() -> None:
    """The others follow it in turn, as fallbacks."""
    route = alloy(AlloyScope.SESSION, strategy=AlloyStrategy.ROUND_ROBIN)
    known = session(9, a=Pick(child="y/c", turn=4))
    decision = decide("a", FakeWorld(EVEN, [route]), counters={"a": 1}, session=known)
    assert attempted(decision) == ["y/c", "y/b", "y/a"]
    assert [each.turns for each in decision.attempts] == [(), (), ()]
    assert decision.attempts[0].picks == (("a", Pick(child="y/c", turn=4)),)
    assert decision.tree is not None
    assert decision.tree.reason.endswith("y/c kept since turn 4")


def test_a_kept_constituent_that_cannot_answer_is_drawn_anew() -> None:
    """An alloy refuses nothing for the sake of a pick."""
    models = [*EVEN[:2], model("y/c", 100_000, lacks=[Capability.TOOLS])]
    known = session(5, a=Pick(child="y/c", turn=5))
    decision = decide(
        "a",
        FakeWorld(models, [alloy(AlloyScope.TURN)]),
        asked=shape(needs=[Capability.TOOLS]),
        session=known,
    )
    assert set(attempted(decision)) == {"y/a", "y/b"}
    assert {pick.turn for each in decision.attempts for _, pick in each.picks} == {5}


def test_a_kept_constituent_stays_first_even_where_it_may_not_fit() -> None:
    """In the middle of a turn a model is not left because another one is surer."""
    models = [model("y/a", 100_000), model("y/b", 11_500), model("y/c", 100_000)]
    world = FakeWorld(models, [alloy(AlloyScope.TURN)])
    decision = decide(
        "a", world, Sized(7_000, 8_000, 9_000), session=session(a=Pick(child="y/b", turn=5))
    )
    assert decision.chosen == "y/b"
    assert decision.attempts[0].fit is Fit.GREY
    drawn = decide("a", world, Sized(7_000, 8_000, 9_000), session=session(6))
    assert attempted(drawn)[-1] == "y/b"


def dispatcher(reevaluate: Reevaluate, **options: object) -> Dispatcher:
    """Return a dispatcher called d over small, mid and large."""
    base = Dispatcher(
        id="d",
        places=places("x/small", "x/mid", "x/large"),
        policy=POLICY,
        reevaluate=reevaluate,
    )
    return msgspec.structs.replace(base, **options)


def told(
    reevaluate: Reevaluate,
    size: int,
    known: Session | None,
    **options: object,
) -> Decision:
    """Plan a request of a given size in a session."""
    world = FakeWorld(MODELS, [dispatcher(reevaluate, **options)])
    return decide("d", world, size, session=known)


def picks(decision: Decision) -> set[tuple[tuple[str, Pick], ...]]:
    """Return what the candidates would have a session remember."""
    return {each.picks for each in decision.attempts}


def reason(decision: Decision) -> str:
    """Return the reason at the root."""
    assert decision.tree is not None
    return decision.tree.reason


def test_per_turn_picks_anew_and_remembers_nothing() -> None:
    """Whatever was picked before."""
    decision = told(Reevaluate.PER_TURN, 100, session(d=Pick(child="x/large", turn=1)))
    assert decision.chosen == "x/small"
    assert picks(decision) == {()}


def test_sticky_keeps_its_pick_while_it_fits_with_the_others_as_fallbacks() -> None:
    """A smaller target that would do is passed over; a failure changes no pick."""
    kept = Pick(child="x/mid", turn=2)
    decision = told(Reevaluate.STICKY, 100, session(d=kept))
    assert attempted(decision) == ["x/mid", "x/small", "x/large"]
    assert picks(decision) == {(("d", kept),)}
    assert reason(decision) == "x/mid kept since turn 2"


def test_sticky_remembers_its_first_pick_on_every_candidate() -> None:
    """Whichever of them answers, the target it decided for is what stays."""
    decision = told(Reevaluate.STICKY, 40_000, session(3))
    assert attempted(decision) == ["x/mid", "x/large"]
    assert picks(decision) == {(("d", Pick(child="x/mid", turn=3)),)}


def test_sticky_refuses_by_size_when_its_pick_no_longer_fits() -> None:
    """The told limit is the kept target's, so that compacting makes it fit again."""
    decision = told(Reevaluate.STICKY, 40_000, session(d=Pick(child="x/small", turn=1)))
    assert refused(decision) is ErrorKind.TOO_LARGE
    assert skipped(decision) == {"x/small": "too_large", "x/mid": "pinned", "x/large": "pinned"}
    assert decision.error is not None
    assert (decision.error.tokens, decision.error.limit) == (40_000 + 4096, 32_768)
    assert not settled(decision)


def test_a_keyless_target_does_not_change_what_a_kept_one_is_refused_for() -> None:
    """The pin is a matter of size, whatever the others lack."""
    world = FakeWorld(
        [*MODELS, model("k/m", 10**6)],
        [dispatcher(Reevaluate.STICKY, places=places("x/small", "k/m"))],
        keyless=["k"],
    )
    decision = decide("d", world, 40_000, session=session(d=Pick(child="x/small", turn=1)))
    assert skipped(decision) == {"x/small": "too_large", "k/m": "pinned"}
    assert refused(decision) is ErrorKind.TOO_LARGE


@pytest.mark.parametrize("mode", [Reevaluate.STICKY, Reevaluate.STICKY_ESCALATE])
def test_an_inferred_session_never_causes_a_refusal(mode: Reevaluate) -> None:
    """Affinity only: where the pick is too small, it is made anew."""
    known = session(8, inferred=True, d=Pick(child="x/small", turn=1, escalations=1))
    decision = told(mode, 40_000, known)
    assert attempted(decision) == ["x/mid", "x/large"]
    assert picks(decision) == {(("d", Pick(child="x/mid", turn=8, escalations=1)),)}


def test_a_pick_that_cannot_answer_for_another_reason_stays_stored() -> None:
    """No key today: the request moves on, and the session forgets nothing."""
    world = FakeWorld(
        [model("k/m", 131_072), LARGE],
        [dispatcher(Reevaluate.STICKY, places=places("k/m", "x/large"))],
        keyless=["k"],
    )
    decision = decide("d", world, 100, session=session(d=Pick(child="k/m", turn=1)))
    assert attempted(decision) == ["x/large"]
    assert picks(decision) == {()}
    assert "k/m is kept and cannot answer now" in reason(decision)


def test_a_pick_that_is_gone_from_the_config_is_made_anew() -> None:
    """A session outlives an edit of the config."""
    decision = told(Reevaluate.STICKY, 100, session(d=Pick(child="x/gone", turn=1)))
    assert picks(decision) == {(("d", Pick(child="x/small", turn=5)),)}


def test_sticky_escalate_moves_up_once_and_then_refuses() -> None:
    """From small to mid; mid outgrown, the session refuses as sticky does."""
    known = session(4, d=Pick(child="x/small", turn=1))
    decision = told(Reevaluate.STICKY_ESCALATE, 40_000, known)
    moved = Pick(child="x/mid", turn=4, escalations=1)
    assert decision.chosen == "x/mid"
    assert picks(decision) == {(("d", moved),)}
    assert reason(decision) == "escalated (1 of 1): x/mid, from x/small"
    assert told(Reevaluate.STICKY_ESCALATE, 100, session(d=moved)).chosen == "x/mid"
    outgrown = told(Reevaluate.STICKY_ESCALATE, 140_000, session(d=moved))
    assert skipped(outgrown) == {"x/mid": "too_large", "x/small": "pinned", "x/large": "pinned"}
    assert outgrown.error is not None
    assert outgrown.error.limit == 131_072
    twice = told(Reevaluate.STICKY_ESCALATE, 140_000, session(d=moved), max_escalations=2)
    assert twice.attempts[0].picks == (("d", Pick(child="x/large", turn=5, escalations=2)),)


def test_an_escalation_that_nothing_can_take_is_refused_with_the_largest_limit() -> None:
    """Every larger target was open to it, so the largest is what an agent may compact to."""
    known = session(4, d=Pick(child="x/small", turn=1))
    decision = told(Reevaluate.STICKY_ESCALATE, 300_000, known)
    assert set(skipped(decision).values()) == {"too_large"}
    assert decision.error is not None
    assert decision.error.limit == 262_144


def test_worst_case_picks_for_the_session_that_is_to_come() -> None:
    """What could not hold it all comes after what can; kept while it fits, then made anew."""
    options = {"assume_session_max_tokens": 100_000}
    first = told(Reevaluate.WORST_CASE, 100, session(1), **options)
    assert attempted(first) == ["x/mid", "x/large", "x/small"]
    pick = Pick(child="x/mid", turn=1)
    assert picks(first) == {(("d", pick),)}
    assert told(Reevaluate.WORST_CASE, 120_000, session(d=pick), **options).chosen == "x/mid"
    anew = told(Reevaluate.WORST_CASE, 140_000, session(d=pick), **options)
    assert picks(anew) == {(("d", Pick(child="x/large", turn=5)),)}


def test_worst_case_asks_every_limit_that_is_known() -> None:
    """A window of 400,000 of which 272,000 may be input holds no session of 300,000."""
    models = [model("x/split", 400_000, most_input=272_000), model("x/whole", 400_000)]
    route = dispatcher(
        Reevaluate.WORST_CASE,
        places=places("x/split", "x/whole"),
        assume_session_max_tokens=300_000,
    )
    assert decide("d", FakeWorld(models, [route])).chosen == "x/whole"


def test_what_a_rule_led_to_is_kept_when_the_rule_no_longer_holds() -> None:
    """An image in the first turn decides for the session."""
    rules = (Rule(when=When(images=True), target=Place(model="x/large")),)
    route = dispatcher(Reevaluate.STICKY, places=places("x/small"), rules=rules)
    world = FakeWorld(MODELS, [route])
    asked = shape(needs=[Capability.IMAGES])
    first = decide("d", world, asked=asked, session=session(1))
    assert first.attempts[0].picks == (("d", Pick(child="x/large", turn=1)),)
    later = decide("d", world, session=session(2, d=Pick(child="x/large", turn=1)))
    assert attempted(later) == ["x/large", "x/small"]
    other = decide("d", world, session=session(2, d=Pick(child="x/small", turn=1)))
    assert skipped(other) == {"x/large": "rule_not_matched"}


def test_a_kept_target_stays_first_even_where_it_may_not_fit() -> None:
    """Grey counts as fitting under guard, and a kept target is not left for a surer one."""
    known = session(d=Pick(child="x/small", turn=1))
    world = FakeWorld(MODELS, [dispatcher(Reevaluate.STICKY)])
    decision = decide("d", world, Sized(20_000, 30_000, 33_000), session=known)
    assert attempted(decision) == ["x/small", "x/mid", "x/large"]
    strict = dispatcher(Reevaluate.STICKY, policy=Policy(fit=FitMode.STRICT))
    refusal = decide("d", FakeWorld(MODELS, [strict]), Sized(20_000, 30_000, 33_000), session=known)
    assert refused(refusal) is ErrorKind.TOO_LARGE


def test_picks_of_routes_within_routes_are_remembered_together() -> None:
    """A dispatcher's target and the constituent drawn in it, each under its own route."""
    outer = Cascade(id="c", places=places("d", "y/a"), policy=POLICY)
    route = dispatcher(Reevaluate.STICKY, places=places("a"))
    world = FakeWorld(EVEN, [outer, route, alloy(AlloyScope.TURN, places=places("y/b", "y/c"))])
    decision = decide("c", world, session=session(2))
    assert dict(decision.attempts[0].picks) == {
        "d": Pick(child="a", turn=2),
        "a": Pick(child=decision.attempts[0].model, turn=2),
    }
    assert decision.attempts[-1].picks == ()


def test_a_session_shows_what_this_conversation_and_the_session_picked() -> None:
    """What an agent's helpers were given under the same name is theirs, and is not shown."""
    mine = Session(key="k", inferred=False, thread="mine")
    theirs = Session(key="k", inferred=False, thread="theirs")
    picks = {
        mine.of_thread("blend"): Pick(child="a"),
        theirs.of_thread("blend"): Pick(child="b"),
        "sticky#1": Pick(child="c"),
    }
    shown = msgspec.structs.replace(mine, picks=picks).own_picks()
    assert {route: pick.child for route, pick in shown.items()} == {"blend": "a", "sticky#1": "c"}
