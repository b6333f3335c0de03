"""Whatever the registry's sources answer, what was good stays, and what became of each is told."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, gateway
from support.refreshing import CONFIG, HOUR, SECRET, START, TTL, World, faults, page, table
from support.sources import HUGE, source

from gatewayctl.registry.freshness import Freshness


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a world whose sources end with the test."""
    made = World(tmp_path)
    yield made
    made.tables.close()
    made.api.close()


async def test_a_good_table_outlasts_a_day_of_bad_ones_row_19(world: World) -> None:
    """Row 19 of the bug table: no reply whatever replaces a good table, and all of them are told.

    Twelve times two hours: a fault when the table is due, a good reply a minute later.
    """
    await world.refresher.tick()
    good = world.told()["litellm"]
    assert (good.status, good.models, good.error) == (Freshness.FRESH, 5000, None)
    for name, (play, status, reason) in faults(world.tables).items():
        fetched_at = world.told()["litellm"].fetched_at
        world.now += TTL + 1
        assert world.told()["litellm"].status is Freshness.STALE, name
        world.tables.play = play
        await world.refresher.tick()
        told = world.told()["litellm"]
        assert told.status is status, name
        assert reason in (told.error or ""), name
        assert told.fetched_at == fetched_at, name
        assert (told.attempted_at or "") > (fetched_at or ""), name
        assert told.models == 5000, name
        assert world.window() == 100_000, name
        world.tables.play = world.tables.table(table())
        world.now += 61
        await world.refresher.tick()
        told = world.told()["litellm"]
        assert (told.status, told.error) == (Freshness.FRESH, None), name
        assert told.fetched_at is not None
        assert told.fetched_at > (fetched_at or ""), name
    assert world.now - START >= 24 * HOUR
    assert world.tables.sent < 2 * HUGE * 2**20


async def test_a_providers_own_listing_is_as_safe(world: World) -> None:
    """What it lists comes before the tables, and half of a list for the whole is doubted."""
    await world.refresher.tick()
    assert world.window("anthropic/claude-a") == 200_000
    (asked,) = world.api.asked
    assert asked.headers["x-api-key"] == SECRET
    for bad in (page("claude-a"), page("claude-a", "claude-b", window=1000), page(), {"data": 7}):
        world.now += TTL + 1
        world.api.play = world.api.table(bad)
        await world.refresher.tick()
        told = world.told()["anthropic"]
        assert (told.status, told.models) == (Freshness.QUARANTINED, 4)
        assert world.window("anthropic/claude-d") == 200_000


FAULTS_IN_THE_SUITE = ("half a table",)


class Clock:
    """A time that a test moves on."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        """Return seconds since 1970."""
        return self.now


@pytest.mark.soak
async def test_a_daemon_answers_from_the_good_table_and_tells_the_truth_row_19() -> None:
    """Row 19 of the bug table, through a running daemon: its API and its status, step by step."""
    clock = Clock()
    with source() as tables:
        config = CONFIG.format(
            tables=tables.url, models_dev="", api=tables.url, box=tables.url, secret="x"
        )
        tables.play = tables.table(table())
        async with gateway(config, wall=clock, refreshing=True) as it:

            async def told() -> dict[str, Any]:
                """Return what the status says of the table, and the API of a model in it."""
                async with it.client.get(f"{it.url}/api/status") as reply:
                    status = await reply.json()
                async with it.client.get(f"{it.url}/api/models?provider=openai") as reply:
                    models = await reply.json()
                (said,) = (each for each in models["models"] if each["id"] == "openai/m7")
                (of,) = (
                    each for each in status["registry"]["sources"] if each["name"] == "litellm"
                )
                assert of in models["sources"]
                return {**of, "window": said["context_window"]["value"]}

            await _until_told(it, "fresh")
            good = await told()
            assert (good["models"], good["window"]) == (5000, 100_000)
            for name, (play, status, reason) in faults(tables).items():
                if name not in FAULTS_IN_THE_SUITE and not os.environ.get("GATEWAYCTL_SOAK"):
                    continue
                tables.play = play
                clock.now += TTL + 1
                await _until_told(it, status.value)
                now = await told()
                assert reason in now["error"], name
                assert now["fetched_at"] == good["fetched_at"] < now["attempted_at"], name
                assert (now["models"], now["window"]) == (5000, 100_000), name
                tables.play = tables.table(table())
                clock.now += 61
                await _until_told(it, "fresh")
                good = await told()


async def _until_told(it: Gateway, status: str) -> None:
    """Return as soon as the daemon says so of LiteLLM's table."""
    async with asyncio.timeout(20):
        while True:
            async with it.client.get(f"{it.url}/api/status") as reply:
                sources = (await reply.json())["registry"]["sources"]
            (told,) = (each for each in sources if each["name"] == "litellm")
            if (told["status"], told["models"]) == (status, 5000):  # in use, and not only stored
                return
            await asyncio.sleep(0.05)
