"""Names of tools in the letters that OpenAI's and Anthropic's protocols take.

Gemini's may hold dots and colons as well. A letter that is refused is spelled by its number, so
that a model still reads the name, and a call of it comes back under the name that the client knows.
Nothing has to be kept for that. How long a name may be is the upstream's to judge.
"""

import re
from typing import Final

_REFUSED: Final = re.compile(r"[^a-zA-Z0-9_-]")
_REFUSED_TOO: Final = re.compile(r"[^a-zA-Z0-9-]")
_LAST: Final = 0x10FFFF
_HALVES: Final = range(0xD800, 0xE000)  # of surrogate pairs, which are no letters
_SPELLED: Final = re.compile(r"_u([0-9A-F]{4,6})_")


def fitting(name: str) -> str:
    """Return a name in letters, digits, ``_`` and ``-``: this one, if it has no others.

    Where that would be read as another name, each ``_`` is spelled as well.
    """
    spelled = _REFUSED.sub(_number, name)
    return spelled if _read(spelled) == name else _REFUSED_TOO.sub(_number, name)


def original(name: str) -> str:
    """Return the name that ``fitting`` spelled, any other one as it is."""
    found = _read(name)
    return found if fitting(found) == name else name


def _read(name: str) -> str:
    return _SPELLED.sub(_letter, name)


def _number(found: re.Match[str]) -> str:
    return f"_u{ord(found.group()):04X}_"


def _letter(found: re.Match[str]) -> str:
    number = int(found.group(1), 16)
    return found.group() if number > _LAST or number in _HALVES else chr(number)
