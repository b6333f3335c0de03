"""Routes under load: counters are exact, weights are kept, and nothing is asked twice."""

import asyncio
from collections import Counter

from support.dialects import encoded
from support.gateway import Gateway, demo

ROBIN = """
[[alloys]]
id = "robin"
name = "Turn by turn"
strategy = "round_robin"
[[alloys.constituents]]
model = "demo/small"
context_window = 32768
[[alloys.constituents]]
model = "demo/large"
context_window = 262144
"""


async def ask(it: Gateway, model: str, text: str = "Hi") -> str:
    """Ask once; return the model that answered."""
    body = encoded("chat_completions", model, text)
    async with it.client.post(f"{it.url}/v1/chat/completions", data=body) as answer:
        assert answer.status == 200
        await answer.read()
        return answer.headers["x-gatewayctl-model"]


async def test_round_robin_is_exact_under_concurrency() -> None:
    """400 requests at once, half of them large enough to be measured: 200 each, no more."""
    async with demo(ROBIN) as (it, _):
        texts = ["Hi", "word " * 2500]
        answers = await asyncio.gather(*(ask(it, "robin", texts[n % 2]) for n in range(400)))
    assert Counter(answers) == {"demo/small": 200, "demo/large": 200}


async def test_a_weighted_alloy_draws_both_and_falls_back_to_the_other() -> None:
    """Over 60 requests both come up, and all are answered."""
    async with demo() as (it, simulator):
        answers = [await ask(it, "demo-alloy") for _ in range(60)]
        assert set(answers) == {"demo/small", "demo/large"}
        simulator.script(["500"])
        await ask(it, "demo-alloy")
        assert len(simulator.journal.calls()) == 62
