"""Hours of the week as a config writes them, and the model that they are said of."""

import pytest

from gatewayctl.config.weekly import Weekly
from gatewayctl.core.hours import Hours, hours, times


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10:00-11:30", "10:00-11:30, UTC"),
        ("Sat", "Sat all day, UTC"),
        ("sat-sun", "Sat-Sun all day, UTC"),
        ("Mon-Tue 8:00 - 24:00", "Mon-Tue 08:00-24:00, UTC"),
        ("Fri 22:00-06:00", "Fri 22:00-24:00; Sat 00:00-06:00, UTC"),
        ("Sun 22:00-06:00", "Mon 00:00-06:00; Sun 22:00-24:00, UTC"),
        ("00:00-00:00", "all day, UTC"),
        ("Mon-Sun", "all day, UTC"),
        ("Sat-Mon 10:00-11:00", "Mon, Sat-Sun 10:00-11:00, UTC"),
    ],
)  # fmt: skip
def test_days_and_times_are_hours_of_the_week(written: str, meant: str) -> None:
    """What goes on over midnight belongs to the day it began, unlike a weekday of LiteLLM's."""
    assert str(Weekly().read(written)) == meant


def test_hours_beyond_the_week_are_at_its_beginning() -> None:
    """The night from Sunday to Monday; a range of times goes on into the next day alone."""
    assert times("22:00-06:00") == (1320, 1800)
    assert Weekly().read("Sun 22:00-06:00") == Hours(((0, 360), (9960, 10_080)))
    assert hours([(10_000, 10_440)]) == Hours(((0, 360), (10_000, 10_080)))
