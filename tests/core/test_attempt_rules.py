"""Whatever happens, the attempt loop keeps its rules, and agrees with a naive model of them."""

import random
from collections.abc import Mapping, Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.attempting import MODELS, A, B, C, D, E, Event, Played, failure, inside, play

from gatewayctl.core.attempts import BACKOFF, Failed, Step, Try, Wait
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import OnBreak, Policy
from gatewayctl.core.routing.place import Nested

RETRIED = frozenset(
    {
        FailureKind.NETWORK,
        FailureKind.SERVER_ERROR,
        FailureKind.RATE_LIMITED,
        FailureKind.OVERLOADED,
    }
)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The rules, told naively: each step is worked out anew from all that came before.

    ``cooling`` is what cools at the start. ``backoffs`` are those that the loop draws for each
    candidate in turn, had without a deadline in the way.
    """

    candidates: Sequence[Candidate]
    policy: Policy
    cooling: Mapping[str, float]
    backoffs: Sequence[float]

    def steps(self, played: Played) -> list[str]:
        """Return what the rules ask for, given what each step really came to."""
        wanted: list[str] = []
        past: list[Failed] = []
        began = [at for _, at in played.tries]
        choice = self._first(self.candidates, self.cooling)
        while choice is not None:
            wanted.append(choice.model)
            if len(past) == len(played.failures):
                break  # the loop gave up where it should not have
            past.append(played.failures[len(past)])
            wait = self._wait(past, began)
            if wait:
                wanted.append(f"wait {wait}")
                if len(wanted) > len(played.outcomes):
                    break  # the loop did not wait where it should have
                over = played.outcomes[len(wanted) - 1]
                past[-1] = replace(past[-1], elapsed=over.elapsed, cooling=over.cooling)
            if wait is None or past[-1].elapsed >= self._end(choice, past, began):
                choice = self._first(self._others(past, began), past[-1].cooling)
        return wanted

    def _wait(self, past: Sequence[Failed], began: Sequence[float]) -> float | None:
        """Return after how long a wait the one that failed is retried, None for no retry."""
        last = past[-1]
        if [it.candidate.model for it in past].count(last.candidate.model) == 2:
            return None
        backoff = self.backoffs[len({it.candidate.model for it in past}) - 1]
        wait = retried(last.failure, backoff, alone=not self._others(past, began))
        ends = self._end(last.candidate, past, began)
        return None if wait is None or last.elapsed + wait >= ends else wait

    def _end(self, one: Candidate, past: Sequence[Failed], began: Sequence[float]) -> float:
        """Return when the time of the first of one's routes is up."""
        ends = [self.policy.deadline]
        for route in one.nested:
            here = [at for it, at in zip(past, began, strict=False) if holds(route, it.candidate)]
            ends += [at + route.policy.deadline for at in here[:1]]
        return min(ends)

    def _others(self, past: Sequence[Failed], began: Sequence[float]) -> list[Candidate]:
        """Return those to whom the last failure may move on."""
        last = past[-1]
        found = []
        for it in self._left(past, began):
            both = [each.policy for each in it.nested if holds(each, last.candidate)]
            if last.failure.kind in [self.policy, *both][-1].fallback_on:
                found.append(it)
        return found

    def _left(self, past: Sequence[Failed], began: Sequence[float]) -> list[Candidate]:
        """Return those whom nothing has ruled out by the time of the last failure."""
        if not past:
            return list(self.candidates)
        last, earlier = past[-1], past[:-1]
        if earlier and earlier[-1].candidate is last.candidate:
            earlier = earlier[:-1]  # what the retry came to is what counts
        before = [
            it
            for it in self._left(earlier, began)
            if it is not last.candidate
            and last.elapsed < self._end(it, past, began)
            and (last.failure.kind is not FailureKind.CONTEXT_OVERFLOW or above(last, it))
        ]
        whole = Nested(path=(), policy=self.policy)
        return left_in([whole, *last.candidate.nested], last.failure.kind, before)

    def _first(self, those: Sequence[Candidate], cooling: Mapping[str, float]) -> Candidate | None:
        return min(
            those,
            key=lambda it: (
                it.model in cooling,
                cooling.get(it.model, 0),
                self.candidates.index(it),
            ),
            default=None,
        )


def holds(route: Nested, one: Candidate) -> bool:
    """Tell whether a candidate stands in a route; the one with an empty path holds everybody."""
    return not route.path or route.path in [each.path for each in one.nested]


def above(failed: Failed, other: Candidate) -> bool:
    """Tell whether another may hold what was too large for the one that failed."""
    floor = failed.candidate.ceiling
    return floor is None or other.ceiling is None or other.ceiling > floor


def left_in(
    routes: Sequence[Nested], kind: FailureKind, those: Sequence[Candidate]
) -> list[Candidate]:
    """Return whom a failure leaves in the first of the routes around it, outermost first.

    A route learns of it from the one inside, once that has nobody left.
    """
    here = [it for it in those if holds(routes[0], it)]
    if len(routes) == 1:
        return here if kind in routes[0].policy.fallback_on else []
    deeper = left_in(routes[1:], kind, those)
    if not deeper and kind not in routes[0].policy.fallback_on:
        return []
    return [it for it in here if it in deeper or not holds(routes[1], it)]


def retried(failure: Failure, backoff: float, *, alone: bool) -> float | None:
    """Return the wait before a retry by the table of the rules, None for no retry."""
    asked = failure.retry_after
    table = {
        "network": 0.0 if failure.stale else backoff,
        "server_error": backoff if failure.status in {None, 500, 502} else None,
        "rate_limited": asked if asked is not None and asked <= (15 if alone else 5) else None,
        "overloaded": None if asked is not None and asked > 15 else asked,
    }
    if failure.kind is FailureKind.OVERLOADED and asked is None:
        table["overloaded"] = backoff
    if failure.should_retry is False or (failure.kind is FailureKind.OVERLOADED and not alone):
        return None
    return table.get(failure.kind)


def agrees(
    played: Played,
    candidates: Sequence[Candidate],
    policy: Policy,
    cooling: Mapping[str, float],
    seed: int,
) -> bool:
    """Tell whether every step is the one that the naive model asks for."""
    network = Event(failure=failure(FailureKind.NETWORK))
    flat = [inside(it) for it in candidates]
    drawn = play(flat, lambda _: network, Policy(deadline=1e9), seed=seed).waits
    model = Model(
        candidates=candidates,
        policy=policy,
        cooling=cooling,
        backoffs=[wait.seconds for wait, _ in drawn],
    )
    told = [
        f"wait {step.seconds}" if isinstance(step, Wait) else step.candidate.model
        for step, _ in played.steps
    ]
    return told == model.steps(played)


FAILURES = st.builds(
    Failure,
    kind=st.sampled_from(FailureKind) | st.sampled_from(sorted(RETRIED)),
    message=st.just("no"),
    status=st.sampled_from([None, 200, 400, 429, 500, 502, 503, 504]),
    retry_after=st.none() | st.sampled_from([0.0, 1.0, 4.99, 5.0, 5.01, 14.9, 15.0, 15.1, 3600.0]),
    stale=st.booleans(),
    should_retry=st.sampled_from([None, None, True, False]),
)
COOLING = st.dictionaries(
    st.sampled_from([each.id for each in MODELS]), st.sampled_from([0.0, 0.5, 3.0, 3.0, 90.0])
)
EVENTS = st.lists(
    st.builds(
        Event,
        failure=FAILURES,
        takes=st.sampled_from([0.0, 0.001, 0.5, 1.0, 4.0, 5.0, 10.0, 30.0]),
        cooling=COOLING,
    ),
    min_size=15,  # five candidates, each with a wait and a retry
    max_size=15,
)
CANDIDATES = st.permutations([A, B, C, D, E]).flatmap(
    lambda order: st.integers(0, 5).map(lambda count: order[:count])
)
POLICIES = st.builds(
    Policy,
    deadline=st.sampled_from([0.5, 1.0, 5.0, 10.0, 20.0, 300.0]),
    fallback_on=st.just(Policy().fallback_on) | st.frozensets(st.sampled_from(FailureKind)),
    on_break=st.sampled_from(OnBreak),
)
PATHS = [(), ("p",), ("p", "q"), ("p", "q", "r"), ("p", "s"), ("t",), ("t", "q")]


@st.composite
def nestings(draw: st.DrawFn) -> list[Candidate]:
    """Draw candidates in routes up to three deep, in any order, each route with its policy."""
    routes = {path: Nested(path=path, policy=draw(POLICIES)) for path in PATHS}

    def somewhere(candidate: Candidate) -> Candidate:
        path = draw(st.sampled_from(PATHS))
        return inside(candidate, *(routes[path[: end + 1]] for end in range(len(path))))

    return [somewhere(candidate) for candidate in draw(CANDIDATES)]


@given(CANDIDATES | nestings(), POLICIES, EVENTS, COOLING, st.integers(0, 9))
def test_whatever_happens_the_rules_hold(
    candidates: list[Candidate],
    policy: Policy,
    events: list[Event],
    cooling: dict[str, float],
    seed: int,
) -> None:
    """Every step is the one that the naive model asks for, and none breaks a rule."""
    happens = iter(events)
    played = play(candidates, lambda _: next(happens), policy, cooling=cooling, seed=seed)
    assert agrees(played, candidates, policy, cooling, seed)
    never_more_than_the_policy_allows(candidates, played)
    never_past_the_deadline(policy, played)
    told_what_holds_there(policy, played)
    waits_as_asked(played)


def never_more_than_the_policy_allows(candidates: Sequence[Candidate], played: Played) -> None:
    """Check that none but those of the plan are tried, twice at most, in one go, and counted."""
    tried = [step.candidate.model for step, _ in played.tries]
    assert [it.candidate.model for it in played.failures] == tried
    assert [step.number for step, _ in played.tries] == list(range(1, len(tried) + 1))
    before = [None, *tried]
    assert [step.retry for step, _ in played.tries] == [
        now == last for now, last in zip(tried, before, strict=False)
    ]
    firsts = [step.candidate.model for step, _ in played.tries if not step.retry]
    assert len(firsts) == len(set(firsts))
    assert set(firsts) <= {each.model for each in candidates}
    assert all(tried.count(each) <= 2 for each in firsts)
    assert (not tried) == (not candidates)


def never_past_the_deadline(policy: Policy, played: Played) -> None:
    """Check that no try begins at the deadline or later, and no wait is meant to end there."""
    assert all(at < policy.deadline for _, at in played.tries)
    assert all(at + wait.seconds < policy.deadline for wait, at in played.waits)


def told_what_holds_there(policy: Policy, played: Played) -> None:
    """Check each try's time against all routes around it, and what a break does there."""
    entered: dict[tuple[str, ...], float] = {}
    for step, at in played.tries:
        routes = step.candidate.nested
        for route in routes:
            entered.setdefault(route.path, at)
        ends = [entered[route.path] + route.policy.deadline for route in routes]
        assert step.deadline == min([policy.deadline, *ends])
        assert at < step.deadline
        assert step.on_break == [policy, *(route.policy for route in routes)][-1].on_break


def waits_as_asked(played: Played) -> None:
    """Check that each wait is the Retry-After of the failure before, else within the backoff."""
    for index, (step, _) in enumerate(played.steps):
        if isinstance(step, Wait):
            before = played.steps[index - 1][0]
            assert isinstance(before, Try)
            assert before.candidate is step.candidate
            failure = played.failures[before.number - 1].failure
            named = failure.kind in {FailureKind.RATE_LIMITED, FailureKind.OVERLOADED}
            if named and failure.retry_after is not None:
                assert step.seconds == failure.retry_after
            else:
                assert 0 < step.seconds <= BACKOFF


@given(CANDIDATES, EVENTS, COOLING)
def test_the_last_candidate_is_always_tried(
    candidates: list[Candidate], events: list[Event], cooling: dict[str, float]
) -> None:
    """As long as time remains and every failure may move on, everybody has a turn."""
    happens = iter(events)
    policy = Policy(deadline=1e9, fallback_on=frozenset(FailureKind))

    def anything_but_overflows(_: Step) -> Event:
        event = next(happens)
        if event.failure.kind is not FailureKind.CONTEXT_OVERFLOW:
            return event
        return replace(event, failure=failure(FailureKind.TIMEOUT))

    played = play(candidates, anything_but_overflows, policy, cooling=cooling)
    assert {step.candidate.model for step, _ in played.tries} == {it.model for it in candidates}


@given(CANDIDATES, EVENTS, COOLING)
def test_after_an_overflow_only_larger_ones_are_tried_litellm_31557(
    candidates: list[Candidate], events: list[Event], cooling: dict[str, float]
) -> None:
    """For the rest of the request, whatever else fails in between."""
    happens = iter(events)
    policy = Policy(deadline=1e9, fallback_on=frozenset(FailureKind))
    played = play(candidates, lambda _: next(happens), policy, cooling=cooling)
    floor = 0
    for (step, _), failed in zip(played.tries, played.failures, strict=True):
        ceiling = step.candidate.ceiling
        assert ceiling is None or ceiling > floor
        if failed.failure.kind is FailureKind.CONTEXT_OVERFLOW:
            floor = max(floor, ceiling or 0)


def test_long_random_runs_agree_with_the_model() -> None:
    """Beyond what is drawn above: many runs, with times and waits at random."""
    for seed in range(2000):
        chance = random.Random(seed)  # noqa: S311 - a test's own dice
        candidates = chance.sample([A, B, C, D, E], chance.randint(1, 5))
        policy = Policy(deadline=chance.choice([2.0, 6.0, 15.0, 40.0, 300.0]))
        happens = iter([anything(chance) for _ in range(15)])
        played = play(candidates, lambda _, it=happens: next(it), policy, seed=seed)  # type: ignore[misc]
        assert agrees(played, candidates, policy, {}, seed), seed
        never_past_the_deadline(policy, played)


def test_long_random_runs_in_nested_routes_agree_with_the_model() -> None:
    """Many runs in which each route goes on after most failures, and some time runs out."""
    for seed in range(2000):
        chance = random.Random(seed)  # noqa: S311 - a test's own dice
        routes = {path: Nested(path=path, policy=some_policy(chance)) for path in PATHS}
        policy = some_policy(chance)
        candidates = [
            inside(each, *(routes[path[: end + 1]] for end in range(len(path))))
            for each in chance.sample([A, B, C, D, E], 5)
            for path in [chance.choice(PATHS)]
        ]
        happens = iter([anything(chance) for _ in range(15)])
        played = play(candidates, lambda _, it=happens: next(it), policy, seed=seed)  # type: ignore[misc]
        assert agrees(played, candidates, policy, {}, seed), seed
        told_what_holds_there(policy, played)


def some_policy(chance: random.Random) -> Policy:
    """Return a policy that lacks some kinds, and some of the time."""
    kinds = sorted(Policy().fallback_on)
    return Policy(
        deadline=chance.choice([3.0, 6.0, 15.0, 40.0, 300.0]),
        fallback_on=frozenset(chance.sample(kinds, chance.choice([4, 7, 9, 9]))),
        on_break=chance.choice(list(OnBreak)),
    )


def anything(chance: random.Random) -> Event:
    """Return an event in which most failures are of a kind that goes on."""
    return Event(
        failure=failure(
            chance.choice(sorted(Policy().fallback_on)),
            status=chance.choice([None, 500, 504]),
            retry_after=chance.choice([None, 0.0, chance.uniform(0, 20)]),
            stale=chance.random() < 0.1,
        ),
        takes=chance.choice([0.0, 1.0, chance.uniform(0, 6)]),
        cooling={each.model: chance.uniform(0, 60) for each in chance.sample([A, B, C], 2)},
    )
