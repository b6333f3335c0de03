"""One breaker: when it opens, for how long, and when one probe may try again.

Closed, it counts the failures in a row. Open, it cools until a point in time. After that it is
half-open: one attempt may probe, and what comes of it opens or closes it again. Whom a failure is
counted against, and what is done with those that cool, is ``core.health``'s business. Times are in
seconds on any clock that only goes forward.
"""

from enum import StrEnum
from typing import Final

import msgspec

from gatewayctl.core.errors import Failure, FailureKind

WINDOW: Final = 60.0
"""Failures count together when they came within so many seconds."""

LONGEST: Final = 60.0
"""The longest cooldown of our own making, in seconds."""

LONGEST_ASKED: Final = 86_400.0
"""The longest cooldown that an upstream's Retry-After makes, in seconds."""


class Cause(StrEnum):
    """What a breaker watches: an origin's connections, a credential's rate, a model's health."""

    CONNECT = "connect"
    RATE = "rate"
    SERVER = "server"


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """How one thing has fared since it last went well.

    ``failures`` counts those in a row, ``kind`` is the last one's, ``recent`` holds the times of
    the last few. ``until`` is when the cooldown ends, None for a breaker that has not opened;
    ``opened`` counts how often it has in a row, and ``since`` is when it last did, or, if it never
    did, when the first failure came. ``probing``: an attempt tries whether it is well again.
    """

    kind: FailureKind
    since: float
    failures: int = 0
    recent: tuple[float, ...] = ()
    until: float | None = None
    opened: int = 0
    probing: bool = False

    def cools(self, now: float) -> bool:
        """Tell whether a cooldown is running."""
        return self.until is not None and self.until > now

    def half_open(self, now: float) -> bool:
        """Tell whether a cooldown is over and nothing has shown yet that all is well."""
        return self.until is not None and self.until <= now


def broken(before: Breaker | None, cause: Cause, failure: Failure, now: float) -> Breaker:
    """Return the breaker after one more failure; a cooldown that runs is never shortened."""
    if before is None:
        before = Breaker(kind=failure.kind, since=now)
    recent = (*[at for at in before.recent if now - at <= WINDOW], now)[-_IN_A_ROW[cause] :]
    opened, until, since = before.opened, before.until, before.since
    asked = _asked(cause, failure)
    if until is not None or asked is not None or len(recent) >= _IN_A_ROW[cause]:
        if until is None or until <= now:
            opened, since = opened + 1, now  # failures that come while it cools open nothing anew
        length = _own(cause, failure, opened) if asked is None else asked
        until = max(now + length, until or now)
    return Breaker(
        kind=failure.kind,
        since=since,
        failures=before.failures + 1,
        recent=recent,
        until=until,
        opened=opened,
    )


_IN_A_ROW: Final = {Cause.CONNECT: 3, Cause.RATE: 1, Cause.SERVER: 3}
"""How many failures open it when the upstream names no time itself."""

_FIRST: Final = {Cause.CONNECT: 5.0, Cause.RATE: 1.0, Cause.SERVER: 5.0}
"""How long it cools the first time, in seconds; each further time twice as long."""


def _asked(cause: Cause, failure: Failure) -> float | None:
    """Return for how long the upstream itself asks to be left alone."""
    if failure.retry_after is None:
        return None
    if cause is Cause.RATE or (cause is Cause.SERVER and failure.kind is FailureKind.OVERLOADED):
        return min(max(0.0, failure.retry_after), LONGEST_ASKED)
    return None


def _own(cause: Cause, failure: Failure, opened: int) -> float:
    """Return for how long to leave it alone where the upstream does not say."""
    if failure.kind is FailureKind.QUOTA_EXHAUSTED:
        return LONGEST
    return min(_FIRST[cause] * 2.0 ** min(opened - 1, 16), LONGEST)
