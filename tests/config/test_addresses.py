"""Where a provider is asked in each protocol."""

import pytest

from gatewayctl.config.addresses import base
from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.load import load_text
from gatewayctl.core.model import WireProtocol

GOOGLE = "https://generativelanguage.googleapis.com"


def bases(table: str) -> tuple[str, str]:
    """Return where a provider with these settings is asked natively, and for a chat."""
    text = f'[providers.gemini]\napi_key = "k"\n{table}'
    loaded = load_text(text, name="x.toml", environ={}, catalog=EmptyCatalog())
    assert loaded.settings is not None, loaded.problems
    found = loaded.settings.providers["gemini"]
    return base(found, WireProtocol.GEMINI), base(found, WireProtocol.CHAT_COMPLETIONS)


@pytest.mark.parametrize(
    ("url", "versioned"),
    [
        (GOOGLE, f"{GOOGLE}/v1beta"),
        (f"{GOOGLE}/v1beta", f"{GOOGLE}/v1beta"),
        (f"{GOOGLE}/v1beta/openai", f"{GOOGLE}/v1beta"),
        (f"{GOOGLE}/v1alpha", f"{GOOGLE}/v1alpha"),
        ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:9/google", "http://127.0.0.1:9/google/v1beta"),
    ],
)
def test_googles_two_apis_are_one_provider(url: str, versioned: str) -> None:
    """The compatible address stands behind the version, whichever of the two a file names."""
    assert bases(f'base_url = "{url}"') == (versioned, f"{versioned}/openai")


def test_the_usual_base_url_is_googles() -> None:
    """A key is all that is needed."""
    assert bases("") == (f"{GOOGLE}/v1beta", f"{GOOGLE}/v1beta/openai")


def test_any_kind_may_speak_gemini_at_its_own_address() -> None:
    """Only Google's has a second address; a version is added for Gemini alone."""
    table = 'kind = "openai-compatible"\nprotocols = ["gemini", "chat_completions"]\n'
    table += 'base_url = "http://127.0.0.1:9"'
    assert bases(table) == ("http://127.0.0.1:9/v1beta", "http://127.0.0.1:9")
