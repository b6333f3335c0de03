"""Whom a client's own credential may reach: one party, and never a second.

With ``auth = "forward"`` a client's headers go up as they came. Which route is asked for, what
fails and who else stands behind it must not matter then: where a credential was once sent it stays,
and one that was sent nowhere yet belongs to the first such provider behind the name, whether that
one is attempted or not.
Which headers travel is ``upstream.headers``' business.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from yarl import URL

from gatewayctl.config.secrecy import is_secret_header
from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.core.model import Auth
from gatewayctl.upstream.headers import credentials_in, credentials_of, is_long, parameters

REMEMBERED: Final = 16_384
"""Credentials whose party is remembered; the one that was sent longest ago is forgotten first."""


class Forwarding:
    """Knows where forwarded credentials belong. Use within one event loop; no await stands here.

    ``secret`` keys the digests that are kept in place of credentials, in memory alone.
    """

    def __init__(self, settings: Settings, secret: bytes) -> None:
        self._providers = settings.providers
        self._secret = secret
        self._origins = {
            name: str(URL(each.base_url).origin())
            for name, each in settings.providers.items()
            if each.provider.auth is Auth.FORWARD
        }
        self._sent: OrderedDict[bytes, str] = OrderedDict()

    def barred(
        self,
        provider: str,
        leaves: Sequence[str],
        headers: Mapping[str, str],
        *,
        keyed: bool = False,
    ) -> str | None:
        """Say why a provider may not have the credential of a request, None where it may.

        ``leaves`` are the providers behind the name that was asked for, in declaration order;
        two of one origin are one party. ``keyed``: a key of the gateway's came with the request,
        and is not in ``headers``. Nothing is noted: planning sends nothing.
        """
        origin = self._origins.get(provider)
        if origin is None:
            return None
        if keyed and next(credentials_in(headers), None) is None:
            return (
                f'{provider} takes the client\'s own credential (auth = "forward"), and none came '
                "besides the gateway's key: send that one in x-gatewayctl-key, and your own in its "
                "usual header"
            )
        digests = self._digests(headers)
        if any(digest in self._sent for digest in digests):
            return self._elsewhere(provider, digests)
        first = next((each for each in leaves if each in self._origins), provider)
        if self._origins[first] == origin:
            return None
        return (
            f'{provider} takes the client\'s own credential (auth = "forward"), which belongs to '
            f"{first}, the first such provider behind this name, and goes to no other; ask for a "
            f"model of {provider} by its own name, or give {provider} an api_key"
        )

    def claim(self, provider: str, headers: Mapping[str, str]) -> None:
        """Note that a request's credential goes to a provider now; raise ``UpstreamFailed`` if not.

        To be called right before each call, a count among them.
        """
        origin = self._origins.get(provider)
        if origin is None:
            return
        digests = self._digests(headers)
        why = self._elsewhere(provider, digests)
        if why is not None:
            raise UpstreamFailed(
                Failure(kind=FailureKind.FORBIDDEN, message=why, should_retry=False)
            )
        for digest in digests:
            self._sent[digest] = origin
            self._sent.move_to_end(digest)
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    def _elsewhere(self, provider: str, digests: Sequence[bytes]) -> str | None:
        """Say that one of these was sent to another origin before, if it was."""
        origin = self._origins[provider]
        for digest in digests:
            before = self._sent.get(digest, origin)
            if before != origin:
                return (
                    f"the credential of this request was forwarded to {before} before, and goes to "
                    f"no other: {provider} is at {origin}, so send one of its own (or restart the "
                    "gateway, if it was sent there by mistake)"
                )
        return None

    def _digests(self, headers: Mapping[str, str]) -> list[bytes]:
        return [
            blake2b(
                value.encode(errors="surrogateescape"), key=self._secret, digest_size=16
            ).digest()
            for value in credentials_of(headers)
        ]


def query_for(settings: ProviderSettings, query: str) -> str:
    """Return what a provider gets of a client's query: its credentials only where they belong.

    Elsewhere nothing goes up that is called one, nor what is as long as one.
    """
    if settings.provider.auth is Auth.FORWARD or not query:
        return query
    return "&".join(
        each
        for each in query.split("&")
        if not any(
            is_secret_header(name) or is_long(value or name) for name, value in parameters(each)
        )
    )
