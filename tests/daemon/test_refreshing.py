"""The refresher asks what is due, once among all processes, and gives nobody's secret away."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.gateway import settings_of
from support.refreshing import CONFIG, SECRET, START, TTL, World, table
from support.sources import source
from support.waiting import until

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import SourceFailed
from gatewayctl.daemon.refreshing import Refresher, headers_by
from gatewayctl.registry.freshness import Freshness
from gatewayctl.registry.live import Live
from gatewayctl.upstream.credentials import Credentials


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a world whose sources end with the test."""
    made = World(tmp_path)
    yield made
    made.tables.close()
    made.api.close()


def _processes(*files: str) -> Iterator[str]:
    """Yield what can be seen of this process's own children, where there is a /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            told = "".join((entry / file).read_bytes().decode() for file in files)
        except OSError:
            continue
        if parent == os.getpid():
            yield told


async def test_a_local_servers_empty_list_is_believed(world: World) -> None:
    """Models are loaded and removed there as their owner likes."""
    with source() as box:
        settings = settings_of(
            CONFIG.format(
                tables=world.tables.url, models_dev="", api=world.api.url, box=box.url, secret="x"
            )
        )
        world.settings, world.live = settings, Live(settings, world.cache.load())
        refresher = world.another(settings)
        shown = {"model_info": {"llama.context_length": 40_960}}
        models = [{"name": f"m{n}:latest", "model": f"m{n}:latest"} for n in range(4)]
        pages: dict[str, Any] = {"/api/tags": {"models": models}, "/api/show": shown}

        def play(peer: Any, closing: Any) -> None:
            box.table(pages.get(box.asked[-1].path, {"models": []}))(peer, closing)

        box.play = play
        await refresher.tick()
        assert world.told()["box"].models >= 4
        assert world.window("box/m3") == 40_960
        pages["/api/tags"] = {"models": []}
        world.now += 601
        await refresher.tick()
        assert (world.told()["box"].status, world.told()["box"].models) == (Freshness.FRESH, 0)
        assert world.window("box/m3") is None


async def test_a_source_that_fails_is_asked_less_and_less(world: World) -> None:
    """After a minute, two, four, …, and never less often than its time to live."""
    world.tables.play = world.tables.status(503)
    asked: list[float] = []
    while world.now < START + 5 * TTL:
        before = len(world.tables.asked)
        await world.refresher.tick()
        if len(world.tables.asked) > before:
            asked.append(world.now - START)
        world.now += 60 if world.now < START + 600 else 1800
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps[:3] == [60, 120, 240]
    assert max(gaps) <= TTL
    assert len(asked) < 14


async def test_what_is_fresh_is_not_asked_again(world: World) -> None:
    """Not by this process, nor by another that finds the cache so."""
    await world.refresher.tick()
    await world.refresher.tick()
    await world.another(world.settings).tick()
    assert len(world.tables.asked) == 1
    assert len(world.api.asked) == 1


async def test_several_refreshers_ask_a_source_once(world: World) -> None:
    """Two daemons that start together share one download."""
    reply = world.tables.table(table())

    def play(peer: Any, closing: Any) -> None:
        closing.wait(0.5)
        reply(peer, closing)

    world.tables.play = play
    await asyncio.gather(*(world.another(world.settings).tick() for _ in range(3)))
    assert len(world.tables.asked) == 1
    assert world.told()["litellm"].status is Freshness.FRESH


async def test_a_provider_without_a_credential_is_not_asked(world: World) -> None:
    """A secret that cannot be had is a failure that is told; one that is not there is none."""

    async def nothing(_: ProviderSettings) -> Mapping[str, str] | None:
        return None

    await world.another(world.settings, headers=nothing).tick()
    assert not world.api.asked
    assert world.told()["anthropic"].status is Freshness.NEVER

    async def broken(_: ProviderSettings) -> Mapping[str, str] | None:
        raise SourceFailed("no credential for anthropic: no file")

    world.now += 1
    await world.another(world.settings, headers=broken).tick()
    assert not world.api.asked
    told = world.told()["anthropic"]
    assert (told.status, told.error) == (Freshness.FAILED, "no credential for anthropic: no file")


async def test_a_credential_is_the_one_that_requests_go_out_with(world: World) -> None:
    """In the header that the listing wants; None for a provider that only clients may ask."""
    credentials = Credentials({})
    headers = headers_by(credentials, {})
    found = await headers(world.settings.providers["anthropic"])
    assert found is not None
    assert found["x-api-key"] == SECRET
    forwarding = settings_of('[providers.anthropic]\nauth = "forward"').providers["anthropic"]
    assert await headers(forwarding) is None
    missing = settings_of('[providers.anthropic]\napi_key = { command = ["false"] }').providers[
        "anthropic"
    ]
    with pytest.raises(SourceFailed, match="no credential for anthropic"):
        await headers(missing)
    await credentials.close()


async def test_nothing_is_asked_where_refreshing_is_manual(world: World) -> None:
    """Then only ``models refresh`` fetches."""
    registry = msgspec.structs.replace(world.settings.registry, background=False)
    refresher = world.another(msgspec.structs.replace(world.settings, registry=registry))
    refresher.soon("litellm")
    await refresher.tick()
    assert not world.tables.asked


async def test_no_secret_is_logged_or_shown_to_other_processes(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A line per source, whatever it answers; the credential goes by a pipe."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []

    def play(peer: Any, closing: Any) -> None:
        seen.extend(_processes("cmdline", "environ"))
        world.api.reply(SECRET.encode(), f"500 {SECRET}", X_Echo=SECRET)(peer, closing)

    world.api.play = play
    await world.refresher.tick()
    lines = [record.getMessage() for record in caplog.records]
    assert "registry_refreshed source=litellm models=5000 changed=true" in lines
    failed = 'registry_refresh_failed source=anthropic outcome=failed reason="HTTP 500'
    assert any(line.startswith(failed) for line in lines)
    assert SECRET not in "\n".join(lines)
    if sys.platform == "linux":
        own = [each for each in seen if "gatewayctl.upstream.refresher" in each]
        assert own
        assert SECRET not in "\n".join(own)


async def test_soon_is_within_seconds_and_not_more_often(world: World) -> None:
    """The first reply of a local model has its server asked, and the second one does not."""
    await world.refresher.tick()
    for seconds, asked in ((1, 1), (1, 1), (4, 2), (1, 2)):
        world.now += seconds
        world.refresher.soon("litellm")
        world.refresher.soon("nobody")
        await world.refresher.tick()
        assert len(world.tables.asked) == asked


async def test_a_server_that_is_answering_is_not_disturbed(world: World) -> None:
    """llama-cpp-python breaks off the stream that it is writing when it is asked for its models."""
    with source() as box:
        box.play = box.table({"data": []})
        text = CONFIG.format(
            tables=world.tables.url, models_dev="", api=world.api.url, box=box.url, secret="x"
        ).replace('kind = "ollama"', 'kind = "llamacpp"')
        answering = {"box"}
        refresher = world.another(settings_of(text), busy=answering.__contains__)
        for _ in range(3):
            refresher.soon("box")
            await refresher.tick()
            world.now += 601
        assert not box.asked
        answering.clear()
        await refresher.tick()
        assert box.asked


@pytest.fixture
async def running() -> AsyncIterator[Callable[..., asyncio.Task[None]]]:
    """Run refreshers that end with the test."""
    tasks: list[asyncio.Task[None]] = []

    def run(refresher: Refresher) -> asyncio.Task[None]:
        tasks.append(asyncio.ensure_future(refresher.run()))
        return tasks[-1]

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_running_it_asks_what_is_due_and_what_is_wanted_soon(
    world: World, running: Callable[..., asyncio.Task[None]]
) -> None:
    """Without a request, and at once when somebody asks for it."""
    running(world.refresher)
    async with asyncio.timeout(20):
        await until(lambda: world.window("anthropic/claude-a") == 200_000)
        await until(lambda: world.window() == 100_000)
        world.tables.play = world.tables.table(table(window=90_000))
        world.now += 6
        world.refresher.soon("litellm")
        await until(lambda: world.window() == 90_000)


async def test_stopping_ends_the_process_at_once(
    world: World, running: Callable[..., asyncio.Task[None]]
) -> None:
    """A daemon that is told to stop does not wait for a source that hangs."""
    world.tables.play = world.tables.nothing()
    task = running(world.refresher)
    async with asyncio.timeout(20):
        await until(lambda: bool(world.tables.asked))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not any("gatewayctl.upstream.refresher" in argv for argv in _processes("cmdline"))
