"""Asks a provider how many tokens a request has.

The answer is believed: nobody else knows what a provider adds for its own tools, or how much is in
a file that a request only names.

What a body for a count looks like is each protocol's ``counting``'s business; whom to ask, and what
to do without an answer, the daemon's.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping

import msgspec
from multidict import MultiMapping

from gatewayctl.config.addresses import base
from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import ProviderSettings, Timeouts
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.core.model import Auth, WireProtocol
from gatewayctl.protocols.gemini.paths import COUNT, called_at
from gatewayctl.upstream.client import Call, Upstream
from gatewayctl.upstream.credentials import Credentials, serves
from gatewayctl.upstream.headers import (
    Headers,
    credentials_in,
    may_hold_credential,
    request_headers,
)

PATIENCE = 5.0
"""Seconds that a count may take; an estimate is at hand by then."""

_REPLY_LIMIT = 64 * 1024  # bytes
_OK = 200
_MOST = 1_000_000_000  # beyond any window; JSON knows no largest integer


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question: ``body`` is final, ``client`` are the headers of whoever wants to know.

    ``read`` finds the count in a reply.
    """

    provider: ProviderSettings
    protocol: WireProtocol
    url: str
    body: bytes
    client: MultiMapping[str]
    read: Callable[[bytes], int | None]

    def __repr__(self) -> str:
        return f"Ask(provider={self.provider.provider.name!r}, …)"

    def digest(self, secret: bytes) -> bytes:
        """Return what equal questions have in common, headers that go up among it."""
        headers = request_headers(self.provider, self.protocol, self.client, None)
        found = hashlib.blake2b(key=secret, digest_size=16)
        told = [(name.lower(), value) for name, value in headers if _matters(name)]
        found.update(repr((self.provider.provider.name, self.url, told)).encode())
        found.update(self.body)
        return found.digest()


def counts(settings: ProviderSettings, protocol: WireProtocol) -> bool:
    """Tell whether a provider counts the requests of a protocol itself."""
    kind = kinds().get(settings.provider.kind)
    return kind is not None and protocol in kind.counts


def native(settings: ProviderSettings, model: str) -> str:
    """Return where Google counts the tokens of a request to a model."""
    return f"{base(settings, WireProtocol.GEMINI)}{called_at(model, COUNT)}"


def allowed(settings: ProviderSettings, client: Mapping[str, str]) -> bool:
    """Tell whether a provider may be asked for this client, credentials that go up aside."""
    if not serves(settings, client.get("User-Agent", "")):
        return False
    if settings.provider.auth is Auth.FORWARD:
        return next(credentials_in(client), None) is not None
    return True


async def count(ask: Ask, upstream: Upstream, credentials: Credentials, label: str = "") -> int:
    """Return the provider's own count; raise ``UpstreamFailed``, within ``PATIENCE`` seconds.

    ``label`` is what the credential to use is called.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            credential = await credentials.get(ask.provider, label)
            headers = request_headers(ask.provider, ask.protocol, ask.client, credential)
            return await _asked(ask, headers, upstream)
    except TimeoutError as error:
        message = f"no count within {PATIENCE:g} s"
        raise UpstreamFailed(Failure(kind=FailureKind.TIMEOUT, message=message)) from error


async def _asked(ask: Ask, headers: Headers, upstream: Upstream) -> int:
    timeouts = Timeouts(connect=PATIENCE, first_token=None, idle=PATIENCE, total=PATIENCE)
    call = Call(
        provider=ask.provider,
        url=ask.url,
        headers=headers,
        body=ask.body,
        stream=False,
        timeouts=timeouts,
    )
    try:
        reply = await upstream.send(call)
    except UpstreamFailed as error:
        if not error.failure.stale:
            raise
        reply = await upstream.send(msgspec.structs.replace(call, fresh=True))
    try:
        if reply.status != _OK:
            raise _bad(f"status {reply.status}", reply.status)
        found = ask.read(await reply.read(_REPLY_LIMIT))
    finally:
        reply.abort()
    if found is None:
        raise _bad("a reply without a count")
    if found > _MOST:
        raise _bad("more tokens than any request has")
    return found


def _bad(message: str, status: int | None = None) -> UpstreamFailed:
    return UpstreamFailed(Failure(kind=FailureKind.BAD_RESPONSE, message=message, status=status))


def _matters(name: str) -> bool:
    """Tell whether a header may change a count, or who is allowed to know it."""
    lower = name.lower()
    return lower.startswith("anthropic-") or may_hold_credential(lower)
