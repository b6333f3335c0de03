"""Requests and attempts as the ledger's reader returns them, made by hand."""

from typing import Any

from gatewayctl.core.events import Usage
from gatewayctl.storage.history import LoggedAttempt, LoggedRequest
from gatewayctl.storage.records import Metered, Outcome

CAME = 1_780_560_000.25
"""When the requests came: 2026-06-04 08:00:00.250 UTC."""

LIMITED: dict[str, Any] = {
    "outcome": Outcome.FAILED,
    "duration": 0.3,
    "failure": "rate_limited",
    "status": 429,
    "said": "HTTP 429: slow down",
    "retry_after": 2.0,
    "metered": Metered(),
}
"""What makes an attempt one that was refused for its rate."""


PAID = Metered(
    usage=Usage(input=1204, output=345),
    cost=8_185_000_000,
    rates={"input": "2.5", "output": "15"},
)
"""What an attempt is metered for: $0.008185."""


def attempt(
    number: int = 1, model: str = "up/one", after: float = 0.0, **more: Any
) -> LoggedAttempt:
    """Return an attempt, answered unless told otherwise, ``after`` seconds after ``CAME``."""
    usual = {
        "at": CAME + after,
        "provider": model.partition("/")[0],
        "protocol_in": "messages",
        "protocol_out": "messages",
        "retry": False,
        "estimate_low": 1100,
        "estimate_likely": 1204,
        "estimate_high": 1400,
        "estimate_method": "ratio",
        "output_budget": 4096,
        "outcome": Outcome.ANSWERED,
        "duration": 1.2,
        "metered": PAID,
    }
    return LoggedAttempt(number=number, model=model, **{**usual, **more})


def request(*attempts: LoggedAttempt, name: str = "5d1c9a3b", **more: Any) -> LoggedRequest:
    """Return a request for ``coding``, answered by its last attempt unless told otherwise."""
    usual = {
        "instance": "0123456789abcdef",
        "at": CAME,
        "protocol": "messages",
        "asked": "coding",
        "route": "coding",
        "route_kind": "cascade",
        "stream": True,
        "outcome": Outcome.ANSWERED,
        "ended": CAME + 2.1,
        "duration": 2.1,
        "status": 200,
        "model": attempts[-1].model if attempts else None,
        "attempts": attempts,
    }
    return LoggedRequest(request=f"req_{name:0<24}", **{**usual, **more})


def failed(*attempts: LoggedAttempt, **more: Any) -> LoggedRequest:
    """Return a request whose attempts all failed, by default one that was limited."""
    tried = attempts or (attempt(**LIMITED),)
    usual = {
        "outcome": Outcome.FAILED,
        "model": None,
        "status": 429,
        "error": "rate_limited",
    }
    return request(*tried, **{**usual, **more})
