"""How the upstreams fare: whom a failure counts against, what a success closes, who probes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.breakers import Breaker, Cause
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.health import (
    MAX_BREAKERS,
    Health,
    Key,
    Keys,
    Parties,
    claimed,
    failed,
    forgot,
    relapsed,
    released,
    remaining,
    states,
    succeeded,
)

ONE = Parties(origin="https://a:443", credential="a", model="a/one")
TWO = Parties(origin="https://a:443", credential="a", model="a/two")
OTHER_KEY = Parties(origin="https://a:443", credential="a/2", model="a/one")
ELSEWHERE = Parties(origin="https://b:443", credential="b", model="b/one")


def failure(kind: FailureKind, **known: float | bool | None) -> Failure:
    """Return a failure with what else is known of it."""
    return Failure(kind=kind, message="no", **known)  # type: ignore[arg-type]


REFUSED = failure(FailureKind.NETWORK, connecting=True)
LIMITED = failure(FailureKind.RATE_LIMITED, status=429, retry_after=10)
BROKEN = failure(FailureKind.SERVER_ERROR, status=500)
BUSY = failure(FailureKind.OVERLOADED, status=503, retry_after=10)


def after(*failures: Failure, parties: Parties = ONE, now: float = 0.0) -> Health:
    """Return what is known after these failures at one time."""
    health = Health()
    for each in failures:
        health = failed(health, parties, each, now)
    return health


def cooling(health: Health, now: float = 0.0) -> list[float | None]:
    """Return how long each of the parties cools."""
    return [remaining(health, each, now) for each in (ONE, TWO, OTHER_KEY, ELSEWHERE)]


def test_a_credentials_limits_are_forgotten_and_nothing_else() -> None:
    """Its breakers at all models close; those of others, of models and of origins stay."""
    health = failed(failed(after(LIMITED), TWO, LIMITED, 0.0), OTHER_KEY, LIMITED, 0.0)
    health = failed(health, ELSEWHERE, BUSY, 0.0)
    assert cooling(forgot(health, "a")) == [None, None, 10.0, 10.0]
    assert forgot(health, "unknown") is health


# Whom a failure counts against


def test_nothing_cools_before_anything_failed() -> None:
    """And a success changes nothing: the snapshot stays the same object."""
    health = Health()
    assert cooling(health) == [None] * 4
    assert succeeded(health, ONE, 1.0) is health
    assert claimed(health, ONE, 1.0) == (health, ())
    assert released(health, ()) is health


def test_a_connection_that_fails_counts_against_the_origin() -> None:
    """All of its models cool, whatever the credential."""
    assert cooling(after(REFUSED, REFUSED, REFUSED)) == [5, 5, 5, None]
    timeout = failure(FailureKind.TIMEOUT, connecting=True)
    assert cooling(after(timeout, timeout, timeout)) == [5, 5, 5, None]


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMITED, FailureKind.QUOTA_EXHAUSTED])
def test_a_429_counts_against_the_credential_at_the_model(kind: FailureKind) -> None:
    """Another credential may go on, and so may another model."""
    assert cooling(after(failure(kind, retry_after=10))) == [10, None, None, None]


@pytest.mark.parametrize(
    "trouble",
    [
        FailureKind.SERVER_ERROR,
        FailureKind.OVERLOADED,
        FailureKind.TIMEOUT,
        FailureKind.BAD_RESPONSE,
        FailureKind.NETWORK,
    ],
)
def test_trouble_at_the_server_counts_against_the_model(trouble: FailureKind) -> None:
    """Whatever the credential."""
    broken = failure(trouble)
    assert cooling(after(broken, broken, broken)) == [5, None, 5, None]


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.AUTH,
        FailureKind.FORBIDDEN,
        FailureKind.BAD_REQUEST,
        FailureKind.CONTENT_FILTER,
        FailureKind.CONTEXT_OVERFLOW,
        FailureKind.MODEL_NOT_FOUND,
    ],
)
def test_what_is_wrong_with_the_request_opens_nothing(kind: FailureKind) -> None:
    """However often it comes."""
    health = Health()
    for _ in range(5):
        assert failed(health, ONE, failure(kind, status=400, retry_after=9), 0.0) is health


def test_answers_that_break_off_are_failures_in_a_row() -> None:
    """Each of them began well, and what that wiped out counts again when it breaks."""
    health = Health()
    for now in (0.0, 1.0, 2.0):
        begun = succeeded(health, ONE, now)
        assert cooling(begun, now) == [None] * 4
        health = relapsed(begun, health, ONE, BROKEN, now)
    assert cooling(health, 2.0) == [5, None, 5, None]
    begun = succeeded(health, ONE, 8.0)
    assert cooling(relapsed(begun, health, ONE, BROKEN, 8.0), 8.0) == [10, None, 10, None]
    assert relapsed(begun, Health(), ONE, LIMITED, 9.0) == failed(begun, ONE, LIMITED, 9.0)


def test_a_dead_pooled_connection_says_nothing() -> None:
    """It opens nothing, and does not prove that the origin can be reached either."""
    stale = failure(FailureKind.NETWORK, stale=True)
    assert after(stale, stale, stale) == Health()
    health = after(REFUSED, REFUSED)
    assert failed(health, ONE, stale, 1.0) is health


@pytest.mark.parametrize(
    "reply",
    [
        BROKEN,
        LIMITED,
        failure(FailureKind.AUTH, status=401),
        failure(FailureKind.BAD_REQUEST),
        failure(FailureKind.BAD_RESPONSE),
        failure(FailureKind.TIMEOUT, status=504),
    ],
)
def test_any_reply_proves_that_the_origin_can_be_reached(reply: Failure) -> None:
    """Even a 500, and even while the origin cools."""
    health = failed(after(REFUSED, REFUSED, REFUSED), TWO, reply, 1.0)
    assert Key(Cause.CONNECT, ONE.origin) not in health.breakers


@pytest.mark.parametrize("silent", [FailureKind.NETWORK, FailureKind.TIMEOUT])
def test_silence_proves_nothing(silent: FailureKind) -> None:
    """A connection that breaks or says nothing leaves the row of failures to connect whole."""
    health = failed(after(REFUSED, REFUSED), ONE, failure(silent), 0.0)
    assert remaining(failed(health, ONE, REFUSED, 1.0), TWO, 1.0) == 5


def test_the_longest_cooldown_of_all_causes_counts() -> None:
    """A call needs the connection, the rate and the server."""
    health = after(REFUSED, REFUSED, REFUSED)
    health = failed(health, ONE, failure(FailureKind.RATE_LIMITED, retry_after=2), 0.0)
    assert remaining(health, ONE, 0.0) == 2  # the 429 came over a connection
    for _ in range(3):
        health = failed(health, ONE, REFUSED, 0.0)
    assert remaining(health, ONE, 0.0) == 5


def test_a_probe_of_the_one_does_not_hide_that_the_other_cools() -> None:
    """A limit on the rate that runs outlasts a probe of the server."""
    health = failed(after(BUSY), OTHER_KEY, LIMITED, 5.0)
    health, _ = claimed(health, ONE, 10.0)
    assert remaining(health, ONE, 10.0) == 0.0
    assert remaining(health, OTHER_KEY, 10.0) == 5.0


def test_recooling_keeps_the_longer_deadline_litellm_40130() -> None:
    """A parallel 429 with a shorter Retry-After, or with none, does not bring it back sooner."""
    health = after(failure(FailureKind.RATE_LIMITED, retry_after=120))
    for later in (LIMITED, failure(FailureKind.RATE_LIMITED), BUSY):
        health = failed(health, ONE, later, 1.0)
        assert remaining(health, ONE, 1.0) == 119


# What a success closes


def test_a_success_closes_what_it_disproves() -> None:
    """All that concerns the call, and nothing of others."""
    health = after(LIMITED, BUSY)
    health = failed(health, TWO, LIMITED, 0.0)
    assert cooling(succeeded(health, ONE, 1.0), 1.0) == [None, 9, None, None]
    assert succeeded(health, ELSEWHERE, 1.0) is health


def test_a_success_ends_a_row_of_failures() -> None:
    """Two failures, a success and two failures open nothing."""
    health = succeeded(after(BROKEN, BROKEN), ONE, 0.5)
    assert health == Health()
    health = failed(failed(health, ONE, BROKEN, 1.0), ONE, BROKEN, 1.0)
    assert remaining(health, ONE, 1.0) is None


def test_a_late_reply_does_not_end_a_cooldown_that_began_after_its_call() -> None:
    """A call from before the 429 proves nothing; one from after it does, and so does the end."""
    health = after(LIMITED, now=5.0)
    assert succeeded(health, ONE, 6.0, began=4.0) is health
    assert succeeded(health, ONE, 6.0, began=5.5) == Health()
    assert succeeded(health, ONE, 15.0, began=4.0) == Health()


# One probe at a time


def test_half_open_one_attempt_probes_and_others_wait() -> None:
    """Whoever comes second sees zero seconds, which is not ready."""
    health = after(LIMITED)
    assert remaining(health, ONE, 10.0) is None
    health, keys = claimed(health, ONE, 10.0)
    assert keys
    assert remaining(health, ONE, 10.0) == 0.0
    again, none = claimed(health, ONE, 10.0)
    assert again is health
    assert none == ()
    assert released(again, none) is health


def test_a_probe_without_a_verdict_lets_the_next_one_probe() -> None:
    """A client that left, or a failure that says nothing of the server."""
    health, keys = claimed(after(LIMITED), ONE, 10.0)
    health = failed(health, ONE, failure(FailureKind.BAD_REQUEST, status=400), 11.0)
    assert remaining(health, ONE, 11.0) == 0.0
    health = released(health, keys)
    assert released(health, keys) is health
    assert remaining(health, ONE, 11.0) is None
    assert claimed(health, ONE, 11.0)[1]


def test_a_probe_closes_or_opens_anew() -> None:
    """Twice as long as before; giving it back afterwards changes nothing."""
    health, keys = claimed(after(failure(FailureKind.RATE_LIMITED)), ONE, 1.0)
    assert succeeded(health, ONE, 2.0, began=1.0) == Health()
    assert released(Health(), keys) == Health()
    health = failed(health, ONE, failure(FailureKind.RATE_LIMITED), 2.0)
    assert remaining(health, ONE, 2.0) == 2
    assert released(health, keys) is health


def test_giving_back_an_old_probe_does_not_give_back_a_newer_one() -> None:
    """A straggler's failure reopened the breaker, and somebody else probes by now."""
    health, old = claimed(after(LIMITED), ONE, 10.0)
    health = failed(health, ONE, LIMITED, 11.0)
    health, new = claimed(health, ONE, 21.0)
    assert released(health, old) is health
    assert remaining(health, ONE, 21.0) == 0.0
    assert remaining(released(health, new), ONE, 21.0) is None


def test_what_still_cools_is_not_probed() -> None:
    """An attempt of the last resort is no probe."""
    health = after(LIMITED)
    assert claimed(health, ONE, 9.9) == (health, ())


# Bounds and display


def test_the_number_of_breakers_is_bounded() -> None:
    """What has not opened goes first, the oldest of it."""
    kept = {
        Key(Cause.SERVER, f"a/{number}"): Breaker(
            kind=FailureKind.SERVER_ERROR,
            since=number,
            until=0.5 if number == 0 else None,
        )
        for number in range(MAX_BREAKERS)
    }
    health = failed(Health(breakers=kept), ONE, BROKEN, 5000.0)
    assert len(health.breakers) == MAX_BREAKERS
    assert set(kept) - set(health.breakers) == {Key(Cause.SERVER, "a/1")}
    again = failed(health, ONE, BROKEN, 5000.0)
    assert set(again.breakers) == set(health.breakers)


def test_where_all_have_opened_the_one_that_ends_first_goes() -> None:
    """Nothing else has been forgotten."""
    kept = {
        Key(Cause.SERVER, f"a/{number}"): Breaker(
            kind=FailureKind.SERVER_ERROR, since=9000.0 - number, until=9000.0 + number
        )
        for number in range(MAX_BREAKERS)
    }
    health = failed(Health(breakers=kept), ONE, LIMITED, 5000.0)
    assert set(kept) - set(health.breakers) == {Key(Cause.SERVER, "a/0")}
    assert remaining(health, ONE, 5000.0) == 10


def test_states_show_what_is_not_closed() -> None:
    """Open, half-open and probed, each with its cause; failures that opened nothing are silent."""
    health = failed(after(LIMITED), TWO, BROKEN, 0.0)
    (shown,) = states(health, 4.0)
    assert (shown.cause, shown.name, shown.credential) == ("rate", "a/one", "a")
    assert (shown.state, shown.remaining, shown.failures) == ("open", 6.0, 1)
    assert shown.kind == "rate_limited"
    (shown,) = states(health, 10.0)
    assert (shown.state, shown.remaining) == ("half_open", 0.0)
    (shown,) = states(claimed(health, ONE, 12.0)[0], 12.0)
    assert (shown.state, shown.remaining) == ("probing", 0.0)


# Whatever happens

PARTIES = st.sampled_from([ONE, TWO, OTHER_KEY, ELSEWHERE])
FAILURES = st.builds(
    Failure,
    kind=st.sampled_from(FailureKind),
    message=st.just("no"),
    status=st.sampled_from([None, 400, 429, 500]),
    retry_after=st.none() | st.floats(0, 100),
    connecting=st.booleans(),
    stale=st.booleans(),
)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["fail", "fail", "succeed", "begin", "end"]), PARTIES, FAILURES),
    min_size=5,
    max_size=40,
)


@given(ACTIONS, st.lists(st.floats(0, 30), min_size=40, max_size=40))
def test_whatever_happens_one_attempt_probes_at_a_time(
    actions: list[tuple[str, Parties, Failure]], gaps: list[float]
) -> None:
    """No breaker is held twice, none is held by nobody, and failures alone shorten nothing."""
    health, now = Health(), 0.0
    held: list[Keys] = []
    for (action, parties, failed_with), gap in zip(actions, gaps, strict=False):
        now += gap
        before = health
        match action:
            case "fail":
                health = failed(health, parties, failed_with, now)
                not_shortened(before, health)
            case "succeed":
                health = succeeded(health, parties, now)
                assert remaining(health, parties, now) is None
            case "begin":
                waits = remaining(health, parties, now)
                health, keys = claimed(health, parties, now)
                assert waits is not None or remaining(health, parties, now) in {None, 0.0}
                held.append(keys)
            case _ if held:
                health = released(health, held.pop(0))
                assert health.breakers.keys() == before.breakers.keys()
            case _:
                pass
        probed = [key for key, breaker in health.breakers.items() if breaker.probing]
        holders = [
            key
            for keys in held
            for key, until in keys
            if key in health.breakers
            and health.breakers[key].probing
            and health.breakers[key].until == until
        ]
        assert sorted(probed) == sorted(holders)
    for keys in held:
        health = released(health, keys)
    assert not any(breaker.probing for breaker in health.breakers.values())


def not_shortened(before: Health, after: Health) -> None:
    """Check that what a failure did not disprove cools at least as long as before."""
    for key, breaker in before.breakers.items():
        if key in after.breakers:
            assert (after.breakers[key].until or 0.0) >= (breaker.until or 0.0)
        else:
            assert key.cause is Cause.CONNECT


@given(ACTIONS)
def test_a_snapshot_never_changes(actions: list[tuple[str, Parties, Failure]]) -> None:
    """Whoever holds an older one may go on reading it."""
    health = Health()
    for now, (_, parties, failed_with) in enumerate(actions):
        kept = dict(health.breakers)
        later = failed(health, parties, failed_with, now)
        claimed(later, parties, now + 5)
        succeeded(later, parties, now)
        assert dict(health.breakers) == kept
        health = later
