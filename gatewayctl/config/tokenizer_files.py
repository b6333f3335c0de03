"""Files with a model's own tokenizer (``tokenizer.json``): where they are, whether they open.

What is in one is read by ``gatewayctl.tokenizers.huggingface`` alone.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import BinaryIO

import msgspec

from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.core.errors import CountUnavailable

LARGEST = 100 * 1024 * 1024
"""Bytes of a file that are read at most; the largest in use have a third of them."""

INSTALL = "pip install 'gatewayctl[huggingface]'"
"""What makes the package available that reads the files."""

UNUSABLE = "tokenizer-file-unusable"
"""The code of a file that cannot be counted with; at run time it costs the exactness alone."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file cannot be counted with; ``error`` False where that is not the file's fault."""

    code: str
    message: str
    hint: str
    error: bool = True


Look = Callable[[str], Trouble | None]
"""Looks at the file of an absolute path."""


class TokenizerFiles:
    """Finds the files that a config names, and reports those that are of no use.

    Relative paths start at ``folder``; each file is looked at once.
    """

    def __init__(self, folder: str, look: Look, report: Report) -> None:
        self._folder = folder
        self._look = look
        self._report = report
        self._seen: dict[str, Trouble | None] = {}

    def find(self, written: str, path: Path) -> str:
        """Return the absolute path of a file that is named at ``path`` in the config."""
        # Path.expanduser fails where a user is unknown
        name = os.path.expanduser(written)  # noqa: PTH111
        found = os.path.abspath(os.path.join(self._folder, name))  # noqa: PTH100, PTH118 - links stay
        if found not in self._seen:
            self._seen[found] = self._look(found)
        trouble = self._seen[found]
        if trouble is not None:
            report = self._report.error if trouble.error else self._report.warn
            report(path, trouble.code, trouble.message, trouble.hint)
        return found


@contextmanager
def opened(path: str) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a file to read at most ``LARGEST`` bytes of it; raise ``CountUnavailable``."""
    try:
        with open(path, "rb", opener=_opened) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise CountUnavailable(f"{path} is no file.")
            if found.st_size > LARGEST:
                raise CountUnavailable(f"{path} is larger than {LARGEST:,} bytes.")
            yield file, found
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        why = getattr(error, "strerror", None) or str(error)
        raise CountUnavailable(f"{path} cannot be read: {why}.") from error


def look(path: str, *, read: Callable[[str], str | None] | None = None) -> Trouble | None:
    """Say why a file cannot be counted with, None when nothing is known against it.

    ``read`` looks into it, which takes about a second; without it, it is only opened.
    """
    hint = "name the tokenizer.json that the model comes with"
    try:
        with opened(path):
            why = None
    except CountUnavailable as error:
        return Trouble(code=UNUSABLE, message=str(error).rstrip("."), hint=hint)
    if find_spec("tokenizers") is None:
        message = "counted by ratio, since the package tokenizers is not installed"
        return Trouble(code="tokenizers-not-installed", message=message, hint=INSTALL, error=False)
    why = read(path) if read is not None else None
    return None if why is None else Trouble(code=UNUSABLE, message=why, hint=hint)


def unseen(path: str) -> None:
    """Look at nothing: for configs whose files are of no interest."""
    _ = path


def _opened(path: str, flags: int) -> int:
    """Open without waiting: a pipe that nobody writes to would otherwise never be open."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
