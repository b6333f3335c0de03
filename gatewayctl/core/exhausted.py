"""What a client is told when every attempt has failed: the first cause, and all of them in order.

Refusals before any attempt are ``core.routing.refusal``'s business.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never

from gatewayctl.core.attempts import Failed
from gatewayctl.core.errors import ApiError, ErrorKind, Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate


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
        param=first.failure.path,
        tokens=tokens,
        limit=limit,
        retry_after=_retry_after(last, failures[-1].elapsed),
        should_retry=any(worth_repeating(it.failure) for it in last),
        details={
            "requested": requested,
            **(_sizes(failures, tokens, limit) if tokens and limit else {}),
            "attempts": in_order(failures),
        },
    )


def broke_off(requested: str, failures: Sequence[Failed]) -> ApiError:
    """Return the error that ends a stream which broke after its commit: by the last failure."""
    last = failures[-1].failure
    kind = told_kind(last.kind)
    return ApiError(
        kind=ErrorKind.UPSTREAM_FAILED if kind is ErrorKind.MALFORMED else kind,
        message=f"{failures[-1].candidate.model}: the reply broke off: {last.message}",
        details={
            "requested": requested,
            "failure": last.kind.value,
            "attempts": in_order(failures),
        },
    )


def in_order(failures: Sequence[Failed]) -> list[dict[str, object]]:
    """Return all attempts in order, as a client is told of them."""
    return [
        {
            "model": failed.candidate.model,
            "kind": failed.failure.kind.value,
            "status": failed.failure.status,
            "retry": retry,
            "message": failed.failure.message,
        }
        for failed, retry in zip(failures, _retries(failures), strict=True)
    ]


def first_cause(failures: Sequence[Failed]) -> Failed:
    """Return the failure that tells why.

    If others follow, it is neither a dead pooled connection, which is nobody's, nor the failure of
    a credential that another took the place of.
    """
    telling = (it for it in failures if not it.failure.stale and not it.failure.elsewhere)
    return next(telling, failures[0])


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


def _largest(failures: Sequence[Failed]) -> tuple[Candidate, int | None]:
    """Return the largest candidate that said it was too small, and its limit where known.

    A window that the upstream itself names is nearer the truth than ours.
    """
    overflown = [it for it in failures if it.failure.kind is FailureKind.CONTEXT_OVERFLOW]

    def limit(failed: Failed) -> int | None:
        known = (failed.candidate.ceiling, failed.failure.window)
        return min((each for each in known if each is not None), default=None)

    largest = max(overflown, key=lambda it: limit(it) or 0)
    return largest.candidate, limit(largest)


def _sizes(failures: Sequence[Failed], tokens: int, limit: int) -> dict[str, object]:
    """Return what a refusal by size says besides: figures of the largest, and each one's own."""
    largest, _ = _largest(failures)
    tried = {failed.candidate.model: failed for failed in failures}
    return {
        "context_window": largest.context_window,
        "ceiling": limit,
        "estimated_input_tokens": tokens - largest.least_budget,
        "output_budget": largest.output_budget,
        "safety_margin": float(largest.estimator.safety_margin),
        "candidates": [_sized(failed) for failed in tried.values()],
        "would_fit": [],
    }


def _sized(failed: Failed) -> dict[str, object]:
    it = failed.candidate
    told: dict[str, object] = {
        "model": it.model,
        "reason": failed.failure.kind.value,
        "detail": failed.failure.message,
        "estimate": it.estimate.likely,
        "output_budget": it.output_budget,
    }
    if it.ceiling is not None:
        told["ceiling"] = it.ceiling
        told["shortfall"] = max(1, it.estimate.likely + it.least_budget - it.ceiling)
    return told


def _overflow(failures: Sequence[Failed]) -> tuple[int, int]:
    """Return N and M of the largest candidate that said it was too small."""
    largest, known = _largest(failures)
    limit = known or largest.estimate.likely
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
