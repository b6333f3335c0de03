"""Learning from replies how one model's tokens differ from the usual: a small ridge regression.

A provider's tokenizer is rarely known, but every reply says what one request came to. From a
bounded sample of them each group of features (``correction.GROUPS``) gets a factor: words, marks,
digits, what is beyond ASCII and the framing cost other parts of a token elsewhere. Factors are
drawn towards 1 with the weight of a few samples, and are never negative, so that no text is
estimated smaller than its beginning. What is left unexplained gives the error quantiles.

Everything is integers: the same samples give the same correction, whatever the machine. It runs
in a thread while requests are served, so 256 samples take a few milliseconds. Replies that say
something quite different from all others (cut off, or metered by another rule) are left out.
"""

from collections.abc import Sequence
from decimal import Decimal
from operator import add, mul, sub
from typing import Final, NamedTuple

from gatewayctl.core.anchors import Anchored, added_beside, added_features
from gatewayctl.core.correction import ENOUGH, GROUPS, UNCORRECTED, UNIT, USUAL, Observed, Sample
from gatewayctl.core.estimate import AUTO_LEAST, AUTO_SLACK, START, beside, features
from gatewayctl.core.exact import floor_product
from gatewayctl.core.model import EstimatorSettings
from gatewayctl.core.shape import Measured, RequestShape

__all__ = ["ENOUGH", "MOST_SAMPLES", "Observed", "Sample", "observe", "sample_of"]

MOST_SAMPLES: Final = 256
"""Samples that are looked at, the last ones."""

_SHARE: Final = 1 << 12  # the whole of a request, in which features and tokens are told
_SMALL: Final = 8_000  # thousandths that are uncertain in any request, however small
_START: Final = GROUPS.index("start")
_PREAMBLE: Final = GROUPS.index("preamble")
_LONGEST_PREAMBLE: Final = 4  # of its units, as long as no reply has told
_SWEEPS: Final = 100
_AT_REST: Final = UNIT // 10_000

# How firmly each factor stays at 1, as squares of shares: that of the text like an eighth of a
# request that is all of it. What providers add to each message, and once, may well be many times
# the usual.
_LOOSER: Final = {"messages": 16, "start": 4096, "preamble": 16}
_PRIORS: Final = tuple(_SHARE * _SHARE // (8 * _LOOSER.get(name, 1)) for name in GROUPS)

_FEW: Final = 16
"""Replies from which factors are half as firm as with one alone: few are rarely of all kinds."""

_OUTLIER: Final = 6  # times the usual deviation
_LEAST_DEVIATION: Final = UNIT // 100
_MOST_LEFT_OUT: Final = 8  # one of so many
_TAIL: Final = 7  # hundredths of replies that may be beyond each quantile


class _Row(NamedTuple):
    """A sample in shares of what is usual; ``small`` is the share that ``_SMALL`` has of it."""

    shares: tuple[int, ...]
    tokens: int
    small: int


Rows = list[_Row]


def sample_of(
    shape: RequestShape,
    measured: Measured,
    settings: EstimatorSettings,
    tokens: int,
    anchored: Anchored | None = None,
) -> Sample | None:
    """Return what a reply teaches; ``tokens`` is its metered input, caches included.

    ``anchored``: it went on from a metered prefix, so that it teaches what the rest came to; that
    says more than the same beginning metered again. None where the body only points to a part of
    it, or where it holds what costs nobody knows exactly. What images of a known price cost is
    taken off.
    """
    if anchored is None:
        found, others = features(measured), beside(shape, measured, settings)
        unclear = shape.remote > 0
    else:
        found = added_features(anchored.measured)
        others = added_beside(shape, anchored.measured, settings)
        tokens -= anchored.anchor.tokens
        unclear = False
    if unclear or others.low != others.high or tokens <= others.low:
        return None
    return Sample(features=found, tokens=tokens - others.low)


def observe(samples: Sequence[Sample]) -> Observed | None:
    """Return the correction that samples of one model give, None without any that can be used."""
    usable = [
        each
        for each in samples
        if len(each.features) == len(GROUPS) and each.tokens > 0 and min(each.features) >= 0
    ][-MOST_SAMPLES:]
    if not usable:
        return None
    rows = [_row(each) for each in usable]
    factors = _fitted(rows)
    kept = _without_outliers(rows, factors)
    if len(kept) < len(rows):
        factors = _fitted(kept)
    return _with_errors(len(usable), kept, factors)


def _row(sample: Sample) -> _Row:
    """Return features and tokens as shares of what is usual, so that errors are relative."""
    whole = sum(sample.features[:USUAL]) + _SMALL
    shares = tuple([each * _SHARE // whole for each in sample.features])
    tokens = sample.tokens * 1000 * _SHARE // whole
    return _Row(shares, tokens, _SMALL * _SHARE // whole)


def _fitted(rows: Rows) -> tuple[int, ...]:
    """Return the factors that leave the least squares of relative errors, in ``UNIT``.

    Solved for how far they are from the usual, one after the other until they rest.
    """
    left = [row.tokens - sum(row.shares[:USUAL]) for row in rows]
    columns = list(zip(*(row.shares for row in rows), strict=True))
    gram = [
        [sum(map(mul, one, other)) for other in columns[: i + 1]] for i, one in enumerate(columns)
    ]
    for i, line in enumerate(gram):
        line += [gram[j][i] for j in range(i + 1, len(gram))]
    priors = [prior + prior * _FEW // len(rows) for prior in _PRIORS]
    pull = [sum(map(mul, column, left)) * UNIT for column in columns]
    away = [0] * len(GROUPS)
    for _ in range(_SWEEPS):
        before = list(away)
        for i, line in enumerate(gram):
            others = sum(map(mul, line, away)) - line[i] * away[i]
            away[i] = max(-UNCORRECTED[i], (pull[i] - others) // (line[i] + priors[i]))
        if max(map(abs, map(sub, away, before))) < _AT_REST:
            break
    return tuple(map(add, UNCORRECTED, away))


def _errors(rows: Rows, factors: tuple[int, ...]) -> list[int]:
    """Return by how much each reply was more than predicted, as parts of that, in ``UNIT``.

    In the smallest of requests, whose every token is a large part, ``_SMALL`` is added to it.
    """
    found = []
    for shares, tokens, small in rows:
        predicted = sum(map(mul, shares, factors))
        found.append((tokens * UNIT - predicted) * UNIT // max(1, predicted + small * UNIT))
    return found


def _without_outliers(rows: Rows, factors: tuple[int, ...]) -> Rows:
    """Return the rows without the few whose error is far from that of all others."""
    errors = _errors(rows, factors)
    middle = sorted(errors)[len(errors) // 2]
    away = [abs(error - middle) for error in errors]
    usual = max(sorted(away)[len(away) // 2], _LEAST_DEVIATION)
    limit = max(usual * _OUTLIER, sorted(away)[-1 - len(away) // _MOST_LEFT_OUT])
    return [row for row, far in zip(rows, away, strict=True) if far <= limit]


def _with_errors(samples: int, rows: Rows, factors: tuple[int, ...]) -> Observed:
    """Return the correction with what it leaves unexplained.

    A group that no sample had much of keeps the slack of the plain ratio.
    """
    errors = sorted(_errors(rows, factors))
    count = len(errors)
    tail = (count + 1) * _TAIL // 100  # replies beyond the quantile, on each side
    # Factors were fitted to these very replies: the next ones will be a little further off.
    wider = count + len(GROUPS)
    low = max(0, -errors[tail]) * wider // count
    high = max(0, errors[-1 - tail]) * wider // count
    least, most = [], []
    for i, factor in enumerate(factors):
        seen = sum(row.shares[i] * row.shares[i] for row in rows)
        doubt = UNIT * _PRIORS[i] // (seen + _PRIORS[i])
        below = min(UNIT, max(low, floor_product(doubt, 1 - AUTO_LEAST)))
        above = max(high, floor_product(doubt, AUTO_SLACK - 1))
        least.append(factor * (UNIT - below) // UNIT)
        most.append(-(-factor * (UNIT + above) // UNIT))
        if i == _PREAMBLE:
            most[i] += doubt * _LONGEST_PREAMBLE
    constant = _SMALL // START
    least[_START] = max(0, least[_START] - low * constant)
    most[_START] += high * constant
    return Observed(
        samples=samples,
        factors=factors,
        least=tuple(least),
        most=tuple(most),
        low=_quantile(max(0, UNIT - low)),
        high=_quantile(UNIT + high),
    )


def _quantile(value: int) -> Decimal:
    return Decimal(value).scaleb(-6).quantize(Decimal("0.001"))
