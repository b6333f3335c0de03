from support.gateway import settings_of

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.daemon.logins import Logins

CONFIG = """
[providers.one]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "oauth"

[providers.two]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "oauth"

[providers.keyed]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = { env = "KEY" }
"""


class Tokens:
    """Credentials of which some are over."""

    def __init__(self, degraded: str | None = None, **over: str) -> None:
        self.degraded = degraded
        self._over = over

    def ended(self, settings: ProviderSettings) -> str | None:
        """Return what a test says of it; that of a provider with a key is never asked for."""
        assert settings.provider.name != "keyed"
        return self._over.get(settings.provider.name)


def test_what_is_over_is_told_beside_what_is_wrong_with_others() -> None:
    """In the order of the config, once each; nothing where all is well."""
    settings = settings_of(CONFIG)
    assert Logins(settings, Tokens()).degraded is None
    assert Logins(settings, Tokens(two="two is over")).degraded == "two is over"
    tokens = Tokens(degraded="trouble", one="the file is broken", two="the file is broken")
    assert Logins(settings, tokens).degraded == "the file is broken; trouble"
