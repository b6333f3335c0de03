"""``/api/*``: the same answers as the command line's, and nothing is moved by asking."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import Gateway, gateway
from support.terminal import gatewayctl
from support.upstream import FakeUpstream, sized

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
protocols = ["chat_completions", "responses", "messages"]
[[models]]
id = "up/small"
context_window = 32768
[[models]]
id = "up/large"
context_window = 262144
prices = {{ input = 2, output = 10 }}
[[dispatchers]]
id = "route"
targets = ["up/small", "up/large"]
[[alloys]]
id = "turns"
name = "In turn"
strategy = "round_robin"
scope = "request"
constituents = [
    {{ model = "up/small", context_window = 32768 }},
    {{ model = "up/large", context_window = 262144 }},
]
[[alloys]]
id = "blend"
name = "Blend"
scope = "session"
constituents = [
    {{ model = "up/small", context_window = 32768 }},
    {{ model = "up/large", context_window = 262144 }},
]
"""
LONG = "word " * 40_000


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write the config for the command line."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(url="http://127.0.0.1:9"))
    return path


@pytest.fixture
async def it() -> AsyncIterator[Gateway]:
    """Run a gateway whose upstream cannot be reached: nothing is to be asked of it."""
    async with gateway(CONFIG.format(url="http://127.0.0.1:9")) as running:
        yield running


async def post(it: Gateway, target: str, body: bytes | dict[str, Any], status: int = 200) -> Any:
    """POST to the API, expect a status, and return the JSON."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    async with it.client.post(it.url + target, data=data) as reply:
        told = await reply.read()
        assert reply.status == status, told
        assert reply.headers["server"] == "gatewayctl"
        return json.loads(told)


def cli(config: Path, *argv: str, stdin: bytes) -> Any:
    """Return what the command line says to the same question."""
    ran = gatewayctl(*argv, "--json", "--config", str(config), stdin=stdin)
    return json.loads(ran.out)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["route", "blend", "turns", "up/large", "nothing"])
@pytest.mark.parametrize("text", ["Hi", LONG])
async def test_a_decision_is_the_command_lines_to_the_letter(
    it: Gateway, config: Path, protocol: str, name: str, text: str
) -> None:
    """Routable or not, known or not: 200 and the same JSON."""
    body = encoded(protocol, "unasked", text)
    told = await post(it, f"/api/route-explain?model={name}&seed=11", body)
    assert told == cli(config, "route-explain", name, "--seed", "11", stdin=body)


@pytest.mark.parametrize(
    "name", ["route", "up/large", "openai/gpt-5", "anthropic/claude-haiku-4-5"]
)
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("text", ["Hi", LONG])
async def test_an_estimate_is_the_command_lines_to_the_letter(
    it: Gateway, config: Path, name: str, text: str, *, exact: bool
) -> None:
    """Of models that are not configured too."""
    body = encoded("chat_completions", "unasked", text)
    told = await post(it, f"/api/estimate?model={name}&exact={str(exact).lower()}", body)
    argv = ("--exact",) if exact else ()
    assert told == cli(config, "estimate", "-m", name, *argv, stdin=body)


async def test_models_are_the_command_lines_to_the_letter(it: Gateway, config: Path) -> None:
    """All of them, or one provider's."""
    for query, argv in (("", ()), ("?provider=up", ("--provider", "up"))):
        async with it.client.get(f"{it.url}/api/models{query}") as reply:
            told = await reply.json()
        expected = cli(config, "models", "list", *argv, stdin=b"")
        assert told["models"] == expected["models"]
        assert told["schema_version"] == expected["schema_version"]
        assert {each["name"] for each in told["sources"]} == {"litellm", "models_dev", "up"}


async def test_a_question_may_hold_the_request_and_the_options(it: Gateway) -> None:
    """The same answer, whether options stand in the query or beside the request."""
    request = {"model": "route", "messages": [{"role": "user", "content": LONG}]}
    beside = await post(
        it, "/api/route-explain", {"request": request, "seed": 3, "max_output": 9, "session": "s"}
    )
    query = await post(
        it, "/api/route-explain?seed=3&max_output=9&session=s", json.dumps(request).encode()
    )
    assert beside == query
    assert beside["shape"]["output_budget"] == 9
    text = await post(it, "/api/estimate", {"request": "Hi there", "model": ["up/small", "blend"]})
    assert text["protocol"] == "text"
    assert [each["model"] for each in text["estimates"]] == ["up/small", "up/large"]


async def test_plain_text_is_a_question_too(it: Gateway) -> None:
    """As it stands, or told to be text where it looks like JSON."""
    told = await post(it, "/api/estimate?model=up/small", b"Hello, world")
    assert told["protocol"] == "text"
    told = await post(it, "/api/estimate?model=up/small&protocol=text", b'{"a": "request"}')
    assert told["protocol"] == "text"


@pytest.mark.parametrize(
    ("target", "body", "said"),
    [
        ("/api/route-explain", b"", "empty"),
        ("/api/route-explain", b"Hi", "no model"),
        ("/api/route-explain?model=route", b'{"messages": 5}', "$.messages"),
        ("/api/route-explain?model=route", b'{"messages": [', "not valid JSON"),
        ("/api/route-explain?model=route&seed=x", b"Hi", "in the query"),
        ("/api/route-explain?model=route&seed=18446744073709551616", b"Hi", "64 bits"),
        ("/api/route-explain?model=route&seed=-1", b"Hi", "seed"),
        ("/api/route-explain?model=route&sed=1", b"Hi", '"sed"'),
        ("/api/route-explain?model=route&model=blend", b"Hi", "one model"),
        ("/api/route-explain?protocol=morse&model=route", b"Hi", "protocol"),
        ("/api/route-explain?model=route", b'{"request": "Hi"}', "not in both"),
        ("/api/route-explain", b'{"request": "Hi", "model": 5}', "model"),
        ("/api/route-explain", b'{"request": "Hi", "modle": "route"}', "modle"),
        ("/api/route-explain", b'{"request": "\\ud800", "model": "route"}', "JSON"),
        ("/api/estimate?model=route&protocol=text", b"\xff", "not UTF-8 at byte 0"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_place(
    it: Gateway, target: str, body: bytes, said: str
) -> None:
    """A plain API error, 400."""
    told = await post(it, target, body, status=400)
    assert said in told["error"]["message"]


async def test_an_estimate_for_an_unknown_model_is_404(it: Gateway) -> None:
    """With the nearest names."""
    told = await post(it, "/api/estimate?model=rout", b"Hi", status=404)
    assert "route" in told["error"]["message"]


async def test_explaining_moves_no_counter_and_keeps_no_pick(config: Path) -> None:
    """However often it is asked, the next request takes the turn that was explained."""
    _ = config
    async with (
        FakeUpstream([sized(b'{"choices": []}')]) as upstream,
        gateway(CONFIG.format(url=upstream.base_url)) as it,
    ):
        for turn in ("up/small", "up/large", "up/small"):
            for _each in range(3):
                told = await post(it, "/api/route-explain?model=turns", b"Hi")
                assert told["chosen"] == turn
            body = encoded("chat_completions", "turns", "Hi")
            async with it.client.post(it.url + PATHS["chat_completions"], data=body) as reply:
                assert reply.headers["x-gatewayctl-model"] == turn
        drawn = {
            (await post(it, f"/api/route-explain?model=blend&session=a&seed={seed}", b"Hi"))[
                "chosen"
            ]
            for seed in range(12)
        }
        assert drawn == {"up/small", "up/large"}


async def test_a_session_that_picked_before_is_explained_with_its_pick(config: Path) -> None:
    """The daemon knows what the command line cannot: what a conversation keeps."""
    _ = config
    async with (
        FakeUpstream([sized(b'{"choices": []}')]) as upstream,
        gateway(CONFIG.format(url=upstream.base_url)) as it,
    ):
        body = encoded("chat_completions", "blend", "Hi")
        headers = {"x-gatewayctl-session": "a"}
        async with it.client.post(
            it.url + PATHS["chat_completions"], data=body, headers=headers
        ) as reply:
            picked = reply.headers["x-gatewayctl-model"]
        for seed in range(8):
            told = await post(it, f"/api/route-explain?model=blend&session=a&seed={seed}", body)
            assert told["chosen"] == picked
            assert told["session"] == {"inferred": False, "turn": 1, "picks": {"blend": picked}}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("text", ["Hi", LONG])
async def test_a_dry_run_is_the_same_decision(it: Gateway, protocol: str, text: str) -> None:
    """On the surface itself, with the request as an agent sends it."""
    body = encoded(protocol, "route", text)
    headers = {"x-gatewayctl-dry-run": "1"}
    async with it.client.post(it.url + PATHS[protocol], data=body, headers=headers) as reply:
        assert reply.status == 200
        dry = await reply.json()
    assert dry == await post(it, f"/api/route-explain?protocol={protocol}", body)


async def test_a_compressed_question_is_read(it: Gateway) -> None:
    """As on every surface; bounded after decompression."""
    data = gzip.compress(encoded("messages", "route", LONG))
    async with it.client.post(
        f"{it.url}/api/route-explain", data=data, headers={"content-encoding": "gzip"}
    ) as reply:
        assert (await reply.json())["chosen"] == "up/large"


async def test_a_name_for_claude_code_is_accepted_back(it: Gateway, config: Path) -> None:
    """As the surfaces accept it, and as the command line does."""
    name = "claude-via-up--large"
    told = await post(it, f"/api/route-explain?model={name}", b"Hi")
    assert told["chosen"] == "up/large"
    assert told == cli(config, "route-explain", name, stdin=b"Hi")
    told = await post(it, f"/api/estimate?model={name}", b"Hi")
    assert told == cli(config, "estimate", "-m", name, stdin=b"Hi")


async def test_web_pages_may_not_ask(it: Gateway) -> None:
    """The access rules of every other surface hold here too."""
    headers = {"origin": "https://example.com"}
    async with it.client.post(
        f"{it.url}/api/route-explain?model=route", data=b"Hi", headers=headers
    ) as reply:
        assert reply.status == 403


async def test_the_command_line_asks_the_daemon(it: Gateway, config: Path) -> None:
    """``--live`` gives what the daemon says, which config it reads among it."""
    body = encoded("chat_completions", "unasked", "Hi")
    ran = await asyncio.to_thread(
        gatewayctl,
        *("route-explain", "blend", "--url", it.url, "--json", "--seed", "5"),
        stdin=body,
    )
    assert ran.status == 0, ran.err
    offline = cli(config, "route-explain", "blend", "--seed", "5", stdin=body)
    assert json.loads(ran.out) == offline
