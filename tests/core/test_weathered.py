"""What the upstreams' health does to a plan: it reorders, or refuses when there is no time left."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.world import FakeWorld, Sized, decide, model, places

from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.health import weathered
from gatewayctl.core.routing.decision import Decision, SkipReason
from gatewayctl.core.routing.graph import Cascade, Policy
from gatewayctl.core.routing.refusal import nothing_left
from gatewayctl.core.routing.render import rendered

NAMES = ["a/one", "b/two", "c/three", "d/four"]
ROUTE = Cascade(id="all", places=places(*NAMES), policy=Policy(deadline=60.0))
WORLD = FakeWorld([model(name, 1000) for name in NAMES], [ROUTE])
PLAN = decide("all", WORLD, Sized(10))


def order(decision: Decision) -> list[str]:
    """Return whom it attempts, by their first letters."""
    return [each.model[0] for each in decision.attempts]


def test_a_plan_stays_as_it_is_while_all_are_ready() -> None:
    """The same object: there is nothing to say."""
    assert weathered(PLAN, {}, 0.0) is PLAN
    assert weathered(PLAN, {"x/other": 5.0}, 0.0) is PLAN


def test_what_cools_moves_to_the_end_the_soonest_first() -> None:
    """Ready ones keep their order, and a note tells of each that moved back."""
    found = weathered(PLAN, {"a/one": 12.3, "c/three": 0.0}, 0.0)
    assert order(found) == ["b", "d", "c", "a"]
    assert found.notes == (
        *PLAN.notes,
        "c/three is being probed: tried last",
        "a/one cools for 13 s more: tried last",
    )
    assert found.error is None
    assert found.skipped == PLAN.skipped


def test_what_cools_where_it_stood_last_needs_no_words() -> None:
    """Nothing moved."""
    found = weathered(PLAN, {"d/four": 5.0}, 0.0)
    assert (found.attempts, found.notes) == (PLAN.attempts, PLAN.notes)


def test_equally_long_cooldowns_keep_plan_order() -> None:
    """An origin that is away takes all of its models with it."""
    assert order(weathered(PLAN, {"c/three": 5.0, "a/one": 5.0}, 0.0)) == ["b", "d", "a", "c"]


def test_all_cooling_for_less_than_the_deadline_leaves_are_attempted_all_the_same() -> None:
    """The soonest first; equality is not longer."""
    cools = dict.fromkeys(NAMES, 50.0) | {"c/three": 40.0}
    assert order(weathered(PLAN, cools, 20.0)) == ["c", "a", "b", "d"]


def test_all_cooling_for_longer_than_the_deadline_leaves_are_refused() -> None:
    """With the soonest wait, every candidate listed, and no attempt."""
    cools = dict.fromkeys(NAMES, 3600.0) | {"c/three": 40.5}
    found = weathered(PLAN, cools, 20.0)
    assert found.attempts == ()
    assert found.chosen is None
    assert [(each.model, each.reason) for each in found.skipped] == [
        (name, SkipReason.COOLING) for name in NAMES
    ]
    error = found.error
    assert error is not None
    assert (error.kind, error.retry_after, error.should_retry) == (
        ErrorKind.UNAVAILABLE,
        40.5,
        True,
    )
    assert error.message.startswith("all cannot take this request now: a/one: cools for 3,600 s")
    listed = error.details["candidates"]
    assert isinstance(listed, list)
    assert [(each["model"], each["reason"]) for each in listed] == [
        (name, "cooling") for name in NAMES
    ]
    assert {"detail", "estimate", "ceiling", "output_budget"} <= set(listed[0])


def test_a_refusal_has_the_form_of_the_others() -> None:
    """The same keys, those that were skipped before among the candidates, and it renders."""
    skipping = FakeWorld([model(name, 1000) for name in NAMES], [ROUTE], keyless=["d"])
    plan = decide("all", skipping, Sized(10))
    found = weathered(plan, dict.fromkeys(NAMES, 99.0), 0.0)
    assert [each.reason.value for each in found.skipped] == ["cooling"] * 3 + ["no_key"]
    assert found.error is not None
    other = nothing_left(found, skipping, lambda _: False)
    assert found.error.details == other.details
    assert rendered(found, {})["chosen"] is None
    assert msgspec.json.encode(rendered(found, {}))


def test_what_is_found_after_planning_comes_last() -> None:
    """By then all other reasons have been looked for."""
    assert list(SkipReason)[-2:] == [SkipReason.COOLING, SkipReason.OVER_BUDGET]


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.0, 1.0, 30.0, 59.0, 61.0, 900.0])),
    st.sampled_from([0.0, 1.0, 30.0, 60.0, 70.0]),
)
def test_weather_only_reorders_or_refuses(cools: dict[str, float], elapsed: float) -> None:
    """Every model stands in the plan exactly once, ready ones in plan order before the others."""
    found = weathered(PLAN, cools, elapsed)
    tried = [each.model for each in found.attempts]
    assert sorted([*tried, *(each.model for each in found.skipped)]) == sorted(NAMES)
    if set(cools) == set(NAMES) and min(cools.values()) > PLAN.policy.deadline - elapsed:
        assert not tried
        assert found.error is not None
        assert found.error.retry_after == min(cools.values())
        return
    ready = [name for name in NAMES if name not in cools]
    assert tried[: len(ready)] == ready
    rest = [cools[name] for name in tried[len(ready) :]]
    assert rest == sorted(rest)
    assert found.error is None
