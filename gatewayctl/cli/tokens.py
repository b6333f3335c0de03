"""What the ``auth`` commands do with a provider's credential: get, take over, renew, remove.

The work is ``upstream.oauth``'s and ``storage.credentials``'; here is whom it is done for, and the
sentences that say how it ended. What cannot be done is raised; no sentence holds a token.
"""

import asyncio
import contextlib
import getpass
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec
import typer

from gatewayctl.cli import moments, offline, render
from gatewayctl.cli.login import Exchange
from gatewayctl.config.problems import did_you_mean
from gatewayctl.config.settings import OAuthSettings, ProviderSettings
from gatewayctl.core.errors import GatewayctlError
from gatewayctl.core.model import Auth
from gatewayctl.daemon.ending import ending
from gatewayctl.storage import files
from gatewayctl.storage.credentials import Credential, Origin, State, Vault
from gatewayctl.upstream.borrowed import read_file
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.oauth import OAuth
from gatewayctl.upstream.records import MARGIN
from gatewayctl.upstream.renewal import is_alive, renewed, unconfigured
from gatewayctl.upstream.token_reply import LONGEST_TOKEN, Refused, Tokens, sendable
from gatewayctl.upstream.token_request import Trouble, ask

_LONGEST = 64 * 1024
"""Bytes of standard input that are read for a token."""


class NotDone(GatewayctlError):
    """What was asked for a credential makes no sense, or came to nothing; says why."""


def vault() -> Vault:
    """Return what is stored on this machine."""
    return Vault(files.usual_state_folder())


def told(name: str, credential: Credential) -> str:
    """Return whose credential it is and until when, in words."""
    account = credential.account
    who = f" as {account.who}" if account.who else ""
    plan = f" ({account.plan})" if account.plan else ""
    end = "with no known end"
    if credential.expires_at is not None:
        end = f"until {moments.written(credential.expires_at)}"
    more = ", then renewed" if credential.refresh_token else "; nothing renews it"
    return f"{name}{who}{plan}, {end}{more}"


# --- which provider -----------------------------------------------------------------------------


def provider(name: str, config: Path | None) -> ProviderSettings:
    """Return a provider with ``auth = "oauth"``; raise ``NotDone`` for any other."""
    providers = offline.load_settings(config, os.environ, forgiving=True).providers
    found = providers.get(name)
    if found is None or found.provider.auth is not Auth.OAUTH:
        raise NotDone(_without(name, found, providers))
    return found


def own(name: str, config: Path | None) -> ProviderSettings:
    """Return a provider that has a credential of its own; raise ``NotDone`` for any other."""
    found = provider(name, config)
    if found.borrow is not None:
        raise NotDone(
            f"{name} borrows the credential in {found.borrow}: the program that keeps it logs in "
            f"and refreshes. For one of its own remove providers.{name}.credential from the config"
        )
    return found


def _without(
    name: str, found: ProviderSettings | None, providers: Mapping[str, ProviderSettings]
) -> str:
    """Say why there is nothing to log in to under a name."""
    if found is not None:
        return f'{name} has auth = "{found.provider.auth}": only auth = "oauth" has credentials'
    known = [each for each, it in providers.items() if it.provider.auth is Auth.OAUTH]
    listed = f'those with auth = "oauth": {", ".join(known)}' if known else ""
    hint = did_you_mean(name, known) or listed or 'none of the config has auth = "oauth"'
    return f'no provider is called "{name}"; {hint}'


def endpoints(settings: ProviderSettings) -> OAuthSettings:
    """Return how a provider is logged in to; raise ``NotDone`` where it has no login page."""
    oauth = settings.oauth
    if oauth is None or oauth.authorize_url is None:
        name = settings.provider.name
        raise NotDone(
            f"there is no page to log in to {name} on: providers.{name}.oauth has no "
            f"authorize_url. gatewayctl auth import {name} takes a token, or a credentials file"
        )
    return oauth


# --- login and refresh: over the network --------------------------------------------------------


async def exchanged(settings: ProviderSettings, exchange: Exchange) -> Credential:
    """Return the credential that a login's code is good for, stored; raise ``NotDone``."""
    oauth = endpoints(settings)
    fields = {
        "grant_type": "authorization_code",
        "code": exchange.code,
        "redirect_uri": exchange.redirect_uri,
        "code_verifier": exchange.verifier,
    }
    asked = time.time()
    async with _upstream() as http:
        answer = await ask(http, settings, oauth, fields)
    match answer:
        case Refused(message=message):
            raise NotDone(f"the token server refused the login: {message}")
        case Trouble(failure=failure):
            raise NotDone(f"the login could not be finished: {failure.message}; log in again")
        case Tokens(access_token=None, unusable=why):
            raise NotDone(f"the token server's reply cannot be used: {why}")
        case Tokens():
            blank = Credential(scopes=oauth.scopes, origin=Origin.LOGIN)
            new = renewed(blank, answer, asked)
            return await asyncio.to_thread(vault().put, settings.provider.name, new)


def still_good(settings: ProviderSettings) -> str | None:
    """Return what is said of tokens that need no refresh yet; None where they do, or cannot."""
    name = settings.provider.name
    stored = vault().get(name)
    if stored is None or stored.expires_at is None or stored.refresh_token is None:
        return None
    if stored.state is State.TERMINAL or not is_alive(stored, time.time() + MARGIN):
        return None
    until = moments.written(stored.expires_at)
    return f"the token of {name} is good until {until}; --force asks for another"


async def refreshed(settings: ProviderSettings) -> Credential:
    """Return a provider's credential with new tokens, stored; raise ``UpstreamFailed``."""
    # what went wrong is told once, as an error: its log is for daemons
    logging.getLogger("gatewayctl.credentials").addHandler(logging.NullHandler())
    async with _upstream() as http:
        oauth = OAuth(vault(), http)
        with _told_to_end() as signals:
            try:
                return await oauth.refresh(settings)
            except asyncio.CancelledError:
                render.tell(
                    "waiting for the token server's answer, for half a minute at most: without it "
                    "the login may be lost. Ctrl-C again leaves at once"
                )
                if signals:
                    raise typer.Exit(128 + signals[0]) from None
                raise
            finally:
                await oauth.close()  # waits for what is under way


@contextlib.contextmanager
def _told_to_end() -> Iterator[list[int]]:
    """Cancel the present task on SIGTERM and SIGHUP as on SIGINT; give the signals that came."""
    caught: list[int] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def end(number: int) -> None:
        caught.append(number)
        if task is not None and len(caught) == 1:
            task.cancel()

    numbers = ending()
    with contextlib.suppress(NotImplementedError):  # Windows, whose loops take no signals
        for each in numbers:
            loop.add_signal_handler(each, end, each)
    try:
        yield caught
    finally:
        with contextlib.suppress(NotImplementedError):  # as above
            for each in numbers:
                loop.remove_signal_handler(each)


@contextlib.asynccontextmanager
async def _upstream() -> AsyncIterator[AiohttpUpstream]:
    http = AiohttpUpstream(os.environ)
    try:
        yield http
    finally:
        await http.close()


# --- import and logout: files alone -------------------------------------------------------------


def asked_for(name: str) -> str:
    """Return a token from standard input, asked for without echo where that is a terminal."""
    if sys.stdin is None:  # closed before the program began
        given = ""
    elif sys.stdin.isatty():
        try:
            given = getpass.getpass(f"token of {name} (not shown): ")
        except EOFError:
            given = ""
    else:
        given = sys.stdin.buffer.read(_LONGEST).decode(errors="replace")
    token = sendable(given.strip())
    if token is not None:
        return token
    if not given.strip():
        raise NotDone("there is no token on standard input")
    if len(given.strip()) > LONGEST_TOKEN:
        raise NotDone(f"what was given is no token: it has more than {LONGEST_TOKEN:,} characters")
    raise NotDone("what was given is no token: it has blanks, line breaks or foreign characters")


def handed_in(settings: ProviderSettings, token: str, until: float | None) -> Credential:
    """Store a token that is good until a time, or nobody knows how long."""
    new = Credential(
        access_token=token, expires_at=until, origin=Origin.TOKEN, obtained_at=time.time()
    )
    return vault().put(settings.provider.name, new)


def taken_over(settings: ProviderSettings, file: Path) -> Iterator[str]:
    """Store what another program's file holds, and say what that means for the program."""
    name, now = settings.provider.name, time.time()
    file = Path(os.path.expanduser(file))  # noqa: PTH111 - Path's fails where a user is unknown
    found = read_file(file)
    if found.refresh_token is None and not is_alive(found, now):
        raise NotDone(f"what is in {file} has expired, and has no refresh token")
    there, mark = vault(), ""
    if found.refresh_token is not None:
        known = there.all()
        mark = there.label(found.refresh_token)
        for other, each in known.items():
            if (why := _taken_before(name, other, each, mark, found)) is not None:
                raise NotDone(f"what is in {file} was taken over before{why}")
    stored = there.put(name, msgspec.structs.replace(found, obtained_at=now, imported=mark))
    yield f"took over from {file}: {told(name, stored)}"
    if stored.refresh_token is None:
        return
    if settings.oauth is None:
        yield unconfigured(name)
    yield (
        "From now on gatewayctl refreshes it, and the first refresh logs the other program out. "
        f"To let that program keep its login: gatewayctl auth logout {name}, and in the config "
        f'credential = {{ borrow = "{file.absolute()}" }} under [providers.{name}]'
    )


def _taken_before(
    name: str, other: str, stored: Credential, mark: str, found: Credential
) -> str | None:
    """Say why a login cannot be taken over once more, None where what is stored is another one.

    ``mark`` tells its refresh token, which is good once: whoever sends it again ends the login.
    """
    same = stored.refresh_token == found.refresh_token
    if not same and stored.imported != mark:
        return None
    if other != name:
        return (
            f", for {other}: one login cannot be renewed for two providers, since each would end "
            f"the other's. Log that program in once more, or use {other} instead of {name}"
        )
    if same:
        return None
    now = "is logged in with what it was renewed to"
    if stored.state is State.TERMINAL:
        now = "is logged in no more: log that program in once more"
    return f", and its refresh token is used up since; {name} {now}"


def removed(name: str, config: Path | None) -> str:
    """Remove what is stored of a provider, also of one that is not in the config any more."""
    if not vault().remove(name):
        found = provider(name, config)
        if found.borrow is not None:
            raise NotDone(
                f"there is nothing of {name} here to remove: it borrows the credential that "
                f"another program keeps in {found.borrow}"
            )
        raise NotDone(f"nothing is stored of {name}")
    return f"removed the credential of {name}; the provider's own pages can revoke what it granted"
