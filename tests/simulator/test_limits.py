import time

import aiohttp
import pytest
from support.dialects import DIALECTS as PROTOCOLS
from support.dialects import address, encoded
from support.faulty import SWITCHES, call

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator
from gatewayctl.simulator.limits import DIALECTS

UNIFIED = "anthropic-ratelimit-unified-"
TELLING = {
    "anthropic": ("anthropic-ratelimit-input-tokens-remaining", "29999"),
    "azure": ("x-ratelimit-reset-requests", "10"),
    "cerebras": ("x-ratelimit-reset-tokens-minute", "11.382867"),
    "fireworks": ("x-ratelimit-remaining-tokens-prompt", "59000"),
    "groq": ("x-ratelimit-reset-requests", "2m59.56s"),
    "mistral": ("x-ratelimitbysize-remaining-minute", "499000"),
    "openai": ("x-ratelimit-reset-tokens", "6m0s"),
    "openrouter": ("x-ratelimit-remaining", "49"),
    "plan": (f"{UNIFIED}status", "allowed"),
    "together": ("x-tokenlimit-remaining", "1990"),
    "xai": ("x-ratelimit-remaining-tokens", "1999000"),
}


@pytest.mark.parametrize("whose", DIALECTS)
async def test_a_reply_has_the_headers_that_were_asked_for(
    simulator: Simulator, whose: str
) -> None:
    """Each dialect's headers come with an answer that is otherwise as always."""
    told = await call(simulator, "messages", f"limits={whose}")
    usual = await call(simulator, "messages", "")
    name, value = TELLING[whose]
    assert (told.status, told.headers[name], told.lasting) == (200, value, usual.lasting)
    assert not any("limit" in each for each in usual.headers)


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_plan_is_used_up_on_demand(
    simulator: Simulator, protocol: str, stream: bool, switch: str
) -> None:
    """In every protocol: a 429 whose headers say rejected, and a reset so many seconds ahead."""
    before = int(time.time())
    told = await call(simulator, protocol, "spent=7", stream=stream, switch=switch)
    assert (told.status, told.headers[f"{UNIFIED}status"]) == (429, "rejected")
    assert before + 7 <= int(told.headers[f"{UNIFIED}reset"]) <= time.time() + 8


async def test_headers_join_a_fault(simulator: Simulator) -> None:
    """A refusal of another kind has the headers too, and its own beside them."""
    told = await call(simulator, "chat_completions", "429=3,limits=groq")
    assert (told.status, told.headers["retry-after"]) == (429, "3")
    assert told.headers["x-ratelimit-limit-requests"] == "14400"


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "x-goog-api-key"])
async def test_a_credential_has_a_plan_of_its_own(name: str) -> None:
    """It is refused until its time, answered after it, and others are not concerned."""
    running = await simulators.start()
    try:
        running.plans["sk-one"] = time.time() + 60
        one = {name: "Bearer sk-one" if name == "authorization" else "sk-one"}
        assert await _asked(running, one) == (429, "rejected")
        assert await _asked(running, {"x-api-key": "sk-two"}) == (200, None)
        assert await _asked(running, {}) == (200, None)
        running.plans["sk-one"] = time.time()
        assert await _asked(running, one) == (200, "allowed")
    finally:
        await running.close()


async def _asked(simulator: Simulator, headers: dict[str, str]) -> tuple[int, str | None]:
    """Return the status of a call with these headers, and its plan's."""
    async with aiohttp.ClientSession(simulator.base_url, headers=headers) as http:
        body = encoded("messages", "small", "hello", stream=False)
        async with http.post(address("messages", "small", stream=False), data=body) as response:
            return response.status, response.headers.get(f"{UNIFIED}status")
