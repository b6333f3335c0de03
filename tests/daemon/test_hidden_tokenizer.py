"""A running gateway in front of a provider whose tokenizer nobody knows."""

import asyncio
import io
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.dialects import PATHS, PROTOCOLS, tool
from support.gateway import Gateway, gateway, upstream_config
from support.written import KINDS, text

from gatewayctl import simulator as simulators
from gatewayctl.simulator import SimModel

MODEL = '\n[[models]]\nid = "up/m"\ncontext_window = 1000000\n'
TURNS = 4


@asynccontextmanager
async def hidden(state: Path) -> AsyncIterator[Gateway]:
    """Run a gateway in front of a simulator that meters with a vocabulary of its own."""
    model = SimModel(id="m", window=1_000_000, max_output=8_192)
    simulator = await simulators.start(models=[model], tokenizer="cl100k_base")
    try:
        async with gateway(upstream_config(simulator.base_url) + MODEL, state=state) as it:
            yield it
    finally:
        await simulator.close()


async def post(it: Gateway, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON that a request is answered with."""
    data = io.BytesIO(json.dumps(body).encode())
    async with it.client.post(it.url + path, data=data) as reply:
        found = json.loads(await reply.read())
        assert reply.status == 200, found
        assert isinstance(found, dict)
        return found


async def estimated(it: Gateway, protocol: str, body: dict[str, Any], method: str) -> Any:
    """Return the estimate at the model, once it is made by this method."""
    async with asyncio.timeout(20):
        while True:
            path = f"/api/estimate?protocol={protocol}"
            (found,) = (await post(it, path, body))["estimates"]
            if found["method"] == method:
                return found
            await asyncio.sleep(0.02)  # what a reply taught is learned after the reply


def opened(protocol: str, kind: str, rng: random.Random) -> dict[str, Any]:
    """Return a request with instructions, tools and no message yet."""
    system = text(kind, rng, 6_000)
    tools = [tool(protocol, name) for name in ("weather", "forecast")]
    match protocol:
        case "responses":
            return {"model": "up/m", "instructions": system, "input": [], "tools": tools}
        case "messages":
            more = {"max_tokens": 200, "system": system}
            return {"model": "up/m", "messages": [], "tools": tools, **more}
        case _:
            first = {"role": "system", "content": system}
            return {"model": "up/m", "messages": [first], "tools": tools}


def told(protocol: str, reply: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Return the metered input, and the model's turn as a client sends it back."""
    usage = reply["usage"]
    match protocol:
        case "responses":
            return usage["input_tokens"], reply["output"]
        case "messages":
            return usage["input_tokens"], [{"role": "assistant", "content": reply["content"]}]
        case _:
            return usage["prompt_tokens"], [reply["choices"][0]["message"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
async def test_after_the_first_reply_later_turns_are_known_within_two_percent(
    protocol: str, kind: str, tmp_path: Path
) -> None:
    """``likely`` is within 2 % of what the next reply meters, ``high`` covers it, low allows it."""
    rng = random.Random(11)  # noqa: S311 - the same conversation in every run
    async with hidden(tmp_path) as it:
        body = opened(protocol, kind, rng)
        turns = body["input" if protocol == "responses" else "messages"]
        for turn in range(TURNS):
            turns.append({"role": "user", "content": text(kind, rng, rng.randint(100, 600))})
            found = await estimated(it, protocol, body, "anchor" if turn else "ratio")
            metered, own = told(protocol, await post(it, PATHS[protocol], body))
            if turn:
                assert found["likely"] == pytest.approx(metered, rel=0.02)
                assert found["low"] <= metered <= found["high"] <= metered * 1.1
                assert sum(found["breakdown"].values()) == found["likely"]
            turns += own


async def test_what_a_conversation_came_to_outlives_a_restart(tmp_path: Path) -> None:
    """The next process goes on from the same anchor, and says so in its decision."""
    rng = random.Random(12)  # noqa: S311 - the same conversation in every run
    body = opened("messages", "prose", rng)
    body["messages"].append({"role": "user", "content": "Hello"})
    async with hidden(tmp_path) as it:
        metered, own = told("messages", await post(it, PATHS["messages"], body))
        await estimated(it, "messages", body, "anchor")
    body["messages"] += [*own, {"role": "user", "content": "And now?"}]
    async with hidden(tmp_path) as it:
        decision = await post(it, "/api/route-explain?protocol=messages", body)
        (chosen,) = decision["attempts"]
        assert chosen["estimate"]["method"] == "anchor"
        assert "(anchor)" in chosen["reason"]
        assert metered < chosen["estimate"]["likely"] < metered + 200


async def test_a_large_conversation_is_anchored_in_the_counting_process(tmp_path: Path) -> None:
    """A megabyte of history is neither read, nor chained, nor measured in the event loop."""
    rng = random.Random(13)  # noqa: S311 - the same conversation in every run
    body = opened("chat_completions", "code", rng)
    del body["tools"]  # a call would have to be answered before the next question
    turns = body["messages"]
    turns.append({"role": "user", "content": text("code", rng, 40_000) * 25})
    async with hidden(tmp_path) as it:
        metered, own = told("chat_completions", await post(it, PATHS["chat_completions"], body))
        assert metered > 200_000
        turns += [*own, {"role": "user", "content": text("prose", rng, 4_000)}]
        found = await estimated(it, "chat_completions", body, "anchor")
        metered, _ = told("chat_completions", await post(it, PATHS["chat_completions"], body))
    assert found["likely"] == pytest.approx(metered, rel=0.005)
    assert metered <= found["high"] <= metered * 1.01
