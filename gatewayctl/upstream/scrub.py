"""Takes credentials out of what an upstream says: some quote the key that they refuse.

Only what the upstream was sent can come back from it, so only that is looked for. What merely looks
like a credential is ``failures``'s business.
"""

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec
from yarl import URL

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import Failure
from gatewayctl.core.model import Auth

_SHORTEST = 8
"""Characters of a configured header's value from which it may be a secret."""

_SHORTEST_KEY = 6
"""The same of a key: shorter ones are stand-ins (``x``, ``none``), which stand in many a word."""

_CLIENT = ("authorization", "x-api-key", "x-goog-api-key")


class Scrub(msgspec.Struct, frozen=True, kw_only=True):
    """What must not be shown: ``own`` to nobody, ``client`` to nobody but the client itself."""

    own: tuple[str, ...] = ()
    client: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Scrub(…)"

    def message(self, text: str) -> str:
        """Return words that go into logs and errors of the gateway's own."""
        for secret in (*self.own, *self.client):
            text = text.replace(secret, "…")
        return text

    def raw(self, data: bytes) -> bytes:
        """Return an upstream's bytes that go to the client."""
        for secret in self.own:
            data = data.replace(secret.encode(), b"...")
        return data

    def failure(self, failure: Failure) -> Failure:
        """Return the failure with its words, body and headers scrubbed."""
        if not (self.own or self.client):
            return failure
        return msgspec.structs.replace(
            failure,
            message=self.message(failure.message),
            body=self.raw(failure.body),
            headers=tuple((name, self._own_out_of(value)) for name, value in failure.headers),
        )

    def _own_out_of(self, value: str) -> str:
        return self.raw(value.encode(errors="surrogateescape")).decode(errors="surrogateescape")


def scrub(settings: ProviderSettings, credential: str | None, client: Mapping[str, str]) -> Scrub:
    """Return what to look for in the replies of a provider that was sent these."""
    keys = (credential or "", URL(settings.base_url).password or "")
    own = [key for key in keys if len(key) >= _SHORTEST_KEY]
    own += [value for value in settings.headers.values() if len(value) >= _SHORTEST]
    forwarded: list[str] = []
    if settings.provider.auth is Auth.FORWARD:
        values = (client.get(name, "") for name in _CLIENT)
        forwarded = [unquote(value.rpartition(" ")[2]) for value in values]
    return Scrub(
        own=tuple(own),
        client=tuple(secret for secret in forwarded if len(secret) >= _SHORTEST),
    )
