"""Whatever happens, the attempt loop keeps its rules, and agrees with a naive model of them."""

import random
from collections.abc import Mapping, Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.attempting import MODELS, A, B, C, D, E, Event, Played, failure, play

from gatewayctl.core.attempts import BACKOFF, Failed, Step, Try, Wait
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import Policy

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
        while (choice := self._choice(past)) is not None:
            candidate, wait = choice
            if wait:
                wanted.append(f"wait {wait}")
                over = played.over[len(wanted) - 1 : len(wanted)]
                if over and over[0] >= self.policy.deadline:
                    break
            wanted.append(candidate.model)
            if len(past) == len(played.failures):
                break  # the loop gave up where it should not have
            past.append(played.failures[len(past)])
        return wanted

    def _choice(self, past: Sequence[Failed]) -> tuple[Candidate, float] | None:
        """Return whom to try now, after how long a wait; None for nobody."""
        if not past:
            return self._first(self.candidates, self.cooling)
        last, others = past[-1], self._others(past)
        if last.elapsed >= self.policy.deadline:
            return None
        done = {it.candidate.model for it in past}
        again = [it.candidate.model for it in past].count(last.candidate.model) == 2
        wait = retried(last.failure, self.backoffs[len(done) - 1], alone=not others)
        if wait is None or again or last.elapsed + wait >= self.policy.deadline:
            return self._first(others, last.cooling)
        return last.candidate, wait

    def _others(self, past: Sequence[Failed]) -> list[Candidate]:
        done = {it.candidate.model for it in past}
        small = [
            it.candidate.ceiling
            for it in past
            if it.failure.kind is FailureKind.CONTEXT_OVERFLOW and it.candidate.ceiling is not None
        ]
        return [
            it
            for it in self.candidates
            if past[-1].failure.kind in self.policy.fallback_on
            and it.model not in done
            and (it.ceiling is None or it.ceiling > max(small, default=0))
        ]

    def _first(
        self, those: Sequence[Candidate], cooling: Mapping[str, float]
    ) -> tuple[Candidate, float] | None:
        ranked = sorted(
            those, key=lambda it: (it.model in cooling, cooling.get(it.model, 0), those.index(it))
        )
        return (ranked[0], 0.0) if ranked else None


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
    drawn = play(candidates, lambda _: network, Policy(deadline=1e9), seed=seed).waits
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
)


@given(CANDIDATES, POLICIES, EVENTS, COOLING, st.integers(0, 9))
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
        return msgspec.structs.replace(event, failure=failure(FailureKind.TIMEOUT))

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
