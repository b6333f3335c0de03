"""One breaker: when it opens, for how long, and that a running cooldown is never shortened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.breakers import LONGEST, LONGEST_ASKED, WINDOW, Breaker, Cause, broken
from gatewayctl.core.errors import Failure, FailureKind

DAY = 86_400.0


def failure(
    kind: FailureKind = FailureKind.SERVER_ERROR, retry_after: float | None = None
) -> Failure:
    """Return a failure."""
    return Failure(kind=kind, message="no", retry_after=retry_after)


def after(cause: Cause, *failures: tuple[float, Failure]) -> Breaker:
    """Return a breaker after failures at these times."""
    breaker = None
    for at, failed in failures:
        breaker = broken(breaker, cause, failed, at)
    assert breaker is not None
    return breaker


def until(cause: Cause, *failures: tuple[float, Failure]) -> float | None:
    """Return when the cooldown of a breaker ends after failures at these times."""
    return after(cause, *failures).until


LIMITED = failure(FailureKind.RATE_LIMITED)


@pytest.mark.parametrize("cause", [Cause.CONNECT, Cause.SERVER])
def test_the_third_failure_in_a_row_opens_it(cause: Cause) -> None:
    """For five seconds; two are not enough."""
    assert until(cause, (0, failure()), (1, failure())) is None
    assert until(cause, (0, failure()), (1, failure()), (2, failure())) == 7


def test_failures_count_together_within_a_minute() -> None:
    """Of many, the last three count; sixty seconds are within, more are not."""
    assert until(Cause.SERVER, (0, failure()), (30, failure()), (60, failure())) == 65
    assert until(Cause.SERVER, (0, failure()), (30, failure()), (60.5, failure())) is None
    late = [(0, failure()), (59, failure()), (61, failure()), (62, failure())]
    assert until(Cause.SERVER, *late) == 67
    assert after(Cause.SERVER, (0, failure()), (100, failure())).failures == 2


def test_each_reopening_doubles_the_cooldown_up_to_a_minute() -> None:
    """One failed probe is enough to open it anew."""
    breaker, lengths, now = None, [], 0.0
    for _ in range(10):
        breaker = broken(breaker, Cause.SERVER, failure(), now)
        if breaker.until is not None:
            lengths.append(breaker.until - now)
            now = breaker.until
    assert lengths == [5, 10, 20, 40, 60, 60, 60, 60]


def test_a_rate_limit_opens_at_once_and_doubles_from_a_second() -> None:
    """Up to a minute as well."""
    breaker, lengths, now = None, [], 0.0
    for _ in range(8):
        breaker = broken(breaker, Cause.RATE, LIMITED, now)
        assert breaker.until is not None
        lengths.append(breaker.until - now)
        now = breaker.until
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_spent_quota_cools_for_a_minute_where_no_time_is_named() -> None:
    """The time that is named comes first."""
    spent = FailureKind.QUOTA_EXHAUSTED
    assert until(Cause.RATE, (0, failure(spent))) == 60
    assert until(Cause.RATE, (0, failure(spent, 3600))) == 3600


def test_retry_after_is_honoured_litellm_7669() -> None:
    """To the second, beyond what is cooled otherwise, up to a day; not below nothing."""
    for asked, held in ((0.0, 0.0), (0.25, 0.25), (300, 300), (DAY, DAY), (1e9, DAY), (-5, 0.0)):
        limited = failure(FailureKind.RATE_LIMITED, asked)
        assert until(Cause.RATE, (10, limited)) == 10 + held
    for asked, held in ((float("inf"), DAY), (float("nan"), 0.0)):
        assert until(Cause.RATE, (0, failure(FailureKind.RATE_LIMITED, asked))) == held


def test_an_overloaded_server_that_names_a_time_cools_at_once_for_so_long_litellm_7669() -> None:
    """Without one it counts like any other failure, and others' Retry-After does not count."""
    assert until(Cause.SERVER, (0, failure(FailureKind.OVERLOADED, 90))) == 90
    assert until(Cause.SERVER, (0, failure(FailureKind.OVERLOADED))) is None
    assert until(Cause.SERVER, (0, failure(FailureKind.SERVER_ERROR, 90))) is None
    assert until(Cause.CONNECT, (0, failure(FailureKind.OVERLOADED, 90))) is None


def test_recooling_keeps_the_longer_deadline_litellm_40130() -> None:
    """A shorter Retry-After, none, or another kind: whatever comes while it cools."""
    long = failure(FailureKind.RATE_LIMITED, 300)
    for later in (LIMITED, failure(FailureKind.RATE_LIMITED, 2), failure(FailureKind.TIMEOUT)):
        assert until(Cause.RATE, (0, long), (5, later)) == 300
    assert until(Cause.RATE, (0, LIMITED), (0.5, long)) == 300.5


def test_failures_that_come_while_it_cools_do_not_double_it() -> None:
    """Ten requests that were under way together are one piece of news."""
    at_once = [(0.0, LIMITED)] * 10
    breaker = after(Cause.RATE, *at_once)
    assert (breaker.opened, breaker.failures, breaker.until) == (1, 10, 1.0)


def test_it_remembers_when_it_opened_and_what_failed_last() -> None:
    """For display, and to tell a late reply from a proof."""
    breaker = after(Cause.RATE, (3, LIMITED), (3.5, failure(FailureKind.QUOTA_EXHAUSTED)))
    assert (breaker.since, breaker.kind) == (3, FailureKind.QUOTA_EXHAUSTED)
    assert after(Cause.RATE, (3, LIMITED), (4, LIMITED)).since == 4
    assert after(Cause.SERVER, (3, failure()), (4, failure())).since == 3


def test_at_the_very_end_of_its_cooldown_it_is_half_open() -> None:
    """Equality ends it."""
    breaker = after(Cause.RATE, (0, LIMITED))
    assert (breaker.cools(0.99), breaker.half_open(0.99)) == (True, False)
    assert (breaker.cools(1.0), breaker.half_open(1.0)) == (False, True)
    closed = after(Cause.SERVER, (0, failure()))
    assert not closed.cools(0)
    assert not closed.half_open(9)


@given(
    st.sampled_from(Cause),
    st.lists(
        st.tuples(
            st.floats(0, 100),
            st.sampled_from(FailureKind),
            st.none() | st.floats(-10, 200_000),
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_a_cooldown_is_never_shortened_and_never_endless_litellm_40130(
    cause: Cause, drawn: list[tuple[float, FailureKind, float | None]]
) -> None:
    """Whatever the sequence of failures; and a failure never closes what is open."""
    breaker: Breaker | None = None
    now = 0.0
    for gap, kind, asked in drawn:
        now += gap
        before, breaker = breaker, broken(breaker, cause, failure(kind, asked), now)
        assert breaker.failures == (0 if before is None else before.failures) + 1
        assert all(now - at <= WINDOW for at in breaker.recent)
        assert len(breaker.recent) <= 3
        assert not breaker.probing
        if before is not None and before.until is not None:
            assert breaker.until is not None
            assert breaker.until >= before.until
        if breaker.until is not None:
            assert breaker.opened
            own = asked is None and (before is None or not before.cools(now))
            assert breaker.until - now <= (LONGEST if own else LONGEST_ASKED) + 1e-6
