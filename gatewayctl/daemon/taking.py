"""What an attempt may take at most of what a client key may spend, by the request as it goes out.

The arithmetic is ``core.allowance``'s, who is admitted ``clients``' business.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gatewayctl.config.settings import ModelOverride, Settings
from gatewayctl.core.allowance import Ask, ask
from gatewayctl.core.model import Capability
from gatewayctl.core.routing.decision import Candidate, Estimate
from gatewayctl.core.shape import Demand, RequestShape

_DEARER: Final = ("priority", "fast")
"""Tiers that cost more than the base one; a translation makes one of the other."""

_ABROAD: Final = ("us", "priority+us", "fast+us")

_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
_ANSWERS: Final = ("n", "candidateCount")

_ESCAPED: Final = re.compile(rb"\\u00(?:5[fF]|[67])")
"""A letter or an underscore that is written as a number, as only who hides a word does."""

_BYTES: Final = 2
"""Bytes of a body that are a token at least, whatever is written in it."""

_USUAL_BYTES: Final = 4


def taking(candidate: Candidate, shape: RequestShape, body: bytes, settings: Settings) -> Ask:
    """Return what an attempt at a candidate may take at most.

    What the config sets and drops at a model changes what is sent. What the request asks for is
    looked up in its body as it came: a word too many makes no more than a larger reservation.
    """
    override = settings.model(candidate.model)
    fields = _said(override.set)
    limit, answers = _limit(candidate, shape, override, fields), shape.n
    for name in _ANSWERS:
        answers = fields.get(name, answers)
    hidden = _ESCAPED.search(body) is not None
    parts = (body, *(bytes(raw) for raw in override.set.values()))

    def says(word: str) -> bool:
        return hidden or any(f'"{word}"'.encode() in part for part in parts)

    reads = ["input"]
    reads += ["input_cache_write_1h"] if says("cache_control") else []
    reads += ["audio"] if Capability.AUDIO in shape.needs else []
    reads += ["image"] if Capability.IMAGES in shape.needs else []
    tiers = [*_DEARER] if any(map(says, _DEARER)) else []
    tiers += _ABROAD if says("inference_geo") else []
    return ask(
        candidate.place.prices,
        _whole(candidate.estimate, shape),
        (candidate.output_budget if limit is None else limit) * answers,
        most=(_most(candidate) if limit is None else limit) * answers,
        tiers=tiers,
        reads=reads,
    )


def _limit(
    candidate: Candidate, shape: RequestShape, override: ModelOverride, fields: Mapping[str, int]
) -> int | None:
    """Return the tokens that an answer is held to, None where nothing holds it."""
    said = [fields[name] for name in _LIMITS if name in fields]
    if said:
        return max(said)
    if not set(_LIMITS).isdisjoint(override.drop):
        return None
    return shape.output_budget if candidate.send_budget is None else candidate.send_budget


def _most(candidate: Candidate) -> int:
    """Return the tokens of the longest answer of a model that nobody holds to fewer."""
    place = candidate.place
    if place.most_output is not None:
        return place.most_output
    window = place.limits.window
    room = 0 if window is None else window - candidate.estimate.low
    return max(room, candidate.output_budget)


def _whole(estimate: Estimate, shape: RequestShape) -> Estimate:
    """Return the estimate of all that is paid for: where inputs fit one by one, of their sum."""
    if Demand.ENDPOINT not in shape.demands:
        return estimate
    return msgspec.structs.replace(
        estimate,
        likely=max(estimate.likely, shape.body_bytes // _USUAL_BYTES),
        high=max(estimate.high, shape.body_bytes // _BYTES),
    )


def _said(fields: Mapping[str, msgspec.Raw]) -> dict[str, int]:
    """Return the numbers that the config puts into bodies, also inside of an object of fields."""
    found: dict[str, int] = {}
    for name, raw in fields.items():
        value = msgspec.json.decode(raw)
        inner = value if isinstance(value, dict) else {name: value}
        found |= {key: it for key, it in inner.items() if type(it) is int and it > 0}
    return found
