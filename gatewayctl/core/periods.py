"""Calendar periods in UTC: hours, days, weeks from Monday, months, and all time.

Moments are seconds since 1970. What is counted in a period does not belong here.
"""

from enum import StrEnum
from typing import Final, assert_never

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_MONDAY: Final = 3
"""The weekday of 1970-01-01 was a Thursday: so many days after a Monday."""


class Period(StrEnum):
    """After which a count begins anew; ``all`` never does."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"


def start(period: Period, moment: float) -> float:
    """Return when the period that a moment lies in began."""
    match period:
        case Period.HOUR:
            return float(moment // _HOUR * _HOUR)
        case Period.DAY:
            return float(moment // _DAY * _DAY)
        case Period.WEEK:
            days = int(moment // _DAY)
            return float((days - (days + _MONDAY) % 7) * _DAY)
        case Period.MONTH:
            year, month, _ = civil(int(moment // _DAY))
            return float(_days(year, month) * _DAY)
        case Period.ALL:
            return 0.0
    assert_never(period)


def end(period: Period, moment: float) -> float | None:
    """Return when the period that a moment lies in is over, None for all time."""
    match period:
        case Period.HOUR:
            return start(period, moment) + _HOUR
        case Period.DAY:
            return start(period, moment) + _DAY
        case Period.WEEK:
            return start(period, moment) + 7 * _DAY
        case Period.MONTH:
            year, month, _ = civil(int(moment // _DAY))
            later, first = divmod(month, 12)
            return float(_days(year + later, first + 1) * _DAY)
        case Period.ALL:
            return None
    assert_never(period)


def iso(moment: float) -> str:
    """Return a moment as ISO 8601 in UTC, to the second: ``2026-11-22T00:00:00Z``."""
    days, seconds = divmod(int(moment), _DAY)
    year, month, day = civil(days)
    hour, rest = divmod(seconds, _HOUR)
    minute, second = divmod(rest, _MINUTE)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def civil(days: int) -> tuple[int, int, int]:
    """Return year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.

    Years are counted from March, so that the leap day is the last one of a year.
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    leaps = day_of_era // 1460 - day_of_era // 36_524 + day_of_era // 146_096
    year_of_era = (day_of_era - leaps) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * from_march + 2) // 5 + 1
    month = from_march + 3 if from_march < 10 else from_march - 9  # noqa: PLR2004 - March is 0
    return era * 400 + year_of_era + (month <= 2), month, day  # noqa: PLR2004 - February


def _days(year: int, month: int) -> int:
    """Return the days from 1970-01-01 to the first of a month."""
    from_march = month - 3 if month > 2 else month + 9  # noqa: PLR2004 - February
    era, year_of_era = divmod(year - (month <= 2), 400)  # noqa: PLR2004 - February
    day_of_era = 365 * year_of_era + year_of_era // 4 - year_of_era // 100
    return era * 146_097 + day_of_era + (153 * from_march + 2) // 5 - 719_468
