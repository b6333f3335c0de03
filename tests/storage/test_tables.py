"""What records do to the tables, above all to counts that were seen once."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recorded import came, ended, left, metered, seen, started

from gatewayctl.core.events import Usage
from gatewayctl.storage import history, tables
from gatewayctl.storage.folding import Batch
from gatewayctl.storage.history import LoggedAttempt, LoggedRequest
from gatewayctl.storage.records import Metered, Outcome, Record, Seen
from gatewayctl.storage.sqlite import open_writing

DIMENSIONS = Usage.__struct_fields__
USAGES = st.builds(
    Usage, **{name: st.none() | st.integers(min_value=0, max_value=3) for name in DIMENSIONS}
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a new ledger's database, in the test's own folder."""
    opened = open_writing(tmp_path / tables.DATABASE, tables.MIGRATIONS)
    with contextlib.closing(opened):
        yield opened


def _apply(connection: sqlite3.Connection, *records: Record) -> list[bool]:
    return [_apply_one(connection, "here", record) for record in records]


def _apply_one(connection: sqlite3.Connection, instance: str, record: Record) -> bool:
    batch = Batch()
    assert batch.add(record)
    return not batch.write(connection, instance)


def _request(folder: Path, request: str = "a") -> LoggedRequest:
    found = history.request(folder, request)
    assert isinstance(found, LoggedRequest)
    return found


def _attempt(folder: Path, request: str = "a") -> LoggedAttempt:
    (attempt,) = _request(folder, request).attempts
    return attempt


def test_every_field_of_a_record_comes_back(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Nothing is dropped, swapped or rounded between the records and the reader."""
    records: tuple[Record, ...] = (
        came("a", session="s", client="laptop", stream=False),
        started("a", 1, retry=True, credential="acme#2"),
        ended(
            "a",
            outcome=Outcome.FAILED,
            failure="rate_limited",
            status=429,
            said="slow down",
            retry_after=2.5,
            first_token=0.25,
            truncated=True,
            metered=metered(
                estimated=True,
                tier="flex",
                cost=123_456_789_012_345,
                rates={"input": "2.5", "output@flex": "0.000001"},
                **{name: n for n, name in enumerate(DIMENSIONS, 1)},
            ),
        ),
        started("a", 2),
        left("a", outcome=Outcome.BROKEN, status=200, error="upstream_failed", attempts=2),
    )
    assert all(_apply(connection, *records))
    found = _request(tmp_path)
    shown = msgspec.to_builtins(found)
    told = {**msgspec.to_builtins(records[0]), **msgspec.to_builtins(records[4])}
    told |= {"at": 1000.0, "ended": 1002.0, "instance": "here", "decision": None}
    del told["type"], told["attempts"]
    assert {name: value for name, value in shown.items() if name != "attempts"} == told
    first = {**msgspec.to_builtins(records[1]), **msgspec.to_builtins(records[2])}
    del first["type"], first["request"]
    assert shown["attempts"][0] == first
    assert (found.attempts[1].number, found.attempts[1].outcome) == (2, None)


@settings(max_examples=30)
@given(usages=st.lists(USAGES, max_size=5), last=USAGES)
def test_a_checkpoint_replaces_and_nothing_never_does(
    tmp_path_factory: pytest.TempPathFactory, usages: list[Usage], last: Usage
) -> None:
    """Per dimension the last count that is not 0 stays; else 0 if it was ever said; else None."""
    folder = tmp_path_factory.mktemp("usage")
    with contextlib.closing(
        open_writing(folder / tables.DATABASE, tables.MIGRATIONS)
    ) as connection:
        _apply(connection, came("a"), started("a"))
        for usage in usages:
            _apply(connection, Seen(request="a", number=1, metered=Metered(usage=usage)))
        _apply(connection, ended("a", metered=Metered(usage=last)))
    found = _attempt(folder).metered.usage
    for name in DIMENSIONS:
        said = [getattr(usage, name) for usage in (*usages, last)]
        known = [count for count in said if count is not None]
        expected = next((count for count in reversed(known) if count), 0 if known else None)
        assert getattr(found, name) == expected


@pytest.mark.parametrize("together", [False, True])
def test_the_end_takes_back_a_guess_and_nothing_else(
    connection: sqlite3.Connection, tmp_path: Path, *, together: bool
) -> None:
    """Where it says nothing of usage, what was metered stays, and the tier and the commit always.

    What was guessed when it began is all there is of an attempt whose daemon died.
    """
    guess = metered(estimated=True, input=9, output=0, cost=9)
    ends = {
        "metered": metered(output=7, tier="priority"),
        "guessed": metered(estimated=True, output=7, tier="priority"),
        "zeros": metered(estimated=True, input=26, output=1, cost=27, tier="priority"),
    }
    for name, seen_of_it in ends.items():
        zero = metered(input=0, output=0, cost=0) if name == "zeros" else metered()
        records: tuple[Record, ...] = (
            *(came(name), started(name, metered=guess)),
            Seen(request=name, number=1, metered=seen_of_it, first_token=0.5),
            ended(name, metered=zero),
        )
        if together:
            batch = Batch()
            assert all(batch.add(record) for record in records)
            assert not batch.write(connection, "here")
        else:
            assert all(_apply(connection, *records[:2]))
            assert _attempt(tmp_path, name).metered == guess
            assert all(_apply(connection, *records[2:]))
        assert _attempt(tmp_path, name).first_token == 0.5
    assert _attempt(tmp_path, "metered").metered == metered(output=7, tier="priority")
    assert _attempt(tmp_path, "guessed").metered == metered(tier="priority")
    zeros = metered(input=0, output=0, cost=0, tier="priority")
    assert _attempt(tmp_path, "zeros").metered == zeros


STEPS = [
    (metered(input=5, cost=5, rates={"input": "1"}), metered(), 5),
    (metered(input=5, cost=5), metered(input=7, output=2, cost=9), 9),
    (metered(input=5, cost=5), metered(input=7), None),
    (metered(), metered(input=0, cost=0), 0),
    (metered(input=5, cost=5), metered(input=0, cost=0), 5),
]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("before", "after", "cost"), STEPS)
def test_a_cost_stays_with_the_counts_it_was_made_with(
    connection: sqlite3.Connection,
    tmp_path: Path,
    before: Metered,
    after: Metered,
    cost: int | None,
    *,
    together: bool,
) -> None:
    """Whether a checkpoint and the end are written at once or one after the other."""
    records = (
        started("a"),
        Seen(request="a", number=1, metered=before),
        ended("a", metered=after),
    )
    _apply(connection, came("a"))
    if together:
        batch = Batch()
        assert all(batch.add(record) for record in records)
        assert not batch.write(connection, "here")
    else:
        _apply(connection, *records)
    assert _attempt(tmp_path).metered.cost == cost


@pytest.mark.parametrize("together", [False, True])
def test_what_was_metered_replaces_a_guess_also_by_nothing(
    connection: sqlite3.Connection, tmp_path: Path, *, together: bool
) -> None:
    """Input was guessed; all of it was in the cache: the guess is not added to what was read."""
    guess = metered(estimated=True, input=100, output=3, cost=103)
    truth = metered(input=0, input_cache_read=90, output=4, cost=13)
    checkpoint = Seen(request="a", number=1, metered=guess)
    _apply(connection, came("a"), started("a"))
    if together:
        batch = Batch()
        assert batch.add(checkpoint)
        assert batch.add(ended("a", metered=truth))
        assert not batch.write(connection, "here")
    else:
        _apply(connection, checkpoint, ended("a", metered=truth))
    assert _attempt(tmp_path).metered == truth


def test_a_record_without_a_place_says_so(connection: sqlite3.Connection) -> None:
    """So that it can be counted: the end of what never began, or a second beginning."""
    assert _apply(connection, seen("a"), ended("a"), left("a")) == [False] * 3
    assert _apply(connection, came("a"), came("a"), started("a"), started("a")) == [
        True,
        False,
        True,
        False,
    ]


def test_what_an_instance_left_open_is_interrupted(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    """Only its own, only what is open, and with what was seen last."""
    _apply(connection, came("a"), started("a"), seen("a", input=10, output=3), came("b"))
    _apply(connection, started("b"), ended("b"), left("b"))
    _apply_one(connection, "elsewhere", came("c"))
    assert tables.open_instances(connection) == {"here", "elsewhere"}
    tables.interrupt(connection, "here")
    assert tables.open_instances(connection) == {"elsewhere"}
    assert _request(tmp_path).outcome is Outcome.INTERRUPTED
    assert _attempt(tmp_path).outcome is Outcome.INTERRUPTED
    assert _attempt(tmp_path).metered.usage == Usage(input=10, output=3)
    assert _request(tmp_path, "b").outcome is Outcome.ANSWERED
    assert _request(tmp_path, "c").outcome is None


def _of_requests(folder: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(folder / tables.DATABASE)) as connection:
        return connection.execute(
            "SELECT request, number, came, route, session, client FROM attempts ORDER BY 1, 2"
        ).fetchall()


def test_an_attempt_has_with_it_what_usage_is_grouped_by(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    """Of its request, whether that is written with it or was before; else only its own time."""
    batch = Batch()
    for record in (came("a", session="s", client="laptop"), started("a"), started("lost")):
        assert batch.add(record)
    batch.write(connection, "here")
    _apply(connection, started("a", 2))
    assert _of_requests(tmp_path) == [
        ("a", 1, 1000.0, "fast", "s", "laptop"),
        ("a", 2, 1000.0, "fast", "s", "laptop"),
        ("lost", 1, 1000.25, None, None, None),
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_a_ledger_of_an_older_schema_is_read_and_migrated(tmp_path: Path, version: int) -> None:
    """A file without costs: nothing is lost, and what nobody looked for is unknown."""
    path = tmp_path / tables.DATABASE
    shutil.copy(Path(__file__).parents[1] / "fixtures" / "ledger" / "v1.db", path)
    open_writing(path, tables.MIGRATIONS[:version]).close()
    before = history.requests(tmp_path, limit=10)
    assert [each.outcome for each in before] == [Outcome.INTERRUPTED, Outcome.ANSWERED]
    assert before[1].attempts[0].metered.usage == Usage(input=7, output=3)
    with contextlib.closing(open_writing(path, tables.MIGRATIONS)) as connection:
        assert history.requests(tmp_path, limit=10) == before
        assert before[1].attempts[0].truncated is None
        assert before[1].attempts[0].metered.cost is None
        ours = {each.request: each for each in before}
        for request, _, at, route, *_ in _of_requests(tmp_path):
            assert (at, route) == (ours[str(request)].at, ours[str(request)].route)
        end = ended("a", truncated=True, metered=metered(input=1, cost=2))
        new = (came("a", at=3000.0), started("a"), end, left("a"))
        assert all(_apply(connection, *new))
    assert _attempt(tmp_path).truncated is True
    assert _attempt(tmp_path).metered.cost == 2
    assert history.requests(tmp_path, limit=10)[1:] == before


def test_the_order_of_ends_is_found_without_looking_through_all(
    connection: sqlite3.Connection,
) -> None:
    """By an index: with a million requests it takes as long as with one."""
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT max(closed) FROM requests WHERE closed > 0"
    ).fetchall()
    assert len(plan) == 1
    assert "INDEX requests_closed" in plan[0][3]


def test_the_newest_decisions_are_kept_and_no_more_than_so_many(
    connection: sqlite3.Connection,
) -> None:
    """However young they are, the oldest go once there are too many, some at a time."""
    for number in range(12):
        tables.decide(connection, f"r{number}", 1000.0, b"{}")
    assert tables.prune_decisions(connection, 0.0, newest=5, most=4) == 4
    assert tables.prune_decisions(connection, 0.0, newest=5, most=4) == 3
    assert tables.prune_decisions(connection, 0.0, newest=5, most=4) == 0
    kept = [name for (name,) in connection.execute("SELECT request FROM decisions")]
    assert sorted(kept) == ["r10", "r11", "r7", "r8", "r9"]


def test_many_rows_are_written_as_one_by_one(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    """Whole requests, ends of earlier ones, and what has no place, all in one batch."""
    assert all(_apply(connection, came("twice"), left("twice")))
    assert all(_apply(connection, *(came(f"e{n}") for n in range(100))))
    assert all(_apply(connection, *(started(f"e{n}") for n in range(100))))
    batch = Batch()
    for n in range(100):
        ends: tuple[Record, ...] = (ended(f"e{n}", metered=metered(output=n + 1)), left(f"e{n}"))
        begins: tuple[Record, ...] = (came(f"n{n}"), started(f"n{n}"), seen(f"n{n}", input=n + 1))
        for record in (*ends, *begins, ended(f"n{n}", metered=metered(output=7))):
            assert batch.add(record)
    assert batch.add(came("twice"))
    assert batch.add(left("twice"))
    assert batch.add(ended("nowhere"))
    assert batch.write(connection, "here") == 3
    found = history.requests(tmp_path, limit=300)
    assert len(found) == 201
    by_name = {each.request: each for each in found}
    assert by_name["e42"].attempts[0].metered.usage == Usage(output=43)
    assert by_name["n42"].attempts[0].metered.usage == Usage(input=43, output=7)
    closed = connection.execute("SELECT closed FROM requests WHERE closed > 0").fetchall()
    assert len(set(closed)) == len(closed)
