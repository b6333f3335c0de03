"""The simulator's own tokens: how many a text has, and which they are.

One token is up to eight letters of a word, up to three digits, or one other visible character (a
punctuation mark, a CJK character, an emoji); white space is free. The rule owes nothing to the
gateway's estimates, so that the two can disagree as a real provider's count would. What of a
request counts is ``request``'s business.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Final

WINDOW: Final = 64 * 1024
"""Characters counted in one go: well under a millisecond each."""

_SPACE, _LETTER, _DIGIT, _MARK = b" adp"
_PIECE_OF_WORD: Final = b"a" * 8
_PIECE_OF_NUMBER: Final = b"d" * 3

_TOKEN: Final = re.compile(
    "[\x00-\x20\x7f]*(?:[A-Za-z\x80-\u07ff]{1,8}|[0-9]{1,3}|[^A-Za-z0-9\x00-\x20\x7f-\u07ff])"
)


def _class_of(byte: int) -> int:
    """Class a UTF-8 lead byte: the characters of one lead byte all count alike."""
    if byte <= ord(" ") or byte == 0x7F:  # noqa: PLR2004 - DEL, the last ASCII control
        return _SPACE
    if chr(byte) in "0123456789":
        return _DIGIT
    # Lead bytes below 0xE0 start two-byte characters: accents, Greek, Cyrillic, Arabic …
    if (byte < 0x80 and chr(byte).isalpha()) or 0xC0 <= byte < 0xE0:  # noqa: PLR2004
        return _LETTER
    return _MARK


_CLASSES: Final = bytes(map(_class_of, range(256)))
_CONTINUATION: Final = bytes(range(0x80, 0xC0))


def count(text: str) -> int:
    """Return how many tokens ``text`` has: ``len(split(text))``, ten times faster."""
    classes = text.encode("utf-8", "replace").translate(_CLASSES, _CONTINUATION)
    marks = classes.count(_MARK)
    words = classes.count(_PIECE_OF_WORD)
    rest = classes.replace(_PIECE_OF_WORD, b" ")
    numbers = rest.count(_PIECE_OF_NUMBER)
    rest = rest.replace(_PIECE_OF_NUMBER, b" ")
    # What is left of words and numbers are runs shorter than a piece: a token each.
    shorts = rest.count(b" a") + rest.count(b"da") + rest.count(b"pa") + rest.startswith(b"a")
    shorts += rest.count(b" d") + rest.count(b"ad") + rest.count(b"pd") + rest.startswith(b"d")
    return marks + words + numbers + shorts


def split(text: str) -> list[str]:
    """Return the tokens of ``text``, each with the white space before it.

    White space after the last token is dropped; otherwise the tokens join to the text.
    """
    return _TOKEN.findall(text)


async def count_all(texts: Iterable[str]) -> int:
    """Return the tokens of all ``texts``, giving way to the event loop between windows.

    A word that lies across a window's edge may count for one more.
    """
    total = pending = 0
    for text in texts:
        for start in range(0, len(text), WINDOW):
            window = text[start : start + WINDOW]
            total += count(window)
            pending += len(window)
            if pending >= WINDOW:
                pending = 0
                await asyncio.sleep(0)
    return total
