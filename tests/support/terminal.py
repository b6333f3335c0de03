"""The command line as people run it: in this process, or in one of its own on a terminal."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TextIO, cast
from unittest import mock

import msgspec
import typer.main

from gatewayctl.cli.main import main

# A process builds its commands once, which takes fifteen milliseconds; here many run in one.
_BUILT = cache(typer.main.get_command)


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def gatewayctl(*argv: str, stdin: bytes | None = b"", out: TextIO | None = None) -> Ran:
    """Run ``gatewayctl ARGV`` as the console script does; nothing is a terminal.

    ``stdin`` None is closed. ``out`` is where standard output goes instead of into what is
    returned.
    """
    kept, err = _pipe(), _pipe()
    status = 0
    with (
        _as_if(argv, stdin),
        mock.patch.object(typer.main, "get_command", _BUILT),
        contextlib.redirect_stdout(out or kept),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            status = cast("int", stop.code or 0)
    return Ran(status=status, out=_written(kept), err=_written(err))


def in_environment(environ: Mapping[str, str], *argv: str, stdin: bytes = b"") -> Ran:
    """Run ``gatewayctl ARGV`` with these variables and none of this process's."""
    with mock.patch.dict(os.environ, environ, clear=True):
        return gatewayctl(*argv, stdin=stdin)


def _pipe() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")


def _written(pipe: io.TextIOWrapper) -> str:
    pipe.seek(0)
    return pipe.read()


@contextlib.contextmanager
def _as_if(argv: tuple[str, ...], stdin: bytes | None) -> Iterator[None]:
    before = sys.argv, sys.stdin
    sys.argv = ["gatewayctl", *argv]
    sys.stdin = cast("TextIO", None) if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
    try:
        yield
    finally:
        sys.argv, sys.stdin = before


def on_terminal(*argv: str, columns: int, stdin: bytes = b"", **environ: str) -> str:
    """Return what ``gatewayctl ARGV`` draws on a terminal of so many columns (POSIX alone)."""
    import termios  # noqa: PLC0415 - there is none on Windows

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    with subprocess.Popen(
        [sys.executable, "-m", "gatewayctl", *argv],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", **environ},
    ) as ran:
        os.close(theirs)
        assert ran.stdin is not None
        ran.stdin.write(stdin)
        ran.stdin.close()
        drawn = b"".join(_until_closed(ours))
    os.close(ours)
    return drawn.decode().replace("\r\n", "\n")


def _until_closed(terminal: int) -> Iterator[bytes]:
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while piece := os.read(terminal, 65536):
            yield piece
