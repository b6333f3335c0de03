"""From ``[providers.*]`` as written, and the built-in kinds, to ``ProviderSettings``.

What a secret is worth, and whether it is there, is found out when a request needs it.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path as FilePath

import msgspec

from gatewayctl.config.addresses import without_prefix
from gatewayctl.config.forms import is_header_name
from gatewayctl.config.kinds import Kind, is_provider, kinds
from gatewayctl.config.oauth import borrowed, resolve_oauth, served_clients, token_hint
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report, did_you_mean
from gatewayctl.config.schema_providers import ProviderDoc, SecretDoc, TimeoutsDoc
from gatewayctl.config.settings import (
    FromCommand,
    FromEnv,
    FromFile,
    Plain,
    ProviderSettings,
    Secret,
    Timeouts,
)
from gatewayctl.core.model import Auth, Provider

_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SECRETS = 'write { env = "NAME" }, { file = "PATH" } or { command = ["PROGRAM", …] }'
_PROTOCOLS = "remove the key for the kind's own"
_ENDPOINTS = ("/chat/completions", "/responses", "/messages")
_COMPATIBLE = "openai-compatible"


def builtin(name: str, environ: Mapping[str, str]) -> ProviderSettings:
    """Return a built-in kind as a provider of its own name, without a table."""
    kind = kinds()[name]
    auth = Auth.KEY if kind.key_env else Auth.NONE
    return _provider(name, kind, auth, _usual_key(kind, environ))


def with_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the built-in providers whose key variable is set."""
    return tuple(
        name
        for name, kind in kinds().items()
        if is_provider(kind) and any(environ.get(variable) for variable in kind.key_env)
    )


def resolve_providers(
    docs: Mapping[str, ProviderDoc], environ: Mapping[str, str], folder: str, report: Report
) -> dict[str, ProviderSettings]:
    """Return the providers that have a table, in declaration order, as far as they make sense.

    Relative paths in them start at ``folder``.
    """
    found = {}
    for name, doc in docs.items():
        path = ("providers", name)
        if "/" in name or not name.strip():
            message = 'a provider\'s name is not empty and has no "/"'
            report.unknown(path, "provider-name-out-of-form", message, "choose another name")
        elif (kind := _kind(name, doc, path, report)) is not None:
            settings = _resolve(name, doc, kind, environ, report)
            found[name] = _located(settings, folder)
    return found


def _kind(name: str, doc: ProviderDoc, path: Path, report: Report) -> Kind | None:
    known = kinds()
    if doc.kind is not None and doc.kind not in known:
        hint = did_you_mean(doc.kind, known) or f"one of: {', '.join(known)}"
        report.error((*path, "kind"), "unknown-kind", f'unknown kind "{doc.kind}"', hint)
        return None
    if doc.kind is not None:
        return known[doc.kind]
    if name in known and is_provider(known[name]):
        return known[name]
    report.error(
        (*path, "kind"),
        "missing-kind",
        f'missing key "kind": "{name}" is no built-in provider',
        f'write kind = "{_COMPATIBLE}" or a built-in one. {did_you_mean(name, known)}'.strip(),
    )
    return None


def _resolve(
    name: str, doc: ProviderDoc, kind: Kind, environ: Mapping[str, str], report: Report
) -> ProviderSettings:
    path = ("providers", name)
    if not doc.base_url and not kind.base_url:
        hint = "the URL before /chat/completions, /responses or /messages"
        report.error((*path, "base_url"), "missing-base-url", 'missing key "base_url"', hint)
    for endpoint in _ENDPOINTS:
        if (doc.base_url or "").endswith(endpoint):
            message = f"{endpoint} is added to it, and would stand there twice"
            hint = f"let it end before {endpoint}"
            report.warn((*path, "base_url"), "base-url-with-endpoint", message, hint)
    if doc.protocols == ():
        report.error((*path, "protocols"), "no-protocols", "at least one is needed", _PROTOCOLS)
    secrets = _secrets(doc, kind, environ, path, report)
    auth = doc.auth or (Auth.KEY if secrets else Auth.NONE)
    if auth is Auth.KEY and not secrets:
        hint = 'write api_key = { env = "NAME" }'
        report.error((*path, "api_key"), "auth-without-key", 'auth = "key" needs an api_key', hint)
    if doc.api_key is not None and auth is not Auth.KEY and doc.credential is None:
        message = f'auth = "{auth}" does not use an api_key'
        report.error((*path, "api_key"), "key-not-used", message, 'remove it, or auth = "key"')
    _check_headers(doc.headers, path, report)
    provider = _provider(name, kind, auth, secrets if auth is Auth.KEY else ())
    oauth = resolve_oauth(doc, auth, path, report)
    base_url = _base_url(doc.base_url or kind.base_url, kind)
    clients = served_clients(doc, auth, base_url, path, report)
    said = {flag: on for flag, on in msgspec.structs.asdict(doc.flags).items() if on is not None}
    return msgspec.structs.replace(
        provider,
        provider=msgspec.structs.replace(
            provider.provider,
            protocols=doc.protocols or kind.protocols,
            overflow=doc.overflow or kind.overflow,
            selective=bool(clients),
        ),
        base_url=base_url,
        oauth=oauth,
        borrow=borrowed(doc),
        clients=clients,
        headers=doc.headers,
        timeouts=_timeouts(kind.timeouts, doc.timeouts),
        max_concurrency=doc.max_concurrency,
        proxy=doc.proxy or None,
        ca_bundle=doc.ca_bundle,
        flags={**kind.flags, **said},
    )


def _provider(name: str, kind: Kind, auth: Auth, secrets: tuple[Secret, ...]) -> ProviderSettings:
    return ProviderSettings(
        provider=Provider(
            name=name,
            kind=kind.name,
            protocols=kind.protocols,
            auth=auth,
            overflow=kind.overflow,
            key_hint=_key_hint(secrets),
        ),
        base_url=kind.base_url,
        secrets=secrets,
        timeouts=kind.timeouts,
        flags=kind.flags,
    )


def _key_hint(secrets: tuple[Secret, ...]) -> str:
    match secrets:
        case (FromEnv(name=name), *_):
            return f"set {name}"
        case (FromFile(path=path), *_):
            return f"put the key into {path}"
        case (FromCommand(argv=argv), *_):
            return f"make {argv[0]} print the key"
        case _:
            return ""


def _usual_key(kind: Kind, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """Return the kind's key variable: the first that is set, else the usual one."""
    name = next((each for each in kind.key_env if environ.get(each)), None)
    usual = name or next(iter(kind.key_env), None)
    return (FromEnv(name=usual),) if usual else ()


def _secrets(
    doc: ProviderDoc, kind: Kind, environ: Mapping[str, str], path: Path, report: Report
) -> tuple[Secret, ...]:
    path = (*path, "api_key")
    if report.is_touched(path):
        return (Plain(value=""),)
    match doc.api_key:
        case None:
            return _usual_key(kind, environ) if doc.auth in {None, Auth.KEY} else ()
        case tuple() as several:
            if not several:
                report.error(path, "secret-out-of-form", "an empty list names no key", _SECRETS)
            return tuple(
                secret
                for number, each in enumerate(several)
                if (secret := _secret(each, (*path, number), report)) is not None
            )
        case one:
            secret = _secret(one, path, report)
            return (secret,) if secret is not None else (Plain(value=""),)


def _secret(doc: str | SecretDoc, path: Path, report: Report) -> Secret | None:
    match doc:
        case str():
            return Plain(value=doc)
        case SecretDoc(env=str(name), file=None, command=None):
            return FromEnv(name=name)
        case SecretDoc(env=None, file=str(name), command=None):
            return FromFile(path=name)
        case SecretDoc(env=None, file=None, command=(_, *_) as argv):
            return FromCommand(argv=tuple(argv))
        case _:
            message = "exactly one of env, file and command is needed"
            report.error(path, "secret-out-of-form", message, _SECRETS)
            return None


def _base_url(url: str, kind: Kind) -> str:
    url = without_prefix(url, kind)
    return f"{url}/v1" if kind.adds_v1 and url and not url.endswith("/v1") else url


def _timeouts(usual: Timeouts, doc: TimeoutsDoc) -> Timeouts:
    return msgspec.structs.replace(usual, **phases(doc))


def phases(doc: TimeoutsDoc) -> dict[str, float]:
    """Return the phases that are said, in seconds."""
    said = msgspec.structs.asdict(doc)
    return {phase: seconds for phase, seconds in said.items() if seconds is not None}


def _check_headers(headers: Mapping[str, str], path: Path, report: Report) -> None:
    for name, value in headers.items():
        if not is_header_name(name) or not _HEADER_VALUE.fullmatch(value):
            where = (*path, "headers", name)
            hint = "names have letters, digits and hyphens, values one line"
            report.error(where, "header-out-of-form", "HTTP does not allow this header", hint)


def _located(settings: ProviderSettings, folder: str) -> ProviderSettings:
    """Return the provider with its paths as they are opened from anywhere."""
    secrets = tuple(
        FromFile(path=_absolute(secret.path, folder)) if isinstance(secret, FromFile) else secret
        for secret in settings.secrets
    )
    borrow = settings.borrow and _absolute(settings.borrow, folder)
    provider = settings.provider
    hint = _key_hint(secrets)
    if provider.auth is Auth.OAUTH:
        hint = token_hint(provider.name, settings.oauth, borrow)
    return msgspec.structs.replace(
        settings,
        provider=msgspec.structs.replace(provider, key_hint=hint),
        secrets=secrets,
        borrow=borrow,
        ca_bundle=settings.ca_bundle and _absolute(settings.ca_bundle, folder),
    )


def _absolute(name: str, folder: str) -> str:
    # Path.expanduser fails where a user is unknown
    return str(FilePath(folder, os.path.expanduser(name)))  # noqa: PTH111
