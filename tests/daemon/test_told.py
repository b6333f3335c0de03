"""What a client is told when all has failed: ids, figures, limits, and what to do next."""

import json
from typing import Any

import pytest
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import Gateway, demo, gateway, upstream_config
from support.upstream import JSON, FakeUpstream, Pause, sized

CASCADE = """
[[cascades]]
id = "both"
steps = [{ model = "demo/small!%s" }, { model = "demo/large!%s" }]
"""


async def ask(it: Gateway, protocol: str, model: str, **fields: Any) -> tuple[int, Any, Any]:
    """Return status, headers and the body's last JSON."""
    body = encoded(protocol, model, "Hi", **fields)
    async with it.client.post(it.url + PATHS[protocol], data=body) as answer:
        told = (await answer.read()).rstrip().rpartition(b"\n")[2].removeprefix(b"data: ")
        return answer.status, answer.headers, json.loads(told)


def details(protocol: str, told: Any) -> Any:
    """Return the ``gatewayctl`` object of an error, streamed or not."""
    error = told["response"]["error"] if protocol == "responses" and "response" in told else None
    return (error or told["error"])["gatewayctl"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_error_after_early_headers_names_the_request(protocol: str) -> None:
    """So that it can be found in the log, where no header can carry it any more."""
    reply = [Pause(seconds=0.3), *sized(b'{"error":{"message":"no"}}', 500)]
    async with (
        FakeUpstream([reply]) as upstream,
        gateway(upstream_config(upstream.base_url), silence=0.1) as it,
    ):
        status, headers, told = await ask(it, protocol, "up/m", stream=True)
    assert status == 200
    found = details(protocol, told)
    assert found["request_id"] == headers["x-gatewayctl-request-id"]
    assert [each["kind"] for each in found["attempts"]] == ["server_error"] * 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_stream_that_breaks_tells_all_attempts_in_order(protocol: str) -> None:
    """Those before its own too: what was tried, and what broke."""
    async with demo(CASCADE % ("503", "cut-events=6")) as (it, _):
        _, headers, told = await ask(it, protocol, "both", stream=True)
    found = details(protocol, told)
    assert found["requested"] == "both"
    assert found["request_id"] == headers["x-gatewayctl-request-id"]
    assert [each["kind"] for each in found["attempts"]] == ["overloaded", "network"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_overflow_that_upstreams_found_has_the_figures_of_a_refusal(protocol: str) -> None:
    """Windows, budgets and shortfalls, as if it had been refused before it was sent."""
    sizes = "".join(
        f'[[models]]\nid = "demo/{name}!overflow=vllm"\ncontext_window = {window}\n'
        for name, window in (("small", 32_768), ("large", 262_144))
    )
    async with demo(CASCADE % ("overflow=vllm", "overflow=vllm") + sizes) as (it, _):
        status, _, told = await ask(it, protocol, "both")
    assert status == (400 if protocol == "responses" else 413)
    found = details(protocol, told)
    assert found["context_window"] == 262_144
    assert found["ceiling"] == 131_072  # as the upstream names it
    assert found["estimated_input_tokens"] + found["output_budget"] >= 131_073
    assert found["safety_margin"] == 1.1
    assert [each["ceiling"] for each in found["candidates"]] == [32_768, 262_144]
    assert all(each["shortfall"] > 0 for each in found["candidates"])


async def test_a_window_that_nobody_knew_is_told_as_the_upstream_names_it() -> None:
    """A figure of our own making would have Claude Code drop one round at a time."""
    refusal = b"This model's maximum context length is 8192 tokens. However, you requested 9000."
    body = b'{"error":{"message":"%b","type":"BadRequestError","code":400}}' % refusal
    async with (
        FakeUpstream([sized(body, 400)]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        _, _, told = await ask(it, "messages", "up/m")
    assert told["error"]["message"].endswith("> 8192 maximum")


async def test_an_exhausted_route_tells_the_limits_of_its_first_cause() -> None:
    """Whoever said it: agents show them, and wait by them."""
    limited = sized(
        b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}',
        429,
        (*JSON, ("retry-after", "70"), ("x-ratelimit-remaining-requests", "0")),
    )
    route = '[[cascades]]\nid = "c"\nsteps = [{ model = "up/m" }, { model = "demo/large!503" }]\n'
    async with FakeUpstream([limited]) as upstream:
        config = upstream_config(upstream.base_url) + route
        async with demo(config) as (it, _):
            status, headers, _ = await ask(it, "chat_completions", "c")
    assert status == 429
    assert headers["retry-after"] == "70"
    assert headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [("chat_completions", 503), ("responses", 503), ("messages", 529)],
)
async def test_nothing_healthy_says_when_to_come_again(protocol: str, expected: int) -> None:
    """Also where no upstream said so itself."""
    async with demo(CASCADE % ("503", "529")) as (it, _):
        status, headers, _ = await ask(it, protocol, "both")
    assert status == expected
    assert int(headers["retry-after"]) >= 1


async def test_a_refused_key_of_the_gateways_says_which_one_to_mend() -> None:
    """The client's own is not at fault, and whoever reads it can act."""
    async with FakeUpstream([sized(b'{"error":{"message":"bad key"}}', 401)]) as upstream:
        config = upstream_config(upstream.base_url, auth="key", more='api_key = "sk-wrong-key"')
        async with gateway(config) as it:
            status, headers, told = await ask(it, "chat_completions", "up/m")
    assert (status, headers["x-should-retry"]) == (502, "false")
    assert "the gateway's own credential for up" in told["error"]["message"]
    assert "sk-wrong-key" not in json.dumps(told)
