import msgspec
import pytest
from support.dialects import DIALECTS
from support.faulty import call

from gatewayctl.config.kinds import kinds
from gatewayctl.simulator import Simulator
from gatewayctl.simulator.overflows import PROVIDERS

WORDS = {
    "openai": "maximum context length is 131072 tokens",
    "anthropic": "prompt is too long: 537812 tokens > 131072 maximum",
    "gemini": "token count (537812) exceeds the maximum number of tokens allowed (131072)",
    "openrouter": "This endpoint's maximum context length is 131072 tokens",
    "groq": "reduce the length of the messages or completion",
    "mistral": "too large for model with 131072 maximum context length",
    "deepseek": "maximum context length is 131072 tokens",
    "moonshot": "exceeded model token limit: 131072 (requested: 537812)",
    "xai": "maximum prompt length is 131072 but the request contains 537812 tokens",
    "together": "(537812 tokens) is longer than the model's context length (131072 tokens)",
    "fireworks": "prompt is too long: 537812, model maximum context length: 131072",
    "cerebras": "Current length is 537812 while limit is 131072",
    "ollama": "exceeded max context length by 406740 tokens",
    "lmstudio": "loaded with context length of only 131072 tokens",
    "llamacpp": "(537812 tokens) exceeds the available context size (131072 tokens)",
    "vllm": "maximum context length is 131072 tokens",
}
FLAT = {"mistral", "cerebras"}
BARE = {"xai", "lmstudio"}


def test_every_built_in_kind_has_its_words() -> None:
    """Whatever provider the gateway knows by name, its refusal can be had here."""
    generic = {"openai-compatible", "anthropic-compatible"}
    assert set(PROVIDERS) == set(WORDS) == set(kinds()) - generic


@pytest.mark.parametrize("provider", WORDS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_prompt_is_too_long_in_each_providers_words(
    simulator: Simulator, protocol: str, stream: bool, provider: str
) -> None:
    """A 400 whose body has the provider's shape; over the other APIs Anthropic's or Google's."""
    told = await call(simulator, protocol, f"overflow={provider}", stream=stream)
    assert (told.status, told.content_type) == (400, "application/json")
    decoded = msgspec.json.decode(told.body)
    if protocol == "messages":
        assert (decoded["type"], decoded["error"]["type"]) == ("error", "invalid_request_error")
        assert WORDS[provider] in decoded["error"]["message"]
        return
    if protocol == "gemini":
        assert decoded["error"]["status"] == "INVALID_ARGUMENT"
        assert WORDS[provider] in decoded["error"]["message"]
        return
    if provider == "gemini":
        (decoded,) = decoded
    error = decoded if provider in FLAT else decoded["error"]
    assert WORDS[provider] in (error if provider in BARE else error["message"])


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_without_a_name_it_is_the_vendor_of_the_protocol(
    simulator: Simulator, protocol: str
) -> None:
    """``overflow`` alone is what OpenAI says, or Anthropic, or Google."""
    told = await call(simulator, protocol, "overflow")
    said = {"messages": b"prompt is too long", "gemini": b"The input token count"}
    assert said.get(protocol, b"context_length_exceeded") in told.body
