"""Local servers that the simulator plays: their listings, and what is too long for them."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from support.dialects import PATHS, encoded

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Local
from gatewayctl.simulator.servers import KINDS
from gatewayctl.simulator.servers.local import Overlong

LONG = "word " * 5000
"""5000 tokens by the simulator's rule; a few more with its frames."""


class Server:
    """A played server and a client of it."""

    def __init__(self, local: Local, http: aiohttp.ClientSession) -> None:
        self.local = local
        self.http = http

    async def get(self, path: str) -> Any:
        """Return what a listing says."""
        async with self.http.get(path) as reply:
            assert reply.status == 200
            return await reply.json()

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        """Return the status and the body of a reply."""
        async with self.http.post(path, json=body) as reply:
            return reply.status, await reply.json()

    async def chat(
        self, text: str, protocol: str = "chat_completions", **fields: Any
    ) -> tuple[int, Any]:
        """Return the status and the body of a model's reply."""
        body = encoded(protocol, self.local.models[0], text, **fields)
        async with self.http.post(PATHS[protocol], data=body) as reply:
            return reply.status, await reply.json()


@contextlib.asynccontextmanager
async def serving(kind: str, overlong: Overlong | None = None) -> AsyncIterator[Server]:
    """Play a server that serves 4096 tokens of an advertised 40960."""
    local = Local(kind, context=4096, trained=40_960, overlong=overlong)
    simulator = await simulators.start(local=local)
    try:
        async with aiohttp.ClientSession(simulator.base_url) as http:
            yield Server(local, http)
    finally:
        await simulator.close()


async def test_ollama_tells_what_it_serves_of_loaded_models_only() -> None:
    """Its tags and its details tell of 40960; ``/api/ps`` of 4096, once a model was asked for."""
    async with serving("ollama") as server:
        name = server.local.models[0]
        assert [each["name"] for each in (await server.get("/api/tags"))["models"]] == [name]
        status, shown = await server.post("/api/show", {"model": name})
        assert (status, shown["model_info"]["qwen3.context_length"]) == (200, 40_960)
        assert await server.get("/api/ps") == {"models": []}
        await server.chat("hi")
        (running,) = (await server.get("/api/ps"))["models"]
        assert (running["name"], running["context_length"]) == (name, 4096)
        server.local.context = 32_768
        assert (await server.get("/api/ps"))["models"][0]["context_length"] == 32_768


async def test_ollama_loads_a_model_without_a_prompt() -> None:
    """``/api/generate`` without a prompt loads a model, with ``keep_alive`` 0 it unloads it."""
    async with serving("ollama") as server:
        name = server.local.models[0]
        status, done = await server.post("/api/generate", {"model": name})
        assert (status, done["done_reason"]) == (200, "load")
        assert len((await server.get("/api/ps"))["models"]) == 1
        await server.post("/api/generate", {"model": name, "keep_alive": 0})
        assert await server.get("/api/ps") == {"models": []}
        assert (await server.post("/api/show", {"model": "other"}))[0] == 404
        assert (await server.post("/api/generate", {"model": "other"}))[0] == 404
        assert (await server.post("/api/generate", {"model": name, "prompt": "hi"}))[0] == 400


async def test_vllm_lists_what_it_serves() -> None:
    """Its listing has the served length, and no other."""
    async with serving("vllm") as server:
        (listed,) = (await server.get("/v1/models"))["data"]
        assert listed["max_model_len"] == 4096


async def test_lm_studio_lists_what_is_loaded() -> None:
    """Both listings tell of 40960, and of 4096 once the model was asked for."""
    async with serving("lmstudio") as server:
        name = server.local.models[0]
        (old,) = (await server.get("/api/v0/models"))["data"]
        (new,) = (await server.get("/api/v1/models"))["models"]
        assert (old["max_context_length"], new["max_context_length"]) == (40_960, 40_960)
        assert (old["state"], new["loaded_instances"]) == ("not-loaded", [])
        assert "loaded_context_length" not in old
        await server.chat("hi")
        old = await server.get(f"/api/v0/models/{name}")
        (new,) = (await server.get("/api/v1/models"))["models"]
        assert (old["state"], old["loaded_context_length"]) == ("loaded", 4096)
        assert new["loaded_instances"][0]["config"]["context_length"] == 4096


async def test_llama_cpp_tells_what_it_serves_beside_its_listing() -> None:
    """The listing has what the model was trained for, the properties and slots what is served."""
    async with serving("llamacpp") as server:
        (listed,) = (await server.get("/v1/models"))["data"]
        assert listed["meta"]["n_ctx_train"] == 40_960
        assert (await server.get("/props"))["default_generation_settings"]["n_ctx"] == 4096
        assert (await server.get("/slots"))[0]["n_ctx"] == 4096


async def test_a_compatible_server_tells_no_figure() -> None:
    """Nothing of its listing is a number of tokens."""
    async with serving("compatible") as server:
        (listed,) = (await server.get("/v1/models"))["data"]
        assert set(listed) == {"id", "object", "created", "owned_by"}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_server_has_a_listing_in_openai_s_shape(kind: str) -> None:
    """The listing that clients of OpenAI read names the model; other models are unknown."""
    async with serving(kind) as server:
        listed = (await server.get("/v1/models"))["data"]
        assert [each["id"] for each in listed] == list(server.local.models)
        body = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
        assert (await server.post("/v1/chat/completions", body))[0] == 404


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize("kind", ["ollama", "lmstudio", "compatible"])
async def test_some_cut_what_is_too_long_without_a_word(kind: str, protocol: str) -> None:
    """The reply is whole, and its usage has what was left: as much as the context holds."""
    async with serving(kind) as server:
        status, reply = await server.chat(LONG, protocol)
    usage = reply["usage"]
    assert status == 200
    assert usage.get("prompt_tokens", usage.get("input_tokens")) == 4096


async def test_vllm_refuses_what_is_too_long_with_its_output() -> None:
    """The prompt alone would fit; its words tell both figures."""
    async with serving("vllm") as server:
        status, reply = await server.chat("word " * 4000, max_tokens=200)
        assert status == 400
        assert "maximum context length is 4096 tokens" in reply["error"]["message"]
        assert (await server.chat("word " * 3800, max_tokens=200))[0] == 200


async def test_llama_cpp_refuses_in_its_own_words() -> None:
    """The error has the figures as fields; the output that is asked for does not count."""
    async with serving("llamacpp") as server:
        status, reply = await server.chat(LONG)
        assert status == 400
        assert reply["error"]["type"] == "exceed_context_size_error"
        assert reply["error"]["n_prompt_tokens"] > 5000
        assert reply["error"]["n_ctx"] == 4096
        assert (await server.chat("word " * 4000, max_tokens=2000))[0] == 200


async def test_the_way_with_what_is_too_long_can_be_chosen() -> None:
    """llama.cpp cuts as older ones did, and Ollama refuses as it can be told to."""
    async with serving("llamacpp", Overlong.CUT) as server:
        status, reply = await server.chat(LONG)
        assert (status, reply["usage"]["prompt_tokens"]) == (200, 4096)
    async with serving("ollama", Overlong.REFUSE) as server:
        status, reply = await server.chat(LONG)
        assert status == 400
        assert "exceeded max context length" in reply["error"]["message"]
