"""A provider's OAuth: what the table means once it is valid. What is wrong with one is a case."""

from pathlib import Path

import pytest
from support.catalog import SmallCatalog

from gatewayctl.config.lint import Surroundings
from gatewayctl.config.load import load_bytes
from gatewayctl.config.settings import OAuthSettings, ProviderSettings, TokenEncoding
from gatewayctl.core.model import Auth

_ENDPOINTS = """
authorize_url = "https://login.example/authorize?tenant=x"
token_url = "https://login.example/token/"
client_id = "gatewayctl"
"""


def _provider(table: str, *, folder: str = "/etc/gatewayctl") -> ProviderSettings:
    text = f"[providers.mine]\n{table}"
    if "kind" not in table:
        text += '\nkind = "openai-compatible"\nbase_url = "https://api.example/v1"\n'
    around = Surroundings(folder=folder)
    loaded = load_bytes(text.encode(), name="c", environ={}, catalog=SmallCatalog(), around=around)
    assert loaded.settings is not None, loaded.problems
    return loaded.settings.providers["mine"]


def test_endpoints_are_kept_to_the_letter() -> None:
    """A query and a last slash are part of an endpoint, and what is not said has its default."""
    table = 'kind = "openai"\nauth = "oauth"\n[providers.mine.oauth]' + _ENDPOINTS
    found = _provider(table)
    assert found.provider.auth is Auth.OAUTH
    assert found.secrets == ()
    assert found.oauth == OAuthSettings(
        authorize_url="https://login.example/authorize?tenant=x",
        token_url="https://login.example/token/",
        client_id="gatewayctl",
        encoding=TokenEncoding.JSON,
    )


def test_scopes_parameters_and_encoding_are_taken_over() -> None:
    """What the token request and the login page need beyond the standard comes from the table."""
    more = 'scopes = ["a", "b"]\nencoding = "form"\nextra = { audience = "x" }'
    found = _provider(f'kind = "openai"\nauth = "oauth"\n[providers.mine.oauth]{_ENDPOINTS}{more}')
    assert found.oauth is not None
    assert found.oauth.scopes == ("a", "b")
    assert found.oauth.encoding is TokenEncoding.FORM
    assert found.oauth.extra == {"audience": "x"}


def test_a_borrowed_file_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path starts at the config's folder, ~ at the user's home."""
    monkeypatch.setenv("HOME", "/home/me")
    table = 'auth = "oauth"\nclients = ["x/*"]\ncredential = {{ borrow = "{}" }}'
    near = _provider(table.format("../tool/creds.json"), folder="/etc/gatewayctl")
    assert near.borrow is not None
    assert Path(near.borrow) == Path("/etc/gatewayctl/../tool/creds.json")
    assert _provider(table.format("~/.tool/c.json")).borrow == "/home/me/.tool/c.json"


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        (
            f"oauth = {{ {', '.join(_ENDPOINTS.split(chr(10))[1:4])} }}",
            "run gatewayctl auth login mine",
        ),
        (
            'oauth = { token_url = "https://a.example/t", client_id = "i" }',
            "run gatewayctl auth import mine --token",
        ),
        ("", "run gatewayctl auth import mine --token"),
        ('credential = { borrow = "/x/y.json" }', "log in with the program that keeps /x/y.json"),
    ],
)
def test_what_to_do_without_a_token_is_said(table: str, hint: str) -> None:
    """The hint names the command that can help this provider, and no other."""
    assert _provider(f'auth = "oauth"\n{table}').provider.key_hint == hint


def test_a_subscription_serves_its_own_client_where_nothing_is_said() -> None:
    """Without ``clients`` the provider that sells it decides; a host of one's own serves all."""
    borrowed = 'auth = "oauth"\ncredential = { borrow = "x.json" }\nkind = "anthropic"\n'
    assert _provider(borrowed).clients == ("claude-cli/*", "claude-code/*")
    assert _provider(f'{borrowed}base_url = "http://127.0.0.1:9"').clients == ()
    compatible = 'auth = "oauth"\nkind = "anthropic-compatible"\n'
    sold = f'{compatible}base_url = "https://api.anthropic.com/v1"'
    assert _provider(sold).clients == ("claude-cli/*", "claude-code/*")
    for host in ("api.anthropic.com.", "eu.api.anthropic.com"):
        below = f'{compatible}base_url = "https://{host}/v1"'
        assert _provider(below).clients == ("claude-cli/*", "claude-code/*")
    other = f'{compatible}base_url = "https://not-api.anthropic.com.example.com/v1"'
    assert _provider(other).clients == ()
