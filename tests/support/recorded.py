"""Records of a request, to tell a ledger: only what a test is about need be given."""

import time
from pathlib import Path
from typing import Any

from gatewayctl.core.events import Usage
from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.records import Came, Ended, Left, Metered, Outcome, Seen, Started


def came(request: str, **given: Any) -> Came:
    """Return a request that came for the alloy ``fast``."""
    values: dict[str, Any] = {
        "at": 1000.0,
        "protocol": "messages",
        "asked": "fast",
        "route": "fast",
        "route_kind": "alloy",
        "stream": True,
    }
    return Came(request=request, **values | given)


def started(request: str, number: int = 1, **given: Any) -> Started:
    """Return the start of an attempt."""
    values: dict[str, Any] = {
        "at": 1000.25,
        "model": "acme/m1",
        "provider": "acme",
        "protocol_in": "messages",
        "protocol_out": "chat_completions",
        "retry": False,
        "estimate_low": 90,
        "estimate_likely": 100,
        "estimate_high": 110,
        "estimate_method": "char_ratio",
        "output_budget": 4096,
    }
    return Started(request=request, number=number, **values | given)


def metered(
    *,
    estimated: bool = False,
    tier: str | None = None,
    cost: int | None = None,
    rates: dict[str, str] | None = None,
    **usage: int | None,
) -> Metered:
    """Return what was metered; ``usage`` by dimension, ``cost`` in pico-dollars."""
    return Metered(usage=Usage(**usage), estimated=estimated, tier=tier, cost=cost, rates=rates)


def seen(request: str, number: int = 1, **usage: int | None) -> Seen:
    """Return a checkpoint."""
    return Seen(request=request, number=number, metered=Metered(usage=Usage(**usage)))


def ended(request: str, number: int = 1, **given: Any) -> Ended:
    """Return the end of an attempt, which was answered unless it is said otherwise."""
    values: dict[str, Any] = {"outcome": Outcome.ANSWERED, "duration": 1.5, "status": 200}
    return Ended(request=request, number=number, **values | given)


def left(request: str, **given: Any) -> Left:
    """Return the end of a request, which was answered unless it is said otherwise."""
    values: dict[str, Any] = {
        "at": 1002.0,
        "outcome": Outcome.ANSWERED,
        "attempts": 1,
        "duration": 2.0,
        "status": 200,
        "model": "acme/m1",
    }
    return Left(request=request, **values | given)


def whole(request: str, **given: Any) -> tuple[Came, Started, Ended, Left]:
    """Return all records of a request that was answered at once."""
    return came(request, **given), started(request), ended(request), left(request)


def opened(folder: Path) -> Ledger:
    """Open a ledger with the clock on the wall."""
    return Ledger.open(folder, time.time)
