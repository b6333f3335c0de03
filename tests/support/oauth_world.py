"""Processes that share a folder of OAuth credentials and a token server; a test sets the time."""

from pathlib import Path

import pytest
from support.token_server import TokenServer, provider

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.storage.credentials import Credential, Vault
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.oauth import OAuth
from gatewayctl.upstream.renewal import Waiting

NOW = 1_800_000_000.0


class Clock:
    """A time of day and a monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.wall = NOW
        self.monotonic = 1000.0

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.monotonic += seconds


class World:
    """A token server, and processes that share a folder of credentials."""

    def __init__(self, server: TokenServer, folder: Path, http: AiohttpUpstream) -> None:
        self.server = server
        self.authority = server.authority
        self.clock = Clock()
        self.vault = Vault(folder)
        self.settings = provider(server.url)
        self._http = http
        self._started: list[OAuth] = []

    def process(
        self, vault: Vault | None = None, *, grace: float = 30.0, patience: float = 30.0
    ) -> OAuth:
        """Return what another process would have."""
        oauth = OAuth(
            vault or Vault(self.vault.path.parent),
            self._http,
            lambda: self.clock.wall,
            Waiting(monotonic=lambda: self.clock.monotonic, grace=grace, patience=patience),
        )
        self._started.append(oauth)
        return oauth

    def login(self, *, expires_in: float | None = 3600.0, access: str | None = "old") -> Credential:
        """Store a credential whose access token expires then."""
        expires_at = None if expires_in is None else self.clock.wall + expires_in
        return self.vault.put(
            "claude",
            Credential(
                access_token=access,
                refresh_token=self.authority.login(),
                expires_at=expires_at,
                scopes=("one", "two"),
                obtained_at=self.clock.wall,
            ),
        )

    def stored(self) -> Credential:
        """Return what is stored."""
        stored = self.vault.get("claude")
        assert stored is not None
        return stored

    async def close(self) -> None:
        """End every process."""
        for oauth in self._started:
            await oauth.close()


async def refusal(oauth: OAuth, settings: ProviderSettings) -> Failure:
    """Return why there is no token."""
    with pytest.raises(UpstreamFailed) as caught:
        await oauth.token(settings)
    return caught.value.failure


async def over(oauth: OAuth, settings: ProviderSettings) -> str:
    """Return what is said of a credential that is over."""
    failure = await refusal(oauth, settings)
    assert failure.kind is FailureKind.AUTH
    assert oauth.ended(settings) == failure.message
    return failure.message
