"""Standard output and error, made to bear wherever they lead: closed, a pipe, another encoding.

A command's exit status tells what it found out, so it must not depend on how much of its output is
read. What is printed is each command's business.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from gatewayctl.core.errors import GatewayctlError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Forgiving(FileIO):
    """A stream whose reader may leave: what is written after that is dropped."""

    abandoned = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write as much as the system takes, and all of it where nobody reads any more."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.abandoned = True
            return memoryview(data).nbytes


def prepare() -> None:
    """Let every command print without looking where it prints to."""
    sys.stdout, sys.stderr = _prepared(sys.stdout), _prepared(sys.stderr)


class OutputLost(GatewayctlError):
    """What was printed reached nobody."""


@contextlib.contextmanager
def must_be_taken() -> Iterator[None]:
    """Raise OutputLost where what is printed meanwhile reaches nobody: a secret shown this once."""
    lost = OutputLost("nothing was changed: what is printed this once would reach nobody")
    if sys.__stdout__ is None:
        raise lost
    yield
    sys.stdout.flush()
    raw = _raw(sys.stdout)
    if isinstance(raw, _Forgiving) and raw.abandoned:
        raise lost


def discard_output() -> None:
    """Let the interpreter end without a word about output that cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _raw(stream: TextIO) -> object:
    """Return the file below a stream's text and its buffer, where it has one."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _prepared(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed before the program began
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, TextIOWrapper):
        return stream
    # a locale without an encoding of its own has surrogateescape, which refuses what is no text too
    errors = "replace" if stream.errors in {"strict", "surrogateescape"} else stream.errors
    # Windows' console is no file of bytes, and what a test reads back is none either
    if type(_raw(stream)) is not FileIO:
        stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    raw = _Forgiving(stream.fileno(), "wb", closefd=False)
    unbuffered = isinstance(stream.buffer, FileIO)  # as PYTHONUNBUFFERED wants it
    return TextIOWrapper(
        cast("BufferedWriter", raw) if unbuffered else BufferedWriter(raw),
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
