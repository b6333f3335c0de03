"""A gateway in front of a simulator, asked one short question after another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
import msgspec
from support.dialects import address, encoded
from support.gateway import Gateway, gateway

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What came back of a request, as a whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def attempts(self) -> int:
        """How many attempts the gateway says it made."""
        return int(self.headers["x-gatewayctl-attempts"])

    @property
    def model(self) -> str:
        """Which model the gateway says it was."""
        return self.headers["x-gatewayctl-model"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A running gateway and the simulator behind it."""

    gateway: Gateway
    simulator: Simulator

    async def ask(
        self,
        model: str,
        protocol: str = "chat_completions",
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        """Ask a model or a route; return all of the answer."""
        body = encoded(protocol, model, "Hello", stream=stream)
        url = self.gateway.url + address(protocol, model, stream=stream)
        limit = aiohttp.ClientTimeout(total=60)
        async with self.gateway.client.post(
            url, data=body, headers=headers, timeout=limit
        ) as answer:
            return Told(status=answer.status, headers=answer.headers, body=await answer.read())

    def calls(self, model: str) -> int:
        """Return how often the simulator was asked for a model, faults in its name included."""
        return len(self.simulator.journal.calls(model=model))


@contextlib.asynccontextmanager
async def asking(
    config: Callable[[str], str], clock: Callable[[], float] | None = None
) -> AsyncIterator[Setting]:
    """Run both; ``config`` makes the gateway's of the simulator's base URL.

    ``clock`` is the simulator's, see there.
    """
    simulator = await simulators.start(clock=clock)
    try:
        async with gateway(config(simulator.base_url)) as running:
            yield Setting(gateway=running, simulator=simulator)
    finally:
        await simulator.close()
        await asyncio.sleep(0)


def cascade(name: str, *models: str, **settings: str) -> str:
    """Return the configuration of a cascade; values of ``settings`` are TOML."""
    head = "".join(f"{key} = {value}\n" for key, value in settings.items())
    steps = "".join(f'[[cascades.steps]]\nmodel = "{model}"\n' for model in models)
    return f'[[cascades]]\nid = "{name}"\n{head}{steps}'
