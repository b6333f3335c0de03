"""The attempt loop where the client's money does not do for every candidate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.attempting import POLICY, A, B, C, Event, Played, failure, inside, play

from gatewayctl.core.attempts import Step, Try
from gatewayctl.core.errors import FailureKind
from gatewayctl.core.routing.graph import Policy
from gatewayctl.core.routing.place import Nested

UNPAID = Event(unpaid=True)
RESERVED = Event(unpaid=True, reserved=True)
FAILED = Event(failure=failure(FailureKind.TIMEOUT))
NETWORK = Event(failure=failure(FailureKind.NETWORK))


def _played(events: dict[str, list[Event]], policy: Policy = POLICY) -> Played:
    """Play three candidates, each with its own events, the last of them for ever."""
    left = {name: list(each) for name, each in events.items()}

    def happens(step: Step) -> Event:
        if not isinstance(step, Try):
            return Event(takes=0.0)
        mine = left[step.candidate.model[0]]
        return mine.pop(0) if len(mine) > 1 else mine[0]

    return play([A, B, C], happens, policy)


def _tried(played: Played) -> list[tuple[str, int, bool]]:
    return [(step.candidate.model[0], step.number, step.patient) for step, _ in played.tries]


def test_whom_nobody_can_pay_is_passed_over() -> None:
    """Neither is it a failure, nor does it count as an attempt; the next one is tried at once."""
    played = _played({"a": [UNPAID], "b": [UNPAID], "c": [FAILED]})
    assert _tried(played) == [("a", 1, False), ("b", 1, False), ("c", 1, True)]
    assert [each.candidate.model for each in played.failures] == [C.model]


def test_no_route_has_to_say_that_it_falls_back_on_want_of_money() -> None:
    """It is no failure of the upstream's, but as if the candidate had not been in the plan."""
    strict = Policy(fallback_on=frozenset({FailureKind.AUTH}), deadline=10.0)
    assert _played({"a": [UNPAID], "b": [FAILED], "c": [FAILED]}, strict).short == ["a", "b"]


def test_what_others_have_reserved_is_waited_for_last() -> None:
    """Who can be had at once goes first; then each is worth one wait, in the plan's order."""
    played = _played({"a": [RESERVED], "b": [FAILED], "c": [RESERVED]})
    assert _tried(played) == [
        *(("a", 1, False), ("b", 1, False), ("c", 2, False)),
        *(("a", 2, True), ("c", 2, True)),
    ]
    assert _tried(_played({"a": [RESERVED, FAILED], "b": [UNPAID], "c": [UNPAID]})) == [
        *(("a", 1, False), ("b", 1, False), ("c", 1, False)),
        ("a", 1, True),
    ]


def test_a_retry_that_cannot_be_paid_moves_on() -> None:
    """The candidate has had its attempt: it is not put off."""
    played = _played({"a": [NETWORK, RESERVED], "b": [FAILED], "c": [FAILED]})
    assert [each for each in played.short if each[0].isalpha()] == ["a", "a!", "b", "c"]
    elsewhere = Event(failure=failure(FailureKind.AUTH, elsewhere=True))
    strict = Policy(deadline=10.0)
    played = _played({"a": [elsewhere, UNPAID], "b": [FAILED], "c": [FAILED]}, strict)
    assert played.short == ["a", "a!"], "the refused credential is what ends it, as ever"


def test_a_failure_counts_on_after_whom_nobody_can_pay() -> None:
    """Where the route does not go on after it, what is passed over opens no other way."""
    only = Policy(fallback_on=frozenset({FailureKind.TIMEOUT}), deadline=10.0)
    within = Nested(path=("all", "in"), policy=only)
    plan = [inside(A, within), inside(B, within), C]
    events = {A.model: FAILED, B.model: UNPAID, C.model: FAILED}

    def happens(step: Step) -> Event:
        return events[step.candidate.model]

    assert play(plan, happens, POLICY).short == ["a", "b", "c"]
    auth = Policy(fallback_on=frozenset({FailureKind.AUTH}), deadline=10.0)
    assert play(plan, happens, auth).short == ["a", "b"]


EVENTS = st.lists(st.sampled_from([UNPAID, RESERVED, FAILED, NETWORK]), min_size=1, max_size=4)


@given(EVENTS, EVENTS, EVENTS)
def test_nobody_is_asked_for_ever(a: list[Event], b: list[Event], c: list[Event]) -> None:
    """Whatever the order: it ends, each is put off once at most, failures are those that were."""
    played = _played({"a": a, "b": b, "c": c})
    asked = [step.candidate.model for step, _ in played.tries if not step.retry]
    assert all(1 <= asked.count(each.model) <= 2 for each in (A, B, C))
    numbers = [step.number for step, _ in played.tries]
    assert numbers == sorted(numbers)
    assert len(played.failures) >= numbers[-1] - 1


@pytest.mark.parametrize("takes", [9.9, 10.0, 11.0])
def test_nothing_is_tried_after_the_deadline_though_nothing_failed(takes: float) -> None:
    """A wait for others' money may take all the time there is."""
    slow = Event(unpaid=True, reserved=True, takes=takes)
    expected = ["a", "b"] if takes < POLICY.deadline else ["a"]
    assert _played({"a": [slow], "b": [slow], "c": [slow]}).short == expected
