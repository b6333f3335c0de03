"""What the replies of one model taught about estimating for it: plain values, made by ``observed``.

``core.model`` carries an ``Observed`` in the settings of an estimator, so nothing here knows what
a request is. How samples become a correction is ``core.observed``'s business, what features are and
how they are summed ``core.estimate``'s.
"""

from decimal import Decimal
from typing import Final

import msgspec

GROUPS: Final = (
    "words",
    "foreign",
    "weight",
    "digits",
    "lines",
    "beyond",
    "tools",
    "messages",
    "start",
    "letters",
    "numerals",
    "blanks",
    "marks",
    "kana",
    "hangul",
    "bytes",
    "preamble",
)
"""What is corrected apart: runs of letters, of ASCII and beyond, rarer letters and marks, digits,
lines and gaps, what is beyond ASCII, tool definitions as a whole, the framing of messages, and a
constant. The others are in no usual count, since they say nothing new of the usual tokenizer, but
of others they may: letters, digits, blanks, runs of marks, kana and hangul by themselves, the
bytes of what is beyond ASCII, and words that a provider puts before tools, if there are any."""

USUAL: Final = GROUPS.index("letters")
"""How many of the groups the usual count is made of: the first ones."""

UNIT: Final = 1_000_000
"""The factor that changes nothing of what is usually counted."""

UNCORRECTED: Final = tuple(UNIT if at < USUAL else 0 for at in range(len(GROUPS)))
"""The factors of the usual count."""

ENOUGH: Final = 50
"""Samples from which the errors that were seen say how far an estimate may be off."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One reply: the features of its request, in thousandths of a token, and the metered input.

    ``tokens`` are those of text and framing alone: what images and the like cost is taken off.
    Features of another length than ``GROUPS`` were stored by another version, and are ignored.
    """

    features: tuple[int, ...]
    tokens: int


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """How the usual counts are corrected for one model, learned from ``samples`` replies.

    ``factors``, ``least`` and ``most`` are what each group's thousandths are multiplied by for the
    likely, the low and the high figure, in ``UNIT``, all at least 0. ``low`` and ``high`` are the
    quantiles of metered by predicted tokens that the latter two rest on, for people to read.
    """

    samples: int
    factors: tuple[int, ...]
    least: tuple[int, ...]
    most: tuple[int, ...]
    low: Decimal
    high: Decimal

    @property
    def enough(self) -> bool:
        """Whether low and high follow the errors seen, not the margins of the plain ratio."""
        return self.samples >= ENOUGH
