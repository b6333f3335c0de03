"""What a client is told that is over a limit of its key."""

import pytest

from gatewayctl.core.allowance import Over, budget
from gatewayctl.daemon.over_limit import SOON, over_limit


@pytest.mark.parametrize(("resets", "wait"), [(2.0, 2.0), (3600.0, SOON), (None, SOON)])
def test_whoever_waits_for_others_comes_back_soon_or_sooner(
    resets: float | None, wait: float
) -> None:
    """A limit may be reset before any of them ends."""
    over = Over(budget=budget("1/hour"), limit=1, reserved=1, retry_after=resets, under_way=True)
    assert over_limit("ci", over, 0.0).retry_after == wait


@pytest.mark.parametrize(
    ("limit", "said"),
    [(1, "1 request a minute"), (2000, "2,000 requests a minute")],
)
def test_a_pace_is_said_as_people_say_it(limit: int, said: str) -> None:
    """One is not many."""
    over = Over(rate="rpm", limit=limit, spent=limit, needed=1, retry_after=10.0)
    assert f"may use {said}: " in over_limit("ci", over, 0.0).message
