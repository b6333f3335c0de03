"""Looks for stand-in secrets where none may be: in logs, in what is printed, in what is kept.

All secrets of the suite have a form by which they are known: ``sk-…``, ``gwk-…``, ``gwo-…``, or
``access-1`` and ``refresh-1`` of the token server, or ``canary`` within. So whatever a test is
about, no log line of it and no file may hold one.
"""

import logging
import re
import traceback
from pathlib import Path
from typing import Final

SECRET: Final = re.compile(
    r"(?<![\w-])(?:(?:sk|gw[ko])-[A-Za-z0-9][\w-]*|(?:access|refresh)-\d+(?![\w-]))|[\w-]*canary[\w-]*"
)
PRIVATE: Final = frozenset({"credentials.json", "operator.key"})
"""Files that are there for a secret."""

_SECRET_BYTES: Final = re.compile(SECRET.pattern.encode())
_HINTS: Final = ("sk-", "gwk-", "gwo-", "access-", "refresh-", "canary")
"""One of these is in whatever holds a secret: found a hundred times as fast as by the pattern."""


class Watch(logging.Handler):
    """Keeps the log lines that hold a secret, their tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one record."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += "".join(traceback.format_exception(record.exc_info[1]))
        if found := in_text(text):
            self._found.append(f"{record.name} says {found}: {text}")

    def taken(self) -> list[str]:
        """Return what was found since the last look."""
        found, self._found = self._found, []
        return found


def in_text(text: str) -> str | None:
    """Return the first secret of a text."""
    if not any(hint in text for hint in _HINTS):
        return None
    found = SECRET.search(text)
    return None if found is None else found[0]


def in_files(folder: Path) -> list[str]:
    """Return which files below a folder hold a secret, those that are there for one aside."""
    return [
        f"{path.relative_to(folder)} holds {found}"
        for path in sorted(folder.rglob("*"))
        if path.name not in PRIVATE and path.is_file()
        if (found := _in_bytes(path.read_bytes())) is not None
    ]


def _in_bytes(data: bytes) -> str | None:
    if not any(hint.encode() in data for hint in _HINTS):
        return None
    found = _SECRET_BYTES.search(data)
    return None if found is None else found[0].decode()
