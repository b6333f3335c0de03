"""The attempt loop as a generator: it yields what to do next and is sent what came of it.

Retry, fallback and the deadline live here, and nowhere else. No clock and no socket: the caller
says how much time has passed. What a failure *is* was decided where it was seen, which candidates
cool is ``core.health``'s business.

- A candidate is retried once at most: after ``network`` and a plain ``server_error`` with backoff,
  after ``rate_limited`` once its short Retry-After is over. Any other failure, and the second one,
  moves on at once, if its kind is one that the route falls back on.
- Where there is nobody to move on to, ``overloaded`` and a longer Retry-After are worth a retry.
- Candidates that cool come last, the soonest first; the last one is tried even so.
- Nothing is begun that would begin at the deadline or after it.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Final, assert_never

import msgspec

from gatewayctl.core.chance import drawn
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import Policy

BACKOFF: Final = 0.5
"""The longest backoff before a retry, in seconds; it is drawn between nothing and this."""

SHORT_WAIT: Final = 5.0
"""The longest Retry-After, in seconds, that is waited for while others could be tried."""

LAST_WAIT: Final = 15.0
"""The longest that is waited for where there is nobody else: a longer one is the client's."""

_PLAIN: Final = frozenset({500, 502, None})
"""Statuses of server errors that a retry often does away with; None came without one."""

_APART: Final = 0x6A09E667F3BCC908
"""Keeps the backoff apart from what else is drawn of the same seed."""


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """Attempt this candidate now; ``number`` counts from 1.

    ``retry``: it is the candidate that was attempted just before.
    """

    candidate: Candidate
    number: int
    retry: bool = False


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Let so many seconds pass before this candidate is retried."""

    seconds: float
    candidate: Candidate


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt failed before its commit, ``elapsed`` seconds after the request came in.

    ``cooling`` says of all candidates which cool now, by model, and for how many seconds more.
    """

    candidate: Candidate
    failure: Failure
    elapsed: float
    cooling: Mapping[str, float] = {}


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """A wait is over, ``elapsed`` seconds after the request came in; ``cooling`` as in Failed."""

    elapsed: float
    cooling: Mapping[str, float] = {}


Step = Try | Wait
Outcome = Failed | Waited


def attempt(
    candidates: Sequence[Candidate],
    policy: Policy,
    *,
    cooling: Mapping[str, float] = {},
    seed: int = 0,
) -> Generator[Step, Outcome, tuple[Failed, ...]]:
    """Yield what to do until the caller stops sending outcomes; return all failures, in order.

    A Try is answered with Failed, a Wait with Waited; a caller whose attempt has committed closes
    the generator. ``candidates`` are in plan order, ``cooling`` is as in Failed, for the first
    choice; ``seed`` is 64 bits of chance for the backoff.
    """
    left = list(candidates)
    failures: list[Failed] = []
    state = seed ^ _APART
    while left:
        candidate = left.pop(_next(left, cooling))
        failed = _failed((yield Try(candidate=candidate, number=len(failures) + 1)))
        failures.append(failed)
        state, chance = drawn(state)
        others = _onward(left, failed, policy)
        wait = _before_retry(failed.failure, BACKOFF * chance / (1 << 64), others)
        if wait is not None and failed.elapsed + wait < policy.deadline:
            if wait and (yield Wait(seconds=wait, candidate=candidate)).elapsed >= policy.deadline:
                break
            again = Try(candidate=candidate, number=len(failures) + 1, retry=True)
            failed = _failed((yield again))
            failures.append(failed)
            others = _onward(left, failed, policy)
        if failed.elapsed >= policy.deadline:
            break
        left, cooling = others, failed.cooling
    return tuple(failures)


def _next(left: Sequence[Candidate], cooling: Mapping[str, float]) -> int:
    """Return where the first that does not cool stands, else the one that cools least."""
    least, soonest = 0, float("inf")
    for index, candidate in enumerate(left):
        cools = cooling.get(candidate.model)
        if cools is None:
            return index
        if cools < soonest:
            least, soonest = index, cools
    return least


def _onward(left: list[Candidate], failed: Failed, policy: Policy) -> list[Candidate]:
    """Return those to whom this failure may move on; what it rules out stays ruled out.

    An overflow leaves those with a larger ceiling. An unknown ceiling counts as larger, and an
    overflow of a candidate whose own is unknown tells nothing of the others.
    """
    kind, ceiling = failed.failure.kind, failed.candidate.ceiling
    if kind not in policy.fallback_on:
        return []
    if kind is not FailureKind.CONTEXT_OVERFLOW or ceiling is None:
        return left
    return [other for other in left if other.ceiling is None or other.ceiling > ceiling]


def _before_retry(  # noqa: PLR0911 - one line a kind
    failure: Failure, backoff: float, others: Sequence[Candidate]
) -> float | None:
    """Return after how many seconds the same candidate is worth a retry, None when it is not."""
    if failure.should_retry is False:
        return None
    asked = None if failure.retry_after is None else max(0.0, failure.retry_after)
    longest = SHORT_WAIT if others else LAST_WAIT
    match failure.kind:
        case FailureKind.NETWORK:
            return 0.0 if failure.stale else backoff
        case FailureKind.SERVER_ERROR:
            return backoff if failure.status in _PLAIN else None
        case FailureKind.RATE_LIMITED:
            return asked if asked is not None and asked <= longest else None
        case FailureKind.OVERLOADED:
            if others or (asked is not None and asked > longest):
                return None
            return backoff if asked is None else asked
        case (
            FailureKind.TIMEOUT
            | FailureKind.QUOTA_EXHAUSTED
            | FailureKind.CONTEXT_OVERFLOW
            | FailureKind.AUTH
            | FailureKind.FORBIDDEN
            | FailureKind.MODEL_NOT_FOUND
            | FailureKind.BAD_REQUEST
            | FailureKind.CONTENT_FILTER
            | FailureKind.BAD_RESPONSE
        ):
            return None
        case _:
            assert_never(failure.kind)


def _failed(outcome: Outcome) -> Failed:
    if not isinstance(outcome, Failed):
        raise TypeError("a try is answered with Failed")
    return outcome
