"""A source's status is its last attempt's outcome and, if it succeeded, its age."""

from datetime import UTC, datetime

import pytest

from gatewayctl.config.settings import SourceSettings
from gatewayctl.registry.cache import Attempt, Outcome
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.freshness import LOST, Freshness, age, statuses
from gatewayctl.registry.table import Part, Table, join

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
    (found,) = statuses(HOUR, attempts, Table.load(join({})).but({"s"}, {}), NOW)
    assert (found.status, found.fetched_at, found.error) == (Freshness.FAILED, None, LOST)


def test_a_source_that_is_off_says_so() -> None:
    """Whatever was fetched of it is not in use."""
    off = {"s": SourceSettings(url="", ttl=1, timeout=1)}
    attempts = {"s": Attempt(outcome=Outcome.FETCHED, attempted_at=NOW_ISO, fetched_at=NOW_ISO)}
    (found,) = statuses(off, attempts, Table.load(join({})), NOW)
    assert (found.status, found.fetched_at, found.models) == (Freshness.OFF, None, 0)


def test_a_provider_without_a_credential_is_told_apart() -> None:
    """It is not asked, which is neither its failure nor its age."""
    asked = {"s": SourceSettings(url="http://x/", ttl=1, timeout=1, provider="s")}
    (found,) = statuses(asked, {}, Table.load(join({})), NOW, {"s": Freshness.NO_KEY})
    assert (found.status, found.provider) == (Freshness.NO_KEY, "s")


def test_another_servers_listing_says_nothing_of_this_one() -> None:
    """A provider that moved was never asked where it is now."""
    part = Part(fetched_at=NOW_ISO, models={"s/m": Claims()}, provider="s", url="http://old/")
    table = Table.load(join({"s": part}))
    good = Attempt(
        outcome=Outcome.FETCHED, attempted_at=NOW_ISO, fetched_at=NOW_ISO, url="http://old/"
    )
    told = []
    for url in ("http://old/", "http://new/"):
        asked = {"s": SourceSettings(url=url, ttl=3600, timeout=1, provider="s")}
        (found,) = statuses(asked, {"s": good}, table, NOW)
        told.append((found.status, found.models))
    assert told == [(Freshness.FRESH, 1), (Freshness.NEVER, 0)]


def test_a_clock_that_was_set_back_makes_nothing_younger_than_now() -> None:
    """An age is never negative."""
    assert age("2027-01-01T00:00:00Z", NOW) == 0


@pytest.mark.parametrize(
    ("attempt", "next_at"),
    [
        (None, NOW_ISO),
        (Attempt(outcome=Outcome.FETCHED, attempted_at="2026-05-05T11:30:00Z"), "12:30:00"),
        (Attempt(outcome=Outcome.FETCHED, attempted_at="2026-05-05T09:00:00Z"), NOW_ISO),
        (Attempt(outcome=Outcome.FAILED, attempted_at=NOW_ISO, failures=1), "12:01:00"),
        (Attempt(outcome=Outcome.FAILED, attempted_at=NOW_ISO, failures=4), "12:08:00"),
        (Attempt(outcome=Outcome.QUARANTINED, attempted_at=NOW_ISO, failures=50), "13:00:00"),
        (Attempt(outcome=Outcome.FETCHED, attempted_at="2026-05-06T00:00:00Z"), NOW_ISO),
    ],
)
def test_the_next_attempt_is_told(attempt: Attempt | None, next_at: str) -> None:
    """After its ttl, sooner after a failure, and doubled each time up to the ttl."""
    attempts = {} if attempt is None else {"s": attempt}
    (found,) = statuses(HOUR, attempts, Table.load(join({})), NOW)
    assert found.next_at is not None
    assert found.next_at.removesuffix("Z").endswith(next_at.removesuffix("Z"))


def test_what_nobody_asks_has_no_next_attempt() -> None:
    """Turned off, without a credential for it, or with a daemon that is told not to ask."""
    off = {"s": SourceSettings(url="", ttl=1, timeout=1)}
    table = Table.load(join({}))
    for sources, why, background in (
        (off, None, True),
        (HOUR, Freshness.NO_KEY, True),
        (HOUR, Freshness.PERSONAL, True),
        (HOUR, None, False),
    ):
        unasked = {} if why is None else {"s": why}
        (found,) = statuses(sources, {}, table, NOW, unasked, background=background)
        assert found.next_at is None
