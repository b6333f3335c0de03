"""Gives the access tokens of providers with ``auth = "oauth"``, fresh, and renewed once for all.

A token is fresh until five minutes before its end; then the first who needs it renews it, everybody
else waits for that. While the token server has trouble the old token goes on serving to its last
second. How a renewal goes is ``renewal``'s business, other programs' tokens are ``lent``'s.
"""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import Failure, FailureKind, StorageFailed, UpstreamFailed
from gatewayctl.storage.credentials import Credential, Origin, State, Vault
from gatewayctl.upstream.client import Upstream
from gatewayctl.upstream.lent import KEPT, Lent, auth_failed
from gatewayctl.upstream.records import Records
from gatewayctl.upstream.renewal import (
    REAL,
    Ended,
    NotNow,
    Outcome,
    Renewal,
    Renewed,
    Waiting,
    is_alive,
    login,
    unusable,
)

log = logging.getLogger("gatewayctl.credentials")

_PAUSE: Final = 1.0, 60.0, 600.0
"""Seconds without a token request after one that came to nothing: the first time, doubled until the
second figure, and the longest that a token server may ask for."""
_REFUSALS: Final = 10, 300.0
"""How many refused access tokens are renewed in so many seconds: an upstream that refuses every one
must not cost a token request per call."""

_TERMINAL: Final = (
    (400, "invalid_request_error", "organization has been disabled"),
    (403, "permission_error", "OAuth authentication is currently not allowed"),
)
"""What an upstream says to a credential that is over: status, code and the first words."""


class OAuth:
    """Access tokens by provider; one object serves a process, any number of processes a folder.

    ``wall`` is seconds since 1970. After a renewal that came to nothing those who have a token that
    lives on do not wait for the next one. Everything belongs to one event loop.
    """

    def __init__(
        self,
        vault: Vault,
        http: Upstream,
        wall: Callable[[], float] = time.time,
        waiting: Waiting = REAL,
    ) -> None:
        self._vault = vault
        self._wall = wall
        self._waiting = waiting
        self._renewal = Renewal(vault, http, wall, waiting)
        self._records = Records(vault, wall, waiting.monotonic)
        self._flights: dict[str, asyncio.Task[Outcome]] = {}
        self._since: dict[str, float] = {}
        self._clearings: dict[tuple[str, str], asyncio.Task[bool]] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._refusals: dict[str, deque[float]] = {}
        self._lent = Lent(wall, waiting.monotonic)

    async def token(self, settings: ProviderSettings) -> str:
        """Return an access token that can be sent now, renewed first where it is not fresh.

        Raises ``UpstreamFailed``: auth where somebody has to do something, and the message says
        what; otherwise what befell the token request, with ``retry_after``.
        """
        if settings.borrow is not None:
            return _sendable(self._lent.credential(settings))
        name = settings.provider.name
        there = self._there(name)
        if there is not None and self._records.is_fresh(name, there):
            self._troubles.pop(name, None)  # somebody else had none
            return _sendable(there)
        if (why := self._over(settings, there)) is not None:
            raise auth_failed(why)
        if there is not None and there.refresh_token is None:
            return _sendable(there)
        outcome = await self._outcome(settings, there)
        if outcome is None or isinstance(outcome, NotNow):
            there = self._there(name)  # an upstream may have refused it meanwhile
            if there is not None and self._over(settings, there) is None and self._lives(there):
                return _sendable(there)
        return _sendable(_credential(outcome or await self._flight(settings, there)))

    async def refresh(self, settings: ProviderSettings) -> Credential:
        """Renew a credential, fresh or not; raises as ``token`` does."""
        name = settings.provider.name
        if settings.borrow is not None:
            raise auth_failed(f"the token of {name} is borrowed from {settings.borrow}, {KEPT}")
        there = self._there(name)
        if there is not None and there.refresh_token is None:
            raise auth_failed(
                f"the token of {name} cannot be refreshed, since no refresh token came with it: "
                f"{login(name, there.origin)} once it expires"
            )
        if (why := self._over(settings, there)) is not None:
            raise auth_failed(why)
        return _credential(await self._flight(settings, there))

    async def rejected(self, settings: ProviderSettings, token: str) -> bool:
        """Take note that an upstream answered 401 to a token; True when another one is worth a try.

        Clears that access token, if it is still the stored one, so that the next one is renewed. A
        token that cannot be renewed is left: the refusal may have been a mistake.
        """
        if settings.borrow is not None:
            return self._lent.has_another(settings, token)
        key = (settings.provider.name, token)
        clearing = self._clearings.get(key)
        if clearing is None:
            # many calls may have gone out with one token: it is refused once
            clearing = asyncio.create_task(self._cleared(*key), name=f"clearing of {key[0]}")
            self._clearings[key] = clearing
            clearing.add_done_callback(lambda _: self._clearings.pop(key))
        return await asyncio.shield(clearing)

    async def _cleared(self, name: str, token: str) -> bool:
        """Clear a refused access token, if it is the stored one; True when there may be another."""
        try:
            there = await self._waiting.blocking(self._vault.get, name)
            if there is None or there.state is State.TERMINAL or there.refresh_token is None:
                return False
            if there.access_token != token:
                return name not in self._renewal.unstored
            if not self._may_refuse(name):
                return False
            await self._waiting.blocking(self._vault.amend, name, there, access_token=None)
        except StorageFailed as error:
            log.warning("a refused token of %s cannot be cleared: %s", name, error)
            return False
        finally:
            self._records.forget()
        return True

    async def terminal(self, settings: ProviderSettings, token: str, failure: Failure) -> None:
        """End the credential of a token after a failure that ``is_terminal``."""
        name, words = settings.provider.name, _terminal_words(failure)
        if words is None:
            return
        if settings.borrow is not None:
            self._lent.end(settings, token, words)
            return
        try:
            there = await self._waiting.blocking(self._vault.get, name)
            if there is None or there.access_token != token:
                return  # somebody replaced it meanwhile
            way_out = login(name, there.origin)
            message = f"the provider refuses the credential of {name} ({words}): {way_out}"
            await self._waiting.blocking(
                self._vault.amend, name, there, state=State.TERMINAL, message=message
            )
        except StorageFailed as error:
            log.warning("the end of the credential of %s cannot be stored: %s", name, error)
            return
        self._records.forget()
        self._records.noted(name, "terminal", "refused_by_upstream", there)

    def ended(self, settings: ProviderSettings) -> str | None:
        """Return why nothing but a person helps, and how; None where a token may be had. Cheap."""
        if settings.borrow is None:
            return self._over(settings, self._there(settings.provider.name))
        try:
            self._lent.credential(settings)
        except UpstreamFailed as error:
            return str(error)
        return None

    def remedy(self, settings: ProviderSettings) -> str:
        """Return what a person does about a token that was given out and is refused. Cheap.

        Empty where the provider's own hint says it: one that was imported can only be replaced.
        """
        there = None if settings.borrow else self._there(settings.provider.name)
        if there is None or there.origin is not Origin.TOKEN:
            return ""
        return login(settings.provider.name, there.origin)

    def identity(self, settings: ProviderSettings) -> str:
        """Return what stays the same while a credential is renewed; see ``Vault``. Cheap."""
        borrows = settings.borrow is not None
        there = self._lent.found(settings) if borrows else self._there(settings.provider.name)
        return "" if there is None else self._vault.identity(there)

    @property
    def degraded(self) -> str | None:
        """Say what goes wrong with credentials that still serve, None where nothing does."""
        said = [trouble.failure.message for trouble in self._troubles.values()]
        said += [f"new tokens of {name} cannot be stored" for name in self._renewal.unstored]
        return "; ".join([*said, *filter(None, [self._records.broken])]) or None

    async def close(self) -> None:
        """Wait for token requests under way: cut off, they would cost their credentials."""
        self._renewal.closing = True
        under_way = {*self._flights.values(), *self._clearings.values()}
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=self._waiting.patience)
            for each in late:
                each.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        await self._renewal.close()

    def _there(self, name: str) -> Credential | None:
        return self._renewal.unstored.get(name) or self._records.get(name)

    def _lives(self, credential: Credential) -> bool:
        return is_alive(credential, self._wall())

    def _over(self, settings: ProviderSettings, there: Credential | None) -> str | None:
        """Return why nothing can be had with a credential before somebody does something."""
        if there is None and self._records.broken:
            return self._records.broken
        expired = there is not None and not self._lives(there)
        return unusable(settings, there, expired=expired)

    async def _outcome(
        self, settings: ProviderSettings, there: Credential | None
    ) -> Outcome | None:
        """Return what comes of a renewal, or came of the last one a moment ago.

        None: it takes its time, and there is a token that lives on meanwhile.
        """
        name = settings.provider.name
        trouble = self._trouble(name)
        if trouble is None or name in self._flights:
            if there is None or not self._lives(there):
                return await self._flight(settings, there)
            flight = self._begun(settings, there)
            if name not in self._troubles:
                await asyncio.wait({flight}, timeout=self._waiting.grace)
            return flight.result() if flight.done() else None
        wait = trouble.until - self._waiting.monotonic()
        return NotNow(msgspec.structs.replace(trouble.failure, retry_after=max(wait, 0.0)))

    async def _flight(self, settings: ProviderSettings, there: Credential | None) -> Outcome:
        """Join the renewal that is under way, or begin one, and wait for what comes of it."""
        name, flight = settings.provider.name, self._begun(settings, there)
        patience = self._waiting.patience
        left = self._since[name] + patience - self._waiting.monotonic()
        # one waiter that leaves, or loses patience, must not take it from the others
        await asyncio.wait({flight}, timeout=max(left, 0.0))
        if flight.done():
            return flight.result()
        words = f"no new token for {name}: the token server has not answered for {patience:g} s"
        return NotNow(Failure(kind=FailureKind.TIMEOUT, message=words, retry_after=1.0))

    def _begun(self, settings: ProviderSettings, there: Credential | None) -> asyncio.Task[Outcome]:
        name = settings.provider.name
        flight = self._flights.get(name)
        if flight is None:
            flight = asyncio.create_task(self._fly(settings, there), name=f"renewal of {name}")
            self._flights[name] = flight
            self._since[name] = self._waiting.monotonic()
            flight.add_done_callback(lambda done: self._landed(name, done))
        return flight

    def _landed(self, name: str, flight: asyncio.Task[Outcome]) -> None:
        del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # told to whoever waits, if anybody still does

    async def _fly(self, settings: ProviderSettings, there: Credential | None) -> Outcome:
        name = settings.provider.name
        outcome = await self._renewal.renew(settings, there)
        self._records.forget()
        match outcome:
            case Renewed(credential=credential):
                self._records.get(name)  # while the file is whole: this is what serves from now on
                self._troubles.pop(name, None)
                self._records.noted(name, "ready", "refreshed", credential)
            case Ended(reason=reason):
                self._troubles.pop(name, None)
                self._records.noted(name, "terminal", reason, there)
            case NotNow(failure=failure):
                outcome = NotNow(self._paused(name, failure))
                self._records.noted(name, "degraded", failure.kind.value, there)
        return outcome

    def _trouble(self, name: str) -> "_Trouble | None":
        """Return what befell the last token request, while it is too early for another."""
        trouble = self._troubles.get(name)
        if trouble is None or self._waiting.monotonic() >= trouble.until:
            return None
        return trouble if trouble.of == self._generation(name) else None  # else of earlier tokens

    def _generation(self, name: str) -> int:
        there = self._there(name)
        return 0 if there is None else there.generation

    def _paused(self, name: str, failure: Failure) -> Failure:
        """Let no token request be made for a while; return the failure as it is told."""
        before = self._troubles.get(name)
        first, longest, at_most = _PAUSE
        pause = first if before is None else min(2 * before.pause, longest)
        wait = min(max(pause, failure.retry_after or 0.0), at_most)
        words = f"no new token for {name}: {failure.message}"
        failure = msgspec.structs.replace(failure, message=words, retry_after=wait)
        until = self._waiting.monotonic() + wait
        self._troubles[name] = _Trouble(failure, pause, until, self._generation(name))
        return failure

    def _may_refuse(self, name: str) -> bool:
        most, seconds = _REFUSALS
        times = self._refusals.setdefault(name, deque(maxlen=most))
        now = self._waiting.monotonic()
        if len(times) == most and now - times[0] < seconds:
            return False
        times.append(now)
        return True


class _Trouble(msgspec.Struct, frozen=True):
    """A token request that came to nothing; no other before ``until`` (monotonic).

    But for other tokens: ``of`` is the generation of those that it was made with.
    """

    failure: Failure
    pause: float
    until: float
    of: int


def is_terminal(failure: Failure) -> bool:
    """Tell whether an upstream's refusal means that a credential is over."""
    return _terminal_words(failure) is not None


def _terminal_words(failure: Failure) -> str | None:
    for status, code, words in _TERMINAL:
        if (failure.status, failure.code) != (status, code) or not failure.quotes:
            continue
        # from its beginning: a refusal may quote a prompt, which may quote anything
        if re.match(f"HTTP {status}: (?:this |your |the )?{words}", failure.message, re.IGNORECASE):
            return words
    return None


def _credential(outcome: Outcome) -> Credential:
    match outcome:
        case Renewed(credential=credential):
            return credential
        case Ended(message=message):
            raise auth_failed(message)
        case NotNow(failure=failure):
            raise UpstreamFailed(failure)


def _sendable(credential: Credential) -> str:
    if credential.access_token is None:  # whoever asks has looked before
        raise auth_failed("the access token was taken back")
    return credential.access_token
