"""The attempt loop: which failure is retried, which goes on to whom, and which ends it."""

from collections.abc import Callable

import msgspec
import pytest
from support.attempting import POLICY, A, B, C, D, E, Event, Played, failure, play

from gatewayctl.core.attempts import BACKOFF, Step, Try, Wait, Waited, attempt
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.graph import Policy

NEVER_RETRIED = frozenset(FailureKind) - {
    FailureKind.NETWORK,
    FailureKind.SERVER_ERROR,
    FailureKind.RATE_LIMITED,
    FailureKind.OVERLOADED,
}
LEFT_TO_THE_CALLER = frozenset(
    {
        FailureKind.AUTH,
        FailureKind.FORBIDDEN,
        FailureKind.BAD_REQUEST,
        FailureKind.CONTENT_FILTER,
    }
)


def always(
    failure: Failure, takes: float = 0.1, *, oversleeps: float = 0.0
) -> Callable[[Step], Event]:
    """Let every attempt fail in the same way, and every wait take longer than asked by so much."""
    return lambda step: Event(failure=failure, takes=takes if isinstance(step, Try) else oversleeps)


def in_turn(*failures: Failure) -> Callable[[Step], Event]:
    """Let the attempts fail in turn, the last for ever."""
    left = list(failures)

    def happens(step: Step) -> Event:
        if isinstance(step, Wait):
            return Event(takes=0.0)
        return Event(failure=left.pop(0) if len(left) > 1 else left[0])

    return happens


def backed_off(played: Played) -> list[str]:
    """Return what was tried, with the backoffs left out, which are checked to be none too long."""
    assert all(0 < wait.seconds <= BACKOFF for wait, _ in played.waits)
    return [each for each in played.short if each[0].isalpha()]


# Fallback


@pytest.mark.parametrize("kind", sorted(NEVER_RETRIED - LEFT_TO_THE_CALLER - {"context_overflow"}))
def test_a_failure_of_the_upstream_goes_on_to_the_next_at_once(kind: FailureKind) -> None:
    """Each candidate is tried once, in order, to the last."""
    assert play([A, B, C], always(failure(kind))).short == ["a", "b", "c"]


@pytest.mark.parametrize("kind", sorted(LEFT_TO_THE_CALLER))
def test_what_the_caller_has_to_mend_is_not_repeated_anywhere(kind: FailureKind) -> None:
    """A bad request or a refused credential ends the loop at once."""
    assert play([A, B, C], always(failure(kind))).short == ["a"]


def test_a_route_says_what_it_falls_back_on() -> None:
    """A kind that it names falls back even if none does by default, and the other way round."""
    policy = Policy(fallback_on=frozenset({FailureKind.AUTH}))
    assert play([A, B], always(failure(FailureKind.AUTH)), policy).short == ["a", "b"]
    assert play([A, B], always(failure(FailureKind.TIMEOUT)), policy).short == ["a"]


def test_nobody_to_try_is_no_attempt() -> None:
    """An empty plan ends before the first step."""
    assert play([], always(failure(FailureKind.TIMEOUT))) == Played(
        steps=(), outcomes=(), failures=()
    )


def test_all_failures_are_returned_in_order() -> None:
    """With a retry among them, each as it was sent."""
    happens = in_turn(failure(FailureKind.NETWORK), failure(FailureKind.TIMEOUT))
    played = play([A, B], happens)
    assert [(it.candidate.model, it.failure.kind.value) for it in played.failures] == [
        ("a/one", "network"),
        ("a/one", "timeout"),
        ("b/two", "timeout"),
    ]
    assert [step.number for step, _ in played.tries] == [1, 2, 3]


# An overflow goes upwards only


def test_an_overflow_moves_only_to_a_larger_ceiling_litellm_31557() -> None:
    """After b/two (4,000), neither c/three (2,000) nor e/five (4,000) is tried; a/one moves up."""
    assert play([A, B, C, E], always(failure(FailureKind.CONTEXT_OVERFLOW))).short == ["a", "b"]


def test_an_overflow_rules_out_smaller_ones_for_good_litellm_31557() -> None:
    """A server error of the larger one in between does not open the way down again."""
    happens = in_turn(failure(FailureKind.CONTEXT_OVERFLOW), failure(FailureKind.TIMEOUT))
    assert play([C, B, A], happens).short == ["c", "b"]


def test_an_unknown_ceiling_counts_as_larger() -> None:
    """Nothing says that it is too small; and its own overflow says nothing of the others."""
    assert play([B, D, C], always(failure(FailureKind.CONTEXT_OVERFLOW))).short == ["b", "d"]
    assert play([D, A, B], always(failure(FailureKind.CONTEXT_OVERFLOW))).short == ["d", "a", "b"]


# Retries


@pytest.mark.parametrize(
    "often",
    [
        failure(FailureKind.NETWORK),
        failure(FailureKind.NETWORK, connecting=True),
        failure(FailureKind.SERVER_ERROR),
        failure(FailureKind.SERVER_ERROR, status=500),
        failure(FailureKind.SERVER_ERROR, status=502),
    ],
)
def test_what_often_passes_is_retried_once_after_a_backoff(often: Failure) -> None:
    """Then the next candidate has its turn, and its own retry."""
    played = play([A, B], always(often))
    assert backed_off(played) == ["a", "a!", "b", "b!"]
    assert len(played.waits) == 2


def test_other_server_errors_are_not_retried() -> None:
    """A 504 or a 507 does not pass in half a second."""
    for status in (501, 504, 507):
        refused = failure(FailureKind.SERVER_ERROR, status=status)
        assert play([A, B], always(refused)).short == ["a", "b"]
        assert play([A], always(refused)).short == ["a"]


def test_a_dead_pooled_connection_is_retried_without_a_wait() -> None:
    """It says nothing of the upstream; the one retry of this candidate it is all the same."""
    happens = in_turn(failure(FailureKind.NETWORK, stale=True), failure(FailureKind.NETWORK))
    assert play([A], happens).short == ["a", "a!"]
    assert play([A], always(failure(FailureKind.NETWORK, stale=True))).short == ["a", "a!"]


def test_a_short_retry_after_is_waited_for_exactly_litellm_7669() -> None:
    """Up to five seconds, at the same candidate, though others wait."""
    limited = failure(FailureKind.RATE_LIMITED, retry_after=5.0)
    assert play([A, B], in_turn(limited)).short[:4] == ["a", "5", "a!", "b"]
    assert play([A, B], in_turn(failure(FailureKind.RATE_LIMITED, retry_after=0))).short == [
        "a",
        "a!",
        "b",
        "b!",
    ]


def test_a_retry_after_in_the_past_is_no_wait() -> None:
    """A date that is over by a clock that differs from ours, or no number at all."""
    for seconds in (-3.0, float("nan")):
        past = failure(FailureKind.RATE_LIMITED, retry_after=seconds)
        assert play([A], always(past)).short == ["a", "a!"]


def test_a_longer_retry_after_goes_to_the_next_candidate() -> None:
    """The last one is waited for, up to fifteen seconds; a longer wait is the client's."""
    policy = Policy(deadline=100.0)
    longer = failure(FailureKind.RATE_LIMITED, retry_after=5.01)
    assert play([A, B], always(longer), policy).short == ["a", "b", "5.01", "b!"]
    for seconds, told in ((15.0, ["a", "15", "a!"]), (15.01, ["a"]), (float("inf"), ["a"])):
        limited = failure(FailureKind.RATE_LIMITED, retry_after=seconds)
        assert play([A], always(limited), policy).short == told


def test_a_rate_limit_without_a_time_is_not_retried() -> None:
    """Nobody knows when it would help."""
    assert play([A, B], always(failure(FailureKind.RATE_LIMITED))).short == ["a", "b"]


def test_an_overloaded_upstream_is_retried_only_where_nobody_is_left() -> None:
    """After its Retry-After if that is short enough, after a backoff where it names none."""
    policy = Policy(deadline=100.0)
    played = play([A, B], always(failure(FailureKind.OVERLOADED)), policy)
    assert backed_off(played) == ["a", "b", "b!"]
    assert len(played.waits) == 1
    busy = failure(FailureKind.OVERLOADED, retry_after=15.0)
    assert play([A, B], always(busy), policy).short == ["a", "b", "15", "b!"]
    assert play([A], always(failure(FailureKind.OVERLOADED, retry_after=16)), policy).short == ["a"]


def test_those_whom_a_failure_may_not_move_to_are_nobody() -> None:
    """Without fallback on overload the only candidate that counts is this one."""
    policy = Policy(fallback_on=frozenset({FailureKind.TIMEOUT}))
    played = play([A, B], always(failure(FailureKind.OVERLOADED)), policy)
    assert backed_off(played) == ["a", "a!"]
    happens = in_turn(failure(FailureKind.CONTEXT_OVERFLOW), failure(FailureKind.OVERLOADED))
    assert backed_off(play([C, A, B], happens)) == ["c", "b", "b!"]


def test_the_upstreams_own_no_to_retries_is_heeded() -> None:
    """``x-should-retry: false`` goes on to the next; ``true`` adds no retry to a kind without."""
    no = failure(FailureKind.SERVER_ERROR, status=500, should_retry=False)
    assert play([A, B], always(no)).short == ["a", "b"]
    yes = failure(FailureKind.TIMEOUT, should_retry=True)
    assert play([A, B], always(yes)).short == ["a", "b"]


def test_what_the_retry_came_to_decides_where_to_go() -> None:
    """A refused credential at the second try ends the loop, an overflow there goes upwards."""
    network = failure(FailureKind.NETWORK)
    assert backed_off(play([A, B], in_turn(network, failure(FailureKind.AUTH)))) == ["a", "a!"]
    happens = in_turn(network, failure(FailureKind.CONTEXT_OVERFLOW))
    assert backed_off(play([C, A, B], happens)) == ["c", "c!", "b"]


def test_the_backoff_is_spread_over_half_a_second() -> None:
    """Two gateways that fail together come back apart, and each seed has its own backoff."""
    drawn = [
        play([A], always(failure(FailureKind.NETWORK)), seed=seed).waits[0][0].seconds
        for seed in range(400)
    ]
    assert drawn == [
        play([A], always(failure(FailureKind.NETWORK)), seed=seed).waits[0][0].seconds
        for seed in range(400)
    ]
    assert len(set(drawn)) == 400
    assert min(drawn) < 0.02
    assert max(drawn) > 0.48
    assert 0.22 < sum(drawn) / 400 < 0.28


def test_two_retries_of_one_request_back_off_differently() -> None:
    """Each draws anew."""
    first, second = play([A, B], always(failure(FailureKind.NETWORK))).waits
    assert first[0].seconds != second[0].seconds


# The deadline


def test_nothing_is_tried_at_the_deadline() -> None:
    """A failure that comes then is the last; one that comes just before is not."""
    timeout = failure(FailureKind.TIMEOUT)
    assert play([A, B], always(timeout, takes=10.0)).short == ["a"]
    assert play([A, B], always(timeout, takes=9.99)).short == ["a", "b"]


def test_no_wait_ends_at_the_deadline() -> None:
    """The next candidate is tried in the time that is left."""
    limited = failure(FailureKind.RATE_LIMITED, retry_after=4.0)
    assert play([A, B], always(limited, takes=6.0)).short == ["a", "b"]
    assert play([A, B], always(limited, takes=5.75)).short == ["a", "4", "a!"]


def test_a_wait_that_took_longer_than_asked_is_not_followed_by_a_try() -> None:
    """A machine that slept through the deadline gives up."""
    limited = failure(FailureKind.RATE_LIMITED, retry_after=1.0)
    played = play([A, B], always(limited, takes=1.0, oversleeps=6.0))
    assert played.short == ["a", "1", "a!", "b"]
    played = play([A, B], always(limited, takes=1.0, oversleeps=8.0))
    assert played.short == ["a", "1"]
    assert len(played.failures) == 1


# What cools comes last


def test_what_cools_is_tried_after_the_others_the_soonest_first() -> None:
    """Plan order holds among the ready ones; nobody is left out."""
    cooling = {A.model: 9.0, C.model: 3.0}
    timeout = Event(cooling=cooling)
    assert play([A, B, C, D], lambda _: timeout, cooling=cooling).short == ["b", "d", "c", "a"]


def test_one_that_another_request_probes_comes_before_those_that_cool() -> None:
    """Zero seconds are still not ready."""
    cooling = {A.model: 9.0, B.model: 0.0}
    timeout = Event(cooling=cooling)
    assert play([A, B, C], lambda _: timeout, cooling=cooling).short == ["c", "b", "a"]


def test_the_newest_word_on_what_cools_counts() -> None:
    """What was known at the start is forgotten."""
    happens = iter([Event(cooling={B.model: 5.0}), Event(), Event()])
    played = play([A, B, C], lambda _: next(happens), cooling={A.model: 1.0, C.model: 1.0})
    assert played.short == ["b", "a", "c"]


def test_the_last_candidate_is_tried_however_long_it_cools() -> None:
    """Cooling reorders and never drops."""
    assert play([A], always(failure(FailureKind.TIMEOUT)), cooling={A.model: 1e9}).short == ["a"]


def test_a_retry_does_not_mind_that_the_candidate_cools() -> None:
    """Its own failure made it cool."""
    limited = Event(
        failure=failure(FailureKind.RATE_LIMITED, retry_after=2.0), cooling={A.model: 2.0}
    )
    assert play([A, B], lambda _: limited).short[:4] == ["a", "2", "a!", "b"]


def test_a_try_answered_as_if_it_were_a_wait_is_a_mistake() -> None:
    """The caller learns of it at once."""
    steps = attempt([A], POLICY)
    next(steps)
    with pytest.raises(TypeError):
        steps.send(Waited(elapsed=1.0))


# Several credentials


def test_a_failure_of_one_of_several_credentials_goes_to_the_next_at_once() -> None:
    """As often as there is another one; then on to the next candidate as ever."""
    spent = msgspec.structs.replace(failure(FailureKind.RATE_LIMITED), elsewhere=True)
    last = failure(FailureKind.RATE_LIMITED)
    assert play([A, B], in_turn(spent, spent, last)).short == ["a", "a!", "a!", "b"]


def test_a_refused_credential_is_replaced_even_where_its_kind_ends_a_request() -> None:
    """With the last one refused, it is the caller's to know, not the next candidate's."""
    refused = failure(FailureKind.AUTH)
    elsewhere = msgspec.structs.replace(refused, elsewhere=True)
    assert play([A, B], in_turn(elsewhere, refused)).short == ["a", "a!"]


def test_the_next_credential_is_not_tried_after_the_deadline() -> None:
    """Each of them takes its time, too."""
    refused = msgspec.structs.replace(failure(FailureKind.AUTH), elsewhere=True)
    slow = always(refused, takes=POLICY.deadline * 0.6)
    assert play([A], slow).short == ["a", "a!"]
