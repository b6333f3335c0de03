"""The list of credentials: which provider has which, whose it is, until when, and what is wrong.

Reads files and nothing else.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import typer

from gatewayctl.cli import moments, offline, render, tokens
from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.model import Auth
from gatewayctl.storage.credentials import Credential, State
from gatewayctl.upstream.borrowed import Borrowed
from gatewayctl.upstream.renewal import is_alive, unusable

_COLOURS = {"ready": "green", "unused": "yellow"}


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One line. ``expires_at`` is ISO 8601, UTC; None is unknown, in ``who`` and ``plan`` too.

    ``state``: ``ready``, ``expired``, ``terminal``, ``missing``, ``unreadable`` (a borrowed file),
    or ``unused``: stored, and no provider of the config has it. ``origin``: ``login``, ``token``,
    ``import`` or ``borrowed``. ``renews``: there is a refresh token that may be good. ``message``
    says what to do.
    """

    provider: str
    state: str
    who: str | None = None
    plan: str | None = None
    expires_at: str | None = None
    origin: str | None = None
    renews: bool = False
    message: str | None = None


def accounts(config: Path | None) -> list[Listed]:
    """Return a line for each provider with ``auth = "oauth"``, and for what else is stored."""
    providers = offline.load_settings(config, os.environ, forgiving=True).providers
    stored = tokens.vault().all()
    now = time.time()
    own = [each for each in providers.values() if each.provider.auth is Auth.OAUTH]
    listed = [
        _borrowed(each, now) if each.borrow else _own(each, stored.get(each.provider.name), now)
        for each in own
    ]
    used = {each.provider.name for each in own if each.borrow is None}
    left = (name for name in stored if name not in used)
    return [*listed, *(_left(name, stored[name]) for name in left)]


def _own(settings: ProviderSettings, stored: Credential | None, now: float) -> Listed:
    name = settings.provider.name
    if stored is None:
        return Listed(provider=name, state="missing", message=settings.provider.key_hint)
    why = unusable(settings, stored, expired=not is_alive(stored, now))
    state = "ready" if why is None else "expired"
    if stored.state is State.TERMINAL:
        state = "terminal"
    return _line(name, stored, state, why)


def _left(name: str, stored: Credential) -> Listed:
    why = f"no provider of the config uses it; gatewayctl auth logout {name} removes it"
    return _line(name, stored, "unused", why)


def _borrowed(settings: ProviderSettings, now: float) -> Listed:
    name, file = settings.provider.name, settings.borrow or ""
    try:
        found = Borrowed(file).credential()
    except StorageFailed as error:
        return Listed(provider=name, state="unreadable", origin="borrowed", message=str(error))
    alive = is_alive(found, now)
    why = None if alive else f"its program has to refresh it: the one that keeps {file}"
    line = _line(name, found, "ready" if alive else "expired", why)
    return msgspec.structs.replace(line, origin="borrowed")


def _line(name: str, credential: Credential, state: str, message: str | None) -> Listed:
    return Listed(
        provider=name,
        state=state,
        who=credential.account.who,
        plan=credential.account.plan,
        expires_at=moments.iso(credential.expires_at),
        origin=credential.origin.value,
        renews=credential.refresh_token is not None and credential.state is not State.TERMINAL,
        message=message,
    )


def print_accounts(found: Sequence[Listed]) -> None:
    """Print the list, and below it what to do about whatever is not ready."""
    if not found:
        typer.echo('no provider of the config has auth = "oauth"')
        return
    titles = ("provider", "state", "who", "plan", "expires (UTC)", "origin")
    render.table(titles, (tuple(_cells(each)) for each in found), spare=1, whole=False)
    for each in found:
        if each.message:
            typer.echo(render.printable(f"{each.provider}: {each.message}"))


def _cells(each: Listed) -> Iterator[str]:
    yield render.printable(each.provider)
    yield render.styled(each.state, _COLOURS.get(each.state, "red"))
    yield render.printable(each.who or "unknown")
    yield render.printable(each.plan or "unknown")
    yield "unknown" if each.expires_at is None else each.expires_at[:16].replace("T", " ")
    yield each.origin or render.UNKNOWN
