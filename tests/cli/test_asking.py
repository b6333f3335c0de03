"""Where questions come from: files, pipes, terminals and endless streams, read to a bound."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.terminal import gatewayctl

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="devices and pipes of POSIX")

ESTIMATE = ("estimate", "-m", "openai/gpt-5")
PROGRAM = (sys.executable, "-m", "gatewayctl")


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """As shells make of ``<(…)``."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"Hello there",), daemon=True)
    writer.start()
    ran = gatewayctl(*ESTIMATE, str(pipe))
    writer.join()
    assert ran.status == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [("/dev/zero", "larger than"), ("/", "Is a directory"), ("a\0b", "null"), ("", "cannot read")],
)
def test_what_is_no_file_of_bounded_size_is_unreadable(source: str, said: str) -> None:
    """Endless or not there at all: exit 2, one line that names it."""
    ran = gatewayctl(*ESTIMATE, source)
    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err


def test_a_closed_standard_input_is_unreadable() -> None:
    """Python has no stream for it at all."""
    command = 'exec "$@" <&-'
    ran = subprocess.run(
        ["sh", "-c", command, "sh", *PROGRAM, *ESTIMATE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == (
        "gatewayctl: standard input is closed; name a file, or give the request on it\n"
    )


def test_on_a_terminal_it_says_that_it_waits() -> None:
    """Nobody wonders why nothing happens; Ctrl-D ends what is typed."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*PROGRAM, *ESTIMATE],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as ran:
        os.close(theirs)
        os.write(ours, b"Hello there\n\x04")
        out, err = ran.communicate(timeout=60)
        os.close(ours)
    assert ran.returncode == 0, err
    assert "Ctrl-D" in err
    assert "openai/gpt-5" in out
