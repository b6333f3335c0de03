"""What a text says about its length in tokens, counted without a tokenizer.

A token is most often a word with the blank before it, a piece of a rarer word, up to three digits,
a mark or two, or the end of a line. So the text is cut into windows, and in each are counted the
places where a word, a number or a line begins or goes on for long; and every letter and mark adds
a weight, the more the rarer it is, since rare ones break words into more pieces. In ``try it 42!``
there are two runs of letters (0.38 tokens each), a number (1.46), a blank before one (1.09), and
the weights of ``y``, ``i`` and ``!`` (0.05, 0.2 and 0.95; ``t`` and ``r`` have none): 4.5, so five,
which it is. What is beyond ASCII counts by character: ``core.characters``. What the counts come
to in tokens is ``core.estimate``'s business.

Each window becomes one integer with a lane per byte (``core.lanes``), in which stand the classes of
the byte: a place where a class goes on is one whose lane and predecessor have it both.

Nothing that is appended makes a count less: estimates only grow with the text.
"""

from typing import Final

from gatewayctl.core import characters, lanes
from gatewayctl.core.lanes import WINDOW
from gatewayctl.core.shape import TextStats

_SEPARATOR: Final = b"\xff"  # stands between texts; no UTF-8 has it, and it is of no class
_LETTER, _DIGIT, _LINE, _BLANK, _WORD, _VISIBLE, _RULE, _MARK = (1 << bit for bit in range(8))

_HEAVIEST: Final = 31
_WEIGHED: Final = 255 // _HEAVIEST  # windows whose weights a lane of eight bits can sum
_SUMMED: Final = _WEIGHED * 3  # windows whose counts it can sum, none being beyond bit 3

# How much each letter or mark adds, in twentieths of a token. Fitted by linear programming, with
# the parts in ``core.estimate``, to o200k's counts of some ten thousand pieces of programs, data
# and prose: none less than nothing, and as few as possible more than an eighth off (November 2026).
_WEIGHTS: Final = {
    0: "_denort",
    1: "/DEGINORTUWy",
    2: "<Ss",
    3: "?m}",
    4: "HLcip",
    5: "Aahl",
    6: "{",
    7: '"',
    8: "#.",
    9: ",;Ybfu",
    10: "*-:P`",
    11: "$')]g",
    12: "(=@CFM",
    13: "X[kw",
    15: "x",
    17: "&v",
    18: "|",
    19: "!",
    21: ">\\",
    22: "K",
    23: "+B",
    24: "%JQVZ^~",
    26: "jqz",
}
_RULES: Final = "-=*#._/+~!"
"""Marks that lines are ruled with: dozens of them are one token."""

_BLANK_WEIGHTS: Final = {" ": 0, "\t": 2, "\n": 2, "\r": 2}
_CONTROL_WEIGHT: Final = 20
_OPAQUE_WEIGHT: Final = 6


def _class_of(byte: int) -> int:
    char = chr(byte)
    if byte >= 0x80:  # noqa: PLR2004 - beyond ASCII, where letters are the rule
        return 0 if byte == _SEPARATOR[0] else _WORD | _VISIBLE
    if char in "\n\r":
        return _LINE
    if char.isspace():
        return _BLANK
    if char.isalpha():
        return _RULE | _LETTER | _WORD | _VISIBLE
    if char.isdigit():
        return _VISIBLE | _DIGIT
    return _VISIBLE | _MARK | (_RULE if char in _RULES else 0)


def _weight_of(byte: int) -> int:
    char = chr(byte)
    if byte >= 0x80 or char.isdigit():  # noqa: PLR2004 - counted otherwise
        return 0
    if char in _BLANK_WEIGHTS:
        return _BLANK_WEIGHTS[char]
    return next((weight for weight, of in _WEIGHTS.items() if char in of), _CONTROL_WEIGHT)


_CLASS_TABLE: Final = bytes(map(_class_of, range(256)))
_WEIGHT_TABLE: Final = bytes(map(_weight_of, range(256)))
_ALL_ASCII: Final = bytes(range(128))
_LETTERS, _DIGITS, _LINES, _BLANKS, _WORDS, _VISIBLES, _RULED, _MARKS = (
    lanes.filled(flag) for flag in (_LETTER, _DIGIT, _LINE, _BLANK, _WORD, _VISIBLE, _RULE, _MARK)
)
_HEAVIEST_ALL: Final = lanes.filled(_HEAVIEST)
# At which bit of a lane ``_places`` finds each of the counted; none is beyond the fourth.
_BITS: Final = {
    "words": 2,
    "letters": 0,
    "runs": 1,
    "foreign": 1,
    "long_letters": 0,
    "digit_runs": 1,
    "long_digits": 1,
    "lines": 2,
    "marked_lines": 2,
    "gaps": 1,
    "digits": 1,
    "blanks": 3,
    "mark_runs": 0,
}


_KANA: Final = b"\xe3"
_HANGUL: Final = (b"\xea", b"\xeb", b"\xec", b"\xed")
"""The first bytes of these scripts' characters."""


class TextCounter:
    """Counts the texts of one part of a request; no word goes on from one text to the next."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = 0
        self._chars = 0
        self._beyond = 0
        self._extra = self._kana = self._hangul = 0
        self._repeated = 0
        self._repeated_beyond = 0
        # Lanes of windows laid over one another, until a lane might overflow.
        self._sums = [0] * len(_BITS)
        self._weights = 0
        self._again = 0
        self._windows = 0
        self._totals = dict.fromkeys(_BITS, 0)
        self._weight = 0

    def add(self, text: str) -> None:
        """Count one text."""
        self._chars += len(text)
        for start in range(0, len(text), WINDOW):
            part = text[start : start + WINDOW]
            data = part.encode(errors="surrogatepass")
            if len(data) > len(part):
                rest = data.translate(None, _ALL_ASCII)
                beyond = rest.decode(errors="surrogatepass")
                self._beyond += characters.cost(beyond)
                self._extra += len(data) - len(part)
                self._kana += rest.count(_KANA)
                self._hangul += sum(map(rest.count, _HANGUL))
                self._repeated_beyond += characters.repeated(beyond)
            self._waiting.append(data)
            self._size += len(data)
            if self._size >= WINDOW or len(self._waiting) >= WINDOW:
                self._look()

    def add_opaque(self, chars: int) -> None:
        """Count text that is not at hand by its length alone."""
        self._chars += chars
        self._weight += chars * _OPAQUE_WEIGHT

    def done(self) -> TextStats:
        """Return what was counted."""
        self._look()
        self._fold_weights()
        self._fold_sums()
        return TextStats(
            chars=self._chars,
            weight=self._weight,
            beyond=self._beyond,
            extra=self._extra,
            kana=self._kana,
            hangul=self._hangul,
            repeated=self._repeated,
            repeated_beyond=self._repeated_beyond,
            **self._totals,
        )

    def _look(self) -> None:
        data = _SEPARATOR.join(self._waiting)
        self._waiting.clear()
        self._size = 0
        for start in range(0, len(data), WINDOW):
            weights, again, places = _places(data[start : start + WINDOW])
            self._weights += weights
            self._again += again
            self._sums = [total + place for total, place in zip(self._sums, places, strict=True)]
            self._windows += 1
            if self._windows % _WEIGHED == 0:
                self._fold_weights()
            if self._windows == _SUMMED:
                self._fold_sums()

    def _fold_weights(self) -> None:
        self._weight += lanes.total(self._weights)
        self._repeated += lanes.total(self._again)
        self._weights = self._again = 0

    def _fold_sums(self) -> None:
        for (name, bit), total in zip(_BITS.items(), self._sums, strict=True):
            self._totals[name] += lanes.total(total, bit)
        self._sums = [0] * len(_BITS)
        self._windows = 0


def _places(data: bytes) -> tuple[int, int, tuple[int, ...]]:
    """Return a window's weights, those that may be next to nothing, and where ``_BITS`` are found.

    A byte that is the third of its like weighs nothing where lines are ruled with it.
    """
    classes = lanes.of(data.translate(_CLASS_TABLE))
    before = classes << 8  # each byte's predecessor, in its lane
    on = classes & before  # goes on with a class of its predecessor's
    starts = classes ^ on
    words = starts & _WORDS
    letters2 = on & _LETTERS
    letters3 = letters2 & letters2 << 8
    digits2 = on & _DIGITS
    lines = starts & _LINES
    weights = lanes.of(data.translate(_WEIGHT_TABLE))
    third = _thirds(weights, on & _VISIBLES)
    again = weights & _filling(third)
    ruled = weights & _filling(third & (on & _RULED) >> 1)
    return (
        weights ^ ruled,
        again ^ ruled,
        (
            (starts & _VISIBLES) >> 3,
            classes & _LETTERS,
            words >> 3,
            0 if data.isascii() else (words ^ words & (classes & _LETTERS) << 4) >> 3,
            letters3 & letters3 << 16,
            starts & _DIGITS,
            digits2 & digits2 << 16,
            lines,
            lines & before >> 5,  # a mark's bit, moved to a line's
            # A blank's bit is moved to a digit's.
            (before >> 2 & classes & _DIGITS) | ((starts & _BLANKS) << 8 & classes & _BLANKS) >> 2,
            classes & _DIGITS,
            classes & _BLANKS,
            (starts & _MARKS) >> 7,
        ),
    )


def _thirds(weights: int, visible: int) -> int:
    """Return those lanes of ``visible`` where a byte is the third of its like.

    Those of one weight count as the same: to tell them apart is not worth its time.
    """
    # The sum reaches the bit above a weight's, which is that of the visible, where any differs.
    same = visible ^ visible & (weights ^ weights << 8) + _HEAVIEST_ALL
    return same & same << 8


def _filling(above: int) -> int:
    """Return lanes with all bits of a weight set where the bit above it is."""
    return above - (above >> 5)
