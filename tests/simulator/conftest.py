"""A running simulator, and a plain HTTP client, for the tests of this folder."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Start a simulator on a free port, and close it after the test."""
    running = await simulators.start()
    yield running
    await running.close()


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client whose paths are relative to the simulator."""
    async with aiohttp.ClientSession(simulator.base_url) as session:
        yield session
