"""What is made of a request in the ledger: its first cause, its tokens, its JSON.

Field names are a contract (``schema_version`` 1, docs/attempts.md). How a request looks on a
terminal is ``listing``'s and ``story``'s business, how it is read ``storage.history``'s.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from gatewayctl.cli import money
from gatewayctl.core.events import Usage
from gatewayctl.core.learning import input_tokens
from gatewayctl.core.routing.render import Json
from gatewayctl.storage.history import LoggedAttempt, LoggedRequest
from gatewayctl.storage.records import Metered

_ID = "req_"
_SHORT = 8
_INPUT = ("input", "input_cache_read", "input_cache_write_5m", "input_cache_write_1h")


def short(request_id: str) -> str:
    """Return as much of an id as tells it apart in practice."""
    return request_id.removeprefix(_ID)[:_SHORT]


def long(given: str) -> str:
    """Return the id, or the beginning of one, that a person gave with or without its prefix."""
    return given if given.startswith(_ID) else f"{_ID}{given}"


def moment(at: float) -> datetime:
    """Return a time of the ledger, in UTC."""
    return datetime.fromtimestamp(at, UTC)


def cause(request: LoggedRequest) -> LoggedAttempt | None:
    """Return the first attempt that failed, None where none did."""
    return next((each for each in request.attempts if each.failure is not None), None)


def why(failed: LoggedAttempt) -> str:
    """Return why an attempt failed: its kind, and what is kept of the words."""
    kind, said = failed.failure or "", failed.said or ""
    return said if kind in said else f"{kind}: {said}" if said else kind


def refusal(request: LoggedRequest) -> str:
    """Return why a request led to no attempt: the decision's words where they are kept."""
    kind = request.error or ""
    error = (decision(request) or {}).get("error")
    said = error.get("message") if isinstance(error, dict) else None
    return f"{kind}: {said}" if said else kind


def decision(request: LoggedRequest) -> Json | None:
    """Return the decision as it was kept, None where there is none that can be read."""
    if request.decision is None:
        return None
    try:
        return msgspec.json.decode(request.decision, type=dict[str, object])
    except msgspec.DecodeError:
        return None


def sent(usage: Usage) -> int | None:
    """Return all input tokens, from the cache or into it; None where none are known."""
    return _sum(getattr(usage, name) for name in _INPUT)


def cut(attempt: LoggedAttempt) -> str:
    """Say by what figures an upstream left out some of the input, nothing where it did not."""
    if not attempt.truncated:
        return ""
    counted = input_tokens(attempt.metered.usage) or 0
    if attempt.estimate_low <= counted:  # sent by the bound alone, and measured when it was over
        return f"the upstream counted {counted:,}, fewer than there were: truncated"
    return f"the upstream counted {counted:,} of at least {attempt.estimate_low:,}: truncated"


def whole(request: LoggedRequest) -> Metered:
    """Return what all attempts at a request were metered for together, and what they cost.

    The cost is unknown where that of any tokens is.
    """
    metered = [each.metered for each in request.attempts]
    usage = {
        name: _sum(getattr(each.usage, name) for each in metered)
        for name in Usage.__struct_fields__
    }
    unknown = any(each.cost is None and _counted(each.usage) for each in metered)
    tiers = [each.tier for each in metered if each.tier is not None]
    return Metered(
        usage=Usage(**usage),
        estimated=any(each.estimated for each in metered),
        tier=tiers[-1] if tiers else None,
        cost=None if unknown else _sum(each.cost for each in metered),
    )


def first_token(request: LoggedRequest) -> float | None:
    """Return the seconds from a request's arrival to its first content."""
    return next(
        (
            max(0.0, each.at - request.at) + each.first_token
            for each in reversed(request.attempts)
            if each.first_token is not None
        ),
        None,
    )


def waits(request: LoggedRequest) -> tuple[float | None, ...]:
    """Return for each attempt the seconds since the one before it ended, None for the first."""
    found: list[float | None] = []
    before: LoggedAttempt | None = None
    for each in request.attempts:
        known = before is not None and before.duration is not None
        ended = before.at + (before.duration or 0.0) if before is not None else 0.0
        found.append(max(0.0, each.at - ended) if known else None)
        before = each
    return tuple(found)


def as_json(request: LoggedRequest) -> Json:
    """Return a request with its attempts, without its decision."""
    failed = cause(request)
    return {
        "id": request.request,
        "at": _iso(request.at),
        "ended_at": None if request.ended is None else _iso(request.ended),
        "outcome": request.outcome,
        "status": request.status,
        "error": request.error,
        "cause": None if failed is None else {"model": failed.model, **_failure(failed)},
        "asked": request.asked,
        "route": request.route,
        "route_kind": request.route_kind,
        "model": request.model,
        "protocol": request.protocol,
        "stream": request.stream,
        "duration": _seconds(request.duration),
        "first_token": _seconds(first_token(request)),
        "tokens": _tokens(whole(request)),
        "cost": _cost(whole(request)),
        "session": request.session,
        "client": request.client,
        "daemon": request.instance,
        "attempts": [
            _attempt(each, waited)
            for each, waited in zip(request.attempts, waits(request), strict=True)
        ],
    }


def _attempt(attempt: LoggedAttempt, waited: float | None) -> Json:
    return {
        "number": attempt.number,
        "at": _iso(attempt.at),
        "waited": _seconds(waited),
        "retry": attempt.retry,
        "model": attempt.model,
        "provider": attempt.provider,
        "protocol_in": attempt.protocol_in,
        "protocol_out": attempt.protocol_out,
        "outcome": attempt.outcome,
        **_failure(attempt),
        "retry_after": attempt.retry_after,
        "duration": _seconds(attempt.duration),
        "first_token": _seconds(attempt.first_token),
        "estimate": {
            "low": attempt.estimate_low,
            "likely": attempt.estimate_likely,
            "high": attempt.estimate_high,
            "method": attempt.estimate_method,
        },
        "output_budget": attempt.output_budget,
        "tokens": _tokens(attempt.metered),
        "cost": _cost(attempt.metered),
        "rates": _rates(attempt.metered),
        "credential": attempt.credential,
        "truncated": attempt.truncated,
    }


def _failure(attempt: LoggedAttempt) -> Json:
    return {"failure": attempt.failure, "status": attempt.status, "said": attempt.said}


def _tokens(metered: Metered) -> Json:
    usage = msgspec.structs.asdict(metered.usage)
    return {**usage, "estimated": metered.estimated, "tier": metered.tier}


def _cost(metered: Metered) -> Decimal | None:
    return None if metered.cost is None else money.usd(metered.cost)


def _rates(metered: Metered) -> dict[str, Decimal]:
    return {name: Decimal(rate) for name, rate in (metered.rates or {}).items()}


def _counted(usage: Usage) -> bool:
    return any(msgspec.structs.astuple(usage))


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _seconds(duration: float | None) -> float | None:
    return None if duration is None else round(duration, 3)


def _iso(at: float) -> str:
    return moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
