"""What happened in the last minute, whatever the minute on the clock."""

from hypothesis import example, given
from hypothesis import strategies as st

from gatewayctl.core.rates import MINUTE, Rate


@given(st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=120), st.integers(1, 8))
@example([0.0, 0.09, 0.0, 0.0], 2)
def test_no_minute_ever_sees_more_than_it_may(gaps: list[float], limit: int) -> None:
    """Whenever they come, any sixty seconds hold at most as many; and whoever waits gets in."""
    rate, clock, counted = Rate(), 1000.0, list[float]()
    for gap in gaps:
        clock += gap
        wait = rate.wait(1, limit, clock)
        assert wait is not None
        if wait:
            clock += wait + 1e-6
            assert rate.wait(1, limit, clock) == 0
        rate.count(1, clock)
        counted.append(clock)
        assert len([each for each in counted if each > clock - MINUTE]) <= limit


def test_what_is_more_than_the_limit_never_fits() -> None:
    """However long one waits."""
    assert Rate().wait(3, 2, 0.0) is None


def test_a_correction_leaves_with_the_minute_that_it_is_told_in() -> None:
    """Less is taken back where it was counted, more counts as of now; what has left stays away."""
    rate = Rate()
    early, late = rate.count(100, 0.0), rate.count(100, 30.0)
    rate.correct(late, -40, 31.0)
    assert rate.total == 160
    rate.correct(early, 5, 59.0)
    assert rate.total == 165
    rate.correct(early, -100, 61.0)
    assert rate.total == 65
    assert rate.wait(100, 100, 61.0) == 59.0 + MINUTE - 61.0
