"""What becomes of output and input that are closed, full, or of another encoding."""

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.recorded import whole
from support.terminal import gatewayctl

from gatewayctl.cli.streams import OutputLost, must_be_taken
from gatewayctl.storage.ledger import Ledger

BROKEN = '[aliases]\n"日本" = "nosuch"\n'
CLOSING = "import os, sys; os.close(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
PROGRAM = "from gatewayctl.cli.main import main; main()"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return a config with an error in a line of wide letters."""
    path = tmp_path / "broken.toml"
    path.write_text(BROKEN, encoding="utf-8")
    return path


def run(
    *argv: str | Path,
    stdout: int = subprocess.PIPE,
    closed: int | None = None,
    encoding: str = "utf-8",
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line in a process of its own, one of its streams closed."""
    command = [sys.executable, "-c", PROGRAM, *map(str, argv)]
    if closed is not None:
        command = [sys.executable, "-c", CLOSING, str(closed), *command]
    return subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_closed_output_changes_no_exit_status(broken: Path, form: str) -> None:
    """A script that closes standard output for want of interest still learns what is wrong."""
    done = run("config", "validate", "--format", form, broken, closed=1)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of POSIX")
@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("--help",), 0),
        (("keys", "list", "--json"), 0),
        (("quota", "--json"), 0),
        (("models", "list"), 0),
        (("usage", "--json"), 0),
        (("log", "--json"), 0),
        (("env", "openai"), 0),
        (("config", "validate"), 1),
        (("config", "validate", "--format", "json"), 1),
        (("route-explain", "no-such-model", "-"), 3),
    ],
)
def test_a_reader_that_leaves_changes_no_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], status: int
) -> None:
    """Every command goes on without a word when its pipe is closed, and ends as it would have."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "broken.toml"
    path.write_text(BROKEN, encoding="utf-8")
    monkeypatch.setenv("GATEWAYCTL_CONFIG", str(path if argv[0] == "config" else os.devnull))
    reading, writing = os.pipe()
    os.close(reading)
    unbuffered = io.TextIOWrapper(io.FileIO(os.dup(writing), "wb"), write_through=True)
    with open(writing, "w", encoding="utf-8") as pipe, unbuffered:  # noqa: PTH123 - a descriptor
        for out in (pipe, unbuffered):
            ran = gatewayctl(*argv, stdin=b"Hello", out=out)
            assert (ran.status, "Traceback" in ran.err) == (status, False)


def test_a_secret_is_not_made_where_no_output_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after ``>&-``: whatever is printed then goes nowhere, and that is no error of its own."""
    monkeypatch.setattr(sys, "__stdout__", None)
    with pytest.raises(OutputLost), must_be_taken():
        raise AssertionError("a secret was shown to nobody")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_without_these_letters_still_gets_the_rest(broken: Path, encoding: str) -> None:
    """What a terminal cannot show is replaced; JSON stays UTF-8, as its standard says."""
    text = run("config", "validate", broken, encoding=encoding)
    assert (text.returncode, text.stderr) == (1, b"")
    assert b"unknown-name" in text.stdout
    as_json = run("config", "validate", "--format", "json", broken, encoding=encoding)
    assert json.loads(as_json.stdout)["problems"][0]["key"] == 'aliases."日本"'


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_signs_that_an_encoding_lacks_are_replaced(tmp_path: Path, errors: str) -> None:
    """Whatever the locale does with them: the lines of rich's as well as our own."""
    path = tmp_path / "out"
    with path.open("w", encoding="ascii", errors=errors) as out:
        argv = ("route-explain", "openai/gpt-5.4", "-", "--config", os.devnull)
        ran = gatewayctl(*argv, stdin=b"Hello", out=out)
    assert (ran.status, "Traceback" in ran.err) in {(0, False), (3, False)}
    assert b"?" in path.read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_disk_is_a_line_and_no_traceback(broken: Path, form: str) -> None:
    """Output that cannot be written says why, and the exit status is an error's."""
    with Path("/dev/full").open("wb") as full:
        done = run("config", "validate", "--format", form, broken, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == b"gatewayctl: cannot go on: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("argv", [("log",), ("log", "--json"), ("log", "-f"), ("log", "a")])
def test_the_ledger_on_a_full_disk_is_a_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    """Also where lines are handed on one by one, and some are still to be when the first fails."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    ledger = Ledger.open(tmp_path / "gatewayctl", lambda: 1.0)
    ledger.record(*whole("req_a"))
    asyncio.run(ledger.close())
    with Path("/dev/full").open("wb") as full:
        done = run(*argv, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == b"gatewayctl: cannot go on: No space left on device\n"


@pytest.mark.parametrize("argv", [("config", "validate", "-"), ("estimate", "-m", "x", "-")])
def test_closed_input_cannot_be_read(argv: tuple[str, ...]) -> None:
    """Reading a standard input that is closed is a file that cannot be opened."""
    done = run(*argv, closed=0)
    assert done.returncode == 2
    assert done.stderr.startswith(b"gatewayctl: standard input is closed")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_a_file_name_that_is_not_utf_8_is_shown(tmp_path: Path, form: str) -> None:
    """Names of files are bytes on Linux; what is not text in them is replaced."""
    path = tmp_path / os.fsdecode(b"x\xff.toml")
    path.write_text(BROKEN, encoding="utf-8")
    done = run("config", "validate", "--format", form, path)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"unknown-name" in done.stdout
