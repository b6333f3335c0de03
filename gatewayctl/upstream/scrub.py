"""Takes credentials out of what an upstream says: some quote the key that they refuse.

Only what the upstream was sent can come back from it, so only that is looked for. What merely looks
like a credential is ``failures``'s business.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

import msgspec
from yarl import URL

from gatewayctl.config.secrecy import is_secret_header
from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import Failure
from gatewayctl.core.model import Auth
from gatewayctl.upstream.egress import BadProxy, as_proxy, basic_login, proxy_for
from gatewayctl.upstream.headers import Headers, credentials_of

_SHORTEST = 8
"""Characters of a configured header's value from which it may be a secret."""

_SHORTEST_KEY = 6
"""The same of a key: shorter ones are stand-ins (``x``, ``none``), which stand in many a word."""

_DESCRIBING = ("accept", "content-", "user-agent")
"""How names of headers begin whose values are no secrets, and stand in many a reply."""

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")  # what is written the same way everywhere

_PROXY_VARIABLES = tuple(
    spelt
    for scheme in ("http", "https", "all", "no")
    for spelt in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
)


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
            headers=self.headers(failure.headers),
        )

    def headers(self, headers: Headers) -> Headers:
        """Return an upstream's headers that go to the client."""
        if not self.own:
            return headers
        return tuple((name, self._own_out_of(value)) for name, value in headers)

    def _own_out_of(self, value: str) -> str:
        if not any(secret in value for secret in self.own):
            return value
        return self.raw(value.encode(errors="surrogateescape")).decode(errors="surrogateescape")


def scrub(settings: ProviderSettings, credential: str | None, client: Mapping[str, str]) -> Scrub:
    """Return what to look for in the replies of a provider that was sent these."""
    keys = [credential or "", *_logins(settings.base_url, settings.proxy, _variables())]
    own = [key for key in keys if len(key) >= _SHORTEST_KEY]
    own += [value for value in _configured(settings.headers) if len(value) >= _SHORTEST]
    forwarded: list[str] = []
    if settings.provider.auth is Auth.FORWARD:
        forwarded = [value for value in credentials_of(client) if len(value) >= _SHORTEST]
    return Scrub(own=_written(own), client=_written(forwarded))


def _configured(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield what of a provider's own headers may be a secret, also without the scheme before it."""
    for name, value in headers.items():
        if not name.lower().startswith(_DESCRIBING):
            yield value
        if is_secret_header(name):
            yield value.rpartition(" ")[2]


def _written(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return secrets in every form that they may be written in; those that hold others first."""
    return tuple(
        form
        for secret in dict.fromkeys(secrets)
        for form in sorted(_forms(secret), key=lambda form: (-len(form), form))
    )


def _forms(secret: str) -> set[str]:
    """Return a secret as it is, in a URL, in JSON, and in JSON that is text in JSON."""
    if _PLAIN.fullmatch(secret) is not None:
        return {secret}
    once = _in_json(secret)
    twice = {form for each in once for form in _in_json(each)}
    return {secret, quote(secret, safe="", errors="replace"), *once, *twice}


def _in_json(text: str) -> set[str]:
    """Return how JSON writes a text; PHP writes its slashes in another way."""
    readable = text.encode(errors="replace").decode()  # a client may have sent any bytes
    escaped = msgspec.json.encode(readable).decode()[1:-1]
    return {escaped, escaped.replace("/", r"\/")}


def _variables() -> tuple[tuple[str, str], ...]:
    return tuple((name, os.environ[name]) for name in _PROXY_VARIABLES if name in os.environ)


@lru_cache(maxsize=256)
def _logins(
    base_url: str, proxy: str | None, environ: tuple[tuple[str, str], ...]
) -> tuple[str, ...]:
    """Return the passwords that a provider and its proxy are sent, plain and as they travel."""
    url = URL(base_url)
    found: list[str] = []
    for address in (url, _proxy(url, proxy, environ)):
        if address is not None and address.raw_user is not None:
            login = basic_login(address) or ""
            found += [address.password or "", address.raw_password or "", login.partition(" ")[2]]
            if not address.password:  # then the user is the secret
                found += [address.user or "", address.raw_user]
    return tuple(dict.fromkeys(found))


def _proxy(url: URL, setting: str | None, environ: tuple[tuple[str, str], ...]) -> URL | None:
    address = proxy_for(url, setting, dict(environ))
    try:
        return None if address is None else as_proxy(address)
    except BadProxy:  # nothing is sent through it
        return None
