"""What a client is told when every attempt failed: the first cause, and all of them."""

import pytest
from support.world import FakeWorld, Sized, decide, model, places

from gatewayctl.core.attempts import Failed
from gatewayctl.core.errors import ErrorKind, Failure, FailureKind
from gatewayctl.core.exhausted import told, told_kind
from gatewayctl.core.routing.graph import Cascade, Policy

MODELS = [model("a/one", 10_000), model("b/two", 40_000)]
ROUTE = Cascade(id="c", places=places("a/one", "b/two"), policy=Policy())


def failed(*kinds: FailureKind, retry_after: float | None = None) -> list[Failed]:
    """Return failures of the route's candidates, in order."""
    decision = decide("c", FakeWorld(MODELS, [ROUTE]), Sized(5_000))
    return [
        Failed(
            candidate=candidate,
            failure=Failure(kind=kind, message=f"no {number}", retry_after=retry_after),
            elapsed=1.0,
        )
        for number, (candidate, kind) in enumerate(zip(decision.attempts, kinds, strict=False), 1)
    ]


def test_the_first_cause_leads_and_every_attempt_stands_in_order() -> None:
    """Not the last noise."""
    error = told("c", failed(FailureKind.SERVER_ERROR, FailureKind.NETWORK))
    assert error.kind is ErrorKind.UPSTREAM_FAILED
    assert error.message.startswith("a/one: no 1; then also failed: b/two (network)")
    attempts = error.details["attempts"]
    assert isinstance(attempts, list)
    assert [each["model"] for each in attempts] == ["a/one", "b/two"]


def test_an_overflow_everywhere_is_told_with_the_largest_candidates_limit() -> None:
    """An agent that compacts to the smallest would throw away more than it needs to."""
    error = told("c", failed(FailureKind.CONTEXT_OVERFLOW, FailureKind.CONTEXT_OVERFLOW))
    assert error.kind is ErrorKind.TOO_LARGE
    assert (error.tokens, error.limit) == (40_001, 40_000)
    assert not error.should_retry


def test_the_soonest_wait_is_told() -> None:
    """Whoever is free first."""
    assert told("c", failed(FailureKind.OVERLOADED, retry_after=7)).retry_after == 7


@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_can_be_told(kind: FailureKind) -> None:
    """No kind is forgotten."""
    assert told_kind(kind) in ErrorKind
