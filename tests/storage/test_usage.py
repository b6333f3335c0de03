"""What the ledger holds is added up: requests, tokens and money."""

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.recorded import came, ended, left, metered, opened, started
from support.waiting import until

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import tables, usage
from gatewayctl.storage.grouping import By
from gatewayctl.storage.records import Outcome, Record, Seen
from gatewayctl.storage.usage import Summary, Sums

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ledger"


async def _recorded(folder: Path, *records: Record) -> None:
    ledger = opened(folder)
    ledger.record(*records)
    await ledger.close()


async def test_what_a_client_key_has_spent_is_a_sum_over_its_attempts(tmp_path: Path) -> None:
    """Failed ones and those under way among them; of that key alone, that began since that time."""
    ledger = opened(tmp_path)
    ledger.record(
        *(came("old", client="laptop"), started("old", at=999.0)),
        *(ended("old", metered=metered(input=1, cost=1000)), left("old")),
        *(came("a", at=999.0, client="laptop"), started("a", at=1000.0)),
        ended("a", metered=metered(input=1, cost=7)),
        *(started("a", 2), ended("a", 2, metered=metered(input=1)), left("a")),
        *(came("b", client="laptop"), started("b")),
        Seen(request="b", number=1, metered=metered(input=1, cost=20)),
        *(came("c", client="phone"), started("c"), ended("c", metered=metered(input=1, cost=300))),
        *(came("d"), started("d"), ended("d", metered=metered(input=1, cost=5000))),
    )
    await until(lambda: ledger.state().pending == 0)
    assert usage.spent(tmp_path, "laptop", 1000.0) == 27
    assert usage.spent(tmp_path, "laptop", 0.0) == 1027
    assert usage.spent(tmp_path, "phone", 0.0) == 300
    assert usage.spent(tmp_path, "nobody", 0.0) == 0
    await ledger.close()


def test_a_ledger_without_costs_has_spent_nothing(tmp_path: Path) -> None:
    """One that does not exist, and one of a schema that had no costs."""
    assert usage.spent(tmp_path / "state", "laptop", 0.0) == 0
    assert not (tmp_path / "state").exists()
    shutil.copy(FIXTURES / "v1.db", tmp_path / tables.DATABASE)
    assert usage.spent(tmp_path, "laptop", 0.0) == 0


MODELS = ("acme/one", "acme/two")


def _request(name: str, at: float = 1000.0, *, cost: int | None = 5, **given: Any) -> list[Record]:
    """Return a request that was answered by the first model, with 10 tokens in and 2 out."""
    counted = metered(input=10, output=2, cost=cost)
    return [
        came(name, at=at, **given),
        started(name, model=MODELS[0]),
        ended(name, metered=counted),
        left(name, model=MODELS[0]),
    ]


RESCUED: list[Record] = [
    came("rescued", client="laptop", session="s"),
    *(started("rescued", 1, model=MODELS[0]), ended("rescued", 1, outcome=Outcome.FAILED)),
    *(started("rescued", 2, model=MODELS[0]), ended("rescued", 2, outcome=Outcome.FAILED)),
    started("rescued", 3, model=MODELS[1]),
    ended("rescued", 3, metered=metered(input=1, output=2, cost=40, tier="flex")),
    left("rescued", model=MODELS[1], attempts=3),
]
FAILED: list[Record] = [
    *(came("failed", route=None), started("failed", model=MODELS[1])),
    *(ended("failed", outcome=Outcome.FAILED), left("failed", outcome=Outcome.FAILED)),
]
REFUSED: list[Record] = [came("refused"), left("refused", outcome=Outcome.REFUSED, attempts=0)]


def _counted(summary: Summary) -> dict[str | None, tuple[int, int]]:
    return {key: (sums.requests, sums.failed) for key, sums in summary.groups.items()}


async def test_requests_count_once_in_every_group_they_are_in(tmp_path: Path) -> None:
    """A rescued one failed at its first model; one that was never sent has none."""
    await _recorded(tmp_path, *_request("a"), *RESCUED, *FAILED, *REFUSED)
    found = usage.usage(tmp_path, By.MODEL)
    assert _counted(found) == {MODELS[0]: (2, 1), MODELS[1]: (2, 1), None: (1, 1)}
    assert (found.total.requests, found.total.failed) == (4, 2)
    by_route = usage.usage(tmp_path, By.ROUTE)
    assert _counted(by_route) == {"fast": (3, 1), None: (1, 1)}
    assert by_route.total == found.total
    assert _counted(usage.usage(tmp_path, By.TIER)) == {None: (4, 3), "flex": (1, 0)}


async def test_the_base_tier_is_one_whatever_providers_call_it(tmp_path: Path) -> None:
    """And a request whose first attempt failed before it had a tier is in one group with it."""
    names = ("default", "STANDARD", "on_demand", None, "Flex", "flex")
    for name in names:
        request = str(name)
        await _recorded(
            tmp_path,
            *(came(request), started(request), ended(request, outcome=Outcome.FAILED)),
            started(request, 2),
            ended(request, 2, metered=metered(input=1, cost=1, tier=name)),
            left(request, attempts=2),
        )
    found = usage.usage(tmp_path, By.TIER)
    assert _counted(found) == {None: (6, 2), "flex": (2, 0)}
    assert {key: sums.known for key, sums in found.groups.items()} == {None: 4, "flex": 2}


@pytest.mark.parametrize("by", list(By))
async def test_every_grouping_has_the_same_tokens_and_money_in_all(tmp_path: Path, by: By) -> None:
    """Whatever is grouped, nothing is left out or counted twice."""
    await _recorded(tmp_path, *_request("a"), *_request("b", 2e9), *RESCUED, *FAILED, *REFUSED)
    found = usage.usage(tmp_path, by)
    total = found.total
    assert (total.requests, total.failed, total.cost, total.unpriced) == (5, 2, 50, 0)
    assert (total.tokens["input"], total.tokens["output"], total.tokens["audio"]) == (21, 6, 0)
    groups = found.groups.values()
    assert sum(each.known for each in groups) == 50
    assert sum(each.tokens["input"] for each in groups) == 21


async def test_keys_sessions_and_days_are_those_of_the_request(tmp_path: Path) -> None:
    """A day is one of UTC, whatever the time is here, and the one on which the request came."""
    midnight = 1_793_491_200.0  # 2026-11-01
    before = _request("a", midnight - 0.5, client="laptop")
    await _recorded(tmp_path, *before, *_request("b", midnight), *RESCUED)
    assert _counted(usage.usage(tmp_path, By.KEY)) == {"laptop": (2, 0), None: (1, 0)}
    assert _counted(usage.usage(tmp_path, By.SESSION)) == {"s": (1, 0), None: (2, 0)}
    days = {"1970-01-01": (1, 0), "2026-10-31": (1, 0), "2026-11-01": (1, 0)}
    assert _counted(usage.usage(tmp_path, By.DAY)) == days


@pytest.mark.parametrize("by", list(By))
async def test_a_time_ends_before_its_end(tmp_path: Path, by: By) -> None:
    """What came at its beginning counts, what came at its end does not."""
    records = [record for at in (1.0, 2.0, 3.0) for record in _request(f"{at}", at)]
    await _recorded(tmp_path, *records)
    for since, end, count in ((None, None, 3), (2.0, None, 2), (None, 2.0, 1), (2.0, 3.0, 1)):
        found = usage.usage(tmp_path, by, since=since, until=end)
        assert (found.total.requests, found.total.tokens["output"]) == (count, 2 * count)


async def test_an_unknown_cost_is_never_nothing(tmp_path: Path) -> None:
    """A group without any price has none; one with some says how much is not in its sum."""
    await _recorded(
        tmp_path,
        *_request("a", cost=None, session="unknown"),
        *_request("b", cost=None, session="partly"),
        *_request("c", cost=7, session="partly"),
        *_request("d", cost=0, session="free"),
        *(came("e", session="failed"), started("e"), ended("e", outcome=Outcome.FAILED)),
    )
    groups = usage.usage(tmp_path, By.SESSION).groups
    costs = {key: (sums.cost, sums.unpriced) for key, sums in groups.items()}
    assert costs == {"unknown": (None, 1), "partly": (7, 1), "free": (0, 0), "failed": (0, 0)}


async def test_what_is_under_way_counts_as_it_stands(tmp_path: Path) -> None:
    """It has not failed, and a guess makes the sum one."""
    ledger = opened(tmp_path)
    guess = metered(estimated=True, input=3, cost=6)
    ledger.record(came("a"), started("a"), Seen(request="a", number=1, metered=guess), came("b"))
    await until(lambda: ledger.state().pending == 0)
    for by in By:
        total = usage.usage(tmp_path, by).total
        assert (total.requests, total.failed, total.cost, total.estimated) == (2, 0, 6, True)
    await ledger.close()
    assert usage.usage(tmp_path, By.MODEL).total.failed == 2


async def test_sums_beyond_all_measure_are_no_error(tmp_path: Path) -> None:
    """Whatever upstreams claim to have metered."""
    most = 2**63 - 1
    for name in ("a", "b", "c"):
        counted = metered(input=most, cost=most)
        await _recorded(
            tmp_path, came(name, client="x"), started(name), ended(name, metered=counted)
        )
    assert usage.usage(tmp_path, By.MODEL).total.known == pytest.approx(3 * most)
    assert usage.spent(tmp_path, "x", 0.0) == pytest.approx(3 * most)


async def test_usage_is_added_up_from_one_index(tmp_path: Path) -> None:
    """It has all that is counted, in the order of time: no attempt itself has to be looked up."""
    await _recorded(tmp_path, *_request("a"))
    with contextlib.closing(sqlite3.connect(tmp_path / tables.DATABASE)) as connection:
        columns = {row[2] for row in connection.execute("PRAGMA index_info(attempts_usage)")}
        sums = ", ".join(f"sum({name})" for name in usage.DIMENSIONS)
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT model, {sums}, sum(cost) FROM attempts"  # noqa: S608
            " WHERE came >= 1 AND came < 2 GROUP BY 1"
        ).fetchall()
    assert columns >= {*usage.DIMENSIONS, "cost", "estimated", "outcome", "tier", "client"}
    assert "COVERING INDEX attempts_usage" in str(plan)


def test_an_empty_ledger_and_one_without_costs(tmp_path: Path) -> None:
    """Nothing was asked; nothing can be known."""
    for by in By:
        assert usage.usage(tmp_path / "state", by) == Summary(groups={}, total=Sums())
    shutil.copy(FIXTURES / "v1.db", tmp_path / tables.DATABASE)
    with pytest.raises(StorageFailed, match="older gatewayctl"):
        usage.usage(tmp_path, By.MODEL)
