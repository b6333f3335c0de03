"""Spent quotas end to end: routing moves away before anything is sent, and back after the reset."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from support.gateway import Gateway, gateway
from support.keyed import keyed

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator
from gatewayctl.simulator.journal import Received

SEVERAL = """
[providers.up]
kind = "anthropic-compatible"
base_url = "{url}/v1"
api_key = ["sk-one", "sk-two"]
[[models]]
id = "up/small"
context_window = 32768
"""

ROUTE = """
[providers.first]
kind = "anthropic-compatible"
base_url = "{url}/v1"
{auth}
[providers.second]
kind = "anthropic-compatible"
base_url = "{url}/v1"
api_key = "sk-two"
[[models]]
id = "first/small"
context_window = 32768
[[models]]
id = "second/small"
context_window = 32768
[[cascades]]
id = "route"
[[cascades.steps]]
model = "first/small"
[[cascades.steps]]
model = "second/small"
"""
KEY = 'api_key = "sk-one"'
FORWARD = 'auth = "forward"'


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Start a simulator at which the plan of sk-one is used up for an hour, and sk-two's is not."""
    running = await simulators.start()
    running.plans = {"sk-one": time.time() + 3600, "sk-two": 0.0}
    yield running
    await running.close()


async def ask(
    running: Gateway, model: str, text: str = "Hi", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of one request."""
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    async with running.client.post(
        f"{running.url}/v1/messages", data=msgspec.json.encode(body), headers=headers
    ) as reply:
        named = {name.lower(): value for name, value in reply.headers.items()}
        return reply.status, named, await reply.read()


def used(simulator: Simulator) -> list[str]:
    """Return the credentials of the calls so far, and forget them."""
    found = [credential(each) for each in calls(simulator)]
    simulator.journal.requests.clear()
    return found


def credential(call: Received) -> str:
    """Return the credential of a call."""
    return call.header("x-api-key") or (call.header("authorization") or "").removeprefix("Bearer ")


def calls(simulator: Simulator) -> list[Received]:
    """Return the calls of models so far."""
    return [each for each in simulator.journal.requests if each.method == "POST"]


async def test_the_second_credential_is_used_while_the_first_is_spent(
    simulator: Simulator,
) -> None:
    """The first refusal tells; from then on nothing is sent to that credential."""
    async with gateway(SEVERAL.format(url=simulator.base_url)) as running:
        for number in range(2):
            assert (await ask(running, "up/small", f"Hi {number}"))[0] == 200
        assert used(simulator).count("sk-one") == 1
        for number in range(4):
            status, headers, _ = await ask(running, "up/small", f"Hello {number}")
            assert (status, headers["x-gatewayctl-attempts"]) == (200, "1")
        assert used(simulator) == ["sk-two"] * 4


async def test_the_next_candidate_is_asked_while_the_first_one_is_spent(
    simulator: Simulator,
) -> None:
    """A route passes a spent provider over before anything is sent, and says why."""
    async with gateway(ROUTE.format(url=simulator.base_url, auth=KEY)) as running:
        assert (await ask(running, "route"))[0] == 200
        assert used(simulator) == ["sk-one", "sk-two"]
        assert (await ask(running, "route"))[1]["x-gatewayctl-model"] == "second/small"
        assert used(simulator) == ["sk-two"]
        _, _, told = await ask(running, "route", **{"x-gatewayctl-dry-run": "1"})
        assert b"quota_exhausted" in told


@pytest.mark.parametrize("config", [SEVERAL, ROUTE], ids=["credentials", "candidates"])
async def test_after_the_reset_it_is_used_again(simulator: Simulator, config: str) -> None:
    """The spent credential is refused once, then left alone until it answers again."""
    simulator.plans["sk-one"] = time.time() + 1
    model = "route" if config is ROUTE else "up/small"
    statuses: list[int | None] = []
    async with gateway(config.format(url=simulator.base_url, auth=KEY)) as running:
        async with asyncio.timeout(20):
            while 200 not in statuses:
                assert (await ask(running, model, f"Hi {time.time()}"))[0] == 200
                await asyncio.sleep(0.05)
                statuses = [
                    each.status for each in calls(simulator) if credential(each) == "sk-one"
                ]
    assert statuses == [429, 200]


async def test_what_is_forgotten_is_tried_at_once(simulator: Simulator) -> None:
    """After an early reset, forgetting a credential opens it, whatever its refusal asked for."""
    async with gateway(ROUTE.format(url=simulator.base_url, auth=KEY)) as running:
        assert (await ask(running, "route"))[0] == 200
        simulator.plans["sk-one"] = 0.0
        used(simulator)
        async with running.client.post(f"{running.url}/api/quota?forget=first") as reply:
            assert reply.status == 200
        assert (await ask(running, "route"))[1]["x-gatewayctl-model"] == "first/small"
        assert used(simulator) == ["sk-one"]


async def test_a_restart_still_knows_what_is_spent(simulator: Simulator, tmp_path: Path) -> None:
    """The new process sends nothing to a credential that the old one knew to be spent."""
    config = ROUTE.format(url=simulator.base_url, auth=KEY)
    async with gateway(config, state=tmp_path) as running:
        assert (await ask(running, "route"))[0] == 200
    used(simulator)
    async with gateway(config, state=tmp_path) as running:
        assert (await ask(running, "route"))[0] == 200
    assert used(simulator) == ["sk-two"]


async def test_another_key_is_not_taken_for_the_spent_one(
    simulator: Simulator, tmp_path: Path
) -> None:
    """After the key was replaced in the config, the new one is used at once."""
    config = ROUTE.format(url=simulator.base_url, auth=KEY)
    async with gateway(config, state=tmp_path) as running:
        assert (await ask(running, "route"))[0] == 200
    used(simulator)
    async with gateway(config.replace("sk-one", "sk-new"), state=tmp_path) as running:
        assert (await ask(running, "route"))[0] == 200
    assert used(simulator) == ["sk-new"]


async def test_when_all_is_spent_nothing_is_sent_and_the_reset_is_told(
    simulator: Simulator,
) -> None:
    """The refusal names until when, and no upstream hears of the request."""
    simulator.plans["sk-two"] = time.time() + 1800
    async with gateway(SEVERAL.format(url=simulator.base_url)) as running:
        await ask(running, "up/small")
        await ask(running, "up/small")
        assert set(used(simulator)) == {"sk-one", "sk-two"}
        status, headers, body = await ask(running, "up/small")
        assert used(simulator) == []
        assert status in {429, 503, 529}
        assert 0 < float(headers["retry-after"]) <= 1801
        assert b"spent" in body


async def test_a_forwarded_credential_is_spent_by_itself(
    simulator: Simulator, tmp_path: Path
) -> None:
    """One client's used-up plan neither gates another client's nor reaches the disk."""
    simulator.plans["sk-other"] = 0.0
    config = ROUTE.format(url=simulator.base_url, auth=FORWARD)
    async with gateway(config, state=tmp_path) as running:
        for _ in range(2):
            await ask(running, "route", authorization="Bearer sk-one")
        await ask(running, "route", authorization="Bearer sk-other")
        assert used(simulator) == ["sk-one", "sk-two", "sk-two", "sk-other"]
        async with running.client.get(f"{running.url}/api/quota") as reply:
            told = await reply.json()
    labels = [each["credential"] for each in told["credentials"]]
    assert [label.partition("/")[0] for label in labels] == ["first", "first", "second"]
    kept = (tmp_path / "quota.json").read_text()
    assert "first" not in kept
    assert "sk-" not in kept + msgspec.json.encode(told).decode()


async def test_paid_overage_is_left_to_who_asks_for_that_provider_alone() -> None:
    """A route moves away from a spent plan; alone it serves on while the provider allows it."""
    config = """
[providers.first]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "sk-one"
[providers.second]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "sk-two"
[[cascades]]
id = "route"
[[cascades.steps]]
model = "first/m"
context_window = "128K"
[[cascades.steps]]
model = "second/m"
context_window = "128K"
"""
    prefix = "anthropic-ratelimit-unified-"
    spent = {f"{prefix}status": "rejected", f"{prefix}reset": str(int(time.time()) + 3600)}

    async def asked(running: Gateway, model: str) -> int:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        async with running.client.post(f"{running.url}/v1/chat/completions", json=body) as reply:
            return reply.status

    paid = spent | {f"{prefix}overage-status": "allowed"}
    async with (
        keyed({"sk-one": (200, paid)}) as upstream,
        gateway(config.format(url=upstream.base_url)) as running,
    ):
        assert [await asked(running, "first/m") for _ in range(2)] == [200, 200]
        assert await asked(running, "route") == 200
        assert upstream.calls == ["sk-one", "sk-one", "sk-two"]
        upstream.replies["sk-one"] = (200, spent | {f"{prefix}overage-status": "rejected"})
        assert [await asked(running, "first/m") for _ in range(2)] == [200, 429]
        assert upstream.calls == ["sk-one", "sk-one", "sk-two", "sk-one"]
