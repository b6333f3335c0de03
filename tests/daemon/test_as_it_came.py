"""A credential that serves certain clients alone goes with their own requests, byte for byte.

Nobody else's request goes with it, nothing is translated for it, and nothing is made up.
"""

import json
from pathlib import Path
from typing import Final

import pytest
from support.bills import Tokens
from support.dialects import DIALECTS, PATHS, address, encoded
from support.gateway import Gateway, gateway
from support.metered import Answer
from support.upstream import SSE, FakeUpstream, chunked, sized

TOKEN: Final = "sk-canary-lent-31f0"
GENUINE: Final = {
    "user-agent": "claude-cli/2.1.9 (external, cli)",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "oauth-2025-04-20,interleaved-thinking-2025-05-14",
    "x-app": "cli",
    "x-stainless-lang": "js",
    "accept": "application/json",
    "content-type": "application/json",
    "authorization": "Bearer sk-canary-of-the-client",
    "x-api-key": "sk-canary-of-the-client-too",
}
BODY: Final = (
    b'{ "model" : "sub/m",\n "max_tokens": 4096 , "stream":%b, "metadata":{"user_id":"u_1"},'
    b'"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.9.abc;"},'
    b'{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],'
    b'"messages":[{"role":"user","content":"caf\\u00e9 \xc3\xa9"}], "zz":1.50e0 }'
)
ANSWER: Final = Answer(
    protocol="messages", tokens=Tokens(input=9, output=2), pieces=("Hi",), style="final"
)


def config(upstream: FakeUpstream, lent: Path, more: str = "") -> str:
    """Return a config with a subscription for one client, its token borrowed from a file."""
    oauth = {"accessToken": TOKEN, "refreshToken": "", "expiresAt": 4_102_444_800_000}
    lent.write_text(json.dumps({"claudeAiOauth": oauth}))
    return f"""
[providers.sub]
kind = "anthropic"
base_url = "{upstream.base_url}/v1"
auth = "oauth"
credential = {{ borrow = "{lent}" }}
clients = ["claude-cli/*"]
[[models]]
id = "sub/m"
context_window = 200000
drop = ["zz"]
set = {{ temperature = 0.1 }}
{more}
"""


async def post(it: Gateway, path: str, body: bytes, agent: dict[str, str]) -> tuple[int, str]:
    """Return status and text of an answer."""
    async with it.client.post(it.url + path, data=body, headers=agent) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("stream", [False, True])
async def test_its_own_clients_request_goes_as_it_came(tmp_path: Path, *, stream: bool) -> None:
    """All but the model's name and the credential: the config's edits are for other credentials."""
    reply = sized(ANSWER.whole())
    if stream:
        reply = chunked([frame.data for frame in ANSWER.frames()], 200, SSE)
    body = BODY % (b"true" if stream else b"false")
    async with FakeUpstream([reply]) as upstream:
        async with gateway(config(upstream, tmp_path / "lent.json")) as it:
            status, text = await post(it, "/v1/messages?beta=true", body, GENUINE)
            assert status == 200, text
        (request,) = upstream.requests
    assert request.body == body.replace(b"sub/m", b"m")
    assert request.target == "/v1/messages?beta=true"
    sent = {
        name.decode().lower(): value.strip().decode()
        for name, _, value in (line.partition(b":") for line in request.head.split(b"\r\n")[1:])
        if name
    }
    kept = {name: value for name, value in GENUINE.items() if name != "x-api-key"}
    framing = {"host", "content-length", "accept-encoding"}
    assert {name: sent[name] for name in sent.keys() - framing} == {
        **kept,
        "authorization": f"Bearer {TOKEN}",
    }


async def test_in_a_route_a_budget_is_clamped_and_nothing_else(tmp_path: Path) -> None:
    """More than the model can write would be refused; every other byte is the client's."""
    body = (BODY % b"false").replace(b"sub/m", b"route")
    route = '[[cascades]]\nid = "route"\nsteps = [{ model = "sub/m" }]\n'
    async with FakeUpstream([sized(ANSWER.whole())]) as upstream:
        text = config(upstream, tmp_path / "lent.json", route)
        text = text.replace("context_window", "max_output_tokens = 1024\ncontext_window")
        async with gateway(text) as it:
            assert (await post(it, PATHS["messages"], body, GENUINE))[0] == 200
        sent = upstream.requests[0].body
    assert sent == body.replace(b"route", b"m").replace(b"4096", b"1024")


@pytest.mark.parametrize("protocol", DIALECTS)
@pytest.mark.parametrize("agent", ["curl/8", "", "Claude-Code", "my claude-cli/2"])
async def test_anybody_else_is_told_which_key_it_needs(
    tmp_path: Path, protocol: str, agent: str
) -> None:
    """In its own dialect, and the upstream hears nothing of it."""
    async with FakeUpstream([sized(ANSWER.whole())]) as upstream:
        async with gateway(config(upstream, tmp_path / "lent.json")) as it:
            for stream in (False, True):
                path = address(protocol, "sub/m", stream=stream)
                body = encoded(protocol, "sub/m", "Hi", stream=stream)
                status, text = await post(it, path, body, {"user-agent": agent})
                assert status in {400, 403}, text
                assert "claude-cli/*" in text
                assert "api_key" in text
        assert upstream.connections == 0


@pytest.mark.parametrize("protocol", ["chat_completions", "responses", "gemini"])
async def test_its_own_client_in_another_protocol_is_not_translated(
    tmp_path: Path, protocol: str
) -> None:
    """A translation would be a request that the client never made."""
    async with FakeUpstream([sized(ANSWER.whole())]) as upstream:
        async with gateway(config(upstream, tmp_path / "lent.json")) as it:
            body = encoded(protocol, "sub/m", "Hi")
            status, text = await post(it, address(protocol, "sub/m"), body, GENUINE)
            assert status == 400
            assert "requests as they came alone" in text
            assert "api_key" in text
        assert upstream.connections == 0


async def test_a_count_for_somebody_else_is_an_estimate(tmp_path: Path) -> None:
    """Its counter is no more for others than its models are; a client of its own is counted."""
    async with FakeUpstream([sized(b'{"input_tokens": 77}')]) as upstream:
        async with gateway(config(upstream, tmp_path / "lent.json")) as it:
            path = "/v1/messages/count_tokens"
            body = encoded("messages", "sub/m", "Hi")
            status, _ = await post(it, path, body, {"user-agent": "curl/8"})
            assert status in {200, 403}
            assert upstream.connections == 0
            status, text = await post(it, path, body, GENUINE)
            assert (status, json.loads(text)) == (200, {"input_tokens": 77})
        assert upstream.requests[0].header("user-agent") == GENUINE["user-agent"].encode()
        assert upstream.requests[0].header("authorization") == f"Bearer {TOKEN}".encode()
        assert upstream.requests[0].header("x-api-key") is None


async def test_a_route_goes_round_it_for_others_and_uses_it_for_its_own(tmp_path: Path) -> None:
    """Whoever stands behind it answers for others with the gateway's own name."""
    more = """
[providers.spare]
kind = "anthropic"
base_url = "{}/v1"
api_key = "sk-canary-spare-0b"
[[cascades]]
id = "both"
steps = [{{ model = "sub/m" }}, {{ model = "spare/m" }}]
"""
    async with (
        FakeUpstream([sized(ANSWER.whole())]) as own,
        FakeUpstream([sized(ANSWER.whole())]) as spare,
    ):
        text = config(own, tmp_path / "lent.json", more.format(spare.base_url))
        async with gateway(text) as it:
            body = encoded("messages", "both", "Hi")
            assert (await post(it, PATHS["messages"], body, GENUINE))[0] == 200
            assert (len(own.requests), len(spare.requests)) == (1, 0)
            others = {**GENUINE, "user-agent": "curl/8"}
            assert (await post(it, PATHS["messages"], body, others))[0] == 200
            assert (len(own.requests), len(spare.requests)) == (1, 1)
        agent = spare.requests[0].header("user-agent") or b""
        assert agent.startswith(b"gatewayctl/")
        assert b"canary-of-the-client" not in spare.requests[0].head
