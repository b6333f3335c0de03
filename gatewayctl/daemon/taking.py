"""What an attempt may take at most of what a client key may spend, by the request as it goes out.

The arithmetic is ``core.allowance``'s, who is admitted ``clients``' business.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gatewayctl.config.settings import ModelOverride, Settings
from gatewayctl.core.allowance import Ask, ask
from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.pricing import OFF_PEAK, rate_key
from gatewayctl.core.routing.decision import Candidate, Estimate
from gatewayctl.core.shape import Demand, RequestShape

_PRIORITY: Final = frozenset({"priority", "fast"})
"""Two words for a tier that a translation makes one of the other."""

_ABROAD: Final = "us"
"""The tier of what may run in one country alone, which goes together with any other."""

_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
_ANSWERS: Final = ("n", "candidateCount", "best_of")

_KEPT: Final = ("cache_control", "prompt_cache_retention")
_UNASKED: Final = frozenset({WireProtocol.CHAT_COMPLETIONS, WireProtocol.RESPONSES})

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
        answers *= fields.get(name, 1)
    hidden = _ESCAPED.search(body) is not None
    text = b"".join((body, *(bytes(raw) for raw in override.set.values()))).lower()

    def says(word: str) -> bool:
        # Gemini's words may have what they are about before them: SERVICE_TIER_PRIORITY
        return hidden or any(f'{before}{word}"'.encode() in text for before in '"_')

    reads = ["input"]
    # OpenAI writes its cache unasked, and keeps it for longer where it is told to
    reads += ["input_cache_write_5m"] if candidate.protocol in _UNASKED else []
    reads += ["input_cache_write_1h"] if any(map(says, _KEPT)) else []
    reads += ["audio"] if Capability.AUDIO in shape.needs else []
    reads += ["image"] if Capability.IMAGES in shape.needs else []
    prices = candidate.place.prices
    known = {part for key in prices for part in rate_key(key).tier.split("+") if part}
    tiers = list(filter(says, (known | _PRIORITY) - {_ABROAD, OFF_PEAK}))
    tiers += _PRIORITY if not _PRIORITY.isdisjoint(tiers) else ()
    if says("inference_geo"):
        tiers += [_ABROAD, *(f"{tier}+{_ABROAD}" for tier in tiers)]
    if OFF_PEAK in known:  # at whichever hour it ends
        tiers += [OFF_PEAK, *(f"{tier}+{OFF_PEAK}" for tier in tiers)]
    return ask(
        prices,
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
