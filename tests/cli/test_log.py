"""``gatewayctl log`` against real ledgers: what it lists, follows, and says when it cannot."""

import asyncio
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from support.terminal import gatewayctl, on_terminal
from support.waiting import until

from gatewayctl.core.events import Usage
from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.records import Came, Ended, Left, Metered, Outcome, Record, Started

KILLED = """
import os, signal, sys, time
from pathlib import Path
import msgspec
from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.records import Record
ledger = Ledger.open(Path(sys.argv[1]), time.time)
ledger.record(*msgspec.json.decode(sys.stdin.buffer.read(), type=list[Record]))
os.kill(os.getpid(), signal.SIGKILL)
"""
SOON = 60.0  # seconds that a process may take to start on a busy machine


def came(name: str, at: float | None = None) -> Came:
    """Return the beginning of a request."""
    return Came(
        request=f"req_{name}",
        at=time.time() if at is None else at,
        protocol="messages",
        asked="coding",
        route="coding",
        route_kind="cascade",
        stream=True,
    )


def started(name: str, number: int = 1, model: str = "up/one") -> Started:
    """Return the beginning of an attempt."""
    return Started(
        request=f"req_{name}",
        number=number,
        at=time.time(),
        model=model,
        provider="up",
        protocol_in="messages",
        protocol_out="messages",
        retry=False,
        estimate_low=1,
        estimate_likely=2,
        estimate_high=3,
        estimate_method="ratio",
        output_budget=4096,
    )


def limited(name: str, number: int = 1) -> Ended:
    """Return the end of an attempt that was refused for its rate."""
    return Ended(
        request=f"req_{name}",
        number=number,
        outcome=Outcome.FAILED,
        duration=0.1,
        failure="rate_limited",
        status=429,
        said="HTTP 429: slow down",
    )


def answered(name: str, number: int = 1) -> Ended:
    """Return the end of an attempt that went well."""
    return Ended(
        request=f"req_{name}",
        number=number,
        outcome=Outcome.ANSWERED,
        duration=0.2,
        status=200,
        metered=Metered(usage=Usage(input=5, output=6)),
    )


def left(name: str, outcome: Outcome = Outcome.ANSWERED, model: str | None = "up/one") -> Left:
    """Return the end of a request."""
    return Left(
        request=f"req_{name}",
        at=time.time(),
        outcome=outcome,
        attempts=1,
        duration=0.3,
        status=200 if outcome is Outcome.ANSWERED else 429,
        error=None if outcome is Outcome.ANSWERED else "rate_limited",
        model=model if outcome is Outcome.ANSWERED else None,
    )


def well(name: str, at: float | None = None) -> tuple[Record, ...]:
    """Return a request that was answered at once."""
    return came(name, at), started(name), answered(name), left(name)


RESCUED = (
    *(came("b1"), started("b1"), limited("b1")),
    *(started("b1", 2, "up/two"), answered("b1", 2), left("b1", model="up/two")),
)
FAILED = (came("c1"), started("c1"), limited("c1"), left("c1", Outcome.FAILED))


class Write(Protocol):
    """Records in a ledger of its own, as a daemon's run does, and closes it."""

    def __call__(self, *told: Record, decision: bytes | None = None) -> None:
        """Do so; the decision is the first request's."""


@pytest.fixture
def write(folder: Path) -> Write:
    """Return what writes to the ledger."""

    def records(*told: Record, decision: bytes | None = None) -> None:
        ledger = Ledger.open(folder, time.time)
        ledger.record(*told)
        if decision is not None:
            ledger.decided(told[0].request, lambda: decision)
        asyncio.run(settled(ledger))

    async def settled(ledger: Ledger) -> None:  # whoever follows may hold the database a while
        await until(lambda: ledger.state().pending == 0, seconds=SOON)
        await ledger.close()

    return records


def listed(*argv: str) -> list[dict[str, Any]]:
    """Return what ``log --json`` prints."""
    ran = gatewayctl("log", "--json", *argv)
    assert (ran.status, ran.err) == (0, "")
    return [json.loads(line) for line in ran.out.splitlines()]


def test_requests_are_listed_the_newest_last(write: Write) -> None:
    """As a log reads; one line each, below one line of titles."""
    write(*well("a1", at=1.0), *well("a2", at=2.0))
    ran = gatewayctl("log")
    titles, first, second = ran.out.splitlines()
    assert titles.split()[-1] == "request"
    assert ("a1 " in first, "a2 " in second) == (True, True)
    assert second.endswith("coding → up/one")
    assert [each["id"] for each in listed()] == ["req_a1", "req_a2"]
    assert [each["id"] for each in listed("-n", "1")] == ["req_a2"]


def test_a_request_is_there_as_soon_as_it_is_written_down(folder: Path) -> None:
    """Beside a living daemon, which brings its journal into the database about once a second."""
    ledger = Ledger.open(folder, time.time)
    try:
        for number, name in enumerate(("a1", "a2"), 1):
            ledger.record(*well(name))
            assert (listed(name)[0]["outcome"], len(listed())) == ("answered", number)
    finally:
        asyncio.run(ledger.close())


def test_failed_are_those_that_were_not_answered(write: Write) -> None:
    """A rescued request was answered; its first cause is in it all the same."""
    write(*well("a1"), *RESCUED, *FAILED)
    (failed,) = listed("--failed")
    assert (failed["id"], failed["outcome"], failed["cause"]["status"]) == ("req_c1", "failed", 429)
    rescued = next(each for each in listed() if each["id"] == "req_b1")
    assert (rescued["outcome"], rescued["model"], len(rescued["attempts"])) == (
        *("answered", "up/two"),
        2,
    )
    assert rescued["cause"]["model"] == "up/one"


def test_requests_of_one_client_key_are_told_apart(write: Write) -> None:
    """By its name, which is on each line as soon as one request came with a key."""
    keyed = msgspec.structs.replace(came("c1"), client="ci")
    write(*well("a1", at=1.0), keyed, *FAILED[1:])
    assert [each["id"] for each in listed("--key", "ci")] == ["req_c1"]
    assert listed("--key", "ci", "--failed")[0]["client"] == "ci"
    titles, first, second = gatewayctl("log").out.splitlines()
    at = titles.index("key ")
    assert (first[at:].split()[0], second[at:].split()[0]) == ("-", "ci")
    assert "key" not in gatewayctl("log", "--limit", "1", "--key", "-").out
    assert "is one of these" in gatewayctl("log", "--key", "bot").err
    assert gatewayctl("log", "a1", "--key", "ci").status == 2


def test_since_is_all_of_a_time(write: Write) -> None:
    """More than are listed by default, and nothing older."""
    many = [record for number in range(25) for record in well(f"{number:02}")]
    write(*well("old", at=time.time() - 7200), *many)
    assert len(listed()) == 20
    assert len(listed("--since", "1h")) == 25
    assert len(listed("--since", "1d")) == 26
    assert len(listed("--since", "1d", "--limit", "3")) == 3


@pytest.mark.parametrize("given", ["req_b1", "b1", "b", "req_b"])
def test_a_request_is_found_by_what_tells_its_id_apart(write: Write, given: str) -> None:
    """Its whole story: the decision as it was made, and every attempt."""
    decision = {"schema_version": 1, "requested": "coding"}
    write(*well("a1"), *RESCUED, *FAILED)
    ran = gatewayctl("log", given)
    assert ran.status == 0
    assert "1. ✗ up/one" in ran.out
    assert "2. ✓ up/two  the next candidate" in ran.out
    write(*well("d1"), decision=msgspec.json.encode(decision))
    (told,) = listed("d1")
    assert told["decision"] == decision


def test_an_id_that_is_unknown_or_several_exits_1(write: Write) -> None:
    """And says which there are."""
    write(*well("aa1"), *well("aa2"))
    for given, said in (("zz", 'no request "zz"'), ("aa", "req_aa2, req_aa1")):
        ran = gatewayctl("log", given)
        assert (ran.status, ran.out) == (1, "")
        assert said in ran.err


def test_nothing_to_show_is_said_and_no_error(folder: Path, write: Write) -> None:
    """A ledger that is not there yet, an empty one, one without failures."""
    ran = gatewayctl("log")
    assert (ran.status, ran.out) == (0, "")
    assert f"no request is in the ledger yet; the daemon keeps it in {folder}" in ran.err
    assert not folder.exists()
    write(*well("a1"))
    ran = gatewayctl("log", "--failed")
    assert (ran.status, ran.out) == (0, "")
    assert "no request in the ledger is one of these" in ran.err
    assert gatewayctl("log", "--json", "--failed").out == ""


@pytest.mark.parametrize("argv", [(), ("--json",), ("a1",), ("--follow",)])
def test_a_ledger_that_cannot_be_read_exits_2(
    folder: Path, write: Write, argv: tuple[str, ...]
) -> None:
    """One of a newer gatewayctl, one that is damaged: in one line, without a traceback."""
    write(*well("a1"))
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    ran = gatewayctl("log", *argv)
    assert (ran.status, ran.out) == (2, "")
    assert "was written by a newer gatewayctl" in ran.err
    (folder / "ledger.db").write_bytes(b"this is no database " * 512)
    ran = gatewayctl("log", *argv)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "ledger.db" in ran.err


def killed(folder: Path, *records: Record) -> None:
    """Record in a process that is killed right after."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, folder], input=msgspec.json.encode(records), check=False
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_what_a_killed_daemon_left_is_shown_without_a_daemon(folder: Path) -> None:
    """It is brought in from the journal, and what was under way is interrupted."""
    killed(folder, *well("a1"), came("a2"), started("a2"))
    first, second = listed()
    assert (first["outcome"], second["outcome"]) == ("answered", "interrupted")
    assert second["attempts"][0]["outcome"] == "interrupted"


class Following:
    """A ``log --follow`` in a process of its own."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gatewayctl", "log", "--follow", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line)

    def line(self) -> str:
        """Return the next line."""
        return self._lines.get(timeout=SOON)

    def stop(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit status and what was said of it."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(SOON)
        self._reader.join(SOON)
        assert self.process.stderr is not None
        return status, self.process.stderr.read()


@pytest.fixture
def follow(folder: Path) -> Iterator[Callable[..., Following]]:
    """Return what follows the ledger, and end it with the test."""
    _ = folder
    begun: list[Following] = []

    def begin(*argv: str) -> Following:
        begun.append(Following(*argv))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_follow_shows_each_request_once_as_it_ends_over_restarts(
    follow: Callable[..., Following], folder: Path, write: Write
) -> None:
    """Each ``write`` is a daemon's run; what one leaves when it is killed comes with the next."""
    write(*well("a1"), came("a2"))
    following = follow("--json")
    told = [following.line(), following.line()]
    write(*well("b1"))
    told.append(following.line())
    killed(folder, *well("c1"), came("c2"), started("c2"))
    write(*well("d1"))
    told += [following.line() for _ in range(3)]
    assert [(each["id"], each["outcome"]) for each in map(json.loads, told)] == [
        ("req_a1", "answered"),
        ("req_a2", "interrupted"),
        ("req_b1", "answered"),
        ("req_c1", "answered"),
        ("req_c2", "interrupted"),
        ("req_d1", "answered"),
    ]
    assert following.stop() == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_follow_begins_before_there_is_a_ledger(
    follow: Callable[..., Following], write: Write
) -> None:
    """The titles come with the first request; Ctrl-C is a way to end it like any other."""
    following = follow("--failed")
    write(*well("a1"), *FAILED)
    assert following.line().split()[-1] == "request"
    assert "failed: rate_limited: HTTP 429: slow down (up/one)" in following.line()
    status, said = following.stop()
    assert (status, "Traceback" in said) == (0, False)


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of POSIX")
def test_follow_ends_when_nobody_reads_any_more(write: Write) -> None:
    """Even while nothing happens: a script's ``head`` is enough to end it."""
    write(*well("a1"))
    command = '"$0" -m gatewayctl log --follow --json | head -n 1; "$0" -m gatewayctl log -f >&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable],
        capture_output=True,
        timeout=SOON,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_a_terminal_gets_colour_unless_it_wants_none(folder: Path, write: Write) -> None:
    """By outcome; the signs say the same without it."""
    write(*well("a1"), *FAILED)
    state = str(folder.parent)
    drawn = on_terminal("log", columns=100, XDG_STATE_HOME=state, HOME=state)
    assert ("\x1b[32m✓" in drawn, "\x1b[31m✗" in drawn) == (True, True)
    plain = on_terminal("log", columns=100, XDG_STATE_HOME=state, HOME=state, NO_COLOR="1")
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 100
