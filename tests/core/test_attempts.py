"""The attempt loop: which failure goes on to the next candidate, and which ends it."""

from support.world import FakeWorld, Sized, decide, model, places

from gatewayctl.core.attempts import Failed, attempt
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import Cascade, Policy

MODELS = [model("a/one", 1000), model("b/two", 4000), model("c/three", 2000)]
POLICY = Policy(deadline=10.0)


def candidates() -> tuple[Candidate, ...]:
    """Return three candidates with different ceilings."""
    route = Cascade(id="all", places=places("a/one", "b/two", "c/three"), policy=POLICY)
    return decide("all", FakeWorld(MODELS, [route]), Sized(10)).attempts


def play(kinds: list[FailureKind], *, each: float = 1.0) -> tuple[list[str], list[FailureKind]]:
    """Fail every attempt in turn; return what was tried and the failures given back."""
    tried: list[str] = []
    steps = attempt(candidates(), POLICY)
    step = next(steps)
    for number, kind in enumerate(kinds, 1):
        tried.append(step.candidate.model)
        failure = Failure(kind=kind, message="no")
        try:
            step = steps.send(
                Failed(candidate=step.candidate, failure=failure, elapsed=number * each)
            )
        except StopIteration as stop:
            return tried, [failed.failure.kind for failed in stop.value]
    tried.append(step.candidate.model)
    return tried, []


def test_a_failing_server_is_followed_by_the_next_candidate() -> None:
    """Server errors and broken networks fall through, in order, to the end."""
    kinds = [FailureKind.BAD_RESPONSE, FailureKind.OVERLOADED, FailureKind.TIMEOUT]
    assert play(kinds) == (["a/one", "b/two", "c/three"], kinds)


def test_the_callers_own_mistake_is_not_repeated_elsewhere() -> None:
    """A bad request or a refused credential ends the loop at once."""
    for kind in (FailureKind.BAD_REQUEST, FailureKind.AUTH, FailureKind.CONTENT_FILTER):
        assert play([kind]) == (["a/one"], [kind])


def test_an_overflow_moves_only_to_a_larger_ceiling_litellm_31557() -> None:
    """After b/two (4,000) overflows, c/three (2,000) is not tried; a/one's overflow moves up."""
    kinds = [FailureKind.CONTEXT_OVERFLOW, FailureKind.CONTEXT_OVERFLOW]
    assert play(kinds) == (["a/one", "b/two"], kinds)


def test_nothing_new_is_tried_past_the_deadline() -> None:
    """A failure that comes after the deadline is the last."""
    assert play([FailureKind.SERVER_ERROR], each=10.0)[0] == ["a/one"]
