"""Hours of the week at which something holds: when a provider asks for less, say.

All of it is UTC, so that no database of time zones is needed: whoever reads hours of another zone
counts them over. What holds at them does not belong here.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

DAY: Final = 24 * 60
"""Minutes."""

WEEK: Final = 7 * DAY

_MONDAY: Final = 3 * DAY
"""1970 began on a Thursday: so many minutes after a Monday."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Range = tuple[int, int]
"""Minutes, the first one in, the last one out."""


class Hours(msgspec.Struct, frozen=True, array_like=True):
    """Ranges of minutes since Monday, 00:00 UTC, in order and apart from one another."""

    ranges: tuple[Range, ...]

    def hold(self, moment: float) -> bool:
        """Tell whether a moment, in seconds since 1970, is in one of them."""
        minute = (moment // 60 + _MONDAY) % WEEK
        return any(first <= minute < last for first, last in self.ranges)

    def __str__(self) -> str:
        """Return them for people: ``Mon-Fri 16:30-24:00; Sat-Sun all day, UTC``."""
        by_day = [_of_day(self.ranges, day) for day in range(len(_DAYS))]
        days: dict[str, list[int]] = {}
        for day, text in enumerate(by_day):
            if text:
                days.setdefault(text, []).append(day)
        if len(days) == 1 and len(*days.values()) == len(_DAYS):
            return f"{by_day[0]}, UTC"
        return "; ".join(f"{_named(them)} {text}" for text, them in days.items()) + ", UTC"


def hours(ranges: Iterable[Range]) -> Hours | None:
    """Return ranges as hours, put in order and joined; None where there are none.

    Each lies between 0 and ``WEEK``.
    """
    found: list[Range] = []
    for first, last in sorted(each for each in ranges if each[0] < each[1]):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return Hours(tuple(found)) if found else None


def _of_day(ranges: Iterable[Range], day: int) -> str:
    """Return the part of ranges that lies in a day, as people write it."""
    begin = day * DAY
    parts = [(max(first - begin, 0), min(last - begin, DAY)) for first, last in ranges]
    if (0, DAY) in parts:
        return "all day"
    return ", ".join(f"{_clock(it[0])}-{_clock(it[1])}" for it in parts if it[0] < it[1])


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _named(days: Sequence[int]) -> str:
    """Return days by name, two or more in a row as their first and last."""
    rows: list[list[int]] = []
    for day in days:
        if rows and rows[-1][-1] == day - 1:
            rows[-1].append(day)
        else:
            rows.append([day])
    names = [_DAYS[row[0]] + (f"-{_DAYS[row[-1]]}" if row[1:] else "") for row in rows]
    return ", ".join(names)
