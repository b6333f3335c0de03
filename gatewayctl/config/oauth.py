"""What a provider's table says of OAuth: checked, and as the program uses it.

How a token is had, kept and renewed is ``upstream.oauth``'s business. What is refused here cannot
go wrong on the first request: endpoints in the clear, a login that nobody can finish, and a
subscription that would serve, or pass for, another client than its own.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.kinds import kinds
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.config.schema_providers import OAuthDoc, ProviderDoc
from gatewayctl.config.settings import OAuthSettings
from gatewayctl.core.model import Auth

REDIRECT = "redirect_uri"
"""The parameter of ``extra`` that says where the browser is sent after a login."""
_OWN_PARAMETERS = frozenset(
    {
        "client_id",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "grant_type",
        "refresh_token",
        "response_type",
        "scope",
        "state",
    }
)
"""What a login says itself; ``extra`` may not say otherwise."""
_SECRET_PARAMETERS = frozenset({"client_assertion", "client_secret", "password"})
_IDENTITY = frozenset(
    {
        "copilot-integration-id",
        "editor-plugin-version",
        "editor-version",
        "originator",
        "user-agent",
        "x-app",
    }
)
"""Headers by which a client tells a provider who it is."""
_SUBSCRIPTIONS = ("chatgpt.com", "cloudcode-pa.googleapis.com", "githubcopilot.com")
"""Hosts that serve subscriptions and take no API key."""
_SUBSCRIBED = re.compile(r"(?:bearer\s+)?sk-ant-oat", re.IGNORECASE)
"""How a subscription's token begins."""
_EITHER = 'keep one: an api_key, or credential with auth = "oauth"'


def resolve_oauth(doc: ProviderDoc, auth: Auth, path: Path, report: Report) -> OAuthSettings | None:
    """Return how a provider's tokens are asked for; report what makes no sense, alone or together.

    None: no endpoints are named, so that tokens are borrowed, or imported and never renewed.
    """
    _check_mode(doc, auth, path, report)
    _check_keys(doc, path, report)
    if doc.credential is not None and doc.credential.borrow is None:
        hint = 'write credential = { borrow = "FILE" }, or remove it'
        report.error((*path, "credential"), "missing-borrow", "it names no file", hint)
    if doc.oauth is None:
        return None
    return _endpoints(doc.oauth, (*path, "oauth"), report)


def borrowed(doc: ProviderDoc) -> str | None:
    """Return the file that a provider's credential is borrowed from, as it is written."""
    return doc.credential.borrow if doc.credential is not None else None


def _check_mode(doc: ProviderDoc, auth: Auth, path: Path, report: Report) -> None:
    """Report keys that contradict how the provider is authenticated."""
    if doc.credential is not None and doc.api_key is not None:
        message = "a borrowed credential and an api_key exclude each other"
        report.error((*path, "credential"), "credential-beside-key", message, _EITHER)
    if auth is not Auth.OAUTH:
        for key, said in (("credential", doc.credential), ("oauth", doc.oauth)):
            if said is not None:
                message = f'auth = "{auth}" does not use it'
                hint = 'write auth = "oauth", or remove it'
                report.error((*path, key), "oauth-not-used", message, hint)
    elif doc.oauth is not None and doc.credential is not None:
        message = "a borrowed token is renewed by its own program alone: this is not used"
        hint = "remove it; or remove credential, and gatewayctl auth login gets tokens of its own"
        report.warn((*path, "oauth"), "endpoints-not-used", message, hint)
    elif doc.oauth is None and doc.credential is None:
        message = 'auth = "oauth" without endpoints: nothing can log in, or renew a token'
        hint = (
            "write oauth = { token_url = …, client_id = …, authorize_url = … }, or "
            'credential = { borrow = "FILE" }; only gatewayctl auth import --token works so'
        )
        report.warn((*path, "auth"), "oauth-without-endpoints", message, hint)


def _check_keys(doc: ProviderDoc, path: Path, report: Report) -> None:
    """Report tokens of subscriptions in the place of keys, where they would serve any client."""
    keys = doc.api_key if isinstance(doc.api_key, tuple) else (doc.api_key,)
    found: list[tuple[Path, object]] = [((*path, "api_key"), key) for key in keys]
    found += [((*path, "headers", name), value) for name, value in doc.headers.items()]
    for where, value in found:
        if isinstance(value, str) and _SUBSCRIBED.match(value):
            message = "it is the token of a subscription, which is no API key"
            hint = 'write auth = "oauth", and hand it in with gatewayctl auth import --token'
            report.error(where, "subscription-as-key", message, hint)


def _endpoints(doc: OAuthDoc, path: Path, report: Report) -> OAuthSettings:
    for key, value in (("token_url", doc.token_url), ("client_id", doc.client_id)):
        if value is None:
            hint = "the provider's documentation names it"
            report.error((*path, key), "oauth-incomplete", f'missing key "{key}"', hint)
    for key, url in (("token_url", doc.token_url), ("authorize_url", doc.authorize_url)):
        if url is not None and _in_the_clear(url):
            message = "credentials would travel unencrypted to another machine"
            report.error((*path, key), "oauth-url-in-the-clear", message, "write https://")
    _check_extra(doc, path, report)
    return OAuthSettings(
        token_url=doc.token_url or "",
        client_id=doc.client_id or "",
        authorize_url=doc.authorize_url,
        scopes=doc.scopes,
        extra=doc.extra,
        encoding=doc.encoding,
    )


def _check_extra(doc: OAuthDoc, path: Path, report: Report) -> None:
    for name, _ in parse_qsl(urlsplit(doc.authorize_url or "").query, keep_blank_values=True):
        if name in _OWN_PARAMETERS:
            message = f"{name} is a parameter that the login says itself"
            hint = "remove it from the address: the page would be told it twice"
            report.error((*path, "authorize_url"), "oauth-parameter-taken", message, hint)
    for name, value in doc.extra.items():
        where = (*path, "extra", name)
        if name in _OWN_PARAMETERS:
            message = f"{name} is a parameter that the login says itself"
            hint = "client_id and scopes have keys of their own; remove it here"
            report.error(where, "oauth-parameter-taken", message, hint)
        elif name in _SECRET_PARAMETERS:
            message = f"{name} would stand in the address of the login page, for all to see"
            hint = "only clients without a secret can log in here: PKCE takes its place"
            report.error(where, "oauth-secret-shown", message, hint)
        elif name == REDIRECT and not _may_return_to(value):
            message = "a browser cannot bring the code back there safely"
            hint = 'write "http://127.0.0.1:PORT/PATH", "http://localhost:PORT/PATH" or https://'
            report.error(where, "redirect-out-of-form", message, hint)


def _may_return_to(url: str) -> bool:
    """Tell whether a login may end at a URL: this machine, or a page that shows the code."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.fragment or re.search(r"[\x00-\x20]", url):
        return False
    return (
        (bool(host) and parts.scheme == "https")
        or (bool(host) and parts.scheme == "http" and is_loopback(host or ""))
        or parts.scheme == "urn"
    )


def _in_the_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


# --- whom a credential may serve ----------------------------------------------------------------


def served_clients(
    doc: ProviderDoc, auth: Auth, base_url: str, path: Path, report: Report
) -> tuple[str, ...]:
    """Return the user agents that a provider may serve; () is all of them.

    A subscription at a provider that sells it for its own client serves that client alone,
    whatever the file says; it says so where the file says nothing or more than that.
    """
    _check_identity(doc, auth, path, report)
    if auth is not Auth.OAUTH:
        return doc.clients
    own = _own_clients(base_url)
    if not own:
        _check_for_all(doc, base_url, path, report)
        return doc.clients
    names = ", ".join(f'"{glob}"' for glob in own)
    if not doc.clients:
        message = f"a subscription serves its own client alone: {' and '.join(own)}"
        hint = f"write clients = [{names}]; other clients need an api_key"
        report.warn((*path, "auth"), "oauth-without-clients", message, hint)
        return own
    for number, glob in enumerate(doc.clients):
        if not _is_within(glob, own):
            message = f'a subscription of this provider may not serve "{glob}"'
            hint = f"write {names}; other clients need an api_key, at a provider of another name"
            report.error((*path, "clients", number), "client-not-served", message, hint)
    return doc.clients


def _check_for_all(doc: ProviderDoc, base_url: str, path: Path, report: Report) -> None:
    """Report a login that serves every client, though it is likely to be one program's."""
    if doc.clients:
        return
    if any(_is_at(base_url, host) for host in _SUBSCRIPTIONS):
        message = "a subscription is sold there for its provider's own client alone"
        hint = 'name that program: clients = ["PROGRAM/*"]; other clients need an api_key'
        report.error((*path, "auth"), "subscription-for-all", message, hint)
    elif doc.credential is not None:
        message = "the credential is another program's, and serves every client here"
        hint = 'name the program that may use it: clients = ["PROGRAM/*"]'
        report.warn((*path, "credential"), "borrowed-for-all", message, hint)


def _check_identity(doc: ProviderDoc, auth: Auth, path: Path, report: Report) -> None:
    """Report headers that would make any client pass for another, such as a credential's own."""
    for name, value in doc.headers.items():
        where = (*path, "headers", name)
        if not value or name.lower() not in _IDENTITY:
            continue
        if auth in {Auth.OAUTH, Auth.FORWARD}:
            message = f'with auth = "{auth}" a client says itself who it is'
            report.error(where, "identity-forged", message, "remove it")
        elif name.lower() == "user-agent" and _is_within(value, _subscribed()):
            message = "it is the name of another program, for which no request may pass"
            report.error(where, "identity-forged", message, "remove it")


def _subscribed() -> tuple[str, ...]:
    """Return every program that some provider has subscriptions for."""
    return tuple(glob for kind in kinds().values() for glob in kind.own_clients)


def _own_clients(base_url: str) -> tuple[str, ...]:
    """Return the clients whose subscriptions a provider's host takes, () where it sells none."""
    return next(
        (
            kind.own_clients
            for kind in kinds().values()
            if kind.own_clients and _is_at(base_url, urlsplit(kind.base_url).hostname or "")
        ),
        (),
    )


def _is_at(base_url: str, host: str) -> bool:
    """Tell whether a provider is at a host or below it; a dot after a name changes nothing."""
    found = (urlsplit(base_url).hostname or "").rstrip(".")
    return found == host or found.endswith(f".{host}")


def _is_within(glob: str, own: Sequence[str]) -> bool:
    """Tell whether all that a pattern matches is matched by one that ends in its only star."""
    return any(glob.lower().startswith(each.removesuffix("*").lower()) for each in own)


# --- what to do without a token -----------------------------------------------------------------


def token_hint(name: str, oauth: OAuthSettings | None, borrow: str | None) -> str:
    """Return what a person does when a provider has no usable token."""
    if borrow is not None:
        return f"log in with the program that keeps {borrow}"
    if oauth is not None and oauth.authorize_url is not None:
        return f"run gatewayctl auth login {name}"
    return f"run gatewayctl auth import {name} --token"
