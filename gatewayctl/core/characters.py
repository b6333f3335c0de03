"""What characters beyond ASCII usually cost in tokens, each by itself.

A byte-pair vocabulary grows by what is frequent. So a character that is a token of its own is
usually part of longer tokens too, and costs a part of one, how large a part depending on its
script: a frequent Chinese character half of one, a Cyrillic letter a quarter. A character that is
no token falls into two to four of them. ``core.known`` says which are which; what they come to is
here. ``人工`` is two frequent characters of 0.48 tokens each; ``饕`` is in no token, and 2.16.

The costs were fitted to o200k's counts of translated manuals, programs' messages, declarations and
character tables in 120 languages, by linear programming: as few as possible more than an eighth
off. They were then rounded, and set by hand between the extremes where a language has both: in
Cyrillic, Thai, Hindi and Vietnamese (November 2026).
"""

import re
from typing import Final

from gatewayctl.core import known, lanes

UNITS: Final = 50
"""The units in a token that costs are told in: so each cost fits a byte."""

_UNLISTED: Final = 4 * UNITS
"""What a character beyond the table costs: its four bytes."""

_SPLIT: Final = {1: 50, 2: 108, 3: 136, 4: 185}
"""What a character costs that is so many tokens on its own."""

_SIGN: Final = 53
_HAN_FREQUENT: Final = 24
_HANGUL_FREQUENT: Final = 15

# The first code point of a script, and what a token of it costs that is a single character.
_SCRIPTS: Final = (
    (0x80, _SIGN),
    (0xC0, 44),  # Latin: é, ß
    (0x100, 42),  # ł, ğ
    (0x180, 68),  # rarer ones
    (0x1A0, 20),  # Vietnamese ơ, ư
    (0x1B1, 68),  # phonetic letters
    (0x300, 66),  # combining marks
    (0x370, 18),  # Greek
    (0x400, 13),  # Cyrillic
    (0x450, 46),  # its letters for other languages than Russian
    (0x530, 13),  # Armenian
    (0x590, 19),  # Hebrew
    (0x600, 15),  # Arabic
    (0x64B, 38),  # its marks
    (0x670, 22),  # its letters for other languages than Arabic
    (0x780, 92),  # Thaana
    (0x900, 9),  # Devanagari
    (0x93E, 38),  # its vowel signs
    (0x94D, 8),
    (0x980, 19),  # Bengali
    (0xA00, 30),  # Gurmukhi
    (0xA80, 19),  # Gujarati
    (0xB00, 41),  # Oriya
    (0xB80, 17),  # Tamil
    (0xC00, 19),  # Telugu
    (0xC80, 24),  # Kannada
    (0xD00, 17),  # Malayalam
    (0xD80, 26),  # Sinhala
    (0xE00, 18),  # Thai
    (0xE30, 46),  # its vowels
    (0xE47, 2),  # its tone marks
    (0xE80, 24),  # Lao, Tibetan
    (0x1000, 26),  # Burmese
    (0x10A0, 16),  # Georgian
    (0x1100, _SIGN),
    (0x1780, 29),  # Khmer
    (0x1800, _SIGN),
    (0x1E00, 1),  # Latin with two marks: Vietnamese
    (0x1F00, 16),  # Greek with two marks
    (0x2000, _SIGN),
    (0x2500, 22),  # lines that boxes are drawn with
    (0x2580, _SIGN),
    (0x3040, 32),  # Hiragana
    (0x30A0, 32),  # Katakana
    (0x3100, _SIGN),
    (0x4E00, 66),  # Han
    (0xA000, _SIGN),
    (0xAC00, 76),  # Hangul
    (0xD7B0, _SIGN),
)


def _table() -> str:
    """Return a string with each code point's cost as the character in its place."""
    costs = bytearray()
    for pieces in map(int, known.BLOCKS):
        costs += bytes([_SPLIT[pieces]]) * known.BLOCK
    alone = bytearray(len(costs))
    for (first, cost), (end, _) in zip(_SCRIPTS, (*_SCRIPTS[1:], (len(costs), 0)), strict=True):
        alone[first:end] = bytes([cost]) * (end - first)
    for run in known.OTHERS.split():
        first_code, _, last_code = run.partition("-")
        span = slice(int(first_code, 16), int(last_code or first_code, 16) + 1)
        costs[span] = alone[span]
    for char in known.HAN + known.HANGUL:
        costs[ord(char)] = alone[ord(char)]
    for char in known.HAN_FREQUENT:
        costs[ord(char)] = _HAN_FREQUENT
    for char in known.HANGUL_FREQUENT:
        costs[ord(char)] = _HANGUL_FREQUENT
    return costs.decode("latin-1")


_TABLE: Final = _table()
_SHORT: Final = 256
_AGAIN: Final = re.compile(r"(.)\1+", re.DOTALL)
_RUN: Final = 12
_LONG_RUN: Final = re.compile(rf"((.)\2{{{_RUN - 1}}})\2+", re.DOTALL)
_PERIOD: Final = 12  # bytes: a whole number of characters of two, three or four


def cost(text: str) -> int:
    """Return what the characters of a text cost that has none of ASCII, in ``UNITS``.

    ``text`` has at most ``lanes.WINDOW`` characters.
    """
    found = text.translate(_TABLE)  # what is beyond the table stays as it is
    try:
        listed = found.encode("latin-1")
    except UnicodeEncodeError:
        listed = found.encode("latin-1", "ignore")
    return lanes.total(lanes.of(listed)) + (len(text) - len(listed)) * _UNLISTED


def repeated(text: str) -> int:
    """Return the part of ``cost`` that may be next to nothing: one character over and over.

    In a long text only long runs matter. What is appended never adds more to this than to ``cost``.
    """
    if len(text) <= _SHORT:
        return cost(text) - cost(_AGAIN.sub(r"\1", text))
    return cost(text) - cost(_LONG_RUN.sub(r"\1", text)) if _may_run(text) else 0


def _may_run(text: str) -> bool:
    """Tell whether there may be a run of ``_RUN``, at a fiftieth of what looking for it takes."""
    data = text.encode(errors="surrogatepass")
    whole = int.from_bytes(data, "little")
    changes = (whole ^ whole << 8 * _PERIOD).to_bytes(len(data) + _PERIOD, "little")
    return bytes(_PERIOD) in changes
