"""What a client is told when every attempt failed: the first cause, and all of them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import FakeWorld, Sized, decide, model, places

from gatewayctl.core.attempts import Failed
from gatewayctl.core.errors import ApiError, ErrorKind, Failure, FailureKind
from gatewayctl.core.exhausted import first_cause, retry_may_help, told, told_kind, worth_repeating
from gatewayctl.core.routing.graph import Cascade, Policy

MODELS = [model("a/one", 10_000), model("b/two", 40_000), model("c/any")]
ROUTE = Cascade(id="c", places=places("a/one", "b/two", "c/any"), policy=Policy())
ONE, TWO, ANY = decide("c", FakeWorld(MODELS, [ROUTE]), Sized(5_000)).attempts


def failure(kind: FailureKind, message: str = "no", **known: float | bool | None) -> Failure:
    """Return a failure with what else is known of it."""
    return Failure(kind=kind, message=message, **known)  # type: ignore[arg-type]


def failed(*kinds: FailureKind, retry_after: float | None = None) -> list[Failed]:
    """Return failures of the route's candidates, in order."""
    return [
        Failed(
            candidate=candidate,
            failure=failure(kind, f"no {number}", retry_after=retry_after),
            elapsed=1.0,
        )
        for number, (candidate, kind) in enumerate(zip((ONE, TWO, ANY), kinds, strict=False), 1)
    ]


def attempts(error: ApiError) -> Sequence[dict[str, object]]:
    """Return what is told of each attempt."""
    listed = error.details["attempts"]
    assert isinstance(listed, list)
    return listed


def test_the_first_cause_leads_and_every_attempt_stands_in_order() -> None:
    """Not the last noise."""
    error = told("c", failed(FailureKind.SERVER_ERROR, FailureKind.NETWORK))
    assert error.kind is ErrorKind.UPSTREAM_FAILED
    assert error.message == "a/one: no 1; then also failed: b/two (network)"
    assert [each["model"] for each in attempts(error)] == ["a/one", "b/two"]


def test_a_retry_is_marked_as_one() -> None:
    """Each attempt has its kind, its status and whether the candidate was the one before."""
    error = told(
        "c",
        [
            Failed(candidate=ONE, failure=failure(FailureKind.SERVER_ERROR, status=500), elapsed=1),
            Failed(candidate=ONE, failure=failure(FailureKind.OVERLOADED, status=503), elapsed=2),
            Failed(candidate=TWO, failure=failure(FailureKind.TIMEOUT), elapsed=3),
        ],
    )
    assert error.message.endswith("also failed: a/one again (overloaded), b/two (timeout)")
    assert [(each["kind"], each["status"], each["retry"]) for each in attempts(error)] == [
        ("server_error", 500, False),
        ("overloaded", 503, True),
        ("timeout", None, False),
    ]


def test_a_dead_pooled_connection_is_not_the_cause() -> None:
    """The retry on a fresh connection says what is wrong; the dead one is listed all the same."""
    stale = Failed(candidate=ONE, failure=failure(FailureKind.NETWORK, stale=True), elapsed=0)
    busy = Failed(candidate=ONE, failure=failure(FailureKind.OVERLOADED, "busy"), elapsed=1)
    error = told("c", [stale, busy])
    assert (error.kind, error.message) == (ErrorKind.UNAVAILABLE, "a/one: busy")
    assert [each["kind"] for each in attempts(error)] == ["network", "overloaded"]
    assert first_cause([stale]) is stale
    lost = Failed(candidate=TWO, failure=failure(FailureKind.NETWORK, stale=True), elapsed=1)
    late = Failed(candidate=TWO, failure=failure(FailureKind.NETWORK), elapsed=2)
    assert told("c", [busy, lost, late]).message.endswith("also failed: b/two (network)")


def test_an_overflow_everywhere_is_told_with_the_largest_candidates_limit() -> None:
    """An agent that compacts to the smallest would throw away more than it needs to."""
    error = told("c", failed(FailureKind.CONTEXT_OVERFLOW, FailureKind.CONTEXT_OVERFLOW))
    assert error.kind is ErrorKind.TOO_LARGE
    assert (error.tokens, error.limit) == (40_001, 40_000)
    assert not error.should_retry


def test_an_overflow_of_an_unknown_window_is_told_by_the_estimate() -> None:
    """N stays above M, so that an agent compacts."""
    overflow = failure(FailureKind.CONTEXT_OVERFLOW)
    error = told("c", [Failed(candidate=ANY, failure=overflow, elapsed=1)])
    assert error.limit == 5_000
    assert error.tokens is not None
    assert error.tokens > 5_000


def test_the_soonest_wait_is_told() -> None:
    """Whoever is free first."""
    assert told("c", failed(FailureKind.OVERLOADED, retry_after=7)).retry_after == 7
    assert told("c", failed(FailureKind.OVERLOADED)).retry_after is None
    busy = failure(FailureKind.OVERLOADED, retry_after=3)
    both = [
        *failed(FailureKind.OVERLOADED, retry_after=7),
        Failed(candidate=TWO, failure=busy, elapsed=1.0),
    ]
    assert told("c", both).retry_after == 3
    assert told("c", both[::-1]).retry_after == 3


def test_a_wait_is_told_as_of_now() -> None:
    """What was asked for a while ago is over the sooner, and a second answer replaces the first."""
    first = Failed(candidate=ONE, failure=failure(FailureKind.RATE_LIMITED), elapsed=1)
    asked = failure(FailureKind.RATE_LIMITED, retry_after=30)
    other = Failed(candidate=TWO, failure=failure(FailureKind.TIMEOUT), elapsed=21)
    assert told("c", [Failed(candidate=ONE, failure=asked, elapsed=1), other]).retry_after == 10
    again = Failed(candidate=ONE, failure=asked, elapsed=4)
    short = failure(FailureKind.RATE_LIMITED, retry_after=3)
    before = Failed(candidate=ONE, failure=short, elapsed=1)
    assert told("c", [before, again]).retry_after == 30
    assert told("c", [first, before, other]).retry_after == 0


def test_a_retry_is_not_suggested_where_none_can_help() -> None:
    """One candidate that may fare better is enough; none, and the client had better not ask."""
    assert not told("c", failed(FailureKind.MODEL_NOT_FOUND, FailureKind.AUTH)).should_retry
    assert told("c", failed(FailureKind.MODEL_NOT_FOUND, FailureKind.OVERLOADED)).should_retry
    once = Failed(candidate=ONE, failure=failure(FailureKind.NETWORK), elapsed=1)
    final = Failed(candidate=ONE, failure=failure(FailureKind.AUTH), elapsed=2)
    assert not told("c", [once, final]).should_retry


def test_the_upstreams_own_word_on_retries_is_passed_on() -> None:
    """``x-should-retry: false`` holds whatever the kind; a spent quota helps once it says when."""
    assert not worth_repeating(failure(FailureKind.SERVER_ERROR, should_retry=False))
    assert worth_repeating(failure(FailureKind.SERVER_ERROR, should_retry=True))
    assert not worth_repeating(failure(FailureKind.QUOTA_EXHAUSTED))
    assert worth_repeating(failure(FailureKind.QUOTA_EXHAUSTED, retry_after=60))


@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_can_be_told(kind: FailureKind) -> None:
    """No kind is forgotten, and what the caller has to change is not worth a retry."""
    assert told_kind(kind) in ErrorKind
    callers = {ErrorKind.MALFORMED, ErrorKind.TOO_LARGE, ErrorKind.UNSUPPORTED}
    assert not (told_kind(kind) in callers and retry_may_help(kind))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ONE, TWO, ANY]),
            st.sampled_from(FailureKind),
            st.none() | st.floats(0, 90_000),
            st.floats(0, 300),
            st.booleans(),
        ),
        min_size=1,
    )
)
def test_whatever_failed_is_told_whole(drawn: list[tuple[object, ...]]) -> None:
    """Every attempt is listed, the first cause is one of them, and no wait is below nothing."""
    failures: list[Failed] = []
    for candidate, kind, retry_after, elapsed, stale in drawn:
        failed = failure(kind, retry_after=retry_after, stale=stale)  # type: ignore[arg-type]
        failures.append(Failed(candidate=candidate, failure=failed, elapsed=elapsed))  # type: ignore[arg-type]
    error = told("c", sorted(failures, key=lambda it: it.elapsed))
    assert len(attempts(error)) == len(failures)
    assert error.kind in {told_kind(it.failure.kind) for it in failures}
    assert error.retry_after is None or 0 <= error.retry_after <= 90_000
    if error.kind is ErrorKind.TOO_LARGE:
        assert error.tokens is not None
        assert error.limit is not None
        assert error.tokens > error.limit


def test_what_the_last_credential_came_to_is_told_not_what_the_ones_before_it_did() -> None:
    """Nobody has to do anything about a token that was renewed."""
    refused = Failed(
        candidate=ONE, failure=failure(FailureKind.AUTH, "refused", elsewhere=True), elapsed=1
    )
    over = Failed(candidate=ONE, failure=failure(FailureKind.AUTH, "log in again"), elapsed=2)
    assert told("c", [refused, over]).message.startswith("a/one: log in again")
    assert first_cause([refused]) is refused
