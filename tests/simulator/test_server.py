import gzip

import aiohttp
import pytest
from support.dialects import PATHS, PROTOCOLS, encoded

from gatewayctl import simulator as simulators
from gatewayctl.simulator import SimModel, Simulator
from gatewayctl.simulator.journal import Ending


async def test_the_journal_keeps_requests_byte_for_byte(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """Body, credential and query are on record as they came, each with its connection."""
    body = (
        b'{ "model":"small",\n"max_tokens" : 9, "messages":[{"role":"user","content":"\\u0041"}]}'
    )
    headers = {"Authorization": "Bearer sk-Test", "X-Odd": "a  b"}
    for _ in range(2):
        async with http.post("/v1/messages?beta=true", data=body, headers=headers) as response:
            await response.read()
    first, second = simulator.journal.calls("/v1/messages")
    assert first.body == second.body == body
    assert first.header("authorization") == "Bearer sk-Test"
    assert (b"X-Odd", b"a  b") in first.headers
    assert first.target == "/v1/messages?beta=true"
    assert first.connection == second.connection
    assert first.at <= second.at
    assert (first.ending, first.status, first.frames) == (Ending.WHOLE, 200, 1)


async def test_connections_are_counted(simulator: Simulator) -> None:
    """Every accepted connection counts once, and open ones are told apart from past ones."""
    assert simulator.journal.connections == 0
    for expected in (1, 2):
        async with aiohttp.ClientSession(simulator.base_url) as http, http.get("/") as response:
            assert response.status == 200
            assert simulator.journal.connections == expected
            assert simulator.open_connections >= 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"model": 3}',
        b'{"model": "small"}',
        b'{"model": "small", "messages": [], "input": 5}',
        b'{"model": "small", "messages": [7], "input": [7], "max_tokens": 5}',
        b'{"model": "small", "messages": "x", "stream": "yes", "input": "x"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
async def test_malformed_requests_are_refused(
    http: aiohttp.ClientSession, protocol: str, body: bytes
) -> None:
    """Whatever is wrong with a body, the answer is a 400 of the dialect, never a 500."""
    async with http.post(PATHS[protocol], data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_limits_of_no_tokens_are_refused(http: aiohttp.ClientSession) -> None:
    """An output limit below one token is malformed, in the field that holds it."""
    body = encoded("chat_completions", "small", "hi", max_tokens=0)
    async with http.post("/v1/chat/completions", data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == "max_tokens"


async def test_encoded_bodies_and_unknown_paths_are_refused(http: aiohttp.ClientSession) -> None:
    """It reads plain JSON on its own paths only, and says so."""
    body = gzip.compress(encoded("responses", "small", "hi"))
    headers = {"content-encoding": "gzip"}
    async with http.post("/v1/responses", data=body, headers=headers) as response:
        assert response.status == 415
    async with http.post("/v1/images/generations", data=b"{}") as response:
        assert response.status == 404


async def test_media_costs_a_flat_rate(http: aiohttp.ClientSession) -> None:
    """An image counts the same whatever its bytes are, and more than nothing."""

    async def count(*blocks: object) -> int:
        body = encoded("messages", "small", "")
        turns = [{"role": "user", "content": [{"type": "text", "text": "look"}, *blocks]}]
        body = encoded("messages", "small", "", messages=turns)
        async with http.post("/v1/messages/count_tokens", data=body) as response:
            return int((await response.json())["input_tokens"])

    def image(data: str) -> object:
        source = {"type": "base64", "media_type": "image/png", "data": data}
        return {"type": "image", "source": source}

    plain = await count()
    assert await count(image("AAAA")) == await count(image("AAAA" * 5000)) == plain + 85


async def test_closing_frees_the_port_and_breaks_what_runs() -> None:
    """A closed simulator refuses connections, even while a reply was hanging."""
    simulator = await simulators.start()
    body = encoded("messages", "small!headers-then-nothing", "hi")
    async with aiohttp.ClientSession(simulator.base_url) as http:
        async with http.post("/v1/messages", data=body) as response:
            await simulator.close()
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get("/")


async def test_further_models_are_served_under_the_names_given(http: aiohttp.ClientSession) -> None:
    """Clients that insist on a maker's names find them, listed and answering, beside the usual."""
    sonnet = SimModel(id="claude-sonnet-4-5", window=200_000, max_output=64_000)
    simulator = await simulators.start(models=[sonnet])
    body = encoded("messages", "claude-sonnet-4-5", "hello")
    async with http.get(f"{simulator.base_url}/v1/models") as reply:
        listed = {model["id"] for model in (await reply.json())["data"]}
    async with http.post(f"{simulator.base_url}/v1/messages", data=body) as reply:
        assert (await reply.json())["model"] == "claude-sonnet-4-5"
    await simulator.close()
    assert listed == {"small", "large", "flaky", "claude-sonnet-4-5"}
