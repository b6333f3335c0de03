"""Rate-limit headers as providers send them, and plans that are used up. Values only.

Who is spent is the server's to know, and what a client makes of it is the client's.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Final

import msgspec

from gatewayctl.core.periods import iso
from gatewayctl.simulator.plays import Fault, Kind, Occasion, Play, refusal
from gatewayctl.simulator.problems import Problem
from gatewayctl.simulator.wire import Wire

Headers = tuple[tuple[str, str], ...]

_UNIFIED: Final = "anthropic-ratelimit-unified-"
_HOUR, _DAY = 3_600, 86_400
_SPENT: Final = 60.0
_USED_UP: Final = Problem(
    status=429, message="You have reached your usage limit.", code="rate_limit_exceeded"
)


def plan(now: float, spent_until: float | None = None) -> Headers:
    """Return a subscription's headers, in seconds since 1970; rejected where it is spent."""
    spent = spent_until is not None
    reset = str(ceil(now + 2 * _HOUR if spent_until is None else spent_until))
    status = "rejected" if spent else "allowed"
    said = {
        "status": status,
        "reset": reset,
        "fallback": "available",
        "representative-claim": "five_hour",
        "5h-status": status,
        "5h-reset": reset,
        "5h-utilization": "1.0" if spent else "0.42",
        "7d-status": "allowed",
        "7d-reset": str(round(now + 3 * _DAY)),
        "7d-utilization": "0.17",
        "overage-status": "rejected",
        "overage-disabled-reason": "org_level_disabled",
    }
    return tuple((_UNIFIED + name, value) for name, value in said.items())


def _anthropic(now: float) -> Headers:
    reset = iso(now + 30)
    figures = {"requests": 50, "tokens": 40_000, "input-tokens": 30_000, "output-tokens": 8_000}
    return tuple(
        (f"anthropic-ratelimit-{name}-{word}", value)
        for name, limit in figures.items()
        for word, value in (("limit", limit), ("remaining", limit - 1), ("reset", reset))
        for value in (str(value),)
    )


def _common(**said: str) -> Headers:
    """Return headers whose names begin with ``x-ratelimit-``, underscores standing for hyphens."""
    return tuple((f"x-ratelimit-{name.replace('_', '-')}", value) for name, value in said.items())


def _openrouter(now: float) -> Headers:
    return _common(limit="50", remaining="49", reset=str(round((now + _HOUR) * 1000)))


_FIXED: Final[Mapping[str, Headers]] = {
    "azure": _common(remaining_requests="19", reset_requests="10", remaining_tokens="19913"),
    "cerebras": _common(
        limit_requests_day="14400",
        remaining_requests_day="14399",
        reset_requests_day="33011.382867",
        limit_tokens_minute="60000",
        remaining_tokens_minute="59000",
        reset_tokens_minute="11.382867",
    ),
    "fireworks": _common(
        limit_requests="6000",
        remaining_requests="5999",
        limit_tokens_prompt="60000",
        remaining_tokens_prompt="59000",
        over_limit="no",
    ),
    "groq": _common(
        limit_requests="14400",
        remaining_requests="14370",
        reset_requests="2m59.56s",
        limit_tokens="18000",
        remaining_tokens="17997",
        reset_tokens="7.66s",
    ),
    "mistral": (
        *_common(
            limit_req_minute="60",
            remaining_req_minute="59",
            limit_tokens_month="1000000000",
            remaining_tokens_month="999000000",
        ),
        ("x-ratelimitbysize-limit-minute", "500000"),
        ("x-ratelimitbysize-remaining-minute", "499000"),
        ("ratelimitbysize-reset", "42"),
    ),
    "openai": _common(
        limit_requests="5000",
        remaining_requests="4999",
        reset_requests="12ms",
        limit_tokens="160000",
        remaining_tokens="159000",
        reset_tokens="6m0s",
    ),
    "together": (
        *_common(limit="60", remaining="59", reset="0.25"),
        ("x-tokenlimit-limit", "2000"),
        ("x-tokenlimit-remaining", "1990"),
    ),
    "xai": _common(
        limit_requests="480",
        remaining_requests="479",
        limit_tokens="2000000",
        remaining_tokens="1999000",
    ),
}
"""What providers send whose resets are counted from the reply, or not told."""

_FROM_NOW: Final[Mapping[str, Callable[[float], Headers]]] = {
    "anthropic": _anthropic,
    "openrouter": _openrouter,
    "plan": plan,
}

DIALECTS: Final = tuple(sorted((*_FIXED, *_FROM_NOW)))
"""Whose headers can be asked for: ``plan`` is a subscription at Anthropic."""


def sent_by(dialect: str, now: float) -> Headers:
    """Return the headers of one of ``DIALECTS``; ``now`` in seconds since 1970."""
    made = _FROM_NOW.get(dialect)
    return _FIXED[dialect] if made is None else made(now)


def credential(header: Callable[[str], str | None]) -> str:
    """Return the credential that a caller sent, empty for none; ``header`` looks one up."""
    bearer = (header("authorization") or "").removeprefix("Bearer ")
    return bearer or header("x-api-key") or header("x-goog-api-key") or ""


def with_headers(play: Play, headers: Headers) -> Play:
    """Return a reply with more headers."""
    return msgspec.structs.replace(play, headers=(*play.headers, *headers))


def used_up(wire: Wire, now: float, spent_until: float) -> Play:
    """Return the refusal of a credential whose plan is used up."""
    return with_headers(refusal(wire, _USED_UP), plan(now, spent_until))


def _limits(play: Play, fault: Fault, occasion: Occasion) -> Play:
    return with_headers(play, sent_by(fault.arg or "openai", occasion.made.created))


def _spent(_play: Play, fault: Fault, occasion: Occasion) -> Play:
    now = occasion.made.created
    return used_up(occasion.wire, now, now + fault.number(_SPENT))


LIMITS: Final[dict[str, Kind]] = {
    "limits": Kind(
        change=_limits,
        meaning="rate-limit headers as a provider sends them, OpenAI's unless told",
        argument="whose",
        choices=DIALECTS,
    ),
    "spent": Kind(
        change=_spent,
        meaning="a 429 whose headers say that the plan is used up for so many seconds, 60 unless "
        "told",
        argument="seconds",
    ),
}
"""What can be asked for, in the way of faults."""
