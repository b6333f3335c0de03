"""How hours of the week are written: ``16:30-00:30``, ``Sat-Sun`` or ``Mon-Fri 22:00-06:00``."""

import re

import msgspec

from gatewayctl.config.forms import wrong_type
from gatewayctl.config.problems import Wrong
from gatewayctl.core.hours import DAY, DAYS, Hours, hours, times

_DAY = "|".join(DAYS)
_FORM = re.compile(rf"(?:({_DAY})(?:-({_DAY}))?)?(.*)", re.IGNORECASE)
_FORMS = 'write it like "16:30-00:30", "Sat-Sun" or "Mon-Fri 22:00-06:00", in UTC'


class Weekly(msgspec.Struct, frozen=True):
    """Days, times of the day, or both; what goes on over midnight belongs to the day it began."""

    def read(self, value: object) -> Hours:
        """Return the hours."""
        if not isinstance(value, str):
            raise wrong_type("a string", value)
        found = _FORM.fullmatch(value.strip())
        first, last, clock = ("", "", "") if found is None else found.groups(default="")
        span = times(clock) if clock.strip() else (0, DAY)
        starts = [day * DAY for day in _days(first, last or first)]
        read = None if span is None else hours([(it + span[0], it + span[1]) for it in starts])
        if read is None or not (first or clock):
            raise Wrong("hours-out-of-form", f'"{value}" names no hours of the week', _FORMS)
        return read

    def json_schema(self) -> dict[str, object]:
        """Return a string of days, of times, or of both."""
        return {"type": "string", "pattern": r"\S"}


def _days(first: str, last: str) -> list[int]:
    """Return the days from one to another, as days after Monday; all of them without names."""
    if not first:
        return list(range(len(DAYS)))
    start, end = DAYS.index(first.title()), DAYS.index(last.title())
    return [(start + more) % len(DAYS) for more in range((end - start) % len(DAYS) + 1)]
