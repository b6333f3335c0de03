"""Gemini's clients are told how many tokens a request has, by Google or by estimate."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from support.gateway import Gateway, gateway
from support.upstream import FakeUpstream, Step, sized

from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon.planning import LARGE
from gatewayctl.tokenizers.count import count

COUNTED = sized(b'{"totalTokens":31,"promptTokensDetails":[{"modality":"TEXT","tokenCount":31}]}')
TURNS = [{"role": "user", "parts": [{"text": "How many tokens are these? " * 40}]}]
WHOLE = {
    "model": "models/gemini-2.5-flash",
    "contents": TURNS,
    "systemInstruction": {"parts": [{"text": "Be brief. " * 40}]},
    "tools": [{"functionDeclarations": [{"name": "look", "description": "Looks. " * 40}]}],
}
PATH = "/v1beta/models/gemini/gemini-2.5-flash:countTokens"


def config(base_url: str = "http://127.0.0.1:9", auth: str = 'api_key = "sk-google"') -> str:
    """Return a config with Google's API at another address, and a model of another provider."""
    return f"""
[providers.gemini]
base_url = "{base_url}/v1beta/openai"
{auth}
[providers.other]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
[[models]]
id = "gemini/gemini-2.5-flash"
context_window = 1048576
[[models]]
id = "other/org/name:latest"
context_window = 100
tokenizer = "tiktoken:o200k_base"
[[models]]
id = "other/large"
context_window = 100000
[[dispatchers]]
id = "route"
targets = ["other/org/name:latest", "other/large"]
"""


async def post(
    it: Gateway, path: str, body: Any, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Send a request; return status, the JSON of the reply, and its headers in lower case."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with it.client.post(it.url + path, data=data, headers=named) as answer:
        told = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, await answer.json(), told


async def test_every_form_of_the_path_is_answered() -> None:
    """Whatever the SDK's version puts before it, and however it writes a name with slashes."""
    versions = ("/v1beta", "/v1", "", "/v1alpha", "/v1/v1beta", "/v1/v1")
    names = (
        "other/org/name:latest",
        "other%2Forg%2Fname:latest",
        "other%2forg/name%3Alatest",
        "models/other/org/name:latest",
    )
    async with gateway(config()) as it:
        for path in (f"{version}/models/{name}" for version in versions for name in names):
            status, reply, headers = await post(it, f"{path}:countTokens", {"contents": TURNS})
            assert (status, reply.keys()) == (200, {"totalTokens"}), path
            assert headers["x-gatewayctl-counted-by"] == "estimate", path
            assert headers["x-gatewayctl-model"] == "other/org/name:latest", path


async def test_everything_in_a_whole_request_counts() -> None:
    """System, tools and turns, exactly where the model's vocabulary is known."""
    path = "/v1beta/models/other/org/name:latest:countTokens"
    data = json.dumps({"generateContentRequest": WHOLE}).encode()
    counted = count(WireProtocol.GEMINI, data, "o200k_base")
    async with gateway(config()) as it:
        status, reply, _ = await post(it, path, data)
        assert (status, reply) == (
            200,
            {"totalTokens": sum(counted.tokens.values()) + counted.overhead},
        )
        _, fewer, _ = await post(it, path, {"contents": TURNS})
        assert fewer["totalTokens"] + 100 < reply["totalTokens"]


async def test_a_route_counts_for_a_model_that_holds_the_request() -> None:
    """The first target is too small."""
    async with gateway(config()) as it:
        status, _, headers = await post(it, "/v1beta/models/route:countTokens", {"contents": TURNS})
    assert (status, headers["x-gatewayctl-model"]) == (200, "other/large")


async def test_a_large_body_that_names_no_model_is_counted() -> None:
    """It is read in the counting process, to which the path is not known."""
    turns = [{"role": "user", "parts": [{"text": "word " * (LARGE // 4)}]}]
    async with gateway(config()) as it:
        status, reply, _ = await post(it, PATH, {"contents": turns})
    assert status == 200
    assert reply["totalTokens"] > LARGE // 8


async def test_google_counts_where_the_key_allows() -> None:
    """All of the request, at the native address, the key in a header and never in the URL."""
    async with FakeUpstream([COUNTED]) as upstream, gateway(config(upstream.base_url)) as it:
        for body in (WHOLE, {"generateContentRequest": WHOLE}):
            status, reply, headers = await post(it, f"{PATH}?key=sk-of-the-client", body)
            assert (status, reply) == (200, {"totalTokens": 31})
            assert headers["x-gatewayctl-counted-by"] == "provider"
        (sent,) = upstream.requests  # both are the same question
    assert sent.target == "/v1beta/models/gemini-2.5-flash:countTokens"
    assert sent.header("x-goog-api-key") == b"sk-google"
    assert sent.header("authorization") is None
    assert json.loads(sent.body) == {"generateContentRequest": WHOLE}


async def test_the_body_names_the_providers_model() -> None:
    """Whatever the client called it."""
    more = '[aliases]\nmine = "gemini/gemini-2.5-flash"\n'
    async with FakeUpstream([COUNTED]) as upstream, gateway(config(upstream.base_url) + more) as it:
        await post(it, "/v1/models/mine:countTokens", {"contents": TURNS})
        (sent,) = upstream.requests
    assert json.loads(sent.body) == {
        "generateContentRequest": {"contents": TURNS, "model": "models/gemini-2.5-flash"}
    }


@pytest.mark.parametrize("where", ["header", "url"])
async def test_a_forwarded_key_goes_up_in_a_header(where: str) -> None:
    """Also one that the client has in its URL, where logs would keep it."""
    text = 'auth = "forward"'
    async with FakeUpstream([COUNTED]) as upstream, gateway(config(upstream.base_url, text)) as it:
        headers = {"x_goog_api_key": "sk-client"} if where == "header" else {}
        query = "" if headers else "?key=sk-client"
        _, reply, told = await post(it, PATH + query, {"contents": TURNS}, **headers)
        assert (reply["totalTokens"], told["x-gatewayctl-counted-by"]) == (31, "provider")
        (sent,) = upstream.requests
    assert sent.header("x-goog-api-key") == b"sk-client"
    assert "sk-client" not in sent.target


@pytest.mark.parametrize(
    "reply", [sized(b'{"error":{}}', 429), sized(b'{"totalTokens":"many"}'), sized(b"{}")]
)
async def test_where_google_does_not_count_an_estimate_is_answered(reply: Sequence[Step]) -> None:
    """And the header says why."""
    async with FakeUpstream([reply]) as upstream, gateway(config(upstream.base_url)) as it:
        status, told, headers = await post(it, PATH, {"contents": TURNS})
    assert status == 200
    assert 100 < told["totalTokens"] < 1_000
    assert headers["x-gatewayctl-counted-by"] == "estimate"
    assert headers["x-gatewayctl-degraded"].startswith("gemini did not count: ")


@pytest.mark.parametrize(
    ("path", "body", "code", "status"),
    [
        ("/v1beta/models/nobody-knows:countTokens", {"contents": TURNS}, 404, "NOT_FOUND"),
        ("/v1/models/nobody-knows:countTokens", {"contents": TURNS}, 404, "NOT_FOUND"),
        (PATH, {}, 400, "INVALID_ARGUMENT"),
        (PATH, b"", 400, "INVALID_ARGUMENT"),
        (PATH, b"{not json", 400, "INVALID_ARGUMENT"),
        (PATH, {"contents": 7}, 400, "INVALID_ARGUMENT"),
        (PATH, {"generateContentRequest": {}}, 400, "INVALID_ARGUMENT"),
        ("/v1beta/models/route:predict", {"contents": TURNS}, 404, "NOT_FOUND"),
        ("/v1/models/nobody-knows:generateContent", {"contents": TURNS}, 404, "NOT_FOUND"),
        ("/v1beta/corpora", {}, 404, "NOT_FOUND"),
    ],
)
async def test_errors_are_googles(path: str, body: Any, code: int, status: str) -> None:
    """Code, message, status, and the gateway's own object among the details."""
    async with gateway(config()) as it:
        answered, reply, headers = await post(it, path, body)
    assert answered == code
    assert reply.keys() == {"error"}
    error = reply["error"]
    assert error.keys() == {"code", "message", "status", "details"}
    assert (error["code"], error["status"]) == (code, status)
    assert error["message"]
    told = error["details"][0]["gatewayctl"]
    assert told["request_id"] == headers["x-gatewayctl-request-id"]


async def test_only_a_post_counts() -> None:
    """Another method is refused in the dialect of the path."""
    async with gateway(config()) as it, it.client.get(it.url + PATH) as answer:
        assert answer.status == 405
        assert (await answer.json())["error"]["status"] == "UNIMPLEMENTED"


async def test_a_model_whose_id_has_a_colon_is_looked_up_as_before() -> None:
    """``GET /v1/models/ID`` is OpenAI's, whatever stands behind a colon."""
    async with (
        gateway(config()) as it,
        it.client.get(f"{it.url}/v1/models/other/org/name:latest") as answer,
    ):
        assert answer.status == 200
        assert (await answer.json())["id"] == "other/org/name:latest"
