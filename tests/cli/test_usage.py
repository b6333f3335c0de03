"""``gatewayctl usage`` against real ledgers: sums as JSON, CSV and a table."""

import asyncio
import csv
import json
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.recorded import came, ended, left, metered, started
from support.terminal import gatewayctl, on_terminal

from gatewayctl.core.events import Usage
from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.records import Outcome, Record

Write = Callable[..., None]
DAY = 1_793_491_200.0
"""2026-11-01, the first moment of it in UTC."""


@pytest.fixture
def write(folder: Path) -> Write:
    """Return what writes records to the ledger, as a daemon's run does."""

    def records(*told: Record) -> None:
        ledger = Ledger.open(folder, time.time)
        ledger.record(*told)
        asyncio.run(ledger.close())

    return records


def answered(name: str, model: str = "acme/one", **given: Any) -> tuple[Record, ...]:
    """Return a request of 10 tokens in and 2 out that was answered for 25 microdollars."""
    usual: dict[str, Any] = {"input": 10, "output": 2, "cost": 25_000_000}
    of_request = {key: given.pop(key) for key in ("at", "client", "session") if key in given}
    return (
        came(name, **of_request),
        started(name, model=model),
        ended(name, metered=metered(**usual | given)),
        left(name, model=model),
    )


FAILED = (
    *(came("f"), started("f", model="acme/two"), ended("f", outcome=Outcome.FAILED, status=500)),
    left("f", outcome=Outcome.FAILED, status=500, model=None),
)


def told(*argv: str) -> dict[str, Any]:
    """Return what ``usage --json`` prints."""
    ran = gatewayctl("usage", "--json", *argv)
    assert (ran.status, ran.err) == (0, "")
    document: dict[str, Any] = json.loads(ran.out)
    return document


def test_a_row_is_what_a_group_comes_to(write: Write) -> None:
    """Exactly, the dearest first, and all of them together."""
    dear = answered("c", "acme/two", input=1, output=None, input_cache_read=7, cost=10**12 + 1)
    write(*answered("a"), *answered("b"), *dear, *FAILED)
    zeros = dict.fromkeys(Usage.__struct_fields__, 0)
    marks = {"estimated": False, "unpriced": 0}
    two = {"requests": 2, "failed": 1, "cost": 1.000000000001, **marks}
    one = {"requests": 2, "failed": 0, "cost": 0.00005, **marks}
    assert told() == {
        "schema_version": 1,
        "by": "model",
        "rows": [
            {"key": "acme/two", **two, "tokens": {**zeros, "input": 1, "input_cache_read": 7}},
            {"key": "acme/one", **one, "tokens": {**zeros, "input": 20, "output": 4}},
        ],
        "total": {
            "requests": 4,
            "failed": 1,
            "cost": 1.000050000001,
            **marks,
            "tokens": {**zeros, "input": 21, "input_cache_read": 7, "output": 4},
        },
    }


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("model", ["acme/one", "acme/two"]),
        ("route", ["fast"]),
        ("key", ["laptop", None]),
        ("day", ["2026-11-01", "2026-11-02"]),
        ("session", ["s", None]),
        ("tier", ["flex", None]),
    ],
)
def test_it_is_grouped_by_what_is_asked_for(write: Write, by: str, keys: list[str | None]) -> None:
    """Days in order, whatever they cost."""
    dear: dict[str, Any] = {"session": "s", "client": "laptop", "tier": "flex", "cost": 10**9}
    cheap = answered("b", "acme/two", at=DAY + 86_400)
    write(*answered("a", at=DAY, **dear), *cheap)
    assert [row["key"] for row in told("--by", by)["rows"]] == keys


def test_an_unknown_cost_is_null_and_a_partial_one_says_so(write: Write) -> None:
    """In JSON, in CSV, and in words."""
    write(
        *answered("a", "acme/none", cost=None),
        *answered("b", "acme/some", cost=None),
        *answered("c", "acme/some", estimated=True),
    )
    some, none = told()["rows"]
    assert (none["cost"], none["unpriced"], none["estimated"]) == (None, 1, False)
    assert (some["cost"], some["unpriced"], some["estimated"]) == (0.000025, 1, True)
    table = gatewayctl("usage").out.splitlines()
    assert table[1].split() == ["acme/some", "2", "0", "~$0.000025+", "~20", "~0", "~4"]
    assert table[2].split() == ["acme/none", "1", "0", "-", "10", "0", "2"]
    assert table[3].split()[3] == "~$0.000025+"
    assert "the cost of 2 attempts is unknown and in no sum" in table[4]
    assert "partly estimated" in table[5]
    rows = list(csv.DictReader(gatewayctl("usage", "--csv").out.splitlines()))
    assert [(row["key"], row["cost"], row["unpriced"]) for row in rows] == [
        ("acme/some", "0.000025", "1"),
        ("acme/none", "", "1"),
    ]


def test_csv_has_a_name_for_every_column_and_no_total(write: Write) -> None:
    """So that columns can be added up as they are."""
    write(*answered("a"), *FAILED)
    names, *rows = gatewayctl("usage", "--csv").out.splitlines()
    dimensions = ",".join(Usage.__struct_fields__)
    assert names == f"key,requests,failed,{dimensions},cost,estimated,unpriced"
    assert rows == [
        "acme/one,1,0,10,0,0,0,2,0,0,0,0,0,0.000025,false,0",
        "acme/two,1,1,0,0,0,0,0,0,0,0,0,0,0,false,0",
    ]


def test_what_clients_name_is_no_formula_and_steers_no_terminal(write: Write) -> None:
    """A session is a client's word, and ends up in a spreadsheet."""
    names = ('=HYPERLINK("http://x","y")', "+1", "-1", "@a", "\t=1", "a,\x1b[2J")
    write(*(each for n, name in enumerate(names) for each in answered(f"r{n}", session=name)))
    rows = csv.DictReader(gatewayctl("usage", "--by", "session", "--csv").out.splitlines())
    keys = {row["key"] for row in rows}
    assert keys == {*(f"'{name}" for name in names[:-1]), "a,\N{REPLACEMENT CHARACTER}[2J"}
    assert "\x1b" not in gatewayctl("usage", "--by", "session").out
    assert {row["key"] for row in told("--by", "session")["rows"]} == set(names)


def test_only_some_time_counts(write: Write) -> None:
    """Days are of UTC; the last one is included."""
    days = [DAY - 0.5, DAY, DAY + 86_399, DAY + 86_400]
    write(*(each for n, at in enumerate(days) for each in answered(f"r{n}", at=at)))
    write(*answered("now", at=time.time() - 60))

    def count(*argv: str) -> int:
        requests: int = told(*argv)["total"]["requests"]
        return requests

    assert count() == 5
    assert count("--since", "2026-11-01", "--until", "2026-11-01") == 2
    assert count("--since", "2026-10-31T23:00", "--until", "2026-11-01T00:00:00Z") == 1
    assert count("--since", "1h") == 1
    assert count("--since", "1d", "--by", "day") == 1


@pytest.mark.parametrize("argv", [("--since", "soon"), ("--by", "colour"), ("--json", "--csv")])
def test_what_is_not_understood_exits_2(argv: tuple[str, ...]) -> None:
    """And nothing is printed that a program could take for an answer."""
    ran = gatewayctl("usage", *argv)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err


def test_nothing_to_show_is_said_and_no_error(folder: Path, write: Write) -> None:
    """A program gets its document all the same."""
    ran = gatewayctl("usage")
    assert (ran.status, ran.out) == (0, "")
    assert "no request is in the ledger yet" in ran.err
    assert not folder.exists()
    document = json.loads(gatewayctl("usage", "--json").out)
    assert (document["rows"], document["total"]["requests"]) == ([], 0)
    assert len(gatewayctl("usage", "--csv").out.splitlines()) == 1
    write(*answered("a"))
    ran = gatewayctl("usage", "--since", "1h")
    assert (ran.status, ran.out) == (0, "")
    assert "no request in the ledger is one of these" in ran.err


def test_a_ledger_that_cannot_be_read_exits_2(folder: Path, write: Write) -> None:
    """In one line that says why."""
    write(*answered("a"))
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    ran = gatewayctl("usage", "--json")
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "was written by a newer gatewayctl" in ran.err


def test_what_a_living_daemon_has_just_recorded_counts(folder: Path) -> None:
    """It brings its journal into the database about once a second, which is waited for."""
    ledger = Ledger.open(folder, time.time)
    try:
        for number, name in enumerate(("a", "b"), 1):
            ledger.record(*answered(name))
            assert told()["total"]["requests"] == number
    finally:
        asyncio.run(ledger.close())


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_a_terminal_gets_bars_as_far_as_there_is_room(folder: Path, write: Write) -> None:
    """Their lengths are the costs'; a narrow one has the names, requests and costs."""
    write(*answered("a"), *answered("b", "acme/two", cost=50_000_000), *FAILED)
    environ: dict[str, Any] = {"XDG_STATE_HOME": str(folder.parent), "HOME": str(folder.parent)}
    drawn = on_terminal("usage", columns=100, **environ)
    assert [line.count("█") for line in drawn.splitlines()] == [0, 16, 8, 0]
    assert "\x1b[31m1" in drawn
    narrow = on_terminal("usage", columns=40, NO_COLOR="1", **environ)
    assert "█" not in narrow
    assert max(map(len, narrow.splitlines())) <= 40
    assert narrow.splitlines()[0].split() == ["model", "requests", "failed", "cost"]
    assert "█" not in gatewayctl("usage").out


def test_every_field_is_documented(write: Write) -> None:
    """What a program may rely on is said where people look."""
    text = (Path(__file__).parents[2] / "docs" / "usage.md").read_text(encoding="utf-8")
    known = set(re.findall(r"\w+", text.partition("## As JSON")[2]))
    write(*answered("a"))
    document = told()
    fields = {*document, *document["rows"][0], *document["rows"][0]["tokens"]}
    assert fields - known == set()
