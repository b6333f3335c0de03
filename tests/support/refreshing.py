"""A refresher over sources of a test's own, at a time of its own, and every way a source fails."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.gateway import settings_of
from support.sources import Play, Source

from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.daemon.refreshing import Refresher
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.freshness import Freshness, SourceStatus
from gatewayctl.registry.live import Live
from gatewayctl.registry.told import Sources

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
