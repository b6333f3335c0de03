"""Driving the attempt loop on a fake clock: a plan to try, and what becomes of each step."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from support.world import FakeWorld, Sized, decide, model, places

from gatewayctl.core.attempts import Failed, Outcome, Step, Try, Wait, Waited, attempt
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import Cascade, Policy

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
    """What the world does at one step: how it fails, after how long, and who cools by then."""

    failure: Failure = Failure(kind=FailureKind.TIMEOUT, message="no")
    takes: float = 0.1
    cooling: Mapping[str, float] = {}


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: each step with the time at which it began, and the failures given back.

    ``over`` are the times at which the steps ended.
    """

    steps: tuple[tuple[Step, float], ...]
    over: tuple[float, ...]
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
) -> Played:
    """Drive the generator on a fake clock until it gives up; nothing ever succeeds."""
    now = 0.0
    steps: list[tuple[Step, float]] = []
    over: list[float] = []
    generator = attempt(candidates, policy, cooling=cooling, seed=seed)
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
            else:
                outcome = Failed(
                    candidate=step.candidate,
                    failure=event.failure,
                    elapsed=now,
                    cooling=event.cooling,
                )
            over.append(now)
            step = generator.send(outcome)
    except StopIteration as stop:
        return Played(steps=tuple(steps), over=tuple(over), failures=stop.value)


def failure(kind: FailureKind, **known: float | bool | None) -> Failure:
    """Return a failure with what else is known of it."""
    return Failure(kind=kind, message="no", **known)  # type: ignore[arg-type]
