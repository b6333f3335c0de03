"""What a client is told when every attempt has failed: the first cause, and all of them in order.

Refusals before any attempt are ``core.routing.refusal``'s business.
"""

from collections.abc import Sequence
from typing import assert_never

from gatewayctl.core.attempts import Failed
from gatewayctl.core.errors import ApiError, ErrorKind, FailureKind


def told(requested: str, failures: Sequence[Failed]) -> ApiError:
    """Return the error for a request whose attempts all failed; ``failures`` is not empty."""
    first = failures[0]
    kind = told_kind(first.failure.kind)
    candidate = first.candidate
    tokens = limit = None
    if kind is ErrorKind.TOO_LARGE:
        tokens, limit = _overflow(failures)
    message = f"{candidate.model}: {first.failure.message}"
    if len(failures) > 1:
        others = ", ".join(f"{it.candidate.model} ({it.failure.kind})" for it in failures[1:])
        message += f"; then also failed: {others}"
    return ApiError(
        kind=kind,
        message=message,
        tokens=tokens,
        limit=limit,
        retry_after=_retry_after(failures),
        should_retry=retry_may_help(first.failure.kind),
        details={
            "requested": requested,
            "attempts": [
                {
                    "model": failed.candidate.model,
                    "kind": failed.failure.kind.value,
                    "status": failed.failure.status,
                    "message": failed.failure.message,
                }
                for failed in failures
            ],
        },
    )


def retry_may_help(kind: FailureKind) -> bool:
    """Tell whether the same request may fare better later."""
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


def _retry_after(failures: Sequence[Failed]) -> float | None:
    """Return the soonest time at which one of the candidates asked to be tried again."""
    return min(
        (it.failure.retry_after for it in failures if it.failure.retry_after is not None),
        default=None,
    )
