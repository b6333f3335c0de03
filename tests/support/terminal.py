"""The command line in this process: arguments and standard input in, output and status out."""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import cast

import msgspec

from gatewayctl.cli.main import main


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def gatewayctl(*argv: str, stdin: bytes = b"") -> Ran:
    """Run ``gatewayctl ARGV`` as the console script does; nothing is a terminal."""
    out, err = _pipe(), _pipe()
    status = 0
    with _as_if(argv, stdin), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            status = cast("int", stop.code or 0)
    return Ran(status=status, out=_written(out), err=_written(err))


def _pipe() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")


def _written(pipe: io.TextIOWrapper) -> str:
    pipe.seek(0)
    return pipe.read()


@contextlib.contextmanager
def _as_if(argv: tuple[str, ...], stdin: bytes) -> Iterator[None]:
    before = sys.argv, sys.stdin
    sys.argv = ["gatewayctl", *argv]
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        yield
    finally:
        sys.argv, sys.stdin = before
