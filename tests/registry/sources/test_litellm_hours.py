"""LiteLLM's hours of lower prices: ranges over midnight, weekdays, zones, and what is none.

The expected hours are worked out by hand; LiteLLM 1.109.1 says the same of each at every moment.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.hours import WEEK, Hours
from gatewayctl.registry.sources.litellm_hours import KEY, hours_of

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("10:00-02:00"),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        ("hours_utc", "windows", "weekdays", "weekday_timezone")), inner
    ),
)  # fmt: skip
WORKDAYS = {"hours_utc": ["00:00-01:00", "04:00-06:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]}
WEEKEND = {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}
SHANGHAI = {"weekday_timezone": "Asia/Shanghai"}


def _hours(**block: Any) -> str:
    found = hours_of({KEY: block})
    return "" if found is None else str(found)


@pytest.mark.parametrize(
    ("told", "hours"),
    [
        ("16:30-20:30", "16:30-20:30, UTC"),
        ("16:30-00:30", "00:00-00:30, 16:30-24:00, UTC"),
        ("10:00-00:00", "10:00-24:00, UTC"),
        ("00:00-00:00", "all day, UTC"),
        ("10:00-10:00", "all day, UTC"),
        (" 7:05 - 8:30 ", "07:05-08:30, UTC"),
        (["16:30-00:30", "04:00-06:00"], "00:00-00:30, 04:00-06:00, 16:30-24:00, UTC"),
        (
            ["odd", 5, "25:00-26:00", "10:60-11:00", "24:00-01:00", "01:00-02:00"],
            "01:00-02:00, UTC",
        ),
        (None, ""),
        ({"01:00-02:00": 1}, ""),
    ],
)
def test_ranges_of_the_day(told: object, hours: str) -> None:
    """On every day; one over midnight is two, and what is no time of day is none."""
    assert _hours(hours_utc=told) == hours


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ({"hours_utc": "22:00-06:00", "weekdays": [5]}, "Fri 00:00-06:00, 22:00-24:00, UTC"),
        ({"hours_utc": "00:00-00:00", "weekdays": ["Sat", "sunday"]}, "Sat-Sun all day, UTC"),
        ({"hours_utc": "01:00-02:00"}, "01:00-02:00, UTC"),
        ({"hours_utc": "01:00-02:00", "weekdays": [0, 8, True, "noday"]}, ""),
        ({"hours_utc": "01:00-02:00", "weekdays": "Mon"}, ""),
        ({"weekdays": [1]}, ""),
    ],
)
def test_a_weekday_is_that_of_the_moment(window: dict[str, Any], hours: str) -> None:
    """A range over midnight on Fridays has the Friday's morning, and nothing of the Saturday."""
    assert _hours(windows=[window]) == hours


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        (None, "Sat 16:00-17:00, UTC"),
        ("UTC", "Sat 16:00-17:00, UTC"),
        ("Asia/Shanghai", "Fri 16:00-17:00, UTC"),
        ("America/New_York", ""),
        (8, ""),
    ],
)
def test_weekdays_are_those_of_the_zone(zone: object, hours: str) -> None:
    """At 16:00 UTC the next day begins in Shanghai; days of zones with two times are left out."""
    window = {"hours_utc": "16:00-17:00", "weekdays": [6]}
    assert _hours(windows=[window], weekday_timezone=zone) == hours
    assert _hours(windows=[{"hours_utc": "16:00-17:00"}], weekday_timezone=zone) != ""


def test_a_zones_day_may_lie_over_the_end_of_the_week() -> None:
    """Monday in Tokyo is Sunday's last nine hours and Monday's first fifteen."""
    window = {"hours_utc": "00:00-00:00", "weekdays": [1]}
    hours = _hours(windows=[window], weekday_timezone="Asia/Tokyo")
    assert hours == "Mon 00:00-15:00; Sun 15:00-24:00, UTC"


def test_what_deepseek_and_tencent_ask_less_at() -> None:
    """All but 01:00 to 04:00 and 06:00 to 10:00 on workdays, whichever zone these are told in."""
    less = "Mon-Fri 00:00-01:00, 04:00-06:00, 10:00-24:00; Sat-Sun all day, UTC"
    assert _hours(windows=[WORKDAYS, WEEKEND]) == less
    assert _hours(windows=[WORKDAYS, WEEKEND], **SHANGHAI) == less


def test_hours_of_every_day_and_of_some_are_added() -> None:
    """Whoever states both means both."""
    found = _hours(hours_utc="04:00-06:00", windows=[WEEKEND | {"weekdays": [7]}])
    assert found == "Mon-Sat 04:00-06:00; Sun all day, UTC"


@given(JUNK)
def test_whatever_stands_there_is_hours_or_none(told: object) -> None:
    """Never an error, and never a minute beyond the week."""
    found = hours_of({KEY: told})
    assert found is None or isinstance(found, Hours)
    for first, last in () if found is None else found.ranges:
        assert 0 <= first < last <= WEEK


def test_many_windows_cost_no_more_than_few() -> None:
    """A table may hold thousands of models: only the first windows and ranges are looked at."""
    many = [{"hours_utc": [f"00:{i % 60:02}-00:{i % 60 + 1:02}" for i in range(500)]}] * 500
    assert _hours(windows=many) == "00:00-00:32, UTC"
