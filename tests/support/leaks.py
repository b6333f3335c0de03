"""What a test leaves behind: tasks, file descriptors, connections."""

import asyncio
import gc
import os
from pathlib import Path
from typing import Final

import msgspec
from support.gateway import Gateway
from support.waiting import until

from gatewayctl.simulator import Simulator
from gatewayctl.simulator.journal import Ending
from gatewayctl.upstream.client import AiohttpUpstream

_OPEN: Final = Path("/proc/self/fd")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the process holds: running tasks and open file descriptors."""

    tasks: int
    files: int


def held() -> Held:
    """Count now, what is unreachable left out; without ``/proc`` no files are counted."""
    gc.collect()
    files = len(os.listdir(_OPEN)) if _OPEN.is_dir() else 0  # noqa: PTH208 - only how many
    return Held(tasks=len(asyncio.all_tasks()), files=files)


async def back_to(before: Held) -> None:
    """Wait until no more is held than before; fail with what is, if that never comes."""

    def is_back() -> bool:
        now = held()
        return now.tasks <= before.tasks and now.files <= before.files

    try:
        await until(is_back, seconds=5)
    except TimeoutError:
        names = [str(task) for task in asyncio.all_tasks()]
        raise AssertionError(f"left behind: {held()} after {before}; {names}") from None


async def only_pooled(gateway: Gateway, simulator: Simulator, at_rest: Held) -> None:
    """Wait until nothing of all requests is left but idle connections in the gateway's pool.

    Closes the test's own client, which holds connections and through them tasks.
    """
    await gateway.client.close()
    upstream = gateway.app._pipeline._parts.tries._upstream
    assert isinstance(upstream, AiohttpUpstream)
    pool = upstream._session.connector
    assert pool is not None

    def is_idle() -> bool:
        replies = all(it.ending is not Ending.RUNNING for it in simulator.journal.requests)
        # The simulator has a task for each connection.
        tasks = len(asyncio.all_tasks()) - simulator.open_connections
        return replies and not pool._acquired and tasks <= at_rest.tasks

    try:
        await until(is_idle, seconds=5)
    except TimeoutError:
        names = [str(task) for task in asyncio.all_tasks()]
        raise AssertionError(f"still held: {len(pool._acquired)} replies; {names}") from None


async def alone(simulator: Simulator) -> None:
    """Wait until nobody is connected to the simulator any more."""
    await until(lambda: simulator.open_connections == 0, seconds=5)
