"""How the upstreams fare, as an immutable snapshot, and what that does to a plan.

Each function takes a snapshot and returns the next one: the caller keeps the newest, and tells the
time, in seconds on any clock that only goes forward. A connection that does not come about counts
against the origin, a 429 against a credential at a model, and trouble at the server against the
model. What one breaker does is ``core.breakers``' business, what an attempt does about it
``core.attempts``'.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Final, NamedTuple, TypeAlias

import msgspec

from gatewayctl.core.breakers import Breaker, Cause, broken
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.routing.decision import Candidate, Decision, SkipReason
from gatewayctl.core.routing.refusal import all_cooling

MAX_BREAKERS: Final = 4096
"""How many are kept: names of models come from clients, and there is no end to them."""


class Key(NamedTuple):
    """What a breaker stands for: ``name`` is an origin or a model's full id."""

    cause: Cause
    name: str
    credential: str = ""


Keys: TypeAlias = tuple[tuple[Key, float], ...]
"""The breakers that an attempt probes, each with the end of the cooldown that it comes after."""


class Parties(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a call involves.

    ``origin`` is ``scheme://host:port``, ``model`` a full id, ``credential`` a label (never the
    secret).
    """

    origin: str
    credential: str
    model: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The breakers of whatever has failed since it last went well; bounded."""

    breakers: Mapping[Key, Breaker] = {}


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker that is not closed, for display.

    ``name`` is an origin or a model's full id, ``credential`` empty where none is meant; ``state``
    is open, half_open or probing, ``remaining`` how many seconds it still cools.
    """

    cause: str
    name: str
    credential: str
    state: str
    remaining: float
    failures: int
    kind: str


def failed(health: Health, parties: Parties, failure: Failure, now: float) -> Health:
    """Count a failure against whom it concerns. A reply of any kind proves that it connected."""
    breakers = health.breakers
    origin = _key(Cause.CONNECT, parties)
    if origin in breakers and _is_reply(failure):
        breakers = {key: breaker for key, breaker in breakers.items() if key != origin}
    cause = _cause(failure)
    if cause is not None:
        key = _key(cause, parties)
        breakers = _bounded(breakers, key) | {key: broken(breakers.get(key), cause, failure, now)}
    return health if breakers is health.breakers else Health(breakers=breakers)


def relapsed(
    health: Health, before: Health, parties: Parties, failure: Failure, now: float
) -> Health:
    """Count a failure of what had counted as a success when its answer began.

    ``before`` is the snapshot from ahead of that success. What it had wiped out counts again, so
    that an upstream whose answers all break off fails in a row.
    """
    cause = _cause(failure)
    key = None if cause is None else _key(cause, parties)
    wiped = None if key is None else before.breakers.get(key)
    if key is not None and wiped is not None and key not in health.breakers:
        row = msgspec.structs.replace(wiped, until=None, probing=False)
        health = Health(breakers=_bounded(health.breakers, key) | {key: row})
    return failed(health, parties, failure, now)


def succeeded(health: Health, parties: Parties, now: float, began: float | None = None) -> Health:
    """Close what a success disproves.

    ``began`` is when the attempt did, None where that is not known: a reply to a call from before
    a cooldown that still runs does not end it.
    """
    if not health.breakers:
        return health
    disproved = {
        key
        for key in _keys(parties)
        if (breaker := health.breakers.get(key)) is not None
        and (began is None or began >= breaker.since or not breaker.cools(now))
    }
    if not disproved:
        return health
    left = {key: each for key, each in health.breakers.items() if key not in disproved}
    return Health(breakers=left)


def claimed(health: Health, parties: Parties, now: float) -> tuple[Health, Keys]:
    """Make an attempt the one probe of each half-open breaker that it meets.

    From now on others see these as cooling. Whatever comes of the attempt, give what is returned
    to ``released`` once it is over.
    """
    if not health.breakers:
        return health, ()
    probed = {
        key: breaker
        for key in _keys(parties)
        if (breaker := health.breakers.get(key)) is not None
        and breaker.half_open(now)
        and not breaker.probing
    }
    claims = tuple((key, each.until) for key, each in probed.items() if each.until is not None)
    return _probing(health, probed, probing=True), claims


def released(health: Health, keys: Keys) -> Health:
    """Let others probe what an attempt has probed without a verdict; after one, change nothing."""
    held = {
        key: breaker
        for key, until in keys
        if (breaker := health.breakers.get(key)) is not None
        and breaker.probing
        and breaker.until == until  # else another attempt's probe, after a later cooldown
    }
    return _probing(health, held, probing=False)


def remaining(health: Health, parties: Parties, now: float) -> float | None:
    """Return for how many seconds a call had better wait; None when it may go ahead.

    0.0 when the cooldown is over and another attempt probes.
    """
    breakers = health.breakers
    if not breakers:
        return None
    longest: float | None = None
    for key in _keys(parties):
        breaker = breakers.get(key)
        if breaker is None or breaker.until is None:
            continue
        if breaker.until > now:
            longest = max(longest or 0.0, breaker.until - now)
        elif breaker.probing:
            longest = longest or 0.0
    return longest


def forgot(health: Health, credential: str) -> Health:
    """Close what cools for a credential's limits alone, whatever its provider asked for."""
    left = {key: each for key, each in health.breakers.items() if key.credential != credential}
    return health if len(left) == len(health.breakers) else Health(breakers=left)


def states(health: Health, now: float) -> tuple[State, ...]:
    """Return what is not closed, in the order in which it first failed."""
    return tuple(
        State(
            cause=key.cause.value,
            name=key.name,
            credential=key.credential,
            state="open" if breaker.cools(now) else "probing" if breaker.probing else "half_open",
            remaining=max(0.0, breaker.until - now),
            failures=breaker.failures,
            kind=breaker.kind.value,
        )
        for key, breaker in health.breakers.items()
        if breaker.until is not None
    )


def weathered(decision: Decision, cooling: Mapping[str, float], elapsed: float) -> Decision:
    """Return the decision with its attempts in the order that the upstreams' health suggests.

    ``cooling`` is by model for how many seconds it still cools, ``elapsed`` seconds have passed
    since the request came in. Ready candidates keep their order, those that cool follow, the
    soonest first. When all of them cool for longer than the deadline leaves, none is attempted.
    """
    attempts = decision.attempts
    cool = [it for it in attempts if it.model in cooling] if cooling else []
    if not cool:
        return decision
    cool.sort(key=lambda it: cooling[it.model])
    soonest = cooling[cool[0].model]
    if len(cool) == len(attempts) and soonest > decision.policy.deadline - elapsed:
        return _refused(decision, cooling, soonest)
    order = (*[it for it in attempts if it.model not in cooling], *cool)
    notes = tuple(
        f"{each.model} {_cools(cooling[each.model])}: tried last"
        for each in _overtaken(attempts, order)
    )
    return msgspec.structs.replace(decision, attempts=order, notes=(*decision.notes, *notes))


def _overtaken(before: Sequence[Candidate], after: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield those that come after one that they came before."""
    places = {each.model: index for index, each in enumerate(before)}
    furthest = 0
    for each in after:
        if places[each.model] < furthest:
            yield each
        furthest = max(furthest, places[each.model])


def _refused(decision: Decision, cooling: Mapping[str, float], soonest: float) -> Decision:
    skipped = tuple(
        each.skipped(SkipReason.COOLING, _cools(cooling[each.model])) for each in decision.attempts
    )
    refused = msgspec.structs.replace(decision, attempts=(), skipped=(*skipped, *decision.skipped))
    return msgspec.structs.replace(refused, error=all_cooling(refused, soonest))


def _cools(seconds: float) -> str:
    return f"cools for {ceil(seconds):,} s more" if seconds else "is being probed"


def _keys(parties: Parties) -> tuple[Key, ...]:
    return (
        Key(Cause.CONNECT, parties.origin),
        Key(Cause.RATE, parties.model, parties.credential),
        Key(Cause.SERVER, parties.model),
    )


def _key(cause: Cause, parties: Parties) -> Key:
    return next(key for key in _keys(parties) if key.cause is cause)


def _cause(failure: Failure) -> Cause | None:
    """Return what a failure counts as; None for one that says nothing of how things fare."""
    if failure.stale or failure.cut_short:
        return None
    if failure.connecting:
        return Cause.CONNECT
    if failure.kind in _OF_RATE:
        return Cause.RATE
    return Cause.SERVER if failure.kind in _OF_SERVER else None


def _is_reply(failure: Failure) -> bool:
    """Tell whether the upstream was reached and answered."""
    if failure.connecting:
        return False
    return failure.status is not None or failure.kind not in _OF_SILENCE


_OF_RATE: Final = frozenset({FailureKind.RATE_LIMITED, FailureKind.QUOTA_EXHAUSTED})

_OF_SILENCE: Final = frozenset({FailureKind.NETWORK, FailureKind.TIMEOUT})

_OF_SERVER: Final = _OF_SILENCE | {
    FailureKind.SERVER_ERROR,
    FailureKind.OVERLOADED,
    FailureKind.BAD_RESPONSE,
}


def _probing(health: Health, those: Mapping[Key, Breaker], *, probing: bool) -> Health:
    if not those:
        return health
    changed = {
        key: msgspec.structs.replace(breaker, probing=probing) for key, breaker in those.items()
    }
    return Health(breakers={**health.breakers, **changed})


def _bounded(breakers: Mapping[Key, Breaker], key: Key) -> dict[Key, Breaker]:
    """Return a copy with room for a key: what has not opened goes first, then what ends first."""
    kept = dict(breakers)
    while key not in kept and len(kept) >= MAX_BREAKERS:
        del kept[min(kept, key=lambda each: _worth(kept[each]))]
    return kept


def _worth(breaker: Breaker) -> tuple[bool, float]:
    return breaker.until is not None, breaker.since if breaker.until is None else breaker.until
