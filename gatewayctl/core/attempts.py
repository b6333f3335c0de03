"""The attempt loop as a generator: it yields what to try and is sent what came of it.

No clock and no socket: the caller says how much time has passed. Which failures go on to the next
candidate is the route's policy; what a failure *is* was decided where it was seen.
"""

from collections.abc import Generator, Sequence

import msgspec

from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import Policy


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """Attempt this candidate now; ``number`` counts from 1."""

    candidate: Candidate
    number: int


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt failed before its commit, ``elapsed`` seconds after the request came in."""

    candidate: Candidate
    failure: Failure
    elapsed: float


def attempt(
    candidates: Sequence[Candidate], policy: Policy
) -> Generator[Try, Failed, tuple[Failed, ...]]:
    """Yield tries until the caller stops sending failures; return all failures, in order.

    A caller whose attempt has committed closes the generator. ``context_overflow`` moves on only
    to a candidate with a larger ceiling; nothing new is tried past the deadline.
    """
    failures: list[Failed] = []
    floor = 0
    for candidate in candidates:
        if floor and (candidate.ceiling or floor + 1) <= floor:
            continue
        failed = yield Try(candidate=candidate, number=len(failures) + 1)
        failures.append(failed)
        kind = failed.failure.kind
        if kind not in policy.fallback_on or failed.elapsed >= policy.deadline:
            break
        if kind is FailureKind.CONTEXT_OVERFLOW:
            floor = max(floor, candidate.ceiling or 0)
    return tuple(failures)
