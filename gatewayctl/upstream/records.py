"""What a process knows of the credentials on disk, and whether they are fresh.

Says in the log when a credential comes to another state, whoever brought it there. Changing them is
``renewal``'s business, giving out tokens ``oauth``'s.
"""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.happened import Happened
from gatewayctl.storage.credentials import Credential, State, Vault

log = logging.getLogger("gatewayctl.credentials")

MARGIN: Final = 300.0
"""Seconds before its end from which an access token is not fresh."""
_LOOK: Final = 1.0
"""Seconds between two looks at whether the file has changed."""


class _Life(msgspec.Struct, frozen=True):
    """Until when a set of tokens lives by the monotonic clock, as of when it was first seen."""

    generation: int
    until: float


class Records:
    """The credentials as of the last look. ``wall`` is seconds since 1970.

    ``broken`` says what is wrong with the file; what was read before goes on counting then.
    """

    def __init__(
        self, vault: Vault, wall: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.broken: str | None = None
        self._vault = vault
        self._wall = wall
        self._monotonic = monotonic
        self._known: Mapping[str, Credential] = {}
        self._looked = -math.inf
        self._stamp: object = None
        self._lives: dict[str, _Life] = {}
        self._states: dict[str, str] = {}

    def get(self, name: str) -> Credential | None:
        """Return a credential as of a second ago at most; the file is read where it changed."""
        now = self._monotonic()
        if now - self._looked >= _LOOK:
            self._looked = now
            self._look(now)
        return self._known.get(name)

    def forget(self) -> None:
        """Read the file at the next look, which is the next call."""
        self._looked, self._stamp = -math.inf, object()

    def is_fresh(self, name: str, credential: Credential) -> bool:
        """Tell whether an access token can be used without a thought of renewing it.

        By the time of day and by the monotonic clock, since the former can be set back, and the
        latter may stand still while the machine sleeps. A credential from the future was written
        when the clock was wrong, so its expiry is, too.
        """
        now = self._wall()
        if credential.access_token is None or credential.state is State.TERMINAL:
            return False
        if credential.obtained_at > now + MARGIN:
            return False
        if credential.expires_at is None:
            return True
        left = credential.expires_at - now
        life = self._lives.get(name)
        if life is not None and life.generation == credential.generation:
            left = min(left, life.until - self._monotonic())
        return left > _margin(credential)

    def noted(self, name: str, state: str, reason: str, credential: Credential | None) -> None:
        """Say in the log that a credential has come to another state."""
        before = self._states.get(name, "unknown")
        self._states[name] = state
        if before == state or (before, state) == ("unknown", "ready"):
            return
        secret = credential and (credential.refresh_token or credential.access_token)
        level = logging.INFO if state == "ready" else logging.WARNING
        log.log(
            level,
            Happened(
                "credential_state_changed",
                {
                    "provider": name,
                    "credential": self._vault.label(secret) if secret else None,
                    "from": before,
                    "to": state,
                    "reason": reason,
                },
            ),
        )

    def _look(self, now: float) -> None:
        stamp = self._vault.stamp()
        if stamp == self._stamp:
            return
        try:
            known = self._vault.all()
        except StorageFailed as error:
            # read again at the next look, changed or not
            self.broken, self._stamp = str(error), object()
            return
        self.broken, self._stamp = None, stamp
        wall = self._wall()
        for name, credential in known.items():
            life = self._lives.get(name)
            if life is None or life.generation != credential.generation:
                ends = math.inf if credential.expires_at is None else credential.expires_at
                self._lives[name] = _Life(credential.generation, now + ends - wall)
            before = self._known.get(name)
            if credential.state is State.TERMINAL:
                self.noted(name, "terminal", "stored", credential)
            elif before is None or before.generation != credential.generation:
                self.noted(name, "ready", credential.origin.value, credential)
        for name in self._known.keys() - known.keys():
            self.noted(name, "missing", "removed", self._known[name])
            self._lives.pop(name, None)
        self._known = known


def _margin(credential: Credential) -> float:
    """Return for how many seconds before its end a token is not fresh.

    What a renewal brought serves for half of its life, however short that is: else each call would
    renew the tokens of a server that lets them live for five minutes, as some do.
    """
    came_of_renewal = credential.generation != credential.login
    if credential.expires_at is None or not came_of_renewal:
        return MARGIN
    return min(MARGIN, max(credential.expires_at - credential.obtained_at, 0.0) / 2)
