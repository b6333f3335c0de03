import asyncio

import pytest
from support.faulty import call

from gatewayctl.simulator import Simulator
from gatewayctl.simulator.journal import waits


async def test_waits_between_calls_can_be_told(simulator: Simulator) -> None:
    """From the end of one reply to the start of the next call: what a caller waited by itself."""
    await call(simulator, "messages", "slow=0.3", stream=False)
    await asyncio.sleep(0.1)
    await call(simulator, "messages", "", stream=False)
    calls = simulator.journal.calls("/v1/messages")
    (waited,) = waits(calls)
    assert waited >= 0.09
    assert waited == pytest.approx(calls[1].at - calls[0].at - 0.3, abs=0.15)
    assert waits(calls[:1]) == []
