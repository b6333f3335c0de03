"""What the ledger is told of a request, as it happens: metadata alone, never a word of it.

A request is one ``Came`` and one ``Left``; each attempt in between is a ``Started``, any number of
``Seen`` and an ``Ended``. Times are seconds since 1970 (UTC), durations seconds. Where they are
kept is ``ledger``'s business, how they are read back ``history``'s.
"""

from enum import StrEnum

import msgspec

from gatewayctl.core.events import Usage


class Outcome(StrEnum):
    """How an attempt or a request ended.

    ``refused``: a request that led to no attempt. ``broken``: a stream that the upstream broke
    after its commit. ``abandoned``: the client left. ``interrupted``: the daemon died; written at
    the next start.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    REFUSED = "refused"
    BROKEN = "broken"
    ABANDONED = "abandoned"
    INTERRUPTED = "interrupted"


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt cost in tokens and money.

    ``estimated``: the upstream said nothing, this is a guess. ``cost`` is in pico-dollars
    (``core.pricing.PICO``), None where a price is unknown or nothing was counted; ``rates`` are the
    unit prices it was made with, USD per million tokens by dimension, exact as text.
    """

    usage: Usage = Usage()
    estimated: bool = False
    tier: str | None = None
    cost: int | None = None
    rates: dict[str, str] | None = None


class Came(msgspec.Struct, frozen=True, kw_only=True, tag="came"):
    """A request was understood and planned. ``asked`` is the name asked for, as it came.

    ``client`` is the name of the client key it came with.
    """

    request: str
    at: float
    protocol: str
    asked: str
    route: str | None
    route_kind: str
    stream: bool
    session: str | None = None
    client: str | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """An attempt begins: recorded before its first byte goes out. ``number`` counts from 1.

    ``credential`` names the one it is made with, by a label that is no secret. ``metered`` is a
    guess at what it takes at least: all that is known of it if the daemon dies before a checkpoint.
    """

    request: str
    number: int
    at: float
    model: str
    provider: str
    protocol_in: str
    protocol_out: str
    retry: bool
    estimate_low: int
    estimate_likely: int
    estimate_high: int
    estimate_method: str
    output_budget: int
    credential: str | None = None
    metered: Metered = Metered()


class Seen(msgspec.Struct, frozen=True, kw_only=True, tag="seen"):
    """A checkpoint of a stream under way: what was metered so far, which replaces what was."""

    request: str
    number: int
    metered: Metered
    first_token: float | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """An attempt is over. ``said`` is ``Failure.said``; ``first_token`` seconds to the commit.

    ``truncated``: the upstream counted clearly fewer input tokens than there were.
    """

    request: str
    number: int
    outcome: Outcome
    duration: float
    failure: str | None = None
    status: int | None = None
    said: str | None = None
    retry_after: float | None = None
    metered: Metered = Metered()
    first_token: float | None = None
    truncated: bool = False


class Left(msgspec.Struct, frozen=True, kw_only=True, tag="left"):
    """A request is over. ``status`` is the client's, ``error`` what it was told, if one."""

    request: str
    at: float
    outcome: Outcome
    attempts: int
    duration: float
    status: int | None = None
    error: str | None = None
    model: str | None = None


Record = Came | Started | Seen | Ended | Left
