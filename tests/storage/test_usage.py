"""What the ledger holds is added up: requests, tokens and money."""

import shutil
from pathlib import Path

from support.recorded import came, ended, left, metered, opened, started
from support.waiting import until

from gatewayctl.storage import tables, usage
from gatewayctl.storage.records import Record, Seen

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ledger"


async def _recorded(folder: Path, *records: Record) -> None:
    ledger = opened(folder)
    ledger.record(*records)
    await ledger.close()


async def test_what_a_client_key_has_spent_is_a_sum_over_its_attempts(tmp_path: Path) -> None:
    """Failed ones and those under way among them; of that key alone, and since that time."""
    ledger = opened(tmp_path)
    ledger.record(
        *(came("old", at=999.0, client="laptop"), started("old")),
        *(ended("old", metered=metered(input=1, cost=1000)), left("old")),
        *(came("a", client="laptop"), started("a")),
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
