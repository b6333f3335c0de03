"""Hours of the week: which moments are in them, and how they are written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.hours import DAY, WEEK, Hours, Range, hours

NIGHTS = Hours(((1350, 1440), (1440, 1800), (5 * DAY, WEEK)))
"""Monday 22:30 to Tuesday 06:00, and the weekend."""


def at(text: str) -> float:
    """Return the seconds since 1970 of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("moment", "held"),
    [
        ("2026-11-16 22:29:59.999", False),  # a Monday
        ("2026-11-16 22:30:00", True),
        ("2026-11-16 23:59:59.999", True),
        ("2026-11-17 00:00:00", True),
        ("2026-11-17 05:59:59.999", True),
        ("2026-11-17 06:00:00", False),
        ("2026-11-20 23:59:59.999", False),
        ("2026-11-21 00:00:00", True),
        ("2026-11-22 23:59:59.999", True),
        ("2026-11-23 00:00:00", False),
    ],
)
def test_a_range_has_its_first_moment_and_not_its_last(moment: str, *, held: bool) -> None:
    """Also over midnight and over the end of the week; seconds count."""
    assert NIGHTS.hold(at(moment)) is held


@given(st.integers(0, 4 * 10**9))
def test_the_week_is_that_of_the_calendar(second: int) -> None:
    """Whatever the date, leap years and all: as ``datetime`` counts its days."""
    time = datetime.fromtimestamp(second, UTC)
    minute = time.weekday() * DAY + time.hour * 60 + time.minute
    assert Hours(((minute, minute + 1),)).hold(second)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_ranges_are_joined_without_gaining_or_losing_a_minute(ranges: list[Range]) -> None:
    """They come out in order and apart, empty ones not at all; none of them is no hours."""
    found = hours(ranges)
    wanted = {minute for first, last in ranges for minute in range(first, last)}
    kept = () if found is None else found.ranges
    assert {minute for first, last in kept for minute in range(first, last)} == wanted
    assert (found is None) is (not wanted)
    edges = [edge for each in kept for edge in each]
    assert edges == sorted(set(edges))


@pytest.mark.parametrize(
    ("ranges", "written"),
    [
        (((0, WEEK),), "all day, UTC"),
        (((0, 60), (DAY, DAY + 60), (3 * DAY, 3 * DAY + 60)), "Mon-Tue, Thu 00:00-01:00, UTC"),
        (((1350, 1800), (5 * DAY, WEEK)), "Mon 22:30-24:00; Tue 00:00-06:00; Sat-Sun all day, UTC"),
        (tuple((day * DAY, day * DAY + 90) for day in range(7)), "00:00-01:30, UTC"),
    ],
)
def test_hours_are_written_by_days_that_are_alike(ranges: tuple[Range, ...], written: str) -> None:
    """A range over midnight stands at both of its days."""
    assert str(Hours(ranges)) == written
