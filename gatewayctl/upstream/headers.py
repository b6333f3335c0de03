"""Which headers travel: the client's on their way up, the upstream's on their way down.

Pure. Bodies travel decompressed and with a length of their own, so whatever describes the
transfer stays behind; everything the gateway adds about itself is the daemon's business.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote_plus

from multidict import CIMultiDict, MultiMapping

from gatewayctl import __version__
from gatewayctl.config.kinds import AuthHeader, kinds
from gatewayctl.config.secrecy import is_secret_header
from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.model import Auth, WireProtocol
from gatewayctl.upstream.waits import is_readable

Headers = tuple[tuple[str, str], ...]

USER_AGENT = f"gatewayctl/{__version__}"

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TRANSFER = frozenset({"content-encoding", "content-length"})
_OWN = "x-gatewayctl-"
QUERY = f"{_OWN}query"
"""Under which a client's query is kept among its headers; no such header goes up."""
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

_ALWAYS_UP = frozenset({"accept", "traceparent", "tracestate"})
_UP = {
    WireProtocol.CHAT_COMPLETIONS: _ALWAYS_UP | {"openai-beta"},
    WireProtocol.RESPONSES: _ALWAYS_UP | {"openai-beta"},
    WireProtocol.MESSAGES: _ALWAYS_UP | {"anthropic-beta", "anthropic-version"},
    WireProtocol.GEMINI: _ALWAYS_UP,
}
"""What goes up with a credential of the gateway's; the client's others say who the client is."""

_NOT_UP = _HOP_BY_HOP | _TRANSFER | {"accept-encoding", "cookie", "cookie2", "expect", "host"}
_NO_CREDENTIALS = _NOT_UP | {"idempotency-key"}
_HARMLESS = frozenset(
    {
        "baggage",
        "cache-control",
        "date",
        "dnt",
        "forwarded",
        "http-referer",
        "origin",
        "originator",
        "pragma",
        "priority",
        "referer",
        "traceparent",
        "tracestate",
        "user-agent",
        "version",
        "via",
        "x-app",
        "x-real-ip",
        "x-title",
    }
)
_HARMLESS_PREFIXES = (
    _OWN,
    "accept",
    "anthropic-",
    "content-",
    "openai-",
    "sec-",
    "x-forwarded-",
    "x-stainless-",
)
_SHORTEST_UNKNOWN = 8  # characters
_SHORTEST_KEY = 20  # characters of a key in a query
_NOT_DOWN = (
    _HOP_BY_HOP
    | _TRANSFER
    | {"alt-svc", "date", "server", "set-cookie", "set-cookie2", "strict-transport-security"}
    | {"x-should-retry"}  # the gateway has retried by then, and says itself what is vain
)
_ABOUT_LIMITS = ("anthropic-ratelimit-", "x-ratelimit-", "request-id", "x-request-id", "cf-ray")
_NOT_DOWN_PREFIXES = (_OWN, "access-control-")


def request_headers(
    settings: ProviderSettings,
    protocol: WireProtocol,
    client: MultiMapping[str],
    credential: str | None,
) -> Headers:
    """Return the headers of a call, final but for Host and Content-Length.

    With ``auth = "forward"`` everything end-to-end of the client's goes up as it came, its
    credential too, and ``credential`` is not used. A credential that serves certain clients alone
    goes with all that such a client says of itself, in the place of the client's own. Otherwise
    only ``credential`` goes, if any, in the header that the provider's kind wants. The provider's
    own ``headers`` win over all.
    """
    if settings.provider.auth is Auth.FORWARD:
        headers = _forwarded(client)
    elif settings.provider.as_it_came:
        headers = _forwarded(client)
        for name in tuple(filter(may_hold_credential, headers)):
            headers.popall(name, None)
        _authorize(headers, settings, protocol, credential)
    else:
        headers = _own(settings, protocol, client, credential)
    headers["Accept-Encoding"] = "identity"  # compressors hold back the end of a stream's events
    apply(headers, settings.headers)
    return tuple(headers.items())


def reply_headers(upstream: MultiMapping[str]) -> Headers:
    """Return what a client gets of an upstream's headers: all that is end-to-end, and no cookies.

    Rate limits, request ids and the content type are among it. Whether to retry is the gateway's
    to say, and a Retry-After that tells no time is dropped.
    """
    hidden = _NOT_DOWN | _named_by_connection(upstream)
    return tuple(
        (name, value)
        for name, value in upstream.items()
        if (lower := name.lower()) not in hidden
        and not lower.startswith(_NOT_DOWN_PREFIXES)
        and is_readable(lower, value)
        and _is_sendable(value)
    )


@lru_cache(maxsize=1024)
def may_hold_credential(name: str) -> bool:
    """Tell whether a client's header of this name may go up and hold a credential of its own."""
    lower = name.lower()
    if lower in _NO_CREDENTIALS or lower.startswith(_OWN):
        return False
    return is_secret_header(lower)


def credentials_of(client: Mapping[str, str]) -> tuple[str, ...]:
    """Return what of a client's headers and query is called a credential, else what may be one."""
    return tuple(credentials_in(client)) or tuple(_unknown_in(client))


def credentials_in(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield each value of a client's headers and query that its name says to be a credential.

    Without a scheme before it, and in the order of the names.
    """
    for name, value in sorted(headers.items(), key=lambda each: each[0].lower()):
        if may_hold_credential(name) and (bare := value.rpartition(" ")[2]):
            yield bare
    for name, value in parameters(headers.get(QUERY, "")):
        if value and is_secret_header(name):
            yield value


def _unknown_in(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield what else of a client's headers and query may be a credential, under any name."""
    for name, value in sorted(headers.items(), key=lambda each: each[0].lower()):
        if len(value) >= _SHORTEST_UNKNOWN and not _is_harmless(name.lower()):
            yield value
    for name, value in parameters(headers.get(QUERY, "")):
        if is_long(value or name):
            yield value or name


def parameters(query: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a query as any server may read them: ``;`` separates, too."""
    for each in re.split("[&;]", query) if query else ():
        name, _, value = each.partition("=")
        yield unquote_plus(name).partition("[")[0].strip(), unquote_plus(value)


def is_long(value: str) -> bool:
    """Tell whether a parameter's value is as long as a key, and no flag, number or version."""
    return len(value) >= _SHORTEST_KEY


def _is_harmless(name: str) -> bool:
    """Tell whether a header is known to hold no credential: what clients say of themselves."""
    known = name in _NO_CREDENTIALS or name in _HARMLESS
    return known or name.startswith(_HARMLESS_PREFIXES) or name.endswith(("-id", "_id"))


def about_limits(headers: Headers) -> Headers:
    """Return what an error of the gateway's own tells of the upstream: its limits and its ids."""
    return tuple((name, value) for name, value in headers if name.lower().startswith(_ABOUT_LIMITS))


def _forwarded(client: MultiMapping[str]) -> CIMultiDict[str]:
    hidden = _NOT_UP | _named_by_connection(client)
    return CIMultiDict(
        (name, value)
        for name, value in client.items()
        if (lower := name.lower()) not in hidden
        and not lower.startswith(_OWN)
        and _is_sendable(value)
    )


def _own(
    settings: ProviderSettings,
    protocol: WireProtocol,
    client: MultiMapping[str],
    credential: str | None,
) -> CIMultiDict[str]:
    headers = CIMultiDict(
        (name, value)
        for name, value in client.items()
        if name.lower() in _UP[protocol] and _is_sendable(value)
    )
    kind = kinds().get(settings.provider.kind)
    for name, value in kind.default_headers.items() if kind else ():
        headers.setdefault(name, value)
    headers.setdefault("Accept", "*/*")
    headers["Content-Type"] = "application/json"
    headers["User-Agent"] = USER_AGENT
    _authorize(headers, settings, protocol, credential)
    return headers


def _authorize(
    headers: CIMultiDict[str],
    settings: ProviderSettings,
    protocol: WireProtocol,
    credential: str | None,
) -> None:
    auth = settings.provider.auth
    if credential is None or auth is Auth.NONE:
        return
    native = protocol is WireProtocol.GEMINI and auth is not Auth.OAUTH
    name, value = ("x-goog-api-key", credential) if native else presented(settings, credential)
    headers[name] = value


def presented(settings: ProviderSettings, credential: str) -> tuple[str, str]:
    """Return the header in which a provider's kind wants its credential; tokens are bearer's."""
    kind = kinds().get(settings.provider.kind)
    token = settings.provider.auth is Auth.OAUTH
    if kind is not None and kind.auth_header is AuthHeader.X_API_KEY and not token:
        return "x-api-key", credential
    return "Authorization", f"Bearer {credential}"


def apply(headers: CIMultiDict[str], configured: Mapping[str, str]) -> None:
    """Put a provider's own headers over others; an empty one removes."""
    for name, value in configured.items():
        if value:
            headers[name] = value
        else:
            headers.popall(name, None)


def _named_by_connection(headers: MultiMapping[str]) -> frozenset[str]:
    """Return the names that a Connection header makes hop-by-hop."""
    return frozenset(
        name.strip().lower()
        for value in headers.getall("Connection", ())
        for name in value.split(",")
    )


def _is_sendable(value: str) -> bool:
    """Tell whether a value can be written again: bytes that are not UTF-8 and controls cannot."""
    return _UNSENDABLE.search(value) is None
