import asyncio
import json

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


async def test_what_is_metered_for_a_call_is_kept_as_the_reply_tells_it(
    simulator: Simulator,
) -> None:
    """Both sides, also of a stream that was cut before it told them; of a refusal the input."""
    whole = await call(simulator, "messages", "", stream=False)
    await call(simulator, "messages", "cut-events=4", stream=True)
    await call(simulator, "messages", "429", stream=False)
    first, cut, refused = simulator.journal.calls("/v1/messages")
    usage = json.loads(whole.body)["usage"]
    assert (first.tokens, first.written) == (usage["input_tokens"], usage["output_tokens"])
    assert (cut.tokens, cut.written) == (first.tokens, first.written)
    assert refused.tokens == first.tokens
