"""Counting text with a tokenizer, made safe for any text, and remembered.

Tokenizers' regular expressions give up on very long runs (a megabyte of spaces), some with a
panic, and what is cut into no pieces is slow. So a long text is counted in chunks, cut where the
usual patterns cut too: ordinary text has the same count in chunks as whole. Which tokenizer it is
belongs to ``tiktoken`` and ``huggingface``, what a request adds to its text to ``count``.
"""

import re
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from typing import ClassVar

CHUNK = 170 * 3 * 128
"""Code points that are encoded at once, at most.

A multiple of 3 and of 128, the lengths of a number's pieces and of the longest tokens: runs of one
digit or one space cost the same cut or whole.
"""

_SMALLEST = 256  # code points; if even so few are refused, each of their bytes counts

# Where every pattern ends a piece, whatever stands before and after: a letter or digit and then
# what can continue neither a word (an apostrophe can) nor a number; a line's end and then neither
# white space nor the slash that o200k_base counts to the line's end.
_ASCII = r"[A-Za-z0-9](?=[\x00-&(-/:-@\[-`{-\x7f])"
_CJK = r"[\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3](?=[ \n、。，．？！：；])"  # noqa: RUF001 - CJK punctuation is meant
_LINE = r"\n(?=[^\s/])"
_SAFE = re.compile(f"{_ASCII}|{_CJK}|{_LINE}")

# How far before a chunk's end a safe place is looked for, nearest first.
_REACHES = (256, 4096, CHUNK)

_REMEMBERED_FROM = 64  # code points: what is shorter is encoded about as fast as it is hashed
_REMEMBERED = 65_536  # texts; each costs about 300 bytes, since no text is kept


class Encoder(ABC):
    """Counts text with one tokenizer. Remembers the counts of texts by their hashes.

    ``refusals`` are what ``encode`` raises of a text that it cannot do; a panic is one, too. Not
    for use by several threads at once.
    """

    refusals: ClassVar[tuple[type[Exception], ...]]

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._remembered = _REMEMBERED

    @abstractmethod
    def encode(self, text: str) -> int:
        """Return how many tokens a text of at most ``CHUNK`` code points has."""

    def count(self, text: str) -> int:
        """Return how many tokens a text has; what looks like a special token is plain text."""
        if len(text) < _REMEMBERED_FROM:
            return self._count(text)
        # Python's hash is keyed at random in each process: nobody can aim for a collision.
        key = (hash(text), len(text))
        found = self._counts.get(key)
        if found is not None:
            self._counts.move_to_end(key)
            return found
        count = sum(self._count(chunk) for chunk in chunks(text))
        self._counts[key] = count
        if len(self._counts) > self._remembered:
            self._counts.popitem(last=False)
        return count

    def _count(self, text: str) -> int:
        try:
            return self.encode(text)
        except BaseException as error:
            if not (isinstance(error, self.refusals) or panicked(error)):
                raise
        if len(text) <= _SMALLEST:
            return len(text.encode(errors="surrogatepass"))
        middle = len(text) // 2
        return self._count(text[:middle]) + self._count(text[middle:])


def chunks(text: str) -> Iterator[str]:
    """Cut a text into chunks of at most ``CHUNK`` code points, where pieces end if there is one."""
    start = 0
    while len(text) - start > CHUNK:
        end = _cut(text, start, start + CHUNK)
        yield text[start:end]
        start = end
    yield text[start:]


def panicked(error: BaseException) -> bool:
    """Tell whether a library in Rust panicked, which no class of exceptions is published for."""
    return type(error).__name__ == "PanicException"


def _cut(text: str, start: int, end: int) -> int:
    """Return the last safe place to cut after ``start`` and up to ``end``, or ``end``."""
    for reach in _REACHES:
        places = [match.end() for match in _SAFE.finditer(text, max(start, end - reach), end)]
        if places:
            return places[-1]
    return end
