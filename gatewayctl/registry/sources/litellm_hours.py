"""LiteLLM's ``off_peak_pricing``: at which hours its prices hold; they are ``litellm_prices``'.

``hours_utc`` is a range such as ``16:30-00:30``, or a list of them: the first minute is in it, the
last one is not, and a range that ends where it begins is the whole day. On its own it holds on
every day; in an entry of ``windows`` on its ``weekdays`` alone, 1 for Monday or by name. A weekday
is that of the moment asked about, in ``weekday_timezone``, not of the range's beginning.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from gatewayctl.core.hours import DAY, DAYS, WEEK, Hours, Range, hours, times
from gatewayctl.registry.sources.entries import inner, items

KEY = "off_peak_pricing"

ZONES = {
    "UTC": 0,
    "Etc/UTC": 0,
    "Asia/Shanghai": 8,
    "Asia/Hong_Kong": 8,
    "Asia/Singapore": 8,
    "Asia/Taipei": 8,
    "Asia/Tokyo": 9,
    "Asia/Seoul": 9,
}
"""Hours that zones are ahead of UTC, for those that never change their clocks.

So a table reads the same on every machine, whichever database of zones it has or lacks. Windows by
the weekday of any other zone are left out: what is billed then is the usual price.
"""

_DAY = re.compile(
    r"mon(day)?|tue(s|sday)?|wed(nesday)?|thu(r|rs|rsday)?|fri(day)?|sat(urday)?|sun(day)?"
)
_MINUTES = 60
_MOST_WINDOWS = 32
_MOST_RANGES = 32


def hours_of(entry: Mapping[str, Any]) -> Hours | None:
    """Return the hours at which an entry's off-peak prices hold, None where it states none."""
    block = inner(entry, KEY)
    found = list(_weekly(_ranges(block.get("hours_utc")), [(0, WEEK)]))
    ahead = _ahead(block.get("weekday_timezone"))
    for window in items(block.get("windows"))[:_MOST_WINDOWS]:
        if isinstance(window, Mapping):
            days = list(_days(window.get("weekdays"), ahead))
            found += _weekly(_ranges(window.get("hours_utc")), days)
    return hours(found)


def _weekly(daily: Iterable[Range], days: Iterable[Range]) -> Iterator[Range]:
    """Yield what ranges of a day, on every day, have in common with days."""
    week = [(day + first, day + last) for first, last in daily for day in range(0, WEEK, DAY)]
    for (first, last), (begin, end) in product(week, days):
        yield max(first, begin), min(last, end)


def _ranges(told: object) -> Iterator[Range]:
    """Yield ranges of minutes of a day; one over midnight is two. Others than ranges are none."""
    for text in (told,) if isinstance(told, str) else items(told)[:_MOST_RANGES]:
        found = times(text) if isinstance(text, str) else None
        if found is not None:
            first, last = found
            yield first, min(last, DAY)
            yield 0, max(last - DAY, 0)


def _days(told: object, ahead: int | None) -> Iterator[Range]:
    """Yield the weekdays of a window as minutes of the week, UTC; all of it where it names none."""
    if told is None:
        yield 0, WEEK
    elif ahead is not None:
        for each in items(told):
            if (day := _day(each)) is not None:
                first = (day * DAY - ahead) % WEEK
                yield first, min(first + DAY, WEEK)
                yield 0, max(first + DAY - WEEK, 0)


def _day(told: object) -> int | None:
    """Return how many days after Monday a weekday is, None where it is none."""
    if isinstance(told, int) and not isinstance(told, bool):
        return told - 1 if 1 <= told <= len(DAYS) else None
    name = told.strip().lower() if isinstance(told, str) else ""
    return DAYS.index(name[:3].title()) if _DAY.fullmatch(name) else None


def _ahead(told: object) -> int | None:
    """Return how many minutes a zone is ahead of UTC, None where that is not known."""
    if told is None:
        return 0
    ahead = ZONES.get(told) if isinstance(told, str) else None
    return None if ahead is None else ahead * _MINUTES
