"""The built-in kinds: facts as data, and all of them whole."""

import pytest

from gatewayctl.config.kinds import DEFAULT_FLAGS, AuthHeader, is_provider, kinds
from gatewayctl.core.model import Overflow, WireProtocol

PROVIDERS = [
    "anthropic",
    "openai",
    "gemini",
    "openrouter",
    "groq",
    "mistral",
    "deepseek",
    "moonshot",
    "xai",
    "together",
    "fireworks",
    "cerebras",
    "ollama",
    "lmstudio",
    "llamacpp",
    "vllm",
]


def test_every_named_provider_is_built_in() -> None:
    """The documented names are exactly the built-in providers."""
    assert {name for name, kind in kinds().items() if is_provider(kind)} == set(PROVIDERS)
    assert kinds().keys() - set(PROVIDERS) == {"openai-compatible", "anthropic-compatible"}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_whole(name: str) -> None:
    """Each has an address without trailing slash, a protocol, and a key unless it is local."""
    kind = kinds()[name]
    assert kind.base_url.startswith("http://127.0.0.1:" if kind.local else "https://")
    assert not kind.base_url.endswith("/")
    assert kind.protocols
    assert bool(kind.key_env) is not kind.local
    assert kind.flags.keys() == DEFAULT_FLAGS.keys()
    assert kind.local or kind.tables.models_dev


def test_local_kinds_wait_for_the_first_token_without_limit() -> None:
    """A local server may load a model first; hosted ones have the documented limits."""
    for kind in kinds().values():
        assert (kind.timeouts.first_token is None) is kind.local
        assert (kind.timeouts.idle > kinds()["openai"].timeouts.idle) is kind.local


def test_the_servers_known_to_truncate_say_so() -> None:
    """Ollama, llama.cpp and LM Studio cut what does not fit; everybody else refuses."""
    cutting = {name for name, kind in kinds().items() if kind.overflow is Overflow.TRUNCATES}
    assert cutting == {"ollama", "llamacpp", "lmstudio"}


def test_anthropic_differs_in_header_protocol_and_flag() -> None:
    """Its key travels in x-api-key, and the billing line of Claude Code stays for it alone."""
    kind = kinds()["anthropic"]
    assert kind.auth_header is AuthHeader.X_API_KEY
    assert kind.protocols == (WireProtocol.MESSAGES,)
    keeping = [name for name, it in kinds().items() if not it.flags["strip_billing_attribution"]]
    assert keeping == ["anthropic"]
