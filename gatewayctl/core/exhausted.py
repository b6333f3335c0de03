"""What a client is told when every attempt has failed: the first cause, and all of them in order.

Refusals before any attempt are ``core.routing.refusal``'s business.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never

from gatewayctl.core.attempts import Failed
from gatewayctl.core.errors import ApiError, ErrorKind, Failure, FailureKind


def told(requested: str, failures: Sequence[Failed]) -> ApiError:
    """Return the error for a request whose attempts all failed; ``failures`` is not empty."""
    first = first_cause(failures)
    kind = told_kind(first.failure.kind)
    tokens = limit = None
    if kind is ErrorKind.TOO_LARGE:
        tokens, limit = _overflow(failures)
    last = {it.candidate.model: it for it in failures}.values()  # what each came to in the end
    return ApiError(
        kind=kind,
        message=_message(first, failures),
        tokens=tokens,
        limit=limit,
        retry_after=_retry_after(last, failures[-1].elapsed),
        should_retry=any(worth_repeating(it.failure) for it in last),
        details={
            "requested": requested,
            "attempts": [
                {
                    "model": failed.candidate.model,
                    "kind": failed.failure.kind.value,
                    "status": failed.failure.status,
                    "retry": retry,
                    "message": failed.failure.message,
                }
                for failed, retry in zip(failures, _retries(failures), strict=True)
            ],
        },
    )


def first_cause(failures: Sequence[Failed]) -> Failed:
    """Return the failure that tells why; a dead pooled connection is nobody's, if others follow."""
    return next((it for it in failures if not it.failure.stale), failures[0])


def worth_repeating(failure: Failure) -> bool:
    """Tell whether the same request may fare better later, by what the upstream said itself."""
    if failure.should_retry is False:
        return False
    named = failure.kind is FailureKind.QUOTA_EXHAUSTED and failure.retry_after is not None
    return named or retry_may_help(failure.kind)


def retry_may_help(kind: FailureKind) -> bool:
    """Tell whether the same request may fare better later, as far as the kind of failure shows."""
    return kind not in {
        FailureKind.AUTH,
        FailureKind.FORBIDDEN,
        FailureKind.BAD_REQUEST,
        FailureKind.CONTENT_FILTER,
        FailureKind.CONTEXT_OVERFLOW,
        FailureKind.MODEL_NOT_FOUND,
        FailureKind.QUOTA_EXHAUSTED,
    }


def told_kind(kind: FailureKind) -> ErrorKind:  # noqa: PLR0911 - one line a kind
    """Return how a failure is told to the client."""
    match kind:
        case FailureKind.TIMEOUT:
            return ErrorKind.UPSTREAM_TIMEOUT
        case FailureKind.RATE_LIMITED | FailureKind.QUOTA_EXHAUSTED:
            return ErrorKind.RATE_LIMITED
        case FailureKind.OVERLOADED:
            return ErrorKind.UNAVAILABLE
        case FailureKind.NETWORK | FailureKind.SERVER_ERROR | FailureKind.BAD_RESPONSE:
            return ErrorKind.UPSTREAM_FAILED
        case FailureKind.AUTH | FailureKind.FORBIDDEN:
            return ErrorKind.UPSTREAM_AUTH
        case FailureKind.CONTEXT_OVERFLOW:
            return ErrorKind.TOO_LARGE
        case FailureKind.MODEL_NOT_FOUND:
            return ErrorKind.UNKNOWN_MODEL
        case FailureKind.BAD_REQUEST:
            return ErrorKind.MALFORMED
        case FailureKind.CONTENT_FILTER:
            return ErrorKind.UNSUPPORTED
        case _:
            assert_never(kind)


def _overflow(failures: Sequence[Failed]) -> tuple[int, int]:
    """Return N and M of the largest candidate that said it was too small."""
    overflown = [it for it in failures if it.failure.kind is FailureKind.CONTEXT_OVERFLOW]
    largest = max((it.candidate for it in overflown), key=lambda it: it.ceiling or 0)
    limit = largest.ceiling or largest.estimate.likely
    return max(largest.estimate.likely + largest.least_budget, limit + 1), limit


def _message(first: Failed, failures: Sequence[Failed]) -> str:
    message = f"{first.candidate.model}: {first.failure.message}"
    named = [it for it in failures if it is first or not it.failure.stale]
    others = [
        f"{it.candidate.model}{' again' if retry else ''} ({it.failure.kind})"
        for it, retry in zip(named, _retries(named), strict=True)
        if it is not first
    ]
    return f"{message}; then also failed: {', '.join(others)}" if others else message


def _retries(failures: Sequence[Failed]) -> list[bool]:
    """Tell of each failure whether the attempt before was of the same candidate."""
    models = [it.candidate.model for it in failures]
    return [before == model for before, model in zip([None, *models], models, strict=False)]


def _retry_after(last: Iterable[Failed], now: float) -> float | None:
    """Return in how many seconds the first candidate that asked for time has had it.

    ``now`` is on the clock of ``elapsed``: what they asked for a while ago is over the sooner.
    """
    asked = [
        it.elapsed + it.failure.retry_after for it in last if it.failure.retry_after is not None
    ]
    return max(0.0, min(asked) - now) if asked else None
