"""The official SDKs with their own retries on top of the gateway's: neither multiplies the other.

An SDK tries three times unless told otherwise. What it sent is counted in its own HTTP client,
what reached the upstream in the simulator's journal.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any, Final

import anthropic
import msgspec
import openai
import pytest
from support.gateway import Gateway, gateway

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator

ATTEMPTS: Final = 3
"""What both SDKs do when nothing tells them not to."""

EXPECTED: Final[Mapping[str, tuple[int, int]]] = {
    "500": (ATTEMPTS, 2 * ATTEMPTS),
    "502": (ATTEMPTS, 2 * ATTEMPTS),
    "503": (ATTEMPTS, 2 * ATTEMPTS),
    "529": (ATTEMPTS, 2 * ATTEMPTS),
    "429": (ATTEMPTS, ATTEMPTS),
    "429=1": (ATTEMPTS, 2 * ATTEMPTS),
    "reset": (ATTEMPTS, 2 * ATTEMPTS),
    "page": (ATTEMPTS, ATTEMPTS),
    "500!do-not-retry": (1, 1),
    "529!do-not-retry": (1, 1),
    "429=1!do-not-retry": (1, 1),
    "expired-key": (1, 1),
    "403": (1, 1),
    "404": (1, 1),
    "400": (1, 1),
    "content-filter": (1, 1),
    "overflow": (1, 1),
    "quota": (1, 1),
}
"""By the fault of every reply: how often the SDK asks, and how many calls reach the upstream.

The gateway retries once what may be over by then; ``x-should-retry: false`` stops both.
"""

HELLO: Final[Any] = [{"role": "user", "content": "Hello!"}]
LONGEST: Final = 60.0
"""Seconds; the longest case waits for six times one second."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request of an SDK as it left: which model, and when by the event loop's clock."""

    model: str
    at: float


class Sdks:
    """Both SDKs with their defaults, and what they sent."""

    def __init__(self, url: str) -> None:
        self.sent: list[Asked] = []
        hooks: Any = {"request": [self._note]}
        self.openai = openai.AsyncOpenAI(
            base_url=f"{url}/v1",
            api_key="sk-test",
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks),
        )
        self.anthropic = anthropic.AsyncAnthropic(
            base_url=url,
            api_key="sk-test",
            http_client=anthropic.DefaultAsyncHttpxClient(event_hooks=hooks),
        )

    async def _note(self, request: Any) -> None:
        model = msgspec.json.decode(request.content)["model"]
        self.sent.append(Asked(model=model, at=asyncio.get_running_loop().time()))

    async def ask(self, protocol: str, model: str, *, stream: bool) -> Exception | None:
        """Ask once as a user would, and read the reply; return the SDK's error, if any."""
        asking: Any
        match protocol:
            case "chat_completions":
                asking = self.openai.chat.completions.create(
                    model=model, messages=HELLO, stream=stream
                )
            case "responses":
                asking = self.openai.responses.create(model=model, input="Hello!", stream=stream)
            case _:
                asking = self.anthropic.messages.create(
                    model=model, max_tokens=100, messages=HELLO, stream=stream
                )
        try:
            reply: Any = await asking
            if stream:
                async for _ in reply:
                    continue
        except (openai.APIError, anthropic.APIError) as error:
            return error
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self.openai.close()
        await self.anthropic.close()


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The SDKs, the gateway, and the simulator behind it."""

    sdks: Sdks
    gateway: Gateway
    simulator: Simulator

    def counted(self, name: str) -> tuple[int, int]:
        """Return how often a model was asked for by the SDK, and at the upstream."""
        sent = sum(each.model == f"up/{name}" for each in self.sdks.sent)
        return sent, len(self.simulator.journal.calls(model=name))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Run a gateway with a key of its own in front of the simulator."""
    simulator = await simulators.start()
    config = f"""
[providers.up]
kind = "openai-compatible"
base_url = "{simulator.base_url}/v1"
api_key = "sk-gateway"
protocols = ["chat_completions", "responses", "messages"]
[[cascades]]
id = "chain"
[[cascades.steps]]
model = "up/large!500"
[[cascades.steps]]
model = "up/large!529"
"""
    try:
        async with gateway(config) as running:
            sdks = Sdks(running.url)
            yield World(sdks=sdks, gateway=running, simulator=simulator)
            await sdks.close()
    finally:
        await simulator.close()


@pytest.mark.parametrize("protocol", ["chat_completions", "responses", "messages"])
async def test_each_failure_costs_what_both_policies_say_and_no_call_more(
    world: World, protocol: str
) -> None:
    """Every fault lasts; each is asked for under a name of its own, all of them at once."""
    names = {
        (fault, stream): f"large!{fault}!tag={int(stream)}"
        for fault in EXPECTED
        for stream in (False, True)
    }
    asking = (
        world.sdks.ask(protocol, f"up/{name}", stream=stream) for (_, stream), name in names.items()
    )
    async with asyncio.timeout(LONGEST):
        errors = await asyncio.gather(*asking)
    counted = {case: world.counted(name) for case, name in names.items()}
    assert counted == {(fault, stream): EXPECTED[fault] for fault, stream in names}
    kinds = {case: type(error) for case, error in zip(names, errors, strict=True)}
    assert all(
        issubclass(kind, openai.APIStatusError | anthropic.APIStatusError)
        for kind in kinds.values()
    ), kinds


async def test_a_retry_after_is_waited_for_by_gateway_and_sdk_in_turn(world: World) -> None:
    """The gateway waits one second before its retry, the SDK one second before each of its own."""
    await world.sdks.ask("messages", "up/large!429=1", stream=True)
    sent = [each.at for each in world.sdks.sent]
    arrived = [each.at for each in world.simulator.journal.calls()]
    assert len(sent) == ATTEMPTS
    assert all(after - before >= 2 for before, after in pairwise(sent))
    assert all(after - before >= 1 for before, after in pairwise(arrived))


@pytest.mark.parametrize("protocol", ["chat_completions", "messages"])
async def test_a_failure_that_is_over_at_the_retry_is_never_seen(
    world: World, protocol: str
) -> None:
    """One 500, one reset: the SDK asks once and gets its answer."""
    for fault in ("500", "reset", "429=1", "529"):
        world.simulator.script([fault])
        assert await world.sdks.ask(protocol, "up/large", stream=True) is None
    assert world.counted("large") == (4, 8)


async def test_a_cascade_that_fails_as_a_whole_stays_within_the_product(world: World) -> None:
    """Two candidates with at most one retry each, three times: never more than twelve calls.

    Breakers that open meanwhile change which is tried first, and so who is retried.
    """
    await world.sdks.ask("chat_completions", "chain", stream=False)
    asked = [each for each in world.sdks.sent if each.model == "chain"]
    calls = world.simulator.journal.calls()
    assert len(asked) == ATTEMPTS
    assert 2 * ATTEMPTS <= len(calls) <= 4 * ATTEMPTS
    assert {call.model for call in calls} == {"large!500", "large!529"}


async def test_what_the_gateway_refuses_itself_costs_no_call_and_no_retry(world: World) -> None:
    """An unknown name: the SDK asks once, the upstream hears nothing."""
    assert isinstance(
        await world.sdks.ask("chat_completions", "nothing", stream=False), openai.NotFoundError
    )
    assert isinstance(
        await world.sdks.ask("messages", "nothing", stream=True), anthropic.NotFoundError
    )
    assert len(world.sdks.sent) == 2
    assert not world.simulator.journal.calls()
