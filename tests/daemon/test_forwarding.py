"""What travels to an upstream: bytes, headers and credentials, and to whom."""

import json

import pytest
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import demo, gateway, upstream_config
from support.upstream import FakeUpstream, sized

CHAT = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi"},
                "finish_reason": "stop",
            }
        ],
    }
).encode()


async def test_an_odd_body_is_forwarded_byte_for_byte_but_for_the_model() -> None:
    """White space, order, escapes, number forms and unknown fields stay as they came."""
    odd = (
        b'{ "zz":1.50e0,\n "model" :\t"demo/small" , "messages":[{"role":"user",'
        b'"content":"caf\\u00e9 \\/ \xc3\xa9","x":{"b":1,"a":-0.0}}],"temperature":1.0 }'
    )
    async with demo() as (it, simulator):
        async with it.client.post(f"{it.url}/v1/chat/completions", data=odd) as answer:
            assert answer.status == 200
        assert simulator.journal.requests[-1].body == odd.replace(b"demo/small", b"small")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_forwarded_credential_and_body_arrive_untouched(protocol: str) -> None:
    """With auth = "forward" the client's own headers go up, and the query with them."""
    sent = encoded(protocol, "m", "Hi")
    headers = {
        "authorization": "Bearer sk-client",
        "x-api-key": "sk-client-too",
        "user-agent": "genuine/1.0",
        "anthropic-beta": "a,b",
        "x-app": "cli",
        "x-gatewayctl-session": "private",
        "cookie": "private=1",
    }
    config = upstream_config("{}", auth="forward", more='[[models]]\nid = "up/m"')
    async with FakeUpstream([sized(b"{}", status=400)]) as upstream:
        text = config.replace("{}/v1", upstream.base_url + "/v1")
        async with gateway(text) as it:
            url = f"{it.url}{PATHS[protocol]}?beta=true"
            async with it.client.post(url, data=sent, headers=headers) as answer:
                assert answer.status == 400
        request = upstream.requests[0]
    assert request.body == sent
    assert request.target == f"{PATHS[protocol]}?beta=true"
    for name in ("authorization", "x-api-key", "user-agent", "anthropic-beta", "x-app"):
        assert request.header(name) == headers[name].encode(), name
    assert request.header("x-gatewayctl-session") is None
    assert request.header("cookie") is None


async def test_a_client_credential_never_reaches_a_provider_with_a_key_of_its_own() -> None:
    """The gateway's key goes up in its place, and nothing that says who the client is."""
    async with FakeUpstream([sized(CHAT)]) as upstream:
        text = upstream_config(upstream.base_url, auth="key", more='api_key = "sk-gateway"')
        async with gateway(text) as it:
            body = encoded("chat_completions", "up/m", "Hi")
            headers = {"authorization": "Bearer sk-client", "x-api-key": "sk-client"}
            url = f"{it.url}/v1/chat/completions"
            async with it.client.post(url, data=body, headers=headers) as answer:
                assert answer.status == 200
        head = upstream.requests[0].head
    assert b"sk-client" not in head
    assert b"Bearer sk-gateway" in head


async def test_a_forwarded_credential_never_reaches_a_second_provider() -> None:
    """When the forwarding provider fails, the fallback elsewhere gets nothing of the client's."""
    async with (
        FakeUpstream([sized(b"{}", status=503)]) as first,
        FakeUpstream([sized(CHAT)]) as two,
    ):
        text = (
            upstream_config(first.base_url, auth="forward")
            + upstream_config(two.base_url).replace("providers.up", "providers.two")
            + '[[cascades]]\nid = "c"\nsteps = [{ model = "up/m" }, { model = "two/m" }]\n'
        )
        async with gateway(text) as it:
            url = f"{it.url}/v1/chat/completions"
            headers = {"authorization": "Bearer sk-client"}
            body = encoded("chat_completions", "c", "Hi")
            async with it.client.post(url, data=body, headers=headers) as answer:
                assert answer.status == 200
        assert first.requests[0].header("authorization") == b"Bearer sk-client"
        assert b"sk-client" not in two.requests[0].head


async def test_a_refused_gateway_credential_is_a_502_and_a_forwarded_one_passes() -> None:
    """The client can do nothing about the gateway's key, and everything about its own."""
    refused = sized(b'{"error":{"message":"bad key sk-gateway","type":"x"}}', status=401)
    async with FakeUpstream([refused]) as upstream:
        for auth, status in (('key"\napi_key = "sk-gateway', 502), ("forward", 401)):
            async with gateway(upstream_config(upstream.base_url, auth=auth)) as it:
                url = f"{it.url}/v1/chat/completions"
                body = encoded("chat_completions", "up/m", "Hi")
                async with it.client.post(url, data=body) as answer:
                    assert answer.status == status
                    if status == 502:
                        assert answer.headers["x-should-retry"] == "false"
                        assert "sk-gateway" not in await answer.text()


async def test_only_the_clients_a_provider_names_are_served() -> None:
    """A credential kept for one program refuses others with a word on what to do."""
    async with FakeUpstream([sized(CHAT)]) as upstream:
        more = 'clients = ["claude-cli/*"]'
        async with gateway(upstream_config(upstream.base_url, auth="forward", more=more)) as it:
            url = f"{it.url}/v1/chat/completions"
            body = encoded("chat_completions", "up/m", "Hi")
            for agent, served in (("claude-cli/2.1 (x)", True), ("curl/8", False)):
                headers = {"user-agent": agent}
                async with it.client.post(url, data=body, headers=headers) as answer:
                    assert (answer.status == 200) is served
                    if not served:
                        assert "claude-cli/*" in await answer.text()
        assert len(upstream.requests) == 1


async def test_an_upstreams_own_refusal_reaches_the_client_as_it_came() -> None:
    """Status, body and rate-limit headers of a single failed attempt; no cookies."""
    said = b'{"error": {"message": "slow down", "type": "rate_limit_error", "code": "x"}}'
    reply = sized(
        said,
        status=429,
        headers=[
            ("content-type", "application/json"),
            ("retry-after", "70"),
            ("x-ratelimit-remaining-requests", "0"),
            ("set-cookie", "a=b"),
        ],
    )
    async with FakeUpstream([reply]) as upstream, gateway(upstream_config(upstream.base_url)) as it:
        url = f"{it.url}/v1/chat/completions"
        body = encoded("chat_completions", "up/m", "Hi")
        async with it.client.post(url, data=body) as answer:
            assert answer.status == 429
            assert await answer.read() == said
            assert answer.headers["retry-after"] == "70"
            assert answer.headers["x-ratelimit-remaining-requests"] == "0"
            assert answer.headers["x-gatewayctl-model"] == "up/m"
            assert "set-cookie" not in answer.headers


async def test_codex_is_told_of_an_upstreams_hour_in_words_that_it_stops_at() -> None:
    """Passed on as it came, that refusal would have it wait for an hour without a word."""
    said = b'{"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}}'
    headers = [("content-type", "application/json"), ("retry-after", "3600")]
    reply = sized(said, status=429, headers=headers)
    async with FakeUpstream([reply]) as upstream, gateway(upstream_config(upstream.base_url)) as it:
        body = encoded("responses", "up/m", "Hi")
        async with it.client.post(f"{it.url}/v1/responses", data=body) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (429, "3600")
            assert answer.headers["x-codex-promo-message"] == "up/m: HTTP 429: slow down"
            assert (await answer.json())["error"]["type"] == "usage_limit_reached"


async def test_a_refusal_that_says_in_other_headers_when_to_come_again_says_it_in_all() -> None:
    """Agents look at retry-after alone, and some providers have no such header."""
    reset = [("content-type", "application/json"), ("x-ratelimit-remaining-requests", "0")]
    reset += [("x-ratelimit-reset-requests", "1m9.5s")]
    reply = sized(b'{"error": {"message": "slow down"}}', status=429, headers=reset)
    async with FakeUpstream([reply]) as upstream, gateway(upstream_config(upstream.base_url)) as it:
        body = encoded("chat_completions", "up/m", "Hi")
        async with it.client.post(f"{it.url}/v1/chat/completions", data=body) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (429, "70")
            assert await answer.json() == {"error": {"message": "slow down"}}


async def test_when_all_fail_the_client_sees_the_first_cause_and_every_attempt() -> None:
    """Not the last noise: the first failure leads, all stand in order."""
    config = """
[[cascades]]
id = "c"
steps = [{ model = "up/m" }, { model = "dead/m" }]
[providers.dead]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
"""
    reply = sized(b'{"error":{"message":"out of order","type":"server_error"}}', status=500)
    async with (
        FakeUpstream([reply]) as upstream,
        gateway(upstream_config(upstream.base_url) + config) as it,
    ):
        url = f"{it.url}/v1/chat/completions"
        body = encoded("chat_completions", "c", "Hi")
        async with it.client.post(url, data=body) as answer:
            assert answer.status == 502
            error = json.loads(await answer.read())["error"]
    assert error["message"].startswith("up/m: HTTP 500: out of order")
    attempts = error["gatewayctl"]["attempts"]
    assert [(each["model"], each["kind"]) for each in attempts] == [
        ("up/m", "server_error"),
        ("up/m", "server_error"),
        ("dead/m", "network"),
        ("dead/m", "network"),
    ]


async def test_what_no_protocol_of_the_provider_can_say_is_refused_by_name() -> None:
    """Several answers at once cannot be had in the Messages protocol, and nothing is sent."""
    only_messages = 'protocols = ["messages"]'
    async with FakeUpstream([sized(CHAT)]) as upstream:
        config = upstream_config(upstream.base_url)
        config = config[: config.index("protocols")] + only_messages
        async with gateway(config) as it:
            url = f"{it.url}/v1/chat/completions"
            body = encoded("chat_completions", "up/m", "Hi", n=2)
            async with it.client.post(url, data=body) as answer:
                assert answer.status == 400
                error = json.loads(await answer.read())["error"]
        assert error["gatewayctl"]["candidates"][0]["reason"] == "protocol"
        assert "more than one answer (n > 1) cannot be said in messages" in error["message"]
        assert upstream.connections == 0


async def test_fields_are_set_and_dropped_as_the_config_says() -> None:
    """Per-model edits change those fields and no others."""
    more = '[[models]]\nid = "up/m"\nset = { temperature = 0.2 }\ndrop = ["logit_bias"]'
    async with FakeUpstream([sized(CHAT)]) as upstream:
        async with gateway(upstream_config(upstream.base_url, more=more)) as it:
            url = f"{it.url}/v1/chat/completions"
            body = encoded("chat_completions", "up/m", "Hi", logit_bias={}, temperature=1, seed=3)
            async with it.client.post(url, data=body) as answer:
                assert answer.status == 200
        got = json.loads(upstream.requests[0].body)
    assert got["temperature"] == 0.2
    assert got["seed"] == 3
    assert "logit_bias" not in got
