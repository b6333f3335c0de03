"""The attempt loop as a generator: it yields what to do next and is sent what came of it.

Retry, fallback and the deadline live here, and nowhere else. No clock and no socket: the caller
says how much time has passed. What a failure *is* was decided where it was seen, which candidates
cool is ``core.health``'s business.

- A failure that lies with one of several credentials is retried with the next one at once.
- Else a candidate is retried once at most: after ``network`` and a plain ``server_error`` with
  backoff, after ``rate_limited`` once its short Retry-After is over. Any other failure, and the
  second one, moves on at once, if its kind is one that the route falls back on.
- Where there is nobody to move on to, ``overloaded`` and a longer Retry-After are worth a retry.
- Candidates that cool come last, the soonest first; the last one is tried even so.
- Whom the client cannot pay is passed over, as if it had never been in the plan. Where nothing but
  what other calls of the client have reserved is in the way, it comes last, and is waited for then.
- Nothing is begun that would begin at the deadline or after it.
- A route inside another has its own say: between two candidates the innermost route that holds both
  decides whether one follows the other. One that does not go on, or whose time is up, has failed as
  a whole, with its last failure, and the route around it decides what comes of that.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from gatewayctl.core.chance import drawn
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import OnBreak, Policy

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

    ``deadline`` is how many seconds after the request came in it must have committed, the tightest
    of all routes that the candidate stands in, ``on_break`` that of the innermost of them.
    ``retry``: it is the candidate that was attempted just before. ``patient``: if only what other
    calls of the client have reserved stands in its way, that is worth a wait.
    """

    candidate: Candidate
    number: int
    deadline: float
    on_break: OnBreak
    retry: bool = False
    patient: bool = False


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


class Unpaid(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt was not made, since the client has not the money for it; ``elapsed`` as in Failed.

    ``reserved``: only what other calls of the client have reserved stands in its way.
    """

    elapsed: float
    reserved: bool = False
    cooling: Mapping[str, float] = {}


Step = Try | Wait
Outcome = Failed | Waited | Unpaid


def attempt(
    candidates: Sequence[Candidate],
    policy: Policy,
    *,
    cooling: Mapping[str, float] = {},
    seed: int = 0,
    elapsed: float = 0.0,
) -> Generator[Step, Outcome, tuple[Failed, ...]]:
    """Yield what to do until the caller stops sending outcomes; return all failures, in order.

    A Try is answered with Failed or Unpaid, a Wait with Waited; a caller whose attempt has
    committed closes the generator. ``candidates`` are in plan order, ``policy`` is that of what was
    asked for; ``cooling`` and ``elapsed`` are as in Failed, for the first choice; ``seed`` is 64
    bits of chance for the backoff. Who was passed over for want of money is in no failure.
    """
    routes = _Routes(policy)
    left = others = list(candidates)
    failures: list[Failed] = []
    put_off: list[Candidate] = []
    state = seed ^ _APART
    while others:
        candidate = others[_next(others, cooling)]
        left = [other for other in left if other is not candidate]
        patient = len(others) == 1 or any(it is candidate for it in put_off)
        begun = routes.begun(candidate, len(failures) + 1, elapsed, patient=patient)
        answer = _answer((yield begun))
        newest: Outcome = answer
        if isinstance(answer, Failed):
            state, chance = drawn(state)
            backoff = BACKOFF * chance / (1 << 64)
            newest = yield from _once_more(begun, answer, failures, routes, left, backoff)
        elif answer.reserved and not patient:
            put_off.append(candidate)
            left.append(candidate)
        elapsed, cooling = newest.elapsed, newest.cooling
        left, others = routes.onward(left, failures[-1] if failures else None, elapsed)
    return tuple(failures)


def _once_more(
    begun: Try,
    failed: Failed,
    failures: list[Failed],
    routes: "_Routes",
    left: Sequence[Candidate],
    backoff: float,
) -> Generator[Step, Outcome, Outcome]:
    """Retry a candidate as often as it is worth it; return what came last, and keep what failed."""
    failures.append(failed)
    newest: Outcome = failed
    while failed.failure.elsewhere and failed.elapsed < begun.deadline:
        again = _answer((yield replace(begun, number=len(failures) + 1, retry=True)))
        if isinstance(again, Unpaid):
            return again
        newest = failed = again
        failures.append(failed)
    _, others = routes.onward(left, failed, failed.elapsed)
    wait = _before_retry(failed.failure, backoff, others)
    if wait is not None and failed.elapsed + wait < begun.deadline:
        if wait:
            newest = yield Wait(seconds=wait, candidate=begun.candidate)
        if newest.elapsed < begun.deadline:
            newest = again = _answer((yield replace(begun, number=len(failures) + 1, retry=True)))
            if isinstance(again, Failed):
                failures.append(again)
    return newest


class _Routes:
    """The routes that a request goes through: what they fall back on, and when their time is up."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._ends: dict[tuple[str, ...], float] = {}

    def begun(self, candidate: Candidate, number: int, elapsed: float, *, patient: bool) -> Try:
        """Return the attempt that begins now; so does the time of the routes it is the first of."""
        for route in candidate.nested:
            self._ends.setdefault(route.path, elapsed + route.policy.deadline)
        nearest = candidate.nested[-1].policy if candidate.nested else self._policy
        return Try(
            candidate=candidate,
            number=number,
            deadline=self._deadline(candidate),
            on_break=nearest.on_break,
            patient=patient,
        )

    def onward(
        self, left: Sequence[Candidate], failed: Failed | None, elapsed: float
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Return whom the last failure leaves, and to which of them it may move on; None is none.

        What it rules out stays ruled out. Whom it leaves but may not move on to waits for another
        failure of the route that goes on without them: there is always one such route where
        anybody is left.
        """
        kept = [it for it in left if elapsed < self._deadline(it)]
        if failed is None:
            return kept, kept
        kind, candidate = failed.failure.kind, failed.candidate
        kept = [it for it in kept if _can_hold(it, failed)]
        for route in reversed(candidate.nested):
            inside = [it for it in kept if route in it.nested]
            if inside and kind in route.policy.fallback_on:
                break
            kept = [it for it in kept if route not in it.nested]
        else:
            return (kept, kept) if kind in self._policy.fallback_on else ([], [])
        return kept, [it for it in kept if kind in self._between(candidate, it).fallback_on]

    def _between(self, one: Candidate, other: Candidate) -> Policy:
        """Return the policy of the innermost route that holds both."""
        shared = [route.policy for route in one.nested if route in other.nested]
        return shared[-1] if shared else self._policy

    def _deadline(self, candidate: Candidate) -> float:
        """Return when the time of the first of a candidate's routes is up, as known so far."""
        ends = [self._ends[it.path] for it in candidate.nested if it.path in self._ends]
        return min([self._policy.deadline, *ends])


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


def _can_hold(other: Candidate, failed: Failed) -> bool:
    """Tell whether a candidate may hold what another failed with: after an overflow, a larger one.

    An unknown ceiling counts as larger, and an overflow of a candidate whose own is unknown tells
    nothing of the others.
    """
    ceiling = failed.candidate.ceiling
    if failed.failure.kind is not FailureKind.CONTEXT_OVERFLOW or ceiling is None:
        return True
    return other.ceiling is None or other.ceiling > ceiling


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


def _answer(outcome: Outcome) -> Failed | Unpaid:
    if isinstance(outcome, Waited):
        raise TypeError("a try is answered with Failed or Unpaid")
    return outcome
