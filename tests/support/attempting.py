"""Driving the attempt loop on a fake clock: a plan to try, and what becomes of each step."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace
from support.world import FakeWorld, Sized, decide, model, places

from gatewayctl.core.attempts import Failed, Outcome, Step, Try, Unpaid, Wait, Waited, attempt
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import Cascade, Policy
from gatewayctl.core.routing.place import Nested

MODELS = [
    model("a/one", 1000),
    model("b/two", 4000),
    model("c/three", 2000),
    model("d/four"),
    model("e/five", 4000),
]
POLICY = Policy(deadline=10.0)
ROUTE = Cascade(id="all", places=places(*(each.id for each in MODELS)), policy=POLICY)
A, B, C, D, E = decide("all", FakeWorld(MODELS, [ROUTE]), Sized(10)).attempts


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What the world does at one step: how it fails, after how long, and who cools by then.

    ``unpaid``: it is not made for want of money; ``reserved`` as in ``Unpaid``.
    """

    failure: Failure = Failure(kind=FailureKind.TIMEOUT, message="no")
    unpaid: bool = False
    reserved: bool = False
    takes: float = 0.1
    cooling: Mapping[str, float] = {}


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: each step with the time at which it began, and the failures given back.

    ``outcomes`` are what the steps were answered with.
    """

    steps: tuple[tuple[Step, float], ...]
    outcomes: tuple[Outcome, ...]
    failures: tuple[Failed, ...]

    @property
    def tries(self) -> list[tuple[Try, float]]:
        """Return the tries with the times at which they began."""
        return [(step, at) for step, at in self.steps if isinstance(step, Try)]

    @property
    def waits(self) -> list[tuple[Wait, float]]:
        """Return the waits with the times at which they began."""
        return [(step, at) for step, at in self.steps if isinstance(step, Wait)]

    @property
    def short(self) -> list[str]:
        """Return what was tried, with an exclamation mark at retries and the waits between."""
        return [
            f"{step.candidate.model[0]}{'!' if step.retry else ''}"
            if isinstance(step, Try)
            else f"{step.seconds:g}"
            for step, _ in self.steps
        ]


def play(
    candidates: Sequence[Candidate],
    happens: Callable[[Step], Event],
    policy: Policy = POLICY,
    *,
    cooling: Mapping[str, float] = {},
    seed: int = 0,
    elapsed: float = 0.0,
) -> Played:
    """Drive the generator on a fake clock until it gives up; nothing ever succeeds."""
    now = elapsed
    steps: list[tuple[Step, float]] = []
    outcomes: list[Outcome] = []
    generator = attempt(candidates, policy, cooling=cooling, seed=seed, elapsed=elapsed)
    try:
        step = next(generator)
        while True:
            steps.append((step, now))
            event = happens(step)
            now += event.takes
            outcome: Outcome
            if isinstance(step, Wait):
                now += step.seconds
                outcome = Waited(elapsed=now, cooling=event.cooling)
            elif event.unpaid:
                outcome = Unpaid(elapsed=now, reserved=event.reserved, cooling=event.cooling)
            else:
                outcome = Failed(
                    candidate=step.candidate,
                    failure=event.failure,
                    elapsed=now,
                    cooling=event.cooling,
                )
            outcomes.append(outcome)
            step = generator.send(outcome)
    except StopIteration as stop:
        return Played(steps=tuple(steps), outcomes=tuple(outcomes), failures=stop.value)


def inside(candidate: Candidate, *routes: Nested) -> Candidate:
    """Return the candidate as one that stands in these nested routes."""
    return replace(candidate, place=replace(candidate.place, nested=routes))


def failure(kind: FailureKind, **known: float | bool | None) -> Failure:
    """Return a failure with what else is known of it."""
    return Failure(kind=kind, message="no", **known)  # type: ignore[arg-type]
