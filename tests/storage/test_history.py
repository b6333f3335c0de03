"""The ledger is read back, beside a daemon that writes it and without one."""

from pathlib import Path

import msgspec
import pytest
from support.recorded import came, ended, left, opened, started, whole
from support.waiting import until

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import history, tables
from gatewayctl.storage.history import Ambiguous, Cursor, LoggedRequest
from gatewayctl.storage.records import Outcome, Record


async def _recorded(folder: Path, *records: Record) -> None:
    ledger = opened(folder)
    ledger.record(*records)
    await ledger.close()


def _ids(found: tuple[LoggedRequest, ...]) -> list[str]:
    return [each.request for each in found]


def test_a_ledger_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    """And reading it makes no folder."""
    folder = tmp_path / "state"
    assert history.requests(folder, limit=10) == ()
    assert history.request(folder, "a") is None
    assert history.latest(folder) == Cursor()
    assert history.newer(folder, Cursor()) == ((), Cursor())
    assert not folder.exists()


async def test_the_newest_come_first(tmp_path: Path) -> None:
    """By the time they came; so many, from a time on, and only the failed ones where asked for."""
    records: list[Record] = []
    for n in range(6):
        records += [came(f"r{n}", at=1000.0 + n), started(f"r{n}"), ended(f"r{n}")]
    for n, outcome in enumerate(list(Outcome)[:5]):
        records.append(left(f"r{n}", outcome=outcome))
    ledger = opened(tmp_path)
    ledger.record(*records)
    await until(lambda: ledger.state().pending == 0)
    assert _ids(history.requests(tmp_path, limit=10)) == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert _ids(history.requests(tmp_path, limit=2)) == ["r5", "r4"]
    assert _ids(history.requests(tmp_path, limit=10, since=1003.0)) == ["r5", "r4", "r3"]
    assert _ids(history.requests(tmp_path, limit=3, failed=True)) == ["r4", "r3", "r2"]
    await ledger.close()


async def test_requests_of_one_client_are_told_apart(tmp_path: Path) -> None:
    """Among the newest, and among those that ended since."""
    await _recorded(tmp_path, *whole("r0", client="ci"), *whole("r1"), *whole("r2", client="bot"))
    assert _ids(history.requests(tmp_path, limit=10, client="ci")) == ["r0"]
    assert history.requests(tmp_path, limit=10, client="ci", failed=True) == ()
    found, cursor = history.newer(tmp_path, Cursor(), client="bot")
    assert _ids(found) == ["r2"]
    assert history.newer(tmp_path, cursor)[0] == ()


async def test_a_request_is_found_by_its_id_or_the_beginning_of_it(tmp_path: Path) -> None:
    """An exact id wins over longer ones; several are named."""
    await _recorded(tmp_path, *whole("req_ab"), *whole("req_abc", at=999.0), *whole("req_x%"))

    def found(given: str) -> str | Ambiguous | None:
        request = history.request(tmp_path, given)
        return request.request if isinstance(request, LoggedRequest) else request

    assert found("req_ab") == "req_ab"
    assert found("req_abc") == "req_abc"
    assert found("req_x") == "req_x%"
    assert found("req_%") is None
    assert found("REQ_ab") is None
    assert found("req_a") == Ambiguous(requests=("req_ab", "req_abc"))


async def test_a_decision_is_kept_as_it_was_rendered(tmp_path: Path) -> None:
    """It is JSON, which goes into other JSON as it is."""
    ledger = opened(tmp_path)
    ledger.record(*whole("a"), *whole("b"))
    ledger.decided("a", lambda: b'{"route":"fast"}')
    await ledger.close()
    found = history.request(tmp_path, "a")
    assert isinstance(found, LoggedRequest)
    assert msgspec.json.decode(msgspec.json.encode(found))["decision"] == {"route": "fast"}
    other = history.request(tmp_path, "b")
    assert isinstance(other, LoggedRequest)
    assert other.decision is None


async def test_each_request_is_followed_once_when_it_ends(tmp_path: Path) -> None:
    """In the order of their ends, whichever daemon served them, and not before they end."""
    first, second = opened(tmp_path), opened(tmp_path)
    first.record(*whole("old"))
    await until(lambda: first.state().pending == 0)
    cursor = history.latest(tmp_path)
    first.record(came("a"), started("a"))
    second.record(*whole("b"))
    await until(lambda: not first.state().pending + second.state().pending)
    found, cursor = history.newer(tmp_path, cursor)
    assert _ids(found) == ["b"]
    first.record(ended("a"), left("a", outcome=Outcome.FAILED))
    await until(lambda: first.state().pending == 0)
    found, cursor = history.newer(tmp_path, cursor)
    assert _ids(found) == ["a"]
    assert len(found[0].attempts) == 1
    assert history.newer(tmp_path, cursor) == ((), cursor)
    second.record(came("c"), *whole("d"))
    await first.close()
    await second.close()  # which ends c as interrupted
    found, cursor = history.newer(tmp_path, cursor, failed=True)
    assert _ids(found) == ["c"]
    assert history.newer(tmp_path, cursor) == ((), cursor)


async def test_a_long_absence_is_caught_up_with_in_parts(tmp_path: Path) -> None:
    """No part is unbounded, and none is missed or shown twice."""
    count = history.FOLLOWED * 2 + 1
    await _recorded(tmp_path, *(record for n in range(count) for record in whole(f"{n}")))
    cursor, sizes, seen = Cursor(), [], set()
    while (step := history.newer(tmp_path, cursor))[0]:
        found, cursor = step
        sizes.append(len(found))
        seen.update(_ids(found))
    assert sizes == [history.FOLLOWED, history.FOLLOWED, 1]
    assert len(seen) == count


async def test_another_ledger_is_followed_from_its_beginning(tmp_path: Path) -> None:
    """A ledger that was deleted and begun anew counts from 1 again."""
    await _recorded(tmp_path, *whole("a"), *whole("b"))
    cursor = history.latest(tmp_path)
    (tmp_path / tables.DATABASE).unlink()
    await _recorded(tmp_path, *whole("c"))
    found, cursor = history.newer(tmp_path, cursor)
    assert _ids(found) == ["c"]
    assert cursor == history.latest(tmp_path)


def test_a_ledger_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """In words that name the file."""
    (tmp_path / tables.DATABASE).write_bytes(b"no database " * 100)
    with pytest.raises(StorageFailed, match=r"cannot read .*ledger\.db: file is not a database"):
        history.requests(tmp_path, limit=1)


def test_a_file_in_the_folders_place_is_no_empty_ledger(tmp_path: Path) -> None:
    """Only where there is nothing is there nothing to read."""
    assert history.requests(tmp_path / "none", limit=1) == ()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed, match=r"cannot read .*ledger\.db: "):
        history.requests(tmp_path / "file", limit=1)
