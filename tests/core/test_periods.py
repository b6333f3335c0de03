"""Calendar periods are those of the calendar, in UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.periods import Period, civil, end, iso, start

MOMENTS = st.integers(min_value=-(10**10), max_value=10**11)


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "moment", "begins", "ends"),
    [
        (Period.HOUR, "2026-11-21T16:55:17", "2026-11-21T16:00:00", "2026-11-21T17:00:00"),
        (Period.DAY, "2026-11-21T23:59:59", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
        (Period.WEEK, "2026-11-21T12:00:00", "2026-11-16T00:00:00", "2026-11-23T00:00:00"),
        (Period.WEEK, "2026-11-23T00:00:00", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        (Period.MONTH, "2024-02-29T12:00:00", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
        (Period.MONTH, "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_periods_begin_and_end_with_the_calendar(
    period: Period, moment: str, begins: str, ends: str
) -> None:
    """Weeks begin on Mondays, months have their own length, leap years included."""
    assert start(period, _at(moment)) == _at(begins)
    assert end(period, _at(moment)) == _at(ends)


def test_all_time_never_ends() -> None:
    """A budget in all is never reset."""
    assert start(Period.ALL, 1e9) == 0.0
    assert end(Period.ALL, 1e9) is None


@given(MOMENTS)
def test_dates_are_those_of_the_standard_library(moment: int) -> None:
    """Days become the same dates, and moments the same text, wherever the library has any."""
    days = moment // 86_400
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    assert civil(days) == (there.year, there.month, there.day)
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)
    assert iso(moment) == exact.isoformat().replace("+00:00", "Z")


@given(MOMENTS, st.sampled_from([each for each in Period if each is not Period.ALL]))
def test_a_moment_lies_in_its_period_and_the_next_begins_at_its_end(
    moment: int, period: Period
) -> None:
    """There is no gap between two periods, and no moment in both."""
    begun, over = start(period, moment), end(period, moment)
    assert over is not None
    assert begun <= moment < over
    assert start(period, over) == over
    assert start(period, over - 1) == begun
