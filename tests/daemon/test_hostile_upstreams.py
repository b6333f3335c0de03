"""Upstreams that answer strangely: the client gets an answer it can read, and no secret."""

import json

import pytest
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import gateway, upstream_config
from support.upstream import JSON, SSE, FakeUpstream, Step, chunked, sized

BODY = encoded("chat_completions", "up/m", "Hi")
STREAM = encoded("chat_completions", "up/m", "Hi", stream=True)
REPLY = b'{"choices":[{"message":{"role":"assistant","content":"Hi"}}]}'
CONTENT = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("said", [b"<html>busy</html>", b" " * 300_000, b'{"error": {"mess'])
async def test_an_error_page_is_told_in_the_clients_dialect(protocol: str, said: bytes) -> None:
    """What is no error object never passes; the status, the wait and the limits do."""
    headers = [
        ("content-type", "text/html"),
        ("retry-after", "70"),
        ("x-ratelimit-remaining-requests", "0"),
    ]
    async with (
        FakeUpstream([sized(said, 429, headers)]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        body = encoded(protocol, "up/m", "Hi")
        async with it.client.post(it.url + PATHS[protocol], data=body) as answer:
            assert answer.status == 429
            assert answer.content_type == "application/json"
            assert answer.headers.getall("retry-after") == ["70"]
            assert answer.headers["x-ratelimit-remaining-requests"] == "0"
            told = json.loads(await answer.read())["error"]
    assert told["gatewayctl"]["kind"] == "rate_limited"


async def test_a_status_that_http_does_not_know_is_not_passed_on() -> None:
    """A client library may take 999 for anything."""
    error = b'{"error":{"message":"odd"}}'
    async with (
        FakeUpstream([sized(error, 999)]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
        it.client.post(f"{it.url}/v1/chat/completions", data=BODY) as answer,
    ):
        assert answer.status == 502


async def test_a_control_character_in_an_upstreams_header_costs_that_header_alone() -> None:
    """It cannot be written again, and must not take the answer with it."""
    headers = [*JSON, ("x-odd", "a\x01b"), ("x-even", "c")]
    async with (
        FakeUpstream([sized(REPLY, 200, headers)]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
        it.client.post(f"{it.url}/v1/chat/completions", data=BODY) as answer,
    ):
        assert (answer.status, await answer.read()) == (200, REPLY)
        assert answer.headers["x-even"] == "c"
        assert "x-odd" not in answer.headers


async def test_an_error_in_place_of_a_stream_is_told_as_what_it_is() -> None:
    """Some servers call a JSON error an event stream, or nothing at all."""
    error = b'{"error":{"message":"too busy","code":"server_is_overloaded"}}'
    for headers in (SSE, ()):
        async with (
            FakeUpstream([sized(error, 200, headers)]) as upstream,
            gateway(upstream_config(upstream.base_url)) as it,
            it.client.post(f"{it.url}/v1/chat/completions", data=STREAM) as answer,
        ):
            assert answer.status == 503
            assert "too busy" in await answer.text()


ECHO = b'{"error":{"message":"no, not top-secret-key","type":"invalid_request_error"}}'


@pytest.mark.parametrize(
    "reply",
    [
        sized(ECHO, 400, [*JSON, ("x-echo", "top-secret-key")]),
        sized(ECHO, 500, [*JSON, ("x-echo", "top-secret-key")]),
        sized(ECHO, 200),
        chunked([b"data: " + ECHO + b"\n\n"]),
        chunked([CONTENT, b"data: " + ECHO + b"\n\n"]),
    ],
)
async def test_an_upstream_that_quotes_our_key_does_not_get_it_to_the_client(
    reply: list[Step], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor to the log: in bodies, headers and events, before and after the commit."""
    caplog.set_level("DEBUG")
    keyed = upstream_config("URL", auth="key", more='api_key = "top-secret-key"')
    async with (
        FakeUpstream([reply]) as upstream,
        gateway(keyed.replace("URL", upstream.base_url)) as it,
    ):
        for body in (BODY, STREAM):
            async with it.client.post(f"{it.url}/v1/chat/completions", data=body) as answer:
                told = await answer.text()
                assert "top-secret-key" not in f"{answer.raw_headers!r}{told}"
    assert "top-secret-key" not in caplog.text


@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_that_is_not_utf8_is_the_upstreams_failure_not_ours(status: int) -> None:
    """The next candidate would be tried; here the client is told whose fault it is."""
    async with (
        FakeUpstream([sized(b'{"error":{"message":"\xff\xfe"}}', status)]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
        it.client.post(f"{it.url}/v1/chat/completions", data=BODY) as answer,
    ):
        assert answer.status == 502
        assert (await answer.json())["error"]["gatewayctl"]["kind"] == "upstream_failed"
