"""The built-in kinds: facts as data, and all of them whole."""

import pytest

from gatewayctl.config.kinds import DEFAULT_FLAGS, AuthHeader, is_provider, kinds
from gatewayctl.core.model import Overflow, WireProtocol
from gatewayctl.registry.sources import LISTINGS

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


def test_openai_alone_is_sent_the_newer_name_of_the_output_budget() -> None:
    """Its reasoning models refuse the older one; many compatible servers know no other."""
    kind = [name for name, it in kinds().items() if it.flags["max_completion_tokens"]]
    assert kind == ["openai"]


def test_what_chat_servers_want_otherwise_than_openai_is_known() -> None:
    """Each of them refuses a conversation that goes on as one with OpenAI would."""
    said = {
        flag: {name for name, it in kinds().items() if it.flags[flag]} for flag in DEFAULT_FLAGS
    }
    assert said["mistral_rules"] == {"mistral"}
    assert said["reasoning_required"] == {"deepseek", "moonshot"}
    assert kinds().keys() - said["reasoning_content"] == {"groq", "cerebras"}


def test_every_kind_lists_its_models_by_an_api_that_there_is() -> None:
    """The compatible kinds do too: a user's server is asked like anybody's."""
    assert {kind.listing for kind in kinds().values()} <= LISTINGS.keys()
    own = {name for name, kind in kinds().items() if kind.listing == name}
    assert own == LISTINGS.keys() - {"litellm", "models_dev", "compatible", "copilot"}


def test_only_ollama_is_taken_to_hold_little_until_it_says_more() -> None:
    """It cuts what does not fit without a word, and 4096 is the least that it starts with."""
    assert {name: k.assumed_window for name, k in kinds().items() if k.assumed_window} == {
        "ollama": 4096
    }


@pytest.mark.parametrize(
    ("model", "holds"),
    [
        ("claude-sonnet-4-5", True),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-sonnet-4-0", True),
        ("claude-sonnet-4-6", False),
        ("claude-opus-4-7", False),
        ("claude-haiku-4-5", False),
    ],
)
def test_the_windows_that_a_beta_unlocks_are_data(model: str, *, holds: bool) -> None:
    """The sonnets of 200,000 tokens hold a million for who names the beta, and no other does."""
    (beta,) = kinds()["anthropic"].beta_windows
    assert (beta.beta, beta.window, beta.without) == ("context-1m-2025-08-07", 1_000_000, 200_000)
    assert beta.holds_for(model) is holds
    assert not any(kind.beta_windows for name, kind in kinds().items() if name != "anthropic")


def test_the_counters_of_providers_are_data() -> None:
    """Anthropic counts Messages requests, and Google those of its own protocol."""
    counting = {name: kind.counts for name, kind in kinds().items() if kind.counts}
    assert counting == {
        "anthropic": (WireProtocol.MESSAGES,),
        "gemini": (WireProtocol.GEMINI,),
    }
