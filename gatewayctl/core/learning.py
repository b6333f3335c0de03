"""What an upstream's replies give away about a model's window: a cap, and how sure one may be.

Pure. Two things teach: a refusal by size, and a reply that counts clearly fewer input tokens than
there were. A cap that is too low costs more than one that is too high, for nothing but a refresh
or a person takes it back, while the next refusal lowers it: whatever is doubtful teaches nothing.
What is learned is kept by ``storage.knowledge``; reading figures out of an upstream's words is
``upstream.limits``' business.
"""

from enum import StrEnum
from typing import Final

import msgspec

from gatewayctl.core.anchors import Added
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.estimate import Counted, by_ratio
from gatewayctl.core.events import Usage
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, ModelFacts
from gatewayctl.core.routing.decision import Estimate, Method
from gatewayctl.core.routing.place import ASSUMED
from gatewayctl.core.shape import Measured, RequestShape, Segment, TextStats

LEAST_NAMED: Final = 256
"""The smallest window that is believed of an upstream that names it."""

LEAST: Final = 1024
"""The smallest window that is concluded from our own figures."""

PINNED: Final = 8
"""How far below a multiple of 1,024 a count may lie that a full window makes."""

_BYTES_A_TOKEN: Final = 16
"""As many bytes as a token rarely has: a bound counts bytes, and says little of a small request."""

_ALIKE: Final = 20
"""Two figures are the same where they differ by less than this part of the larger: 5 %."""

_SLACK: Final = {Method.BOUND: 0, Method.ANCHOR: 10, Method.RATIO: 10, Method.EXACT: 25}
"""By how many percent a count may fall short of ``low`` without saying anything.

An exact count is of the text as it was sent: how a provider writes tools down is its own affair.
"""


_COUNTED: Final = (Segment.SYSTEM, Segment.MESSAGES)
"""What every server counts: some put no tools, and most no format of the reply, into a prompt."""


class Cause(StrEnum):
    """What gave a window away."""

    REFUSED = "refused"
    TRUNCATED = "truncated"


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """A window, in tokens of input and output, that a model does not exceed at its provider.

    ``at`` is an ISO 8601 UTC time; ``evidence`` is in our words, never the upstream's; ``over`` is
    the window that was believed in then, None where none was known. ``sure``: the upstream named
    the window, or filled it to the brim; else it is concluded from our own estimate.
    """

    window: int
    at: str
    evidence: str
    cause: Cause
    over: int | None = None
    sure: bool = False


class Truncation(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that counted ``metered`` tokens of input where there were at least ``low``."""

    at: str
    metered: int
    low: int


class Truncations(msgspec.Struct, frozen=True, kw_only=True):
    """How many replies were truncated, and the last of them."""

    count: int
    last: Truncation


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens a server evaluates that has all of a conversation but its end in a cache."""

    least: int
    most: int


def input_tokens(usage: Usage) -> int | None:
    """Return all input that was metered: read, taken from a cache or put into one, heard and seen.

    None where an upstream told nothing of it, or nothing but zeros, which no request has.
    """
    figures = (
        usage.input,
        usage.input_cache_read,
        usage.input_cache_write_5m,
        usage.input_cache_write_1h,
        usage.image,
        usage.audio,
    )
    return sum(figure for figure in figures if figure is not None) or None


def from_refusal(
    failure: Failure,
    estimate: Estimate,
    wanted: int,
    believed: int | None,
    at: str,
    *,
    remote: int = 0,
) -> Cap | None:
    """Return the cap that a refusal teaches, None for one that teaches nothing.

    ``estimate`` and ``wanted`` are the input and the output budget that were sent, ``believed`` the
    window that was counted on. ``remote``: how many inputs the body only points to; what they hold
    is not known, so that no limit can be concluded from the size of the rest.
    """
    if failure.kind is not FailureKind.CONTEXT_OVERFLOW or not failure.by_tokens:
        return None
    named, counted = failure.window, failure.counted
    if named is not None:
        # The upstream counts with its own tokenizer; ours is only asked where it says no figure.
        sent = estimate.high + wanted if counted is None else counted
        window, told = named, f"it named a limit of {named:,}"
        good = LEAST_NAMED <= named < sent
    else:
        window = estimate.likely + wanted - 1
        told = f"it named no limit; sent were about {estimate.likely:,} + {wanted:,} for the reply"
        good = window >= LEAST and not remote and _is_weighty(estimate)
    if not good or (believed is not None and window >= believed):
        return None
    if counted is not None:
        told += f", having counted {counted:,}"
    return Cap(
        window=window,
        at=at,
        evidence=f"{failure.said}; {told}",
        cause=Cause.REFUSED,
        over=believed,
        sure=named is not None,
    )


def surely(
    shape: RequestShape,
    measured: Measured,
    settings: EstimatorSettings,
    counted: Counted | None = None,
) -> Estimate:
    """Estimate what any server counts of a request, so that ``short`` says something.

    Without tools, formats, media and what the model thought before, which some servers leave out. A
    ratio of the user's own says what to allow for, not what there is. ``counted``: by the model's
    own vocabulary, where that was done.
    """
    if counted is not None:
        text = sum(counted.tokens.get(segment, 0) for segment in _COUNTED)
        low = max(0, text - measured.thought)
        return Estimate(low=low, likely=text, high=text, method=Method.EXACT)
    found = _text(shape, measured, settings, _COUNTED)
    return msgspec.structs.replace(found, low=max(0, found.low - measured.thought // 2))


def recent(shape: RequestShape, added: Added, settings: EstimatorSettings, most: int = 0) -> Recent:
    """Return what a server with a prompt cache evaluates, by what came with the last turn.

    ``most``: what came since the last reply that was metered whole, if one is known.
    """
    last = _text(shape, added.rest, settings, (Segment.MESSAGES,)).likely
    whole = msgspec.structs.replace(
        added.replied + added.rest, segments=_only(added.rest, (Segment.MESSAGES,))
    )
    own = _text(shape, added.replied, settings, (Segment.MESSAGES,)).high
    high = by_ratio(shape, whole, _auto(settings)).high + own
    return Recent(least=last * 3 // 5, most=max(high, most))


def short(usage: Usage, estimate: Estimate) -> bool:
    """Tell whether a reply counted clearly fewer input tokens than there were, for any reason.

    Such a count is no measure of the request: neither ratios nor anchors are to be made of it.
    """
    metered = input_tokens(usage)
    return metered is not None and metered * 100 < estimate.low * (100 - _SLACK[estimate.method])


def truncated(usage: Usage, estimate: Estimate, *, recent: Recent | None = None) -> bool:
    """Tell whether a reply gives away that the upstream dropped some of the input.

    Some local servers report only what they evaluated anew, with the rest of the conversation in a
    prompt cache. What tells them apart: a server that truncates fills its window, which is no
    smaller than ``LEAST``; one that has a cache reports about as much as the last message is long.
    So a small figure never counts, nor one that ``recent`` explains. And no odd figure that comes
    but once lowers a window: see ``from_truncation``.
    """
    metered = input_tokens(usage)
    if metered is None or not short(usage, estimate):
        return False
    cached = recent is not None and recent.least <= metered <= recent.most
    return metered >= LEAST - PINNED and not cached


def from_truncation(
    truncation: Truncation,
    earlier: Truncations | None,
    believed: int | None,
    at: str,
    *,
    largest: int = 0,
) -> Cap | None:
    """Return the cap that a truncated reply teaches, together with those before it.

    A count just below a multiple of 1,024 is a full window; any other has to come twice in a row.
    ``largest`` is the most that a reply of the model ever counted: a window below it is only
    believed where it was filled twice, for one that has been larger is rarely smaller now.
    """
    metered = truncation.metered
    window = full = pinned(metered)
    again = earlier is not None and _are_alike(metered, earlier.last.metered)
    if window is None and earlier is not None and again:
        window = max(metered, earlier.last.metered)
    if window is not None and largest > window:
        twice = earlier is not None and full is not None and pinned(earlier.last.metered) == full
        window = window if twice else None
    if window is None or window < LEAST or (believed is not None and window >= believed):
        return None
    evidence = f"a reply counted {metered:,} of at least {truncation.low:,} tokens of input"
    if earlier is not None and again:
        evidence += f", as one did before ({earlier.last.metered:,})"
    return Cap(
        window=window,
        at=at,
        evidence=evidence,
        cause=Cause.TRUNCATED,
        over=believed,
        sure=full is not None,
    )


def closer(cap: Cap, earlier: Cap | None) -> Cap:
    """Return the one of two caps to go on with: the later one, if it says anything new.

    A window that is only concluded never replaces a smaller one, and the same one twice is no news.
    """
    if earlier is None or earlier.over != cap.over:
        return cap
    if cap.sure:
        return cap if cap.window != earlier.window or not earlier.sure else earlier
    return cap if cap.window < earlier.window else earlier


def believed_of(facts: ModelFacts) -> int | None:
    """Return the window that the sources say a model has, None where they say nothing.

    What its server says that it runs it with is one; what is assumed until then is none.
    """
    told = facts.context_window, facts.served
    return min((each.value for each in told if each and each.source != ASSUMED), default=None)


def holds(cap: Cap, believed: int | None) -> bool:
    """Tell whether a cap still says something: not once sources report another window than then.

    Sources that fall silent report no change.
    """
    return believed is None or believed == cap.over


def pinned(metered: int) -> int | None:
    """Return the window that a count fills to the brim, None where it looks like none."""
    window = -(-metered // LEAST) * LEAST
    return window if window and window - metered <= PINNED else None


def _text(
    shape: RequestShape,
    measured: Measured,
    settings: EstimatorSettings,
    segments: tuple[Segment, ...],
) -> Estimate:
    """Estimate the text of some segments, by the usual ratios."""
    text = Measured(segments=_only(measured, segments))
    return by_ratio(msgspec.structs.replace(shape, remote=0), text, _auto(settings))


def _only(measured: Measured, segments: tuple[Segment, ...]) -> dict[Segment, TextStats]:
    return {name: each for name, each in measured.segments.items() if name in segments}


def _auto(settings: EstimatorSettings) -> EstimatorSettings:
    if settings.kind is not EstimatorKind.CHAR_RATIO:
        return settings
    return msgspec.structs.replace(settings, kind=EstimatorKind.AUTO)


def _are_alike(one: int, other: int) -> bool:
    return abs(one - other) * _ALIKE <= max(one, other)


def _is_weighty(estimate: Estimate) -> bool:
    """Tell whether the input alone can have been too much for a window worth the name."""
    if estimate.method is Method.BOUND:
        return estimate.likely >= LEAST * _BYTES_A_TOKEN
    return estimate.low >= LEAST
