"""The daemon's surfaces over real HTTP: answers, refusals, lists, and errors that say where."""

import json
from collections.abc import AsyncIterator

import pytest
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import Gateway, demo
from support.strict import events, reply

from gatewayctl.simulator.server import Simulator

Demo = tuple[Gateway, Simulator]


@pytest.fixture
async def running() -> AsyncIterator[Demo]:
    """Run the demo for one test."""
    async with demo() as both:
        yield both


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_reply_is_whole_and_says_who_gave_it(running: Demo, protocol: str) -> None:
    """Each dialect is answered in its own shape, with the gateway's headers."""
    gateway, _ = running
    body = encoded(protocol, "demo-dispatcher", "Hello!")
    async with gateway.client.post(gateway.url + PATHS[protocol], data=body) as answer:
        assert answer.status == 200
        reply(protocol, await answer.read())
        assert answer.headers["x-gatewayctl-model"] == "demo/small"
        assert answer.headers["x-gatewayctl-route"] == "demo-dispatcher"
        assert answer.headers["x-gatewayctl-attempts"] == "1"
        assert answer.headers["x-gatewayctl-request-id"].startswith("req_")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_stream_is_whole_and_strictly_valid(running: Demo, protocol: str) -> None:
    """Each dialect streams valid events to its terminal frame."""
    gateway, _ = running
    body = encoded(protocol, "demo/large", "Hello!", stream=True)
    async with gateway.client.post(gateway.url + PATHS[protocol], data=body) as answer:
        assert answer.content_type == "text/event-stream"
        assert events(protocol, await answer.read())


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_forty_thousand_tokens_go_to_the_large_model(running: Demo, protocol: str) -> None:
    """The dispatcher skips the small window without asking it."""
    gateway, simulator = running
    body = encoded(protocol, "demo-dispatcher", "word " * 40_000)
    async with gateway.client.post(gateway.url + PATHS[protocol], data=body) as answer:
        assert answer.status == 200
        assert answer.headers["x-gatewayctl-model"] == "demo/large"
    assert len(simulator.journal.requests) == 1


@pytest.mark.parametrize(
    ("protocol", "status", "said"),
    [
        ("chat_completions", 413, "context_length_exceeded"),
        ("responses", 400, "context_length_exceeded"),
        ("messages", 413, "prompt is too long: "),
    ],
)
async def test_what_cannot_fit_is_refused_without_an_upstream_connection_litellm_33686(
    running: Demo, protocol: str, status: int, said: str
) -> None:
    """In all three dialects, Responses included, the small model refuses by itself."""
    gateway, simulator = running
    body = encoded(protocol, "demo/small", "word " * 40_000)
    async with gateway.client.post(gateway.url + PATHS[protocol], data=body) as answer:
        assert answer.status == status
        told = await answer.text()
    assert said in told
    details = json.loads(told)["error"]["gatewayctl"]
    assert details["ceiling"] == 32_768
    assert details["candidates"][0]["shortfall"] > 0
    assert "demo/large" in details["would_fit"]
    assert simulator.journal.connections == 0


async def test_the_flaky_model_is_rescued_by_the_cascade(running: Demo) -> None:
    """Every other call of the first step fails; the client never sees it.

    What is overloaded goes on to the next step at once, a lost connection is retried first.
    """
    gateway, _ = running
    seen = []
    for _ in range(4):
        body = encoded("chat_completions", "demo-cascade", "Hello!")
        async with gateway.client.post(f"{gateway.url}/v1/chat/completions", data=body) as answer:
            assert answer.status == 200
            told = answer.headers
            seen.append((told["x-gatewayctl-model"], told["x-gatewayctl-attempts"]))
    first, spare = "demo/flaky", "demo/large"
    assert seen == [(spare, "2"), (first, "1"), (first, "2"), (spare, "2")]


async def test_count_tokens_counts_system_and_tools_and_never_refuses_by_size_cliproxyapi_679(
    running: Demo,
) -> None:
    """System and tools count; what is over the window is counted all the same."""
    gateway, simulator = running
    url = f"{gateway.url}/v1/messages/count_tokens"

    async def count(**fields: object) -> int:
        turns = [{"role": "user", "content": "Hello"}]
        body = json.dumps({"model": "demo/small", "messages": turns, **fields})
        async with gateway.client.post(url, data=body) as answer:
            assert answer.status == 200
            return int(json.loads(await answer.read())["input_tokens"])

    plain = await count()
    tool = {"name": "look", "description": "Look " * 50, "input_schema": {"type": "object"}}
    assert await count(system="Be brief. " * 50) > plain + 50
    assert await count(tools=[tool]) > plain + 50
    assert await count(system="word " * 40_000) > 32_768
    assert simulator.journal.connections == 0


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/v1/models"])
async def test_models_are_listed_in_openais_shape(running: Demo, path: str) -> None:
    """Routes and models, with windows and members, whatever the base URL did to /v1."""
    gateway, _ = running
    async with gateway.client.get(gateway.url + path) as answer:
        listed = {entry["id"]: entry for entry in json.loads(await answer.read())["data"]}
    assert listed["demo/small"]["context_window"] == 32_768
    assert listed["demo-alloy"]["context_window"] == 32_768
    assert listed["demo-dispatcher"]["context_window"] == 262_144
    assert listed["demo-cascade"]["members"] == ["demo/flaky", "demo/large"]


async def test_models_are_listed_in_anthropics_shape_with_names_its_clients_take(
    running: Demo,
) -> None:
    """With anthropic-version the list is Anthropic's, and claude-via names are accepted back."""
    gateway, _ = running
    headers = {"anthropic-version": "2023-06-01"}
    async with gateway.client.get(f"{gateway.url}/v1/models", headers=headers) as answer:
        listed = [entry["id"] for entry in json.loads(await answer.read())["data"]]
    assert "claude-via-demo--small" in listed
    body = encoded("messages", "claude-via-demo--small", "Hello")
    async with gateway.client.post(f"{gateway.url}/v1/messages", data=body) as answer:
        assert answer.headers["x-gatewayctl-model"] == "demo/small"


async def test_one_model_can_be_asked_for_and_an_unknown_one_is_404(running: Demo) -> None:
    """Slashes stand plain or encoded, bare ids are found; the nearest names are told."""
    gateway, _ = running
    for name in ("demo/small", "demo%2Fsmall", "small"):
        async with gateway.client.get(f"{gateway.url}/v1/models/{name}") as answer:
            assert json.loads(await answer.read())["id"] == "demo/small"
    async with gateway.client.get(f"{gateway.url}/v1/models/demo-alloy") as answer:
        assert json.loads(await answer.read())["context_window"] == 32_768
    async with gateway.client.get(f"{gateway.url}/v1/models/demo/smal") as answer:
        assert answer.status == 404
        assert "demo/small" in await answer.text()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_unknown_model_is_404_with_the_nearest_names(running: Demo, protocol: str) -> None:
    """In each dialect."""
    gateway, _ = running
    body = encoded(protocol, "demo-dispacher", "Hello")
    async with gateway.client.post(gateway.url + PATHS[protocol], data=body) as answer:
        assert answer.status == 404
        assert "demo-dispatcher" in await answer.text()


async def test_health_readiness_and_the_root_answer(running: Demo) -> None:
    """What supervisors and Claude Code ask for."""
    gateway, _ = running
    for path in ("/healthz", "/readyz"):
        async with gateway.client.get(gateway.url + path) as answer:
            assert answer.status == 200
    async with gateway.client.head(gateway.url + "/") as answer:
        assert answer.status == 200
    gateway.app.unready = "draining"
    async with gateway.client.get(f"{gateway.url}/readyz") as answer:
        assert answer.status == 503
        assert "draining" in await answer.text()


MALFORMED = {
    "nothing": b"",
    "not JSON": b'{"model": "demo/small", "messages": [}',
    "cut off": b'{"model": "demo/small", "messages": [{"role": "us',
    "an array": b"[]",
    "no model": b'{"messages": []}',
    "model is a number": b'{"model": 5, "messages": [], "input": "x", "max_tokens": 1}',
    "messages is text": b'{"model": "demo/small", "messages": "hi", "input": 5, "max_tokens": 1}',
    "not UTF-8": b'{"model": "demo/small", "messages": "\xff", "input": "\xff", "max_tokens": 1}',
    "deep": b'{"model": "demo/small", "max_tokens": 1, "messages": '
    + b"[" * 50_000
    + b"]" * 50_000
    + b', "input": '
    + b"[" * 50_000
    + b"]" * 50_000
    + b"}",
    "negative budget": b'{"model": "demo/small", "messages": [], "input": "x", "max_tokens": -1,'
    b' "max_output_tokens": -1}',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("case", MALFORMED)
async def test_the_clients_own_mistake_is_a_400_that_says_where_litellm_35626(
    running: Demo, protocol: str, case: str
) -> None:
    """No odd input is a 500, and none slips past the check to the upstream."""
    gateway, simulator = running
    async with gateway.client.post(gateway.url + PATHS[protocol], data=MALFORMED[case]) as answer:
        assert answer.status == 400
        error = json.loads(await answer.read())["error"]
    assert error["type"] == "invalid_request_error"
    assert "$" in error["message"] or "byte" in error["message"] or "empty" in error["message"]
    assert simulator.journal.connections == 0


async def test_unknown_paths_and_methods_are_told_in_the_callers_dialect(running: Demo) -> None:
    """404 says what is served, 405 what is taken."""
    gateway, _ = running
    async with gateway.client.get(f"{gateway.url}/v2/nothing") as answer:
        assert answer.status == 404
        assert "/v1/chat/completions" in await answer.text()
    async with gateway.client.get(f"{gateway.url}/v1/messages") as answer:
        assert answer.status == 405
        assert answer.headers["allow"] == "POST"
        assert json.loads(await answer.read())["type"] == "error"


async def test_a_page_under_a_foreign_name_is_kept_out(running: Demo) -> None:
    """DNS rebinding: loopback names pass, others are refused unless the config allows them."""
    gateway, simulator = running
    for host in ("evil.example", "evil.example:8790", "127.0.0.1.evil.example"):
        async with gateway.client.post(
            f"{gateway.url}/v1/chat/completions", data=b"{}", headers={"host": host}
        ) as answer:
            assert answer.status == 403
    for host in ("localhost", "127.0.0.1:1", "[::1]:8790", "LOCALHOST:1"):
        async with gateway.client.get(f"{gateway.url}/healthz", headers={"host": host}) as answer:
            assert answer.status == 200
    assert simulator.journal.connections == 0


async def test_a_path_of_one_dialect_is_in_no_other_whatever_headers_say() -> None:
    """A header that names another vendor's version changes nothing about what the body is."""
    async with (
        demo() as (it, _),
        it.client.post(
            f"{it.url}/v1/chat/completions",
            data=encoded("chat_completions", "demo/small", "Hi"),
            headers={"anthropic-version": "2023-06-01"},
        ) as answer,
    ):
        assert (await answer.json())["object"] == "chat.completion"
