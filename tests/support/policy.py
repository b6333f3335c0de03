"""What the specification says about attempts, read a second time, by itself.

Nothing here looks at the gateway: how each fault of the simulator ends is a table, and what
follows from it (who is tried, how often, after what wait, and what the client is told) is worked
out from the text of the policy alone. ``matrix`` compares it with what happens.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgspec

RETRIED_AT_ONCE: Final = 5.0
RETRIED_LAST: Final = 15.0


class Ends(Enum):
    """How a call that does not fail ends: whole, or broken off after its first content."""

    WHOLE = "whole"
    BROKEN = "broken"


class Fails(msgspec.Struct, frozen=True, kw_only=True):
    """A call that fails before its first content.

    ``status`` is the upstream's, None where it has none; ``wait`` is its Retry-After in seconds;
    ``vain``: it said itself that a retry is. ``kind`` is the name of a failure kind.
    """

    kind: str
    status: int | None = None
    wait: float | None = None
    vain: bool = False


End = Ends | Fails

FALLEN_BACK_ON: Final = frozenset(
    {
        "timeout",
        "network",
        "rate_limited",
        "quota_exhausted",
        "overloaded",
        "server_error",
        "bad_response",
        "model_not_found",
        "context_overflow",
    }
)
TOLD_AS: Final = {
    "timeout": ("upstream_timeout", 504),
    "network": ("upstream_failed", 502),
    "server_error": ("upstream_failed", 502),
    "bad_response": ("upstream_failed", 502),
    "rate_limited": ("rate_limited", 429),
    "quota_exhausted": ("rate_limited", 429),
    "overloaded": ("unavailable", 503),
    "auth": ("upstream_auth", 502),
    "forbidden": ("upstream_auth", 502),
    "context_overflow": ("too_large", 413),
    "model_not_found": ("unknown_model", 404),
    "bad_request": ("malformed", 400),
    "content_filter": ("unsupported", 400),
}
"""What the client is told of a failure, and with which status unless the dialect has another."""

VAIN: Final = frozenset(
    {
        "auth",
        "forbidden",
        "bad_request",
        "content_filter",
        "context_overflow",
        "model_not_found",
        "quota_exhausted",
    }
)
"""Failures after which the client is told that a retry cannot help."""


def told_status(kind: str, protocol: str) -> int:
    """Return the status of a refusal of the gateway's own."""
    name, status = TOLD_AS[kind]
    match name, protocol:
        case "unavailable", "messages":
            return 529
        case "too_large", "responses" | "gemini":
            return 400
        case _:
            return status


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate as the policy sees it: how its calls end, and how large it is.

    ``once``: its second call and all later ones end whole.
    """

    model: str
    ceiling: int
    end: End
    once: bool = False


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that is to be made, no sooner than ``after`` seconds after the one before."""

    model: str
    end: End
    after: float = 0.0


def course(places: Sequence[Place]) -> tuple[Tried, ...]:
    """Return the attempts that a request makes over these candidates, the decisive one last."""
    tried: list[Tried] = []
    left = list(places)
    while left:
        place = left.pop(0)
        tried.append(Tried(model=place.model, end=place.end))
        if isinstance(place.end, Ends):
            break
        others = _others(place, place.end, left)
        wait = _retry(place.end, alone=not others)
        if wait is not None:
            second: End = Ends.WHOLE if place.once else place.end
            tried.append(Tried(model=place.model, end=second, after=wait))
            if isinstance(second, Ends):
                break
        left = others
    return tuple(tried)


def _others(place: Place, failure: Fails, left: list[Place]) -> list[Place]:
    """Return those that the failure of one may move on to."""
    if failure.kind not in FALLEN_BACK_ON:
        return []
    if failure.kind == "context_overflow":
        return [other for other in left if other.ceiling > place.ceiling]
    return left


def _retry(failure: Fails, *, alone: bool) -> float | None:
    """Return the least wait before the same candidate is retried, None when it is not."""
    if failure.vain:
        return None
    patience = RETRIED_LAST if alone else RETRIED_AT_ONCE
    match failure:
        case Fails(kind="network"):
            return 0.0
        case Fails(kind="server_error", status=500 | 502 | None):
            return 0.0
        case Fails(kind="rate_limited", wait=float(wait)) if wait <= patience:
            return wait
        case Fails(kind="overloaded", wait=wait) if alone and (wait or 0.0) <= patience:
            return wait or 0.0
        case _:
            return None
