"""Embeddings and legacy completions through the daemon: passed through, sized, never translated."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from support.gateway import Gateway, gateway
from support.upstream import FakeUpstream, Fin, RawRequest, Step, chunked, sized

VECTORS = (
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],'
    b'"model":"real","usage":{"prompt_tokens":2,"total_tokens":2}}'
)
COMPLETION = (
    b'{"id":"cmpl-1","object":"text_completion","created":1,"model":"real","choices":'
    b'[{"text":"world","index":0,"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
PIECES = [
    b'data: {"id":"cmpl-1","object":"text_completion","choices":[{"text":"wor","index":0}]}\n\n',
    b'data: {"id":"cmpl-1","object":"text_completion","choices":[{"text":"ld","index":0}]}\n\n',
    b'data: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
]
CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
protocols = ["chat_completions", "responses"]
[providers.foreign]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
protocols = ["messages"]
[[models]]
id = "up/real"
context_window = 8192
[[models]]
id = "up/wide"
context_window = 400_000
[[models]]
id = "foreign/m"
context_window = 400_000
[[cascades]]
id = "either"
steps = [{{ model = "foreign/m" }}, {{ model = "up/real" }}, {{ model = "up/wide" }}]
"""

Running = tuple[Gateway, FakeUpstream]


def played(request: RawRequest) -> list[Step]:
    """Return the reply that a request is for."""
    if request.target.endswith("/embeddings"):
        return sized(VECTORS)
    if request.target.endswith("/completions"):
        stream = msgspec.json.decode(request.body).get("stream")
        return chunked(PIECES) if stream else sized(COMPLETION)
    return sized(b"{}", status=404)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """Run a gateway in front of a server that has both endpoints."""
    async with (
        FakeUpstream(choose=played) as upstream,
        gateway(CONFIG.format(url=upstream.base_url)) as started,
    ):
        yield started, upstream


async def post(running: Running, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
    """Send a request; return status, body and headers of the reply."""
    started, _ = running
    async with started.client.post(started.url + path, data=body) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


def encoded(model: str, **fields: Any) -> bytes:
    """Return a request's body."""
    return msgspec.json.encode({"model": model, **fields})


@pytest.mark.parametrize("prefix", ["/v1", "", "/v1/v1"])
async def test_embeddings_pass_through_byte_for_byte(running: Running, prefix: str) -> None:
    """Only the model's name is another; the reply is the upstream's."""
    body = b'{"input": ["a", [1, 2]] ,"model":"up/real","encoding_format":"base64"}'
    status, reply, headers = await post(running, f"{prefix}/embeddings", body)
    assert (status, reply) == (200, VECTORS)
    assert headers["x-gatewayctl-model"] == "up/real"
    (sent,) = running[1].requests
    assert sent.target == "/v1/embeddings"
    assert sent.body == body.replace(b"up/real", b"real")


async def test_of_a_list_each_element_has_to_fit_and_not_their_sum(running: Running) -> None:
    """A thousand texts are welcome that no window could hold together; one too long is not."""
    many = ["some words to be embedded " * 4] * 2000
    status, _, _ = await post(running, "/v1/embeddings", encoded("up/real", input=many))
    assert status == 200
    status, reply, _ = await post(
        running, "/v1/embeddings", encoded("up/real", input=[*many, "word " * 9000])
    )
    assert status == 413
    error = msgspec.json.decode(reply)["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    assert error["gatewayctl"]["would_fit"] == ["either", "up/wide"]
    assert len(running[1].requests) == 1


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ([7] * 8100, 200),
        ([7] * 8300, 413),
        ([[7] * 8100] * 5, 200),
        ([[7], [7] * 8300], 413),
    ],
)
async def test_tokens_are_sized_as_they_are(running: Running, value: Any, status: int) -> None:
    """Their number is exact, so that they may fill the window to its end."""
    assert (await post(running, "/v1/embeddings", encoded("up/real", input=value)))[0] == status


async def test_what_is_large_is_read_apart_and_sized_all_the_same(running: Running) -> None:
    """In the counting process, which knows the endpoint by its name."""
    many = ["word " * 1000] * 150
    status, _, _ = await post(running, "/v1/embeddings", encoded("up/real", input=many))
    assert status == 200
    many.append("word " * 9000)
    assert (await post(running, "/v1/embeddings", encoded("up/real", input=many)))[0] == 413


async def test_a_route_goes_past_whoever_does_not_speak_the_api_or_is_too_small(
    running: Running,
) -> None:
    """Embeddings are never translated; what one cannot hold goes on to the next."""
    for text, model in (("Hello", "up/real"), ("word " * 9000, "up/wide")):
        body = encoded("either", input=text)
        status, _, headers = await post(running, "/v1/embeddings", body)
        assert (status, headers["x-gatewayctl-model"]) == (200, model)
    status, reply, _ = await post(running, "/v1/embeddings", encoded("foreign/m", input="Hello"))
    assert status == 400
    assert "this endpoint" in msgspec.json.decode(reply)["error"]["message"]
    assert len(running[1].requests) == 2


async def test_completions_pass_through_whole_and_streamed(running: Running) -> None:
    """The stream's events arrive as they came, but for the usage that nobody asked for."""
    body = b'{"model":"up/real", "prompt":"Hello","max_tokens":5}'
    status, reply, _ = await post(running, "/v1/completions", body)
    assert (status, reply) == (200, COMPLETION)
    assert running[1].requests[0].target == "/v1/completions"
    assert running[1].requests[0].body == body.replace(b"up/real", b"real")
    streamed = encoded("up/real", prompt="Hello", stream=True)
    status, reply, headers = await post(running, "/v1/completions", streamed)
    assert headers["Content-Type"].startswith("text/event-stream")
    assert reply == PIECES[0] + PIECES[1] + PIECES[3]
    asked = encoded("up/real", prompt="Hello", stream=True, stream_options={"include_usage": True})
    assert (await post(running, "/v1/completions", asked))[1] == b"".join(PIECES)


async def test_a_completion_has_to_fit_with_its_output(running: Running) -> None:
    """The prompt, or the largest of them, and what is to be written."""
    fits = encoded("up/real", prompt=["a", [7] * 7000], max_tokens=1000)
    assert (await post(running, "/v1/completions", fits))[0] == 200
    large = encoded("up/real", prompt=[7] * 7800, max_tokens=5000)
    status, reply, _ = await post(running, "/v1/completions", large)
    assert status == 413
    assert msgspec.json.decode(reply)["error"]["param"] == "prompt"


async def test_a_stream_of_completions_that_breaks_off_says_so(running: Running) -> None:
    """No ``[DONE]`` follows the error event."""
    started, upstream = running
    upstream._choose = lambda _: [*chunked(PIECES)[:2], Fin()]
    body = encoded("up/real", prompt="Hello", stream=True)
    async with started.client.post(started.url + "/v1/completions", data=body) as answer:
        raw = await answer.content.read()
    assert raw.startswith(PIECES[0])
    assert b'"error"' in raw
    assert b"[DONE]" not in raw


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/completions"])
async def test_a_dry_run_returns_the_decision(running: Running, path: str) -> None:
    """Nothing is sent."""
    started, upstream = running
    field = "input" if path.endswith("embeddings") else "prompt"
    body = encoded("either", **{field: "Hello"})
    async with started.client.post(
        started.url + path, data=body, headers={"x-gatewayctl-dry-run": "1"}
    ) as answer:
        decision = await answer.json()
    assert decision["attempts"][0]["model"] == "up/real"
    assert decision["skipped"][0]["reason"] == "protocol"
    assert upstream.requests == []


async def test_usage_of_a_list_teaches_nothing_about_a_models_tokens(running: Running) -> None:
    """What was metered is the sum, what was sized the largest: the two are not compared."""
    many = encoded("up/real", input=["word " * 500] * 50)
    for _ in range(4):
        status, _, headers = await post(running, "/v1/embeddings", many)
        assert status == 200
        assert "x-gatewayctl-truncated" not in headers


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/messages"])
async def test_a_websocket_is_not_served_and_its_client_sent_to_post_with_426(
    running: Running, path: str
) -> None:
    """Codex asks for one first and goes on by POST when it is told so; a plain GET gets 405."""
    started, _ = running
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for headers, status in ((upgrade, 426), ({}, 405)):
        async with started.client.get(started.url + path, headers=headers) as answer:
            assert answer.status == status
            assert answer.headers["allow"] == "POST"
            assert "error" in await answer.json()
