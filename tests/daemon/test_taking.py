"""What is reserved of a client's money before a call: all that the call may come to cost."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, gateway
from support.keyed import keyed

from gatewayctl.storage.client_keys import Terms, create

CONFIG = """
[routing]
deadline = "100ms"              # which is as long as a call waits for others of its key

[providers.up]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "stand-in-upstream"

[[models]]
id = "up/m"
context_window = "128K"
max_output_tokens = 8192
prices = {{ input = 0, output = 100, "output@priority" = 200 }}

[[models]]
id = "up/long"
context_window = "128K"
max_output_tokens = 8192
prices = {{ input = 0, output = 100 }}
set = {{ max_tokens = 3000, n = 2 }}

[[models]]
id = "up/free-of-limits"
context_window = "128K"
max_output_tokens = 8192
prices = {{ input = 0, output = 100 }}
drop = ["max_tokens"]
"""


async def ask(it: Gateway, key: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Return status and body of a reply."""
    headers = {"x-gatewayctl-key": key}
    async with it.client.post(f"{it.url}/v1/{path}", json=body, headers=headers) as reply:
        return reply.status, await reply.json()


async def reserved(path: str, body: dict[str, Any]) -> float:
    """Return the USD that such a request reserves: another one at the same time is told."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        _, key = create(state, "ci", Terms(budgets=("0.0001/day",)), time.time())
        async with (
            keyed(seconds=0.5) as upstream,
            gateway(CONFIG.format(url=upstream.base_url), state=state) as it,
        ):
            told = await asyncio.gather(*(ask(it, key, path, body) for _ in range(2)))
    (refused,) = (each for status, each in told if status == 429)
    held: float = refused["error"]["gatewayctl"]["reserved"]
    return held


def chat(model: str = "up/m", text: str = "hi", **fields: object) -> dict[str, Any]:
    """Return a request for an answer."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize(
    ("body", "dollars"),
    [
        (chat(max_tokens=1000), 0.1),
        (chat(max_tokens=1000, n=3), 0.3),
        (chat(), 0.8192),
        (chat(max_tokens=1000, service_tier="priority"), 0.2),
        (chat("up/long", max_tokens=10), 0.6),
        (chat("up/free-of-limits", max_tokens=10), 0.8192),
    ],
    ids=["limited", "several answers", "unlimited", "tier", "set by config", "dropped by config"],
)
async def test_the_longest_answer_that_may_come_is_reserved(
    body: dict[str, Any], dollars: float
) -> None:
    """Not the usual one: whoever names no limit, or has it taken away, is held to none."""
    assert await reserved("chat/completions", body) == pytest.approx(dollars)


async def test_a_tier_that_is_hidden_in_escapes_is_reserved_all_the_same() -> None:
    """JSON has many ways to write a word."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        _, key = create(state, "ci", Terms(budgets=("0.0001/day",)), time.time())
        async with (
            keyed(seconds=0.5) as upstream,
            gateway(CONFIG.format(url=upstream.base_url), state=state) as it,
        ):
            data = (
                b'{"model": "up/m", "messages": [{"role": "user", "content": "hi"}],'
                rb' "max_tokens": 1000, "service_tier": "prior\u0069ty"}'
            )
            url, headers = f"{it.url}/v1/chat/completions", {"x-gatewayctl-key": key}

            async def asked() -> Any:
                async with it.client.post(url, data=data, headers=headers) as reply:
                    return await reply.json()

            told = await asyncio.gather(asked(), asked())
    (held,) = (each["error"]["gatewayctl"]["reserved"] for each in told if "error" in each)
    assert held == pytest.approx(0.2)
