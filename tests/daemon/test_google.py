"""The surfaces of Gemini's clients, whose paths say what is asked of which model."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support import verdicts
from support.books import logged
from support.dialects import DIALECTS, address, encoded, text_in
from support.gateway import Gateway, demo, gateway
from support.upstream import FakeUpstream, Fin, Hold, Pause, Step, chunked, sized

from gatewayctl.storage.grouping import By
from gatewayctl.storage.usage import usage

TURNS: Any = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
STREAM = "streamGenerateContent"


def frame(text: str, **more: str) -> bytes:
    """Return a frame that says some text."""
    content = {"role": "model", "parts": [{"text": text}]}
    said = {"candidates": [{"content": content, "index": 0, **more}], "modelVersion": "m"}
    return b"data: " + json.dumps(said).encode() + b"\r\n\r\n"


WHOLE = [frame("Hi"), frame(" there", finishReason="STOP")]


@asynccontextmanager
async def native(
    *replies: list[Step], state: Path | None = None, idle: str = "10s"
) -> AsyncIterator[tuple[Gateway, FakeUpstream]]:
    """Run a gateway in front of an upstream that speaks Gemini."""
    async with FakeUpstream(list(replies)) as upstream:
        config = f"""
[providers.g]
kind = "gemini"
base_url = "{upstream.base_url}"
api_key = "sk-of-the-gateway"
protocols = ["gemini"]
timeouts = {{ idle = "{idle}" }}
"""
        async with gateway(config, silence=0.15, state=state) as it:
            yield it, upstream


async def test_a_stream_is_forwarded_byte_for_byte_and_the_model_stands_in_the_path() -> None:
    """The key is the gateway's, in a header, and the client's is in no URL."""
    async with native(chunked(WHOLE)) as (it, upstream):
        url = f"{it.url}/v1beta/models/g/gemini-x:{STREAM}?alt=sse&key=sk-of-the-client"
        async with it.client.post(url, json=TURNS) as answer:
            assert answer.status == 200
            assert await answer.read() == b"".join(WHOLE)
        (sent,) = upstream.requests
    assert sent.target == f"/v1beta/models/gemini-x:{STREAM}?alt=sse"
    assert sent.header("x-goog-api-key") == b"sk-of-the-gateway"
    assert json.loads(sent.body) == TURNS


OPTIONAL = "chat_completions"
"""Where usage is only told to who asks for it."""
USAGE = b'data: {"usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":20}}\r\n\r\n'


@pytest.mark.parametrize("pause", [(), (Pause(seconds=0.05),)], ids=["at once", "later"])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_usage_that_comes_after_the_end_of_an_answer_is_heard(
    protocol: str, pause: tuple[Step, ...], tmp_path: Path
) -> None:
    """Some servers tell it in a frame of its own: the ledger has it, and so has the client."""
    frames = chunked([*WHOLE, USAGE])
    async with native([*frames[:-2], *pause, *frames[-2:]], state=tmp_path) as (it, _):
        url = it.url + address(protocol, "g/m", stream=True)
        asks = {"stream_options": {"include_usage": True}} if protocol == OPTIONAL else {}
        body = encoded(protocol, "g/m", "Hello", stream=True, **asks)
        async with it.client.post(url, data=body) as answer:
            told = await answer.read()
    if protocol == "gemini":
        assert told == b"".join(WHOLE) + USAGE
    else:
        assert b":1000" in told
        assert b":20" in told
        assert_ends(protocol, told)
    row = usage(tmp_path, By.MODEL).total
    assert (row.tokens["input"], row.tokens["output"], row.estimated) == (1000, 20, False)


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_an_answer_without_usage_ends_with_its_upstream(protocol: str) -> None:
    """A finish reason is the end, whether figures follow it or not."""
    async with native(chunked(WHOLE)) as (it, _):
        assert_ends(protocol, await streamed(it, protocol))


async def test_who_leaves_with_the_whole_answer_is_billed_what_was_metered() -> None:
    """A last frame with its figures is no stream under way, whose output would be guessed."""
    last = json.loads(frame("word " * 50, finishReason="STOP")[6:])
    last["usageMetadata"] = {"promptTokenCount": 1000, "candidatesTokenCount": 20}
    begin = chunked([b"data: " + json.dumps(last).encode() + b"\r\n\r\n"])[:-1]
    async with native([*begin, Hold()]) as (it, _):
        url = it.url + address("gemini", "g/m", stream=True)
        answer = await it.client.post(url, data=encoded("gemini", "g/m", "Hi", stream=True))
        await answer.content.readany()
        answer.close()
        found = await logged(it.state, answer.headers["x-gatewayctl-request-id"])
    (attempt,) = found.attempts
    assert (attempt.metered.usage.output, attempt.metered.estimated) == (20, False)


STOPS = [frame(word, finishReason="STOP") for word in ("One", " two", " three")]


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_reason_in_every_frame_cuts_nothing_off(protocol: str) -> None:
    """The end of the body is the end; a reason before it is none."""
    async with native(chunked(STOPS)) as (it, _):
        told = await streamed(it, protocol)
    assert_ends(protocol, told)
    assert "".join(text_in(line) for line in told.splitlines()) == "One two three"


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_reason_before_any_text_is_not_the_end(protocol: str) -> None:
    """Servers that translate write an empty frame with a reason first, and generate then.

    One that keeps its body open in the end is given up on by the provider's idle timeout, and its
    answer is whole all the same.
    """
    begin, *frames = chunked([frame("", finishReason="STOP"), *STOPS])[:-1]
    reply: list[Step] = [begin, frames[0], Pause(seconds=0.05), *frames[1:], Hold()]
    async with native(reply, idle="300ms") as (it, _):
        told = await streamed(it, protocol)
    assert_ends(protocol, told)
    assert "".join(text_in(line) for line in told.splitlines()) == "One two three"


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_where_a_reason_was_no_end_a_cut_is_a_cut(protocol: str) -> None:
    """Who went on after one may have more to say: the body has to end as it should."""
    async with native([*chunked(STOPS)[:-1], Fin()]) as (it, _):
        if protocol == "gemini":
            with pytest.raises(aiohttp.ClientPayloadError):
                await streamed(it, protocol)
        else:
            verdicts.broken(protocol, await streamed(it, protocol))


async def streamed(it: Gateway, protocol: str) -> bytes:
    """Ask for a stream in a dialect; return all of it."""
    url = it.url + address(protocol, "g/m", stream=True)
    async with it.client.post(url, data=encoded(protocol, "g/m", "Hi", stream=True)) as answer:
        return await answer.read()


def assert_ends(protocol: str, told: bytes) -> None:
    """Want the terminal frame of a dialect at the end, and no error."""
    ends = {
        "chat_completions": b"data: [DONE]",
        "responses": b"response.completed",
        "messages": b"message_stop",
        "gemini": b"STOP",
    }
    assert ends[protocol] in told[-2000:]
    assert b'"error":{' not in told


@pytest.mark.parametrize("path", ["/v1/models/{}:{}", "/v1/v1beta/models/{}:{}"])
@pytest.mark.parametrize("model", ["g/gemini-x", "g%2Fgemini-x", "models/g/gemini-x"])
async def test_paths_come_in_many_forms(path: str, model: str) -> None:
    """With either version, doubled, and with an escaped slash."""
    async with native(sized(WHOLE[1][6:-4])) as (it, upstream):
        url = it.url + path.format(model, "generateContent")
        async with it.client.post(url, json=TURNS) as answer:
            assert answer.status == 200
        assert upstream.requests[0].target == "/v1beta/models/gemini-x:generateContent"


async def test_without_events_a_stream_is_one_array() -> None:
    """As Google's servers write it: each frame an element."""
    async with (
        native(chunked(WHOLE)) as (it, _),
        it.client.post(f"{it.url}/v1beta/models/g/x:{STREAM}", json=TURNS) as answer,
    ):
        assert answer.content_type == "application/json"
        elements = await answer.json()
    assert [json.dumps(each) for each in elements] == [
        json.dumps(json.loads(each[6:])) for each in WHOLE
    ]


@pytest.mark.parametrize("query", ["", "?alt=sse"])
async def test_a_broken_stream_ends_in_an_error_and_its_connection_is_broken_off(
    query: str,
) -> None:
    """A client that took a proper end for a whole answer would not ask again."""
    broken = [*chunked(WHOLE[:1])[:-1], Fin()]
    told = bytearray()
    async with (
        native(broken) as (it, _),
        it.client.post(f"{it.url}/v1beta/models/g/x:{STREAM}{query}", json=TURNS) as answer,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await _collected(answer, told)
    last = told.rsplit(b"\ndata: " if query else b",\n", 1)[-1]
    assert json.loads(last)["error"]["status"] == "INTERNAL"


async def _collected(answer: aiohttp.ClientResponse, told: bytearray) -> None:
    async for piece in answer.content.iter_any():
        told += piece


async def test_silence_is_filled_with_blank_lines() -> None:
    """After a comment Gemini CLI would ask again, and repeat text."""
    slow = [*chunked(WHOLE[:1])[:-1], Pause(seconds=0.5), *chunked(WHOLE[1:])[1:]]
    async with (
        native(slow) as (it, _),
        it.client.post(f"{it.url}/v1beta/models/g/x:{STREAM}?alt=sse", json=TURNS) as answer,
    ):
        told = await answer.read()
    between = told.removeprefix(WHOLE[0]).removesuffix(WHOLE[1])
    assert between.strip() == b""
    assert len(between) >= 2


async def test_the_list_of_models_is_told_apart_by_headers() -> None:
    """Three vendors' clients ask at one address."""
    shapes: list[tuple[dict[str, str], str]] = [
        ({"x-goog-api-key": "k"}, "models"),
        ({"anthropic-version": "2023-06-01"}, "has_more"),
        ({}, "object"),
    ]
    async with demo() as (it, _):
        for headers, mark in shapes:
            async with it.client.get(f"{it.url}/v1/models", headers=headers) as answer:
                assert mark in await answer.json()
        async with it.client.get(f"{it.url}/v1beta/models/demo/large") as answer:
            assert (await answer.json())["name"] == "models/demo/large"


async def test_a_decision_can_be_had_in_place_of_an_answer() -> None:
    """The model of the path is what is decided on, and what a translation leaves out is named."""
    body = {**TURNS, "generationConfig": {"topK": 5}, "safetySettings": [{"category": "x"}]}
    async with (
        demo() as (it, _),
        it.client.post(
            f"{it.url}/v1beta/models/demo-cascade:{STREAM}",
            json=body,
            headers={"x-gatewayctl-dry-run": "1"},
        ) as answer,
    ):
        decision = await answer.json()
    assert decision["requested"] == "demo-cascade"
    assert decision["shape"]["stream"] is True
    assert "top_k" in decision["attempts"][0]["dropped"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1beta/models/demo/small:predict", 404),
        ("POST", "/v1beta/models/demo/small", 405),
        ("GET", f"/v1beta/models/demo/small:{STREAM}", 405),
        ("POST", "/v1beta/models/nobody:generateContent", 404),
        ("GET", "/v1beta/models/nobody", 404),
        ("GET", "/v1beta/corpora", 404),
    ],
)
async def test_whatever_is_not_served_is_said_as_google_says_it(
    method: str, path: str, status: int
) -> None:
    """With the code in the body as in the status line."""
    async with (
        demo() as (it, _),
        it.client.request(method, it.url + path, json=TURNS) as answer,
    ):
        assert answer.status == status
        assert (await answer.json())["error"]["code"] == status
