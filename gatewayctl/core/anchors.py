"""Estimates that go on from a metered count: the last reply's input, and what was added since.

A provider's reply says exactly how many tokens its request had. When the next request of the
conversation begins with that one, only the rest is estimated, so that the error is that of a small
part. What was added is counted as usual, corrected by what the model's replies taught
(``correction.Observed``) and by what the anchor itself teaches: how the metered count of the
prefix stands to ours. The model's own turn, which comes back in the next request, was metered as
the reply's output, and counts as that where the two agree.

Which request begins with which is found by ``protocols.prefix``; what was metered is kept by
``storage.knowledge``. Nothing here stores or looks up.
"""

from decimal import Decimal
from operator import sub
from typing import Final

import msgspec

from gatewayctl.core.correction import GROUPS, UNCORRECTED, UNIT, USUAL
from gatewayctl.core.estimate import (
    AUTO_SLACK,
    MESSAGE_TOKENS,
    beside,
    bound,
    by_ratio,
    dot,
    features,
)
from gatewayctl.core.exact import ceil_product, floor_quotient
from gatewayctl.core.media import Cost
from gatewayctl.core.model import EstimatorSettings
from gatewayctl.core.routing.decision import Estimate, Method
from gatewayctl.core.shape import Measured, RequestShape

FRAMING_TOKENS: Final = 8
"""What may stand around what was added, beyond the usual: at most, in a conversation going on."""

_START: Final = GROUPS.index("start")
_MESSAGES: Final = GROUPS.index("messages")

_FIRM: Final = 200
"""Tokens of a prefix from which it says as much about the rest as all that is known besides."""

_TOOLED: Final = 400
"""How many more where there are tools, before which providers put words of their own."""

_TOOLS: Final = GROUPS.index("tools")

_BEYOND: Final = GROUPS.index("beyond")

_BEYOND_DOUBT: Final = Decimal("0.3")
"""The part by which characters beyond ASCII may cost more than anything that is known says."""

_MOST_APART: Final = Decimal("1.6")
"""By how much more or less than the usual a prefix may say that text costs."""

_DIFFERENT: Final = (64, 32)
"""Tokens, and the part of all, by which the prefix may be another than the one metered."""

_REPLY_APART: Final = (16, Decimal("1.4"))
"""Tokens, and by how much, a reply's output may differ from the turn that comes back of it."""


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """What one request's input was metered as, and what is usually counted for it.

    ``tokens`` is the whole input: read from and written to caches too. ``raw`` is our usual count
    of the same, uncorrected; 0 where it says nothing of the text (images, earlier responses).
    ``output`` is what the reply to it was metered as, without reasoning, 0 where unknown: that
    much of the next request is the model's own turn.
    """

    tokens: int
    raw: int
    output: int = 0


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """The measure of the messages after a prefix: the model's reply to it, and all the rest."""

    replied: Measured
    rest: Measured


class Anchored(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor that a request begins with, and what was added to it."""

    anchor: Anchor
    added: Added

    @property
    def measured(self) -> Measured:
        """The measure of all that was added."""
        return self.added.replied + self.added.rest


def anchor_of(
    shape: RequestShape,
    measured: Measured,
    settings: EstimatorSettings,
    tokens: int,
    output: int = 0,
) -> Anchor:
    """Return the anchor that a reply makes of its request: its metered input and output.

    ``output`` without the reasoning that does not come back.
    """
    others = beside(shape, measured, settings)
    plain = not shape.remote and others.high == 0
    return Anchor(tokens=tokens, raw=_usual(features(measured)) if plain else 0, output=output)


def added_features(measured: Measured) -> tuple[int, ...]:
    """Return features without the constant: what was added begins nothing anew."""
    found = features(measured)
    return (*found[:_START], 0, *found[_START + 1 :])


def added_beside(shape: RequestShape, added: Measured, settings: EstimatorSettings) -> Cost:
    """Return what was added beside text; what the body only points to is in the anchor."""
    local = msgspec.structs.replace(shape, remote=0)
    return beside(local, msgspec.structs.replace(added, server_tools=0), settings)


def by_anchor(
    shape: RequestShape, measured: Measured, anchored: Anchored, settings: EstimatorSettings
) -> Estimate | None:
    """Estimate a request from an anchor that it begins with; low and high allow for the rest.

    None where the request's beginning is not what was metered, by our own count of it.
    """
    anchor, added = anchored.anchor, anchored.measured
    prefix = tuple(map(sub, features(measured), added_features(added)))
    usual = _usual(prefix)
    several, part = _DIFFERENT
    if anchor.raw and abs(anchor.raw - usual) > several + usual // part:
        return None
    scale = _scale(anchor, prefix, settings)
    text = _text(anchored, scale, settings)
    others = added_beside(shape, added, settings)
    slack = settings.safety_margin * AUTO_SLACK
    framing = FRAMING_TOKENS if added.messages else 0
    most = bound(shape)
    low = anchor.tokens + floor_quotient(text, slack) - framing + others.low
    if measured.thought:  # that of finished turns may be left out by now: a token a character
        low = max(low - measured.thought, min(low, by_ratio(shape, measured, settings).low))
    likely = anchor.tokens + text + others.likely
    high = anchor.tokens + ceil_product(text + _doubt(added, settings), slack) + framing
    high += others.high
    return Estimate(
        low=min(max(0, low), most),
        likely=min(likely, most),
        high=min(high, most),
        method=Method.ANCHOR,
    )


def _text(anchored: Anchored, scale: int, settings: EstimatorSettings) -> int:
    """Return the likely tokens of the text that was added."""
    factors = _factors(settings)
    rest = _scaled(anchored.added.rest, factors, scale)
    output, replied = anchored.anchor.output, anchored.added.replied
    guess = _scaled(replied, factors, scale)
    few, far = _REPLY_APART
    agree = guess - few <= ceil_product(output, far) and output - few <= ceil_product(guess, far)
    if not output or not replied.messages or not agree:
        return rest + guess  # some of it is not sent back, or what is sent back was not in it
    frames = replied.messages * MESSAGE_TOKENS * factors[_MESSAGES] // UNIT
    return rest + output + frames


def _doubt(added: Measured, settings: EstimatorSettings) -> int:
    """Return what may come to what is beyond ASCII, where vocabularies differ most.

    Nothing once the model's own replies have told what it costs there.
    """
    if settings.observed is not None and settings.observed.enough:
        return 0
    return ceil_product(features(added)[_BEYOND] // 1000, _BEYOND_DOUBT)


def _scaled(measured: Measured, factors: tuple[int, ...], scale: int) -> int:
    return -(-dot(added_features(measured), factors) * scale // (1000 * UNIT))


def _scale(anchor: Anchor, prefix: tuple[int, ...], settings: EstimatorSettings) -> int:
    """Return how the metered prefix stands to what is predicted for it, in ``UNIT``.

    The smaller it is, the nearer to 1: what a provider adds once is a large part of it.
    """
    if not anchor.raw:
        return UNIT
    predicted = dot(prefix, _factors(settings)) // 1000
    firm = _FIRM + (_TOOLED if prefix[_TOOLS] else 0)
    scale = (anchor.tokens + firm) * UNIT // (predicted + firm)
    most = ceil_product(UNIT, _MOST_APART)
    return min(max(scale, UNIT * UNIT // most), most)


def _factors(settings: EstimatorSettings) -> tuple[int, ...]:
    return settings.observed.factors if settings.observed else UNCORRECTED


def _usual(found: tuple[int, ...]) -> int:
    return -(-sum(found[:USUAL]) // 1000)
