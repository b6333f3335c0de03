"""The refresher asks what is due, and never lets go of what is good for what is not."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.gateway import Gateway, gateway, settings_of
from support.sources import HUGE, Play, Source, source
from support.waiting import until

from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core.errors import SourceFailed
from gatewayctl.daemon.refreshing import Refresher, headers_by
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.freshness import Freshness, SourceStatus
from gatewayctl.registry.live import Live
from gatewayctl.registry.told import Sources
from gatewayctl.upstream.credentials import Credentials

HOUR = 3600.0
START = 1_700_000_000.0
SECRET = "sk-of-nobody-at-all"
TTL = 2 * HOUR
CONFIG = """
[registry]
ttl = "2h"
timeout = "1s"
[registry.sources]
litellm = "{tables}/litellm"
models_dev = "{models_dev}"
[providers.anthropic]
base_url = "{api}/v1"
api_key = "{secret}"
[providers.box]
kind = "ollama"
base_url = "{box}/v1"
"""


def table(count: int = 5000, window: int = 100_000) -> dict[str, Any]:
    """Return a table in LiteLLM's shape."""
    return {
        f"m{n}": {"litellm_provider": "openai", "max_input_tokens": window} for n in range(count)
    }


def page(*models: str, window: int = 200_000) -> dict[str, Any]:
    """Return a list of models in Anthropic's shape."""
    listed = [{"id": model, "max_input_tokens": window, "max_tokens": 64_000} for model in models]
    return {"data": listed, "has_more": False}


class World:
    """A refresher over sources of a test's own, at a time of its own."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.tables, self.api = Source(), Source()
        self.tables.play = self.tables.table(table())
        self.api.play = self.api.table(page("claude-a", "claude-b", "claude-c", "claude-d"))
        self.settings = settings_of(
            CONFIG.format(
                tables=self.tables.url,
                models_dev="",
                api=self.api.url,
                box="http://127.0.0.1:1",
                secret=SECRET,
            )
        )
        self.cache = Cache(folder / "registry")
        self.live = Live(self.settings, self.cache.load())
        self.refresher = self.another(self.settings)

    def another(self, settings: Settings, **more: Any) -> Refresher:
        """Return a refresher over the same cache."""

        async def headers(provider: ProviderSettings) -> Mapping[str, str] | None:
            return {} if provider.provider.name == "box" else {"x-api-key": SECRET}

        return Refresher(
            settings,
            self.cache,
            more.pop("headers", headers),
            lambda: self.now,
            on_refreshed=lambda: self.live.renew(self.cache.load()),
            **more,
        )

    def told(self) -> dict[str, SourceStatus]:
        """Return how fresh each source is said to be."""
        sources = Sources(self.settings, self.cache, lambda _: True, lambda: self.now)
        return {each.name: each for each in sources.told(self.live.current.table)}

    def window(self, model: str = "openai/m7") -> int | None:
        """Return the window that the registry in use knows, or the limit of the input."""
        provider, _, name = model.partition("/")
        facts = self.live.current.facts(provider, name)
        limit = (facts.context_window or facts.max_input_tokens) if facts else None
        return None if limit is None else limit.value


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a world whose sources end with the test."""
    made = World(tmp_path)
    yield made
    made.tables.close()
    made.api.close()


def faults(at: Source) -> dict[str, tuple[Play, Freshness, str]]:
    """Return every way in which a source fails: what it does, and what is to be said of it."""
    failed, quarantined = Freshness.FAILED, Freshness.QUARANTINED
    return {
        "timeout": (at.nothing(), failed, "no whole reply within 1 s"),
        "500": (at.status(500), failed, "HTTP 500 Internal Server Error"),
        "no bytes": (at.reply(b""), quarantined, "not valid JSON"),
        "no models": (at.table({}), quarantined, "no model"),
        "half a table": (at.table(table(2400)), quarantined, "fewer than half of the 5000"),
        "shrunk by 95 %": (at.table(table(window=5000)), quarantined, "a tenth"),
        "half a reply": (at.reply(json.dumps(table()).encode()[:-9]), quarantined, "JSON"),
        "no JSON": (at.reply(b"<html>Sorry"), quarantined, "not valid JSON"),
        "200 MB": (at.huge(announced=False), failed, "larger than 67108864 bytes"),
        "200 MB, announced": (at.huge(announced=True), failed, "larger than 67108864 bytes"),
        "slow headers": (at.slow_headers(), failed, "no whole reply within 1 s"),
        "slow body": (at.slow_body(), failed, "no whole reply within 1 s"),
    }


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
    assert "registry_refreshed source=litellm models=5000 changed" in lines
    failed = "registry_refresh_failed source=anthropic outcome=failed reason=HTTP 500"
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


FAULTS_IN_THE_SUITE = ("half a table", "shrunk by 95 %", "slow headers")


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
            if {"litellm": status}.items() <= {e["name"]: e["status"] for e in sources}.items():
                return
            await asyncio.sleep(0.05)
