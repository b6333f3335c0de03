"""Servers under measurement, as processes of their own."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


@contextlib.contextmanager
def server(core: int | None, *argv: str) -> Iterator[int]:
    """Run a server, on a core if one is named; yield the port that it prints first.

    Its ledger is in a folder of its own.
    """
    state = tempfile.TemporaryDirectory()
    process = subprocess.Popen(
        [sys.executable, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": state.name},
    )
    try:
        assert process.stdout is not None
        if core is not None:
            pin(process.pid, core)
        line = process.stdout.readline()
        yield int(line.strip().rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
        state.cleanup()


def pin(process: int, core: int | None) -> None:
    """Give a process (0: this one) a core, or all of them, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        cores = range(os.cpu_count() or 1)
        os.sched_setaffinity(process, cores if core is None else {core % len(cores)})
