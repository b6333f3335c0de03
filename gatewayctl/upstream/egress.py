"""Which way out: through which proxy a provider is reached, and which certificates are trusted.

Nothing here opens a connection.
"""

import base64
import ssl
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import unquote

import msgspec
from yarl import URL

from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed

_NO_URL = (
    "the proxy of the config, or of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, is no URL: in a user or "
    "password, / @ : and the like are written as %2F, %40, %3A"
)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How one call leaves: ``headers`` go with the request, ``proxy_headers`` with a CONNECT.

    ``tls`` is True for the system's certificates.
    """

    proxy: URL | None = None
    headers: tuple[tuple[str, str], ...] = ()
    proxy_headers: Mapping[str, str] | None = None
    tls: ssl.SSLContext | bool = True

    def __repr__(self) -> str:
        return "Route(…)"


class Egress:
    """Routes by provider; proxy variables and certificates are read once for each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._trusted: dict[str, ssl.SSLContext] = {}
        self._routes: dict[tuple[str, str | None, str | None], Route] = {}

    def route(self, url: URL, provider: ProviderSettings) -> Route:
        """Return how ``url`` is reached; raise ``UpstreamFailed`` where that cannot be used.

        ``url`` is of the provider's own base URL, so there are as many routes as providers.
        """
        key = (provider.base_url, provider.proxy, provider.ca_bundle)
        route = self._routes.get(key)
        if route is None:
            self._routes[key] = route = self._found(url, provider)
        return route

    def _found(self, url: URL, provider: ProviderSettings) -> Route:
        tls: ssl.SSLContext | bool = True
        if provider.ca_bundle is not None and url.scheme == "https":
            tls = self._context(provider.ca_bundle)
        address = proxy_for(url, provider.proxy, self._environ)
        if address is None:
            return Route(tls=tls)
        try:
            proxy = as_proxy(address)
        except BadProxy as error:
            failure = Failure(kind=FailureKind.NETWORK, message=str(error), connecting=True)
            raise UpstreamFailed(failure) from error
        login = basic_login(proxy)
        proxy = proxy.with_user(None)
        if login is None:
            return Route(proxy=proxy, tls=tls)
        authorization = ("Proxy-Authorization", login)
        if url.scheme == "https":
            return Route(proxy=proxy, proxy_headers=dict((authorization,)), tls=tls)
        return Route(proxy=proxy, headers=(authorization,), tls=tls)

    def _context(self, path: str) -> ssl.SSLContext:
        context = self._trusted.get(path)
        if context is None:
            try:
                context = ssl.create_default_context(cafile=path)
            except (OSError, ValueError) as error:
                message = f"ca_bundle {path} cannot be used: {error}"
                failure = Failure(kind=FailureKind.NETWORK, message=message, connecting=True)
                raise UpstreamFailed(failure) from error
            self._trusted[path] = context
        return context


def proxy_for(url: URL, setting: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the proxy's URL: the provider's own, else the environment's, else None.

    ``setting`` "" means none. Of the environment, the variable of the URL's scheme is read, lower
    case first, then ALL_PROXY; hosts in NO_PROXY and loopback are reached directly.
    """
    if setting is not None:
        return setting or None
    host = url.host or ""
    if is_loopback(host):
        return None
    found = _variable(environ, f"{url.scheme}_proxy") or _variable(environ, "all_proxy")
    if not found:
        return None
    if any(_excepts(entry, host, url.port) for entry in _variable(environ, "no_proxy").split(",")):
        return None
    return found if "://" in found else f"http://{found}"


class BadProxy(ValueError):
    """A proxy's address is none; the message does not repeat it."""


def as_proxy(address: str) -> URL:
    """Return a proxy's address as a URL; raise ``BadProxy``."""
    try:
        proxy = URL(address)
        if proxy.host and proxy.port:
            return proxy
    except ValueError:
        # not chained: the cause may repeat the password
        raise BadProxy(_NO_URL) from None
    raise BadProxy(_NO_URL)


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _excepts(entry: str, host: str, port: int | None) -> bool:
    """Tell whether an entry of NO_PROXY means a host: ``*``, a domain, an address, a network."""
    entry = entry.strip().lower()
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and ":" not in name:
        if int(number) != port:
            return False
        entry = name
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        domain = entry.removeprefix("*").lstrip(".")
        return bool(domain) and f".{host.lower().rstrip('.')}".endswith(f".{domain}")


def basic_login(url: URL) -> str | None:
    """Return the basic authorization that a URL's user and password make, None without them."""
    if url.raw_user is None:
        return None
    pair = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
