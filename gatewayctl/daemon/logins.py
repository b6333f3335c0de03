"""What stands against the OAuth credentials of the config's providers, for whoever is told of it.

Whether a credential lives is ``upstream.oauth``'s business.
"""

from typing import Protocol

from gatewayctl.config.settings import Settings
from gatewayctl.core.model import Auth
from gatewayctl.upstream.credentials import Ends


class Tokens(Ends, Protocol):
    """Knows how the credentials fare."""

    @property
    def degraded(self) -> str | None:
        """Say what goes wrong with those that still serve."""
        ...


class Logins:
    """The credentials of all providers together."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._tokens = tokens
        self._providers = tuple(
            each for each in settings.providers.values() if each.provider.auth is Auth.OAUTH
        )

    @property
    def degraded(self) -> str | None:
        """Say which are over, and what is wrong with others; None where all is well. Cheap."""
        said = [*map(self._tokens.ended, self._providers), self._tokens.degraded]
        return "; ".join(dict.fromkeys(filter(None, said))) or None
