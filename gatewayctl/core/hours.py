"""Hours of the week at which something holds: when a provider asks for less, say.

All of it is UTC, so that no database of time zones is needed: whoever reads hours of another zone
counts them over. What holds at them does not belong here.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

DAY: Final = 24 * 60
"""Minutes."""

WEEK: Final = 7 * DAY

_MONDAY: Final = 3 * DAY
"""1970 began on a Thursday: so many minutes after a Monday."""

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_TIMES: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}) *- *([0-9]{1,2}):([0-9]{1,2})")
_HOUR: Final = 60

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
        by_day = [_of_day(self.ranges, day) for day in range(len(DAYS))]
        days: dict[str, list[int]] = {}
        for day, text in enumerate(by_day):
            if text:
                days.setdefault(text, []).append(day)
        if len(days) == 1 and len(*days.values()) == len(DAYS):
            return f"{by_day[0]}, UTC"
        return "; ".join(f"{_named(them)} {text}" for text, them in days.items()) + ", UTC"


def hours(ranges: Sequence[Range]) -> Hours | None:
    """Return ranges as hours, put in order and joined; None where there are none.

    What lies beyond ``WEEK`` is at the beginning of the week.
    """
    found: list[Range] = []
    whole = [(first, min(last, WEEK)) for first, last in ranges]
    beyond = [(0, last - WEEK) for _, last in ranges]
    for first, last in sorted(each for each in (*whole, *beyond) if each[0] < each[1]):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return Hours(tuple(found)) if found else None


def times(text: str) -> Range | None:
    """Return a range of times such as ``16:30-00:30``, as minutes from the day's beginning on.

    One that ends at its beginning, or before, goes on into the next day. None where it is none.
    """
    found = _TIMES.fullmatch(text.strip())
    if found is None:
        return None
    hour, minute, last_hour, last_minute = map(int, found.groups())
    first, last = hour * _HOUR + minute, last_hour * _HOUR + last_minute
    if max(minute, last_minute) >= _HOUR or first >= DAY or last > DAY:
        return None
    return first, last if first < last else last + DAY


def _of_day(ranges: Iterable[Range], day: int) -> str:
    """Return the part of ranges that lies in a day, as people write it."""
    begin = day * DAY
    parts = [(max(first - begin, 0), min(last - begin, DAY)) for first, last in ranges]
    if (0, DAY) in parts:
        return "all day"
    return ", ".join(f"{_clock(it[0])}-{_clock(it[1])}" for it in parts if it[0] < it[1])


def _clock(minute: int) -> str:
    return f"{minute // _HOUR:02}:{minute % _HOUR:02}"


def _named(days: Sequence[int]) -> str:
    """Return days by name, two or more in a row as their first and last."""
    rows: list[list[int]] = []
    for day in days:
        if rows and rows[-1][-1] == day - 1:
            rows[-1].append(day)
        else:
            rows.append([day])
    names = [DAYS[row[0]] + (f"-{DAYS[row[-1]]}" if row[1:] else "") for row in rows]
    return ", ".join(names)
