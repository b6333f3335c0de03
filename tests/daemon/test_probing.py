"""``/api/quota``: told on a GET, asked for on a POST, forgotten on request."""

import json
from typing import Any

import pytest
from support.gateway import Gateway, gateway
from support.standin import standing_in

CONFIG = """
[providers.or]
kind = "openrouter"
base_url = "{url}/api/v1"
api_key = ["sk-planted-one", "sk-planted-two"]
[providers.plain]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
"""
KEY = json.dumps({"data": {"limit": 10, "limit_remaining": 4}}).encode()


async def told(running: Gateway, method: str, query: str = "") -> tuple[int, dict[str, Any]]:
    """Return the status and the document of one question."""
    async with running.client.request(method, f"{running.url}/api/quota{query}") as reply:
        return reply.status, await reply.json()


async def test_only_a_post_asks_the_providers() -> None:
    """A GET calls nobody; a POST asks about each key, and what was answered is known from then."""
    with standing_in(KEY) as upstream:
        async with gateway(CONFIG.format(url=upstream.url)) as running:
            status, document = await told(running, "GET")
            assert (status, document["credentials"], upstream.asked) == (200, [], [])
            status, document = await told(running, "POST")
            assert upstream.asked == [("/api/v1/key", b"")] * 2
            labels = [each["credential"] for each in document["credentials"]]
            assert (status, labels) == (200, ["or#1", "or#2"])
            assert [each["error"] for each in document["probes"]] == [None, None]
            _, document = await told(running, "GET")
            (window,) = document["credentials"][0]["windows"]
            assert (window["remaining"], window["source"]) == (4.0, "probe")
            assert document["probes"] == []


@pytest.mark.parametrize("status", [401, 500])
async def test_an_answer_that_is_none_is_told_without_the_key(status: int) -> None:
    """What went wrong stands beside what is known, and quotes neither key nor answer."""
    with standing_in(b"sk-planted-one is wrong") as upstream:
        upstream.status = status
        async with gateway(CONFIG.format(url=upstream.url)) as running:
            _, document = await told(running, "POST")
    assert [f"HTTP {status}" in each["error"] for each in document["probes"]] == [True, True]
    assert "planted" not in json.dumps(document)


async def test_a_credential_is_forgotten_by_name() -> None:
    """Forgetting asks nobody; a name of which nothing is known is a mistake."""
    with standing_in(KEY) as upstream:
        async with gateway(CONFIG.format(url=upstream.url)) as running:
            await told(running, "POST")
            asked = len(upstream.asked)
            _, document = await told(running, "POST", "?forget=or%231")
            assert [each["credential"] for each in document["credentials"]] == ["or#2"]
            status, document = await told(running, "POST", "?forget=or%231")
            assert (status, "or#1" in json.dumps(document)) == (400, True)
            assert len(upstream.asked) == asked
