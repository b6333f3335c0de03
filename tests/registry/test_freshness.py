"""A source's status is its last attempt's outcome and, if it succeeded, its age."""

from datetime import UTC, datetime

import pytest

from gatewayctl.config.settings import SourceSettings
from gatewayctl.registry.cache import Attempt, Outcome
from gatewayctl.registry.freshness import LOST, Freshness, age, statuses
from gatewayctl.registry.table import Table, join

NOW = datetime(2026, 5, 5, 12, 0, 0, tzinfo=UTC)
NOW_ISO = "2026-05-05T12:00:00Z"
HOUR = {"s": SourceSettings(url="http://x/", ttl=3600, timeout=1)}


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        (None, Freshness.NEVER),
        ((Outcome.FETCHED, "2026-05-05T11:00:00Z"), Freshness.FRESH),
        ((Outcome.FETCHED, "2026-05-05T10:59:59Z"), Freshness.STALE),
        ((Outcome.FETCHED, "2026-05-05T12:05:00Z"), Freshness.FRESH),  # another machine's clock
        ((Outcome.FETCHED, "2026-05-05T13:00:00Z"), Freshness.STALE),  # this clock was set back
        ((Outcome.FAILED, "2026-05-05T11:59:59Z"), Freshness.FAILED),
        ((Outcome.QUARANTINED, None), Freshness.QUARANTINED),
    ],
)
def test_status(attempt: tuple[Outcome, str | None] | None, status: Freshness) -> None:
    """A failure is never hidden by the age of an earlier success."""
    attempts = {}
    if attempt is not None:
        outcome, fetched_at = attempt
        attempts["s"] = Attempt(
            outcome=outcome, attempted_at="2026-05-05T12:00:00Z", fetched_at=fetched_at
        )
    (found,) = statuses(HOUR, attempts, Table.load(join({})), NOW)
    assert found.status is status
    assert found.fetched_at == (attempt[1] if attempt else None)


def test_a_table_that_was_lost_is_not_fresh() -> None:
    """The packaged table speaks for it, which is neither what was fetched nor of its date."""
    attempts = {"s": Attempt(outcome=Outcome.FETCHED, attempted_at=NOW_ISO, fetched_at=NOW_ISO)}
    (found,) = statuses(HOUR, attempts, Table.load(join({})).without({"s"}), NOW)
    assert (found.status, found.fetched_at, found.error) == (Freshness.FAILED, None, LOST)


def test_a_source_that_is_off_has_no_status() -> None:
    """It is neither fetched nor shown."""
    off = {"s": SourceSettings(url="", ttl=1, timeout=1)}
    assert statuses(off, {}, Table.load(join({})), NOW) == ()


def test_a_clock_that_was_set_back_makes_nothing_younger_than_now() -> None:
    """An age is never negative."""
    assert age("2027-01-01T00:00:00Z", NOW) == 0
