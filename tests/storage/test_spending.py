"""What client keys spent without a daemon: each cost of others once, and none of its own."""

import shutil
from pathlib import Path

import pytest
from support.recorded import came, ended, left, metered, opened, started
from support.waiting import until

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import tables
from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.records import Record, Seen
from gatewayctl.storage.spending import News, Spending, Spent, Wanted

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ledger"
HOUR = 3600.0
CI = Wanted(client="ci", since=0.0)


def _request(name: str, cost: int, *, at: float = HOUR, client: str | None = "ci") -> list[Record]:
    """Return a request whose attempt began at that time, whenever the request came."""
    return [
        *(came(name, client=client), started(name, at=at)),
        *(ended(name, metered=metered(input=1, cost=cost)), left(name)),
    ]


def _under_way(name: str, cost: int) -> list[Record]:
    counted = metered(input=1, cost=cost)
    return [*_request(name, 0)[:2], Seen(request=name, number=1, metered=counted)]


async def _recorded(ledger: Ledger, *records: Record) -> None:
    ledger.record(*records)
    await until(lambda: ledger.state().pending == 0)


def _spent(cost: int, *, hour: float = HOUR, client: str = "ci") -> Spent:
    return Spent(client=client, hour=hour, cost=cost)


async def test_what_others_spend_is_heard_once_and_ones_own_never(tmp_path: Path) -> None:
    """By key and hour; what is under way as it stands, until it is over."""
    ours, theirs = opened(tmp_path), opened(tmp_path)
    spending = Spending(tmp_path, ours.instance)
    await _recorded(theirs, *_request("before", 1), *_under_way("long", 20))
    first = spending.read([CI])
    assert (first.before, first.ended, first.under_way) == ((1,), (), (_spent(20),))
    await _recorded(ours, *_request("own", 1000), *_under_way("also own", 1000))
    await _recorded(
        theirs,
        *(ended("long", metered=metered(input=1, cost=25)), left("long")),
        *_request("later", 300, at=2.5 * HOUR),
        *_request("bot's", 4000, client="bot"),
        *_request("nobody's", 50_000, client=None),
    )
    second = spending.read([])
    ended_since = {_spent(25), _spent(300, hour=2 * HOUR), _spent(4000, client="bot")}
    assert (set(second.ended), second.under_way) == (ended_since, ())
    third = spending.read([])
    assert (third.ended, third.under_way, third.closed) == ((), (), second.closed)
    await ours.close()
    await theirs.close()


async def test_what_is_wanted_is_what_is_over_since_then(tmp_path: Path) -> None:
    """Of earlier runs, and of this one as far as it does not count with the account itself."""
    earlier = opened(tmp_path)
    await _recorded(earlier, *_request("old", 1), *_request("older", 9, at=0.0))
    await earlier.close()
    ours = opened(tmp_path)
    await _recorded(ours, *_request("first", 20))
    spending = Spending(tmp_path, ours.instance)
    since = Wanted(client="ci", since=HOUR)
    news = spending.read([since, CI, Wanted(client="bot", since=0.0)])
    assert news.before == (21, 30, 0)
    theirs = opened(tmp_path)
    await _recorded(ours, *_request("second", 300), *_under_way("third", 4000))
    await _recorded(ours, *_request("bot's", 1, client="bot"), *_request("early", 1, at=0.0))
    await _recorded(theirs, *_request("theirs", 50_000))
    counted = Wanted(client="ci", since=HOUR, account=news.closed)
    assert spending.read([since, counted]).before == (50_321, 50_021)
    await ours.close()
    await theirs.close()


async def test_a_ledger_that_was_begun_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Its places begin anew as well: what ended in it is news."""
    theirs = opened(tmp_path)
    await _recorded(theirs, *_request("a", 1), *_request("b", 1))
    spending = Spending(tmp_path, "ours")
    spending.read([CI])
    await theirs.close()
    (tmp_path / tables.DATABASE).unlink()
    theirs = opened(tmp_path)
    await _recorded(theirs, *_request("c", 300))
    assert spending.read([]).ended == (_spent(300),)
    await theirs.close()


def test_no_ledger_and_one_without_costs_have_spent_nothing(tmp_path: Path) -> None:
    """Neither is made or changed by that."""
    nothing = News(before=(0,), ended=(), under_way=(), closed=0)
    assert Spending(tmp_path / "state", "ours").read([CI]) == nothing
    assert not (tmp_path / "state").exists()
    shutil.copy(FIXTURES / "v1.db", tmp_path / tables.DATABASE)
    old = Spending(tmp_path, "ours").read([CI])
    assert (old.before, old.ended, old.under_way) == ((0,), (), ())


def test_a_ledger_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Nobody takes what is unknown for nothing."""
    (tmp_path / tables.DATABASE).write_bytes(b"no database, and more than sixteen bytes of it")
    with pytest.raises(StorageFailed):
        Spending(tmp_path, "ours").read([CI])
