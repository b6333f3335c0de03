"""Routes under load: counters are exact, weights are kept, and nothing is asked twice."""

import asyncio
from collections import Counter

import msgspec
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
    """1,000 requests at once, half of them large enough to be measured: 500 each, no more."""
    async with demo(ROBIN) as (it, _):
        texts = ["Hi", "word " * 2500]
        answers = await asyncio.gather(*(ask(it, "robin", texts[n % 2]) for n in range(1000)))
    assert Counter(answers) == {"demo/small": 500, "demo/large": 500}


async def test_a_weighted_alloy_draws_both_and_falls_back_to_the_other() -> None:
    """Over 60 requests both come up, and all are answered."""
    async with demo() as (it, simulator):
        answers = [await ask(it, "demo-alloy") for _ in range(60)]
        assert set(answers) == {"demo/small", "demo/large"}
        simulator.script(["500"])
        await ask(it, "demo-alloy")
        assert len(simulator.journal.calls()) == 62


def turns(*, done: int, results: int) -> bytes:
    """Return an agent's request: whole turns of the user's, then the last one's tool results."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[dict[str, object]] = []
    for number in range(done):
        messages.append({"role": "user", "content": f"do {number}"})
        messages.append({"role": "assistant", "content": "done"})
    messages.append({"role": "user", "content": "go on"})
    for _ in range(results):
        messages.append({"role": "assistant", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": "c", "content": "42"})
    return msgspec.json.encode({"model": "blend", "messages": messages})


def blend(scope: str) -> str:
    """Return an alloy of two equal models with this scope."""
    return f"""
[[alloys]]
id = "blend"
name = "Blend"
scope = "{scope}"
[[alloys.constituents]]
model = "demo/small"
context_window = 32768
[[alloys.constituents]]
model = "demo/large"
context_window = 262144
"""


async def answered(it: Gateway, body: bytes, **headers: str) -> str:
    """Send a body; return the model that answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{it.url}/v1/chat/completions"
    async with it.client.post(url, data=body, headers=named) as answer:
        assert answer.status == 200
        await answer.read()
        return answer.headers["x-gatewayctl-model"]


async def test_a_turn_keeps_its_model_through_tool_results_and_the_next_draws_anew() -> None:
    """Over 16 turns of 5 requests no turn mixes models, and both come up."""
    async with demo(blend("turn")) as (it, _):
        drawn: list[str] = []
        for done in range(16):
            models = {await answered(it, turns(done=done, results=n)) for n in range(5)}
            assert len(models) == 1
            drawn += models
    assert set(drawn) == {"demo/small", "demo/large"}


async def test_a_helper_of_the_same_session_does_not_disturb_a_turn() -> None:
    """Other conversations under the same session name draw for themselves."""
    name = {"x_claude_code_session_id": "one"}
    async with demo(blend("turn")) as (it, _):
        for done in range(8):
            models = set()
            for results in range(4):
                models.add(await answered(it, turns(done=done, results=results), **name))
                await answered(it, turns(done=0, results=0).replace(b"go on", b"title?"), **name)
            assert len(models) == 1


async def test_a_session_keeps_its_model_and_another_draws_its_own() -> None:
    """With ``scope = "session"`` turns do not matter, only whose session it is."""
    async with demo(blend("session")) as (it, _):
        drawn: list[str] = []
        for number in range(16):
            name = {"x_gatewayctl_session": str(number)}
            models = {await answered(it, turns(done=n, results=n % 2), **name) for n in range(4)}
            assert len(models) == 1
            drawn += models
    assert set(drawn) == {"demo/small", "demo/large"}


async def test_the_same_words_again_are_a_turn_of_their_own() -> None:
    """A script that asks the same over and over draws each time."""
    async with demo(blend("turn")) as (it, _):
        drawn = {await answered(it, turns(done=0, results=0)) for _ in range(40)}
    assert drawn == {"demo/small", "demo/large"}


STICKY = """
[[dispatchers]]
id = "blend"
targets = ["demo/small", "demo/large"]
reevaluate = "{}"
"""


async def asked_with(it: Gateway, text: str, session: str | None) -> tuple[int, str | None]:
    """Ask the sticky dispatcher; return the status and the model."""
    body = encoded("chat_completions", "blend", text)
    headers = {} if session is None else {"x-gatewayctl-session": session}
    url = f"{it.url}/v1/chat/completions"
    async with it.client.post(url, data=body, headers=headers) as answer:
        await answer.read()
        return answer.status, answer.headers.get("x-gatewayctl-model")


LONG = "word " * 40_000


async def test_a_sticky_session_refuses_what_its_pick_cannot_hold() -> None:
    """It keeps the small model; a session that is only inferred moves instead."""
    async with demo(STICKY.format("sticky")) as (it, _):
        assert await asked_with(it, "Hi", "s") == (200, "demo/small")
        assert await asked_with(it, LONG, "s") == (413, None)
        assert await asked_with(it, "Hi", "s") == (200, "demo/small")
        assert await asked_with(it, LONG, "t") == (200, "demo/large")
        assert await asked_with(it, "Hi", "t") == (200, "demo/large")
        assert await asked_with(it, LONG, None) == (200, "demo/large")


async def test_a_session_that_escalated_does_not_come_back() -> None:
    """Once moved up to the larger model it stays there."""
    async with demo(STICKY.format("sticky_escalate")) as (it, _):
        assert await asked_with(it, "Hi", "s") == (200, "demo/small")
        assert await asked_with(it, LONG, "s") == (200, "demo/large")
        assert await asked_with(it, "Hi", "s") == (200, "demo/large")
