"""A model is loaded before a request is refused by a window that is only assumed."""

import json
from collections.abc import Sequence

from support.gateway import Gateway, gateway
from support.upstream import FakeUpstream, Hold, RawRequest, Step, sized
from support.waiting import until

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    ],
}


def config(base_url: str, more: str = "") -> str:
    """Return a config with an Ollama and another server at the same address."""
    return f"""
[registry.sources]
litellm = ""
models_dev = ""
[providers.ollama]
base_url = "{base_url}/v1"
[providers.other]
kind = "openai-compatible"
base_url = "{base_url}/v1"
[[models]]
id = "ollama/m"
context_window = 32768
[[models]]
id = "other/m"
context_window = 100000
[[cascades]]
id = "both"
steps = [{{ model = "ollama/m" }}, {{ model = "other/m" }}]
{more}
"""


def loads(upstream: FakeUpstream) -> int:
    """Return how often a model was to be loaded."""
    return sum(request.target == "/api/generate" for request in upstream.requests)


async def ask(it: Gateway, model: str) -> int:
    """Ask for a reply to some 6,000 tokens; return the status."""
    body = {"model": model, "messages": [{"role": "user", "content": "river " * 6_000}]}
    async with it.client.post(f"{it.url}/v1/chat/completions", json=body) as reply:
        await reply.read()
        return reply.status


async def test_a_model_that_cannot_be_loaded_is_refused_and_not_tried_again_at_once() -> None:
    """A server that is not there, or has no such model, is not asked for every request."""
    missing = sized(b'{"error":"model not found"}', status=404)
    async with (
        FakeUpstream(choose=lambda _: missing) as upstream,
        gateway(config(upstream.base_url), refreshing=True) as it,
    ):
        assert [await ask(it, "ollama/m") for _ in range(3)] == [413] * 3
        assert loads(upstream) == 1


async def test_whoever_has_another_candidate_does_not_wait_for_the_loading() -> None:
    """A route goes on to the next model at once, while the first is loaded for the next time."""

    def choose(request: RawRequest) -> Sequence[Step]:
        if request.target == "/api/generate":
            return [Hold()]
        if request.target == "/v1/chat/completions":
            return sized(json.dumps(ANSWER).encode())
        return sized(b"{}", status=404)

    async with (
        FakeUpstream(choose=choose) as upstream,
        gateway(config(upstream.base_url), refreshing=True) as it,
    ):
        assert await ask(it, "both") == 200
        await until(lambda: loads(upstream) == 1)
        assert await ask(it, "both") == 200
        assert loads(upstream) == 1


async def test_a_dry_run_loads_nothing() -> None:
    """Asking what would be done does nothing."""
    async with (
        FakeUpstream([sized(b"{}", status=404)]) as upstream,
        gateway(config(upstream.base_url)) as it,
    ):
        body = {"model": "ollama/m", "messages": [{"role": "user", "content": "river " * 6_000}]}
        url = f"{it.url}/v1/chat/completions"
        async with it.client.post(url, json=body, headers={"x-gatewayctl-dry-run": "1"}) as reply:
            assert "assumed until the server says" in await reply.text()
        assert loads(upstream) == 0
