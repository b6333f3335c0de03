"""What replies teach a running gateway: windows smaller than said, and truncation."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.books import logged
from support.gateway import Gateway, gateway, upstream_config
from support.upstream import FakeUpstream, Step, chunked, sized

from gatewayctl.storage.knowledge import forget, read

MODEL = '\n[[models]]\nid = "up/m"\ncontext_window = 1000000\n'
NAMED = "prompt is too long: 400007 tokens > 278528 maximum"


def overflow(message: str = NAMED) -> list[Step]:
    """Return a provider's refusal by size."""
    error = {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}
    return sized(json.dumps({"error": error}).encode(), status=400)


def answer(tokens: int) -> list[Step]:
    """Return an answer whose upstream counted so many tokens of input."""
    return sized(json.dumps(completion(tokens)).encode())


def streamed(tokens: int) -> list[Step]:
    """Return the same as a stream."""
    choice = {"index": 0, "delta": {"content": "Hi."}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = completion(tokens)["usage"]
    events: list[dict[str, Any]] = [
        {"choices": [choice]},
        {"choices": [end]},
        {"choices": [], "usage": usage},
    ]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    lines = [f"data: {json.dumps(head | event)}\n\n".encode() for event in events]
    return chunked([*lines, b"data: [DONE]\n\n"])


def completion(tokens: int) -> dict[str, Any]:
    """Return a whole answer."""
    message = {"role": "assistant", "content": "Hi."}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": 2, "total_tokens": tokens + 2},
    }


def asked(words: int, **more: object) -> dict[str, Any]:
    """Return a request of about so many tokens."""
    content = " ".join(["river"] * words)
    return {"model": "up/m", "messages": [{"role": "user", "content": content}], **more}


@asynccontextmanager
async def between(
    replies: Sequence[Sequence[Step]], state: Path
) -> AsyncIterator[tuple[Gateway, FakeUpstream]]:
    """Run a gateway whose state is kept in front of an upstream with these replies."""
    async with (
        FakeUpstream(replies) as upstream,
        gateway(upstream_config(upstream.base_url) + MODEL, state=state) as it,
    ):
        yield it, upstream


async def post(it: Gateway, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Return a reply's status, its headers in lower case, and its body."""
    data = io.BytesIO(json.dumps(body).encode())
    async with it.client.post(f"{it.url}/v1/chat/completions", data=data) as reply:
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return reply.status, headers, await reply.read()


async def test_a_refusal_by_size_caps_the_window_cliproxyapi_4126(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """1M advertised, refused beyond 278,528: the next request of that size is not sent at all."""
    caplog.set_level(logging.WARNING, logger="gatewayctl.learning")
    async with between([overflow(), answer(9)], tmp_path) as (it, upstream):
        first, _, _ = await post(it, asked(400_000))
        second, _, body = await post(it, asked(400_000))
        small, _, _ = await post(it, asked(10))
    assert (first, second, small) == (400, 413, 200)  # the first as the upstream said it
    assert len(upstream.requests) == 2
    assert json.loads(body)["error"]["gatewayctl"]["context_window"] == 278_528
    assert "window_learned model=up/m window=278528 cause=refused over=1000000" in caplog.text
    assert "400007 tokens" not in caplog.text  # the upstream's own words may quote a prompt


async def test_a_refusal_in_unknown_words_caps_by_its_code_litellm_10793(tmp_path: Path) -> None:
    """No string is matched: the code says that it is about size, and what was sent how far."""
    async with between([overflow("no."), answer(9)], tmp_path) as (it, upstream):
        await post(it, asked(400_000))
        status, _, body = await post(it, asked(700_000))
    assert status == 413
    assert len(upstream.requests) == 1
    assert json.loads(body)["error"]["gatewayctl"]["context_window"] < 600_000


async def test_what_was_learned_outlives_a_restart_until_it_is_forgotten(tmp_path: Path) -> None:
    """A cap is kept on disk with its evidence, and ``models forget`` lifts it."""
    async with between([overflow()], tmp_path) as (it, _):
        await post(it, asked(400_000))
    cap = read(tmp_path).cap("up/m")
    assert cap is not None
    assert (cap.window, cap.over) == (278_528, 1_000_000)
    assert "278,528" in cap.evidence
    async with between([answer(400_000)], tmp_path) as (it, upstream):
        refused, _, _ = await post(it, asked(400_000))
        assert (refused, upstream.requests) == (413, [])
        forget(tmp_path, "up/m")
        async with asyncio.timeout(20):  # the running daemon looks every other second
            while (await post(it, asked(400_000)))[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_a_reply_that_counts_too_little_is_flagged_ollama_17889(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """4,096 counted of some 9,000: a header and a line of the log say so, and no more is sent."""
    caplog.set_level(logging.WARNING, logger="gatewayctl.learning")
    async with between([answer(4_096)], tmp_path) as (it, upstream):
        status, headers, _ = await post(it, asked(9_000))
        assert status == 200
        assert headers["x-gatewayctl-truncated"].startswith("4096 of at least ")
        entry = await logged(it.state, headers["x-gatewayctl-request-id"])
        assert [attempt.truncated for attempt in entry.attempts] == [True]
        again, _, _ = await post(it, asked(9_000))
        assert again == 413
        assert len(upstream.requests) == 1
    assert "upstream_truncated model=up/m metered=4096 low=" in caplog.text
    counted = read(tmp_path).truncations("up/m")
    assert counted is not None
    assert counted.count == 1


async def test_a_truncated_stream_is_on_record(tmp_path: Path) -> None:
    """Its usage comes when the headers are gone: log, ledger and knowledge say it all the same."""
    async with between([streamed(4_096)], tmp_path) as (it, _):
        more = {"stream_options": {"include_usage": True}}
        _, headers, _ = await post(it, asked(9_000, stream=True, **more))
        entry = await logged(it.state, headers["x-gatewayctl-request-id"])
        assert [attempt.truncated for attempt in entry.attempts] == [True]
    assert read(tmp_path).truncations("up/m") is not None


async def test_a_reply_that_counts_what_was_sent_is_not_flagged(tmp_path: Path) -> None:
    """Nor is one whose figure is small because nothing was metered."""
    async with between([answer(9_010), answer(0)], tmp_path) as (it, _):
        for _ in range(2):
            _, headers, _ = await post(it, asked(9_000))
            assert "x-gatewayctl-truncated" not in headers
    assert read(tmp_path).truncations("up/m") is None


LONG = " ".join(["river"] * 9_000)
TOOL = {"function": {"name": "t", "description": LONG, "parameters": {"type": "object"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"description": LONG}}}
THOUGHT = [
    {"role": "assistant", "content": "Hi.", "reasoning_content": LONG},
    {"role": "user", "content": "And?"},
]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function"} | TOOL]},
        {"response_format": FORMAT},
        {"before": [{"role": "system", "content": LONG}]},
        {"after": THOUGHT},
    ],
    ids=["tools", "format", "cached instructions", "thoughts"],
)
@pytest.mark.parametrize("counted", [2_048, 2_010])
async def test_a_server_that_counts_only_what_was_said_last_truncates_nothing(
    tmp_path: Path, more: dict[str, Any], counted: int
) -> None:
    """Not every server counts tools, formats, thoughts, or what it has in its prompt cache."""
    body = asked(2_000, tools=more.get("tools"), response_format=more.get("response_format"))
    body["messages"] = [*more.get("before", ()), *body["messages"], *more.get("after", ())]
    async with between([answer(counted)] * 3, tmp_path) as (it, upstream):
        for _ in range(3):
            status, headers, _ = await post(it, body)
            assert status == 200
            assert "x-gatewayctl-truncated" not in headers
        assert len(upstream.requests) == 3
    known = read(tmp_path)
    assert (known.truncations("up/m"), known.cap("up/m")) == (None, None)


@pytest.mark.parametrize("counted", [10**15, 60_000])
async def test_a_count_that_no_request_can_have_is_not_learned_from(
    tmp_path: Path, counted: int
) -> None:
    """More tokens than bytes: as an anchor it would refuse the rest of the conversation."""
    body = asked(2_000)
    async with between([answer(counted)], tmp_path) as (it, _):
        await post(it, body)
        await asyncio.sleep(0.3)  # what was learned would be known by now
        estimate = await explained(it, body)
        assert (estimate["method"], estimate["high"] < 9_000) == ("ratio", True)


async def test_a_count_without_what_a_prompt_cache_held_is_no_anchor(tmp_path: Path) -> None:
    """Half of a conversation, while it is small: later turns would be estimated far too low."""
    said = {"role": "user", "content": " ".join(["counterrevolutionary"] * 600)}
    first = {"model": "up/m", "messages": [said]}
    second = first | {"messages": [said, {"role": "assistant", "content": "Hi."}, said]}
    async with between([answer(2_400), answer(2_400)], tmp_path) as (it, _):
        await post(it, first)
        async with asyncio.timeout(20):
            while (await explained(it, first))["method"] != "anchor":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await post(it, second)
        await asyncio.sleep(0.3)
        estimate = await explained(it, second)
        assert estimate["method"] == "anchor"
        assert estimate["high"] >= 4_800


async def test_what_was_said_last_is_truncated_where_not_even_that_is_counted(
    tmp_path: Path,
) -> None:
    """A large paste into a conversation that is known: no cache explains so small a count."""
    first = asked(500)
    paste = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": LONG}]
    async with between([answer(510), answer(4_096)], tmp_path) as (it, _):
        await post(it, first)
        _, headers, _ = await post(it, first | {"messages": [*first["messages"], *paste]})
    assert headers["x-gatewayctl-truncated"].startswith("4096 of at least ")


async def explained(it: Gateway, body: dict[str, Any]) -> dict[str, Any]:
    """Return the estimate of the first attempt."""
    async with it.client.post(f"{it.url}/api/route-explain", json=body) as reply:
        doc = json.loads(await reply.read())
    estimate: dict[str, Any] = doc["attempts"][0]["estimate"]
    return estimate


async def test_a_conversation_is_estimated_from_what_its_last_reply_counted(
    tmp_path: Path,
) -> None:
    """The figure is the upstream's own, whatever ours was; and it outlives a restart."""
    body = asked(500)
    async with between([answer(900)], tmp_path) as (it, _):
        assert (await explained(it, body))["method"] == "ratio"
        await post(it, body)
        body["messages"] += [
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": "Go on."},
        ]
        estimate = await explained(it, body)
    assert estimate["method"] == "anchor"
    assert 900 < estimate["likely"] < 940
    async with between([answer(900)], tmp_path) as (it, _):
        again = await explained(it, body)
        assert again["method"] == "anchor"
        assert abs(again["likely"] - estimate["likely"]) <= 2  # corrected by that one reply
        body["messages"][0]["content"] += "!"
        assert (await explained(it, body))["method"] == "ratio"
