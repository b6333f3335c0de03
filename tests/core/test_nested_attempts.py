"""Routes inside routes: each decides for itself what it goes on after, and for how long."""

import random
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from support.attempting import MODELS, A, B, C, D, E, Event, failure, play
from support.world import FakeWorld, Sized, decide, places

from gatewayctl.core.attempts import Step, Try, attempt
from gatewayctl.core.errors import FailureKind
from gatewayctl.core.routing.decision import Decision
from gatewayctl.core.routing.graph import Cascade, OnBreak, Place, Policy, Route, RouteGraph

CANDIDATES = {each.model: each for each in (A, B, C, D, E)}
TIMEOUT = failure(FailureKind.TIMEOUT)
AUTH = failure(FailureKind.AUTH)
LOOSE = Policy(deadline=100.0)
ONLY_AUTH = Policy(fallback_on=frozenset({FailureKind.AUTH}), deadline=100.0)


def cascade(name: str, policy: Policy, *steps: str) -> Cascade:
    """Return a cascade of models, by their first letters, and of routes, by their ids."""
    models = {each.id[0]: each.id for each in MODELS}
    return Cascade(id=name, places=places(*(models.get(it, it) for it in steps)), policy=policy)


def planned(*routes: Route, aliases: dict[str, str] | None = None) -> Decision:
    """Plan a small request for the first of the routes."""
    world = FakeWorld(MODELS, routes, graph=RouteGraph(aliases=aliases or {}))
    return decide(routes[0].id, world, Sized(10))


def tried(decision: Decision, *events: Event, last: Event | None = None) -> list[str]:
    """Return whom the events lead to, the last of them for ever, as ``Played.short`` does."""
    left = list(events)

    def happens(_: Step) -> Event:
        return left.pop(0) if left else last or events[-1]

    return play(decision.attempts, happens, decision.policy).short


def test_a_nested_route_that_does_not_fall_back_fails_as_a_whole() -> None:
    """What is left of it is left out, for good, and the route around it goes on by its own list."""
    decision = planned(cascade("all", LOOSE, "in", "c", "d"), cascade("in", ONLY_AUTH, "a", "b"))
    assert tried(decision, Event(failure=TIMEOUT)) == ["a", "c", "d"]


def test_a_nested_route_falls_back_on_more_than_the_route_around_it() -> None:
    """A refused credential moves on within it; its last failure is the one that counts outside."""
    wide = Policy(fallback_on=frozenset(FailureKind))
    decision = planned(cascade("all", LOOSE, "in", "c"), cascade("in", wide, "a", "b"))
    assert tried(decision, Event(failure=AUTH)) == ["a", "b"]
    assert tried(decision, Event(failure=AUTH), Event(failure=TIMEOUT)) == ["a", "b", "c"]


def test_a_failure_goes_up_until_a_route_falls_back_on_it() -> None:
    """Two routes in one another fail as a whole; the third goes on."""
    decision = planned(
        cascade("all", LOOSE, "mid", "e"),
        cascade("mid", ONLY_AUTH, "in", "c", "d"),
        cascade("in", ONLY_AUTH, "a", "b"),
    )
    assert tried(decision, Event(failure=TIMEOUT)) == ["a", "e"]
    assert tried(decision, Event(failure=AUTH)) == ["a", "b", "c", "d"]


def test_where_no_route_falls_back_the_request_ends() -> None:
    """The first failure is the last."""
    decision = planned(cascade("all", ONLY_AUTH, "in", "c"), cascade("in", ONLY_AUTH, "a", "b"))
    assert tried(decision, Event(failure=TIMEOUT)) == ["a"]


def test_routes_side_by_side_decide_each_for_itself() -> None:
    """The second one's list is not the first one's."""
    decision = planned(
        cascade("all", LOOSE, "one", "two"),
        cascade("one", ONLY_AUTH, "a", "b"),
        cascade("two", LOOSE, "c", "d"),
    )
    assert tried(decision, Event(failure=TIMEOUT)) == ["a", "c", "d"]


def test_an_alias_to_a_nested_route_changes_nothing() -> None:
    """It is that route under another name."""
    decision = planned(
        cascade("all", LOOSE, "other", "c"),
        cascade("in", ONLY_AUTH, "a", "b"),
        aliases={"other": "in"},
    )
    assert tried(decision, Event(failure=TIMEOUT)) == ["a", "c"]


def test_an_overflow_in_a_nested_route_rules_out_smaller_ones_everywhere_litellm_31557() -> None:
    """After b/two (4,000) neither c/three (2,000) beside it nor a/one (1,000) outside is tried."""
    decision = planned(cascade("all", LOOSE, "in", "a", "d"), cascade("in", LOOSE, "b", "c"))
    assert tried(decision, Event(failure=failure(FailureKind.CONTEXT_OVERFLOW))) == ["b", "d"]
    strict = Policy(fallback_on=frozenset({FailureKind.TIMEOUT}))
    decision = planned(cascade("all", LOOSE, "in", "d"), cascade("in", strict, "a", "b"))
    assert tried(decision, Event(failure=failure(FailureKind.CONTEXT_OVERFLOW))) == ["a", "d"]


def test_those_outside_count_as_others_to_go_to() -> None:
    """An overloaded model is retried only if nobody is left anywhere that it may move on to."""
    busy = failure(FailureKind.OVERLOADED, retry_after=1.0)
    decision = planned(cascade("all", LOOSE, "in", "c"), cascade("in", ONLY_AUTH, "a", "b"))
    assert tried(decision, Event(failure=busy)) == ["a", "c", "1", "c!"]
    decision = planned(cascade("all", ONLY_AUTH, "in", "c"), cascade("in", ONLY_AUTH, "a", "b"))
    assert tried(decision, Event(failure=busy)) == ["a", "1", "a!"]


def test_a_nested_route_whose_time_is_up_is_left_and_others_go_on() -> None:
    """Of its three models the third has no time left; what stands outside has."""
    decision = planned(
        cascade("all", LOOSE, "in", "d", "e"), cascade("in", Policy(deadline=5.0), "a", "b", "c")
    )
    assert tried(decision, Event(failure=TIMEOUT, takes=2.5)) == ["a", "b", "d", "e"]


def test_a_nested_routes_time_begins_with_the_first_attempt_in_it() -> None:
    """What was tried before it costs it nothing, a retry and a wait within it do."""
    decision = planned(
        cascade("all", LOOSE, "a", "in", "e"), cascade("in", Policy(deadline=5.0), "b", "c", "d")
    )
    slow = Event(failure=TIMEOUT, takes=50.0)
    assert tried(decision, slow, last=Event(failure=TIMEOUT, takes=2.5)) == ["a", "b", "c", "e"]
    limited = Event(failure=failure(FailureKind.RATE_LIMITED, retry_after=3.0), takes=1.0)
    # b fails after 1 s and is waited for 3 s, which take 4: the route's 5 s are over.
    assert tried(decision, slow, limited)[:4] == ["a", "b", "3", "e"]


def test_a_retry_that_would_begin_after_its_routes_time_is_not_waited_for() -> None:
    """The next candidate outside the route is tried at once."""
    decision = planned(cascade("all", LOOSE, "in", "c"), cascade("in", Policy(deadline=5.0), "a"))
    limited = Event(failure=failure(FailureKind.RATE_LIMITED, retry_after=4.0), takes=1.0)
    assert tried(decision, limited) == ["a", "c", "4", "c!"]


def test_the_time_of_the_route_around_holds_for_nested_ones() -> None:
    """Nothing is tried past the deadline of the route that was asked for, whatever is inside."""
    decision = planned(
        cascade("all", Policy(deadline=5.0), "in", "c"), cascade("in", LOOSE, "a", "b")
    )
    assert tried(decision, Event(failure=TIMEOUT, takes=5.0)) == ["a"]
    assert tried(decision, Event(failure=TIMEOUT, takes=2.5)) == ["a", "b"]


def tries(decision: Decision, elapsed: float = 0.0) -> list[Try]:
    """Return the attempts that are made when each one fails after a second."""
    happens = Event(failure=TIMEOUT, takes=1.0)
    played = play(decision.attempts, lambda _: happens, decision.policy, elapsed=elapsed)
    return [step for step, _ in played.tries]


def test_an_attempt_is_told_by_when_it_must_have_committed() -> None:
    """The tightest of all its routes, in seconds since the request came in."""
    decision = planned(
        cascade("all", Policy(deadline=20.0), "a", "mid", "e"),
        cascade("mid", Policy(deadline=9.0), "in", "d"),
        cascade("in", Policy(deadline=50.0), "b", "c"),
    )
    assert [each.deadline for each in tries(decision)] == [20.0, 10.0, 10.0, 10.0, 20.0]


def test_the_first_attempt_counts_from_when_it_begins() -> None:
    """Time that went by before it is the outermost route's alone."""
    decision = planned(
        cascade("all", Policy(deadline=20.0), "in", "b"), cascade("in", Policy(deadline=5.0), "a")
    )
    assert [each.deadline for each in tries(decision, elapsed=3.0)] == [8.0, 20.0]


def test_what_a_break_does_is_the_innermost_routes_word() -> None:
    """A buffering route inside one that does not buffer, and the other way round."""
    buffer = Policy(on_break=OnBreak.BUFFER)
    decision = planned(
        cascade("all", buffer, "a", "mid", "d"),
        cascade("mid", Policy(), "b", "in"),
        cascade("in", buffer, "c"),
    )
    assert [each.on_break.value for each in tries(decision)] == [
        "buffer",
        "error",
        "buffer",
        "buffer",
    ]


@pytest.mark.parametrize("name", ["a/one", "mine"])
def test_a_model_asked_for_by_name_has_the_general_policy(name: str) -> None:
    """Directly or through an alias: no route stands around it."""
    policy = Policy(on_break=OnBreak.BUFFER, deadline=7.0)
    graph = RouteGraph(aliases={"mine": "a/one"}, policy=policy)
    decision = decide(name, FakeWorld(MODELS, graph=graph), Sized(10))
    step = next(attempt(decision.attempts, decision.policy))
    assert isinstance(step, Try)
    assert (step.deadline, step.on_break) == (7.0, OnBreak.BUFFER)


def test_what_a_nested_route_leaves_open_the_route_around_it_says() -> None:
    """Its list, its time and its way with breaks, each by itself, through any number of routes."""
    open_wide = Policy(
        deadline=30.0, fallback_on=frozenset({FailureKind.AUTH}), on_break=OnBreak.BUFFER
    )
    inner = msgspec.structs.replace(
        cascade("in", Policy(deadline=2.0), "b", "c"), inherits=frozenset({"deadline"})
    )
    middle = msgspec.structs.replace(
        cascade("mid", Policy(deadline=5.0), "in", "d"),
        inherits=frozenset({"deadline", "fallback_on", "on_break"}),
    )
    decision = planned(cascade("all", open_wide, "a", "mid", "e"), middle, inner)
    routes = [each.nested for each in decision.attempts]
    assert [len(each) for each in routes] == [0, 2, 2, 1, 0]
    assert routes[3][0].policy == open_wide
    assert routes[1][1].policy == Policy(deadline=30.0)
    alone = decide("mid", FakeWorld(MODELS, [middle, inner]), Sized(10))
    assert alone.policy == middle.policy


class Recursion:
    """The rules as a walk over the tree of routes: each tries its places until it has to fail.

    Good for what surely fits, is ready, and fails in ways that are never retried.
    """

    def __init__(self, routes: Sequence[Route], events: Iterator[Event]) -> None:
        self._routes = {each.id: each for each in routes}
        self._events = events
        self._now = 0.0
        self._floor = 0
        self.tried: list[str] = []

    def fails(self, name: str, *ends: float) -> FailureKind | None:
        """Return as what a route or model fails that has until these ends; None: nobody tried."""
        route = self._routes.get(name)
        if route is None:
            return self._model(name)
        ends = (*ends, self._now + route.policy.deadline)
        last = None
        for place in route.places:
            if self._now >= min(ends):
                break
            kind = self.fails(place.model, *ends)
            last = kind or last
            if kind is not None and kind not in route.policy.fallback_on:
                break
        return last

    def _model(self, name: str) -> FailureKind | None:
        ceiling = CANDIDATES[name].ceiling
        if ceiling is not None and ceiling <= self._floor:
            return None
        self.tried.append(name)
        event = next(self._events)
        self._now += event.takes
        if event.failure.kind is FailureKind.CONTEXT_OVERFLOW:
            self._floor = max(self._floor, ceiling or 0)
        return event.failure.kind


def test_random_trees_are_tried_as_plain_recursion_tries_them() -> None:
    """From the config's routes to the attempts, with every kind of failure that is not retried."""
    kinds = [
        FailureKind.TIMEOUT,
        FailureKind.BAD_RESPONSE,
        FailureKind.MODEL_NOT_FOUND,
        FailureKind.QUOTA_EXHAUSTED,
        FailureKind.CONTEXT_OVERFLOW,
        FailureKind.AUTH,
    ]
    for seed in range(1500):
        chance = random.Random(seed)  # noqa: S311 - a test's own dice
        routes: list[Route] = []
        names = chance.sample(sorted(CANDIDATES), 5)
        grown(routes, names, chance, kinds)
        weights = [4, 4, 4, 4, 1, 1]
        events = [
            Event(failure=failure(kind), takes=chance.choice([0.0, 1.0, 2.5]))
            for kind in chance.choices(kinds, weights, k=5)
        ]
        walk = Recursion(routes, iter(events))
        walk.fails("0")
        world = FakeWorld(MODELS, routes)
        decision = decide("0", world, Sized(10))
        happens = iter(events)
        played = play(
            decision.attempts,
            lambda _, it=happens: next(it),  # type: ignore[misc]
            decision.policy,
        )
        assert [step.candidate.model for step, _ in played.tries] == walk.tried, seed


def grown(
    routes: list[Route], names: Sequence[str], chance: random.Random, kinds: Sequence[FailureKind]
) -> str:
    """Add a route over these models, some of them in routes of their own; return its id."""
    name, inner = str(len(routes)), list[str]()
    policy = Policy(
        deadline=chance.choice([2.0, 4.0, 8.0, 300.0]),
        fallback_on=frozenset(chance.sample(kinds, chance.choice([3, 5, 6]))),
    )
    own = Cascade(id=name, places=(), policy=policy)
    routes.append(own)
    left = list(names)
    while left:
        size = min(len(left), chance.choice([1, 2, 3]))
        taken, left = left[:size], left[size:]
        inner.append(taken[0] if size == 1 else "")
        if size > 1:
            inner[-1] = grown(routes, taken, chance, kinds)
    places = tuple(Place(model=it) for it in inner)
    routes[routes.index(own)] = msgspec.structs.replace(own, places=places)
    return name
