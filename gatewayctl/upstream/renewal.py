"""Gets new tokens for one credential, alone among all processes, and loses none of them.

In order: the credential's lease, the record as it is then, a mark that a request is under way, the
request, its tokens stored in place of the refresh token that was sent. Only then may they be used.
Whoever finds that somebody else was faster uses what they stored. When to renew, and who waits for
it, is ``oauth``'s business.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, ParamSpec, Protocol, TypeVar

import msgspec

from gatewayctl.config.settings import OAuthSettings, ProviderSettings, Timeouts
from gatewayctl.core.errors import Failure, FailureKind, StorageFailed
from gatewayctl.core.happened import Field, Happened
from gatewayctl.storage.credentials import (
    Account,
    Credential,
    Lease,
    Origin,
    Pending,
    State,
    Vault,
)
from gatewayctl.upstream.client import Upstream
from gatewayctl.upstream.token_reply import Refused, Tokens
from gatewayctl.upstream.token_request import Trouble, ask

log = logging.getLogger("gatewayctl.credentials")

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUTS: Final = Timeouts(connect=10.0, headers=300.0, first_token=None, idle=60.0, total=300.0)
"""How long a token server may take: longer than anybody waits for it, since to cut a request off
after its server has acted on it would cost the credential."""
PATIENCE: Final = 45.0
"""Seconds to wait for another process that has the lease."""
_POLL: Final = 0.05
"""Seconds between two tries for the lease."""
_ROUNDS: Final = 5
"""How often what others store meanwhile is followed before it is given up for now."""
_SAVE: Final = 0.5, 30.0
"""Seconds between two tries to store tokens that could not be stored: the first, and the last."""
_LONGEST_LIFE: Final = 10 * 365 * 86_400.0
"""Seconds; an access token that is said to live longer is taken for this."""


class Blocking(Protocol):
    """Whatever runs a function that blocks, away from the event loop: ``asyncio.to_thread``."""

    def __call__(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]:
        """Run it and return what it returns."""
        ...


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """How time passes, in seconds, and how what blocks is waited for.

    A renewal is waited for ``grace`` seconds by those who have a token that lives on, ``patience``
    seconds from its beginning by others; it goes on all the same.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    blocking: Blocking = asyncio.to_thread
    grace: float = 5.0
    patience: float = 30.0


REAL: Final = Waiting()
"""On the system's clocks and threads."""


class Renewed(msgspec.Struct, frozen=True):
    """There are tokens that can be used."""

    credential: Credential


class Ended(msgspec.Struct, frozen=True):
    """There will be no more tokens until somebody does what the message says."""

    message: str
    reason: str = "stored"


class NotNow(msgspec.Struct, frozen=True):
    """There were no tokens to be had this time."""

    failure: Failure


Outcome = Renewed | Ended | NotNow


class Renewal:
    """Renews credentials, each call one of them; whoever calls sees to it that calls are few."""

    def __init__(
        self, vault: Vault, http: Upstream, wall: Callable[[], float], waiting: Waiting
    ) -> None:
        self._vault = vault
        self._http = http
        self._wall = wall
        self._waiting = waiting
        self._saving: dict[str, asyncio.Task[None]] = {}
        self.closing = False
        """Set at the end: wait for nobody else."""
        self.unstored: dict[str, Credential] = {}
        """New tokens that could not be stored yet; their leases are kept until they are."""

    async def renew(self, settings: ProviderSettings, seen: Credential | None) -> Outcome:
        """Return tokens newer than ``seen``: what others stored since, or new ones."""
        name = settings.provider.name
        try:
            taken = await self._taken(name, seen)
            if not isinstance(taken, Lease):
                return taken
            try:
                return await self._followed(settings, seen)
            finally:
                if name not in self._saving:
                    taken.release()
                else:
                    self._saving[name].add_done_callback(lambda _: taken.release())
        except StorageFailed as error:
            return NotNow(Failure(kind=FailureKind.SERVER_ERROR, message=str(error)))

    async def close(self) -> None:
        """Try a last time to store what is not stored."""
        saving = tuple(self._saving.values())
        for task in saving:
            task.cancel()
        await asyncio.gather(*saving, return_exceptions=True)

    async def _taken(self, name: str, seen: Credential | None) -> Lease | Outcome:
        """Return the lease; or, once others who have it are done, what they stored."""
        until = self._waiting.monotonic() + PATIENCE
        while (lease := self._vault.lease(name)) is None:
            there = await self._waiting.blocking(self._vault.get, name)
            if there is not None and self._is_newer(there, seen):
                return Renewed(there)
            if self.closing or self._waiting.monotonic() >= until:
                words = f"another process has been asking for new tokens for {PATIENCE:g} s"
                return NotNow(Failure(kind=FailureKind.TIMEOUT, message=words))
            await self._waiting.sleep(_POLL)
        return lease

    async def _followed(self, settings: ProviderSettings, seen: Credential | None) -> Outcome:
        """Renew what is stored now, and again where others replace it meanwhile."""
        name = settings.provider.name
        for _ in range(_ROUNDS):
            there = await self._waiting.blocking(self._vault.get, name)
            if there is not None and self._is_newer(there, seen):
                return Renewed(there)
            if there is None or there.state is State.TERMINAL or there.refresh_token is None:
                return Ended(unusable(settings, there, expired=True) or "")
            if settings.oauth is None:
                return NotNow(Failure(kind=FailureKind.AUTH, message=unconfigured(name)))
            outcome = await self._asked(settings, settings.oauth, there)
            if outcome is not None:
                return outcome
        words = f"the credential of {name} was replaced {_ROUNDS} times in a row"
        return NotNow(Failure(kind=FailureKind.SERVER_ERROR, message=words))

    async def _asked(
        self, settings: ProviderSettings, oauth: OAuthSettings, there: Credential
    ) -> Outcome | None:
        """Ask with one refresh token; None where it is not the stored one any more."""
        name, now = settings.provider.name, self._wall()
        if await self._amended(name, there, pending=Pending(at=now)) is None:
            return None
        fields = {"grant_type": "refresh_token", "refresh_token": there.refresh_token or ""}
        answer = await ask(self._http, settings, oauth, fields, timeouts=TIMEOUTS)
        match answer:
            case Tokens():
                return await self._kept(name, there, answer, now)
            case Refused() if answer.terminal:
                return await self._ended(name, there, answer)
            case Refused():
                await self._unmarked(name, there, there.pending)
                words = f"the token server refused: {answer.message}"
                return NotNow(Failure(kind=FailureKind.AUTH, message=words))
            case Trouble(failure=failure, lost=lost):
                lost_now = Pending(at=now, lost=failure.message)
                before = there.pending or (lost_now if lost else None)
                await self._unmarked(name, there, before)
                return NotNow(failure)

    async def _kept(
        self, name: str, there: Credential, tokens: Tokens, now: float
    ) -> Outcome | None:
        """Store new tokens; None where somebody replaced the old ones by others meanwhile."""
        new = renewed(there, tokens, now)
        try:
            stored = await self._waiting.blocking(self._vault.swap, name, there, new)
        except StorageFailed as error:
            log.error(  # noqa: TRY400 - where it was raised says nothing
                "new tokens of %s cannot be stored, which is tried again: %s", name, error
            )
            self.unstored[name] = stored = new
            self._saving[name] = asyncio.create_task(self._saved(name, there, new))
        if stored is None:
            return None
        if tokens.access_token is None:
            words = f"the reply of the token server cannot be used: {tokens.unusable}"
            return NotNow(Failure(kind=FailureKind.BAD_RESPONSE, message=words))
        told: dict[str, Field] = {
            "provider": name,
            "credential": self._label(stored),
            "generation": stored.generation,
            "expires_in": None if stored.expires_at is None else round(stored.expires_at - now),
            "rotated": tokens.refresh_token is not None,
            "scopes_changed": set(stored.scopes) != set(there.scopes),
        }
        log.info(Happened("credential_refreshed", told))
        return Renewed(stored)

    async def _ended(self, name: str, there: Credential, refused: Refused) -> Outcome | None:
        """End a credential that is refused for good, unless others have replaced it."""
        now = await self._waiting.blocking(self._vault.get, name)
        if now is None or now.refresh_token != there.refresh_token:
            self._recovered(name, now)
            return None
        message = over(name, there.pending, refused)
        ended = await self._amended(
            name, there, state=State.TERMINAL, message=message, pending=None
        )
        if ended is None:
            return None
        return Ended(message, refused.code)

    async def _saved(self, name: str, there: Credential, new: Credential) -> None:
        """Store new tokens as soon as it can be done."""
        pause, longest = _SAVE
        try:
            while True:
                await self._waiting.sleep(pause)
                pause = min(2 * pause, longest)
                if await self._last_saved(name, there, new):
                    return
        except asyncio.CancelledError:
            if not await self._last_saved(name, there, new):
                log.error("new tokens of %s are lost: %s", name, login(name))  # noqa: TRY400
            raise
        finally:
            del self._saving[name], self.unstored[name]

    async def _last_saved(self, name: str, there: Credential, new: Credential) -> bool:
        try:
            stored = await self._waiting.blocking(self._vault.swap, name, there, new)
        except StorageFailed:
            return False
        what = "are stored" if stored else "are not needed: others were stored meanwhile"
        log.info("new tokens of %s %s", name, what)
        return True

    async def _amended(self, name: str, there: Credential, **changes: object) -> Credential | None:
        return await self._waiting.blocking(self._vault.amend, name, there, **changes)

    async def _unmarked(self, name: str, there: Credential, before: Pending | None) -> None:
        """Say that no request is under way any more, and what got lost, if anything did."""
        try:
            await self._amended(name, there, pending=before)
        except StorageFailed as error:
            log.warning("the end of a token request for %s was not noted: %s", name, error)

    def _is_newer(self, there: Credential, seen: Credential | None) -> bool:
        """Tell whether somebody has stored tokens since that can be used now."""
        if there.state is State.TERMINAL or (seen and there.generation == seen.generation):
            return False
        return is_alive(there, self._wall())

    def _recovered(self, name: str, now: Credential | None) -> None:
        if now is not None:
            told: dict[str, Field] = {"provider": name, "credential": self._label(now)}
            log.info(Happened("credential_race_recovered", told))

    def _label(self, credential: Credential) -> str:
        return self._vault.label(credential.refresh_token or credential.access_token or "")


def renewed(old: Credential, tokens: Tokens, now: float) -> Credential:
    """Return a credential with new tokens that were asked for at ``now``.

    What the reply does not tell stays as it was, but for the expiry, which is unknown then: the
    token serves until an upstream refuses it.
    """
    expires_at = tokens.expires_at if (tokens.expires_at or 0) > now else None
    if tokens.lifetime is not None:
        expires_at = now + min(tokens.lifetime, _LONGEST_LIFE)
    return Credential(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or old.refresh_token,
        expires_at=expires_at,
        scopes=old.scopes if tokens.scopes is None else tokens.scopes,
        account=Account(
            who=tokens.account.who or old.account.who, plan=tokens.account.plan or old.account.plan
        ),
        origin=old.origin,
        obtained_at=now,
        login=old.login,
        imported=old.imported,
    )


def is_alive(credential: Credential, now: float) -> bool:
    """Tell whether a credential's access token can be sent, as far as is known."""
    expires_at = credential.expires_at
    return credential.access_token is not None and (expires_at is None or expires_at > now)


def unusable(
    settings: ProviderSettings, credential: Credential | None, *, expired: bool
) -> str | None:
    """Return why nothing can be had with a credential, and what to do; None where something can.

    ``expired``: its access token is.
    """
    name = settings.provider.name
    if credential is None:  # where there is no page to log in to, its hint names another way
        return f"there is no credential for {name}: {settings.provider.key_hint or login(name)}"
    if credential.state is State.TERMINAL:
        way_out = login(name, credential.origin)
        return credential.message or f"the credential of {name} is over: {way_out}"
    if credential.refresh_token is None and expired:
        return (
            f"the token of {name} has expired, and there is no refresh token to get another one "
            f"with: {login(name, credential.origin)}"
        )
    return unconfigured(name) if expired and settings.oauth is None else None


def login(name: str, origin: Origin = Origin.LOGIN) -> str:
    """Return what to do for new tokens."""
    if origin is Origin.TOKEN:
        return f"import a new one with `gatewayctl auth import {name} --token`"
    return f"log in again with `gatewayctl auth login {name}`"


def unconfigured(name: str) -> str:
    """Return what is missing where tokens cannot be asked for."""
    return (
        f"tokens of {name} cannot be refreshed: providers.{name}.oauth needs token_url and "
        "client_id in the config"
    )


def over(name: str, lost: Pending | None, refused: Refused) -> str:
    """Return why a refresh token is refused for good, and what to do.

    ``lost`` is an earlier request of which nothing was stored: then the provider most likely took
    the refresh token for used, and gave a new one that never got here.
    """
    told = f"the token server refuses the refresh token of {name} ({refused.message})"
    if lost is not None:
        at = datetime.fromtimestamp(lost.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        what = (
            "gatewayctl was killed after it had asked for new tokens and before they were stored"
            if lost.lost is None
            else f"the reply to a request for new tokens got lost ({lost.lost})"
        )
        return f"{told}, most likely because at {at} {what}: {login(name)}"
    match refused.code:
        case "invalid_client" | "unauthorized_client":
            return f"{told}: check client_id in providers.{name}.oauth, then {login(name)}"
        case _:
            return f"{told}: {login(name)}"
