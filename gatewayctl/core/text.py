"""What the bytes of a text say about its length in tokens, counted without a tokenizer.

Counts how often classes of bytes begin, follow one another and repeat, and the sum of a weight per
byte; what the counts come to in tokens is ``core.estimate``'s business. A window of text becomes
one large integer with a lane of eight bits per byte, on which a whole class is counted in a few
operations: there is no loop over characters, and no single operation on more than 256 KB.
"""

from typing import Final

from gatewayctl.core.shape import TextStats

_WINDOW: Final = 16 * 1024
"""Bytes per integer, and characters that are gathered before they are looked at."""

_SEPARATOR: Final = b"\xff"  # stands between texts; no UTF-8 has it, and it is of no class
_LETTER, _DIGIT, _LINE, _VISIBLE, _BLANK, _ASCII, _MARK = (1 << bit for bit in range(7))
_WHOLE: Final = 128 * 1024
_SAMPLED: Final = 4
"""After the first ``_WHOLE`` bytes one part in so many of each whole window is looked at."""

_HEAVIEST: Final = 31
_WEIGHED: Final = 255 // _HEAVIEST  # windows whose weights a lane of eight bits can sum
_SUMMED: Final = _WEIGHED * 3  # windows whose counts it can sum, none being beyond bit 3

# The weight of each byte in twentieths of a token, a digit of base 32 each: what is rare in the
# words of common languages weighs more. Fitted to o200k's counts of nine thousand texts and pieces
# of texts: programs, data and prose in 120 languages. A letter that is no rarer than others has 5.
_WEIGHTS: Final = (
    "kkkkkkkkk00000kkkkkkkkkkkkkkkkkk0n7dqqh8f27ob33200000000004d2cpq"
    "qc89719f87vk9b639u452bhphdv8pfq2fb79618e87vj8b529t351agogcveq2qk"
    "130000k0kkk70cc2kekk90e0000k7k91k0k00k54aj2kjk403f892c0f0ak0dk00"
    "vvcf0k0vvmvvvv0h70vvv3h6340vvvvv774c005kvv00bgvjvvvvvvvvvvvvvvv0"
)
_OPAQUE_WEIGHT: Final = 6


def _class_of(byte: int) -> int:
    char = chr(byte)
    if byte >= 0x80:  # noqa: PLR2004 - beyond ASCII, where letters are the rule
        return 0 if byte == _SEPARATOR[0] else _LETTER | _VISIBLE
    if char in "\n\r":
        return _ASCII | _LINE
    if char.isspace():
        return _ASCII | _BLANK
    if char.isalpha():
        return _ASCII | _LETTER | _VISIBLE
    return _ASCII | _VISIBLE | (_DIGIT if char.isdigit() else _MARK)


def _lanes(value: int) -> int:
    return int.from_bytes(bytes([value]) * _WINDOW, "little")


_CLASS_TABLE: Final = bytes(map(_class_of, range(256)))
_WEIGHT_TABLE: Final = bytes(int(digit, 32) for digit in _WEIGHTS)
_LETTERS, _DIGITS, _LINES, _VISIBLES, _BLANKS, _ASCIIS = (
    _lanes(flag) for flag in (_LETTER, _DIGIT, _LINE, _VISIBLE, _BLANK, _ASCII)
)
_EVERY: Final = [_lanes(1 << bit) for bit in range(8)]
_HEAVIEST_ALL, _ABOVE_WEIGHT = _lanes(_HEAVIEST), _lanes(_HEAVIEST + 1)
# At which bit of a lane ``_planes`` finds each of the counted.
_BITS: Final = {
    "words": 3,
    "letters": 0,
    "runs": 0,
    "long_letters": 0,
    "digit_runs": 1,
    "long_digits": 1,
    "lines": 2,
    "marked_lines": 2,
    "gaps": 1,
}


class TextCounter:
    """Counts the texts of one part of a request; no word goes on from one text to the next."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = 0
        self._bytes = 0
        self._scale = 1
        self._chars = 0
        self._sums = [0] * len(_BITS)
        self._weights = 0
        self._windows = 0
        self._totals = dict.fromkeys(_BITS, 0)
        self._weight = 0

    def add(self, text: str) -> None:
        """Count one text."""
        self._chars += len(text)
        for start in range(0, len(text), _WINDOW):
            data = text[start : start + _WINDOW].encode(errors="surrogatepass")
            self._waiting.append(data)
            self._size += len(data)
            if self._size >= _WINDOW or len(self._waiting) >= _WINDOW:
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
        return TextStats(chars=self._chars, weight=self._weight, **self._totals)

    def _look(self) -> None:
        data = _SEPARATOR.join(self._waiting)
        self._waiting.clear()
        self._size = 0
        for start in range(0, len(data), _WINDOW):
            window = data[start : start + _WINDOW]
            self._bytes += len(window)
            if self._bytes > _WHOLE:
                self._sample()
                window = window[: -(-len(window) // _SAMPLED)]
            weights, planes = _planes(window)
            self._weights += weights
            self._sums = [total + plane for total, plane in zip(self._sums, planes, strict=True)]
            self._windows += 1
            if self._windows % _WEIGHED == 0:
                self._fold_weights()
            if self._windows == _SUMMED:
                self._fold_sums()

    def _sample(self) -> None:
        """From now on count each window by a part of it."""
        if self._scale == 1:
            self._fold_weights()
            self._fold_sums()
            self._scale = _SAMPLED

    def _fold_weights(self) -> None:
        self._weight += _sum(self._weights, 0) * self._scale
        self._weights = 0

    def _fold_sums(self) -> None:
        for (name, bit), total in zip(_BITS.items(), self._sums, strict=True):
            self._totals[name] += _sum(total, bit) * self._scale
        self._sums = [0] * len(_BITS)
        self._windows = 0


def _sum(lanes: int, first: int) -> int:
    """Return the sum over all lanes of what stands in them from bit ``first`` on."""
    bits = range(first, 8) if lanes else ()
    return sum((lanes & _EVERY[bit]).bit_count() << (bit - first) for bit in bits)


def _planes(data: bytes) -> tuple[int, tuple[int, ...]]:
    """Return the weights of a window's bytes, and where in it each of ``_BITS`` is found."""
    classes = int.from_bytes(data.translate(_CLASS_TABLE), "little")
    before = classes << 8  # each byte's predecessor, in its lane
    on = classes & before  # goes on with a class of its predecessor's
    starts = classes ^ on
    letters2 = on & _LETTERS
    letters3 = letters2 & letters2 << 8
    digits2 = on & _DIGITS
    lines = starts & _LINES
    weights = int.from_bytes(data.translate(_WEIGHT_TABLE), "little")
    return weights ^ weights & _repeats(weights, on), (
        starts & _VISIBLES,
        classes & _LETTERS,
        starts & _LETTERS,
        letters3 & letters3 << 16,
        starts & _DIGITS,
        digits2 & digits2 << 16,
        lines,
        lines & before >> 4,  # a mark's bit, moved to a line's
        # A blank's bit is moved to a digit's.
        (before >> 3 & classes & _DIGITS) | ((starts & _BLANKS) << 8 & classes & _BLANKS) >> 3,
    )


def _repeats(weights: int, on: int) -> int:
    """Return lanes with all bits of a weight set where a byte is the third of its like in ASCII.

    Those of one weight count as the same: to tell them apart is not worth its time.
    """
    changed = (weights ^ weights << 8) + _HEAVIEST_ALL & _ABOVE_WEIGHT
    same = on & _ASCIIS
    same ^= same & changed
    third = same & same << 8
    return third - (third >> 5)
