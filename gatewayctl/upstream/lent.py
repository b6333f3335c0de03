"""Gives the access tokens that other programs keep fresh, for providers that borrow them.

Nothing is stored or renewed here: what is over is over until the program writes its file anew. How
such a file is read is ``borrowed``'s business, the gateway's own tokens are ``oauth``'s.
"""

from collections.abc import Callable
from typing import Final

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import Failure, FailureKind, StorageFailed, UpstreamFailed
from gatewayctl.storage.credentials import Credential
from gatewayctl.upstream.borrowed import Borrowed
from gatewayctl.upstream.renewal import is_alive

KEPT: Final = "and only the program that keeps that file can refresh it: run that program"


class Lent:
    """The credentials in the files that providers borrow.

    ``wall`` is seconds since 1970, ``monotonic`` seconds that never go back.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._files: dict[str, Borrowed] = {}
        self._over: dict[str, tuple[str, str]] = {}

    def credential(self, settings: ProviderSettings) -> Credential:
        """Return what a provider's file holds; raise ``UpstreamFailed`` where that is no use."""
        name, file = settings.provider.name, settings.borrow or ""
        borrowed = self._file(file)
        try:
            lent = borrowed.credential()
        except StorageFailed as error:
            raise auth_failed(f"no token for {name}: {error}") from error
        if not is_alive(lent, self._wall()):
            if borrowed.trouble is not None:
                raise auth_failed(f"no token for {name}: {borrowed.trouble}")
            raise auth_failed(f"the token of {name} in {file} has expired; it is borrowed, {KEPT}")
        token, message = self._over.get(name, (None, ""))
        if token == lent.access_token:
            raise auth_failed(message)
        return lent

    def found(self, settings: ProviderSettings) -> Credential | None:
        """Return what a provider's file holds, whether it is still good or not."""
        try:
            return self._file(settings.borrow or "").credential()
        except StorageFailed:
            return None

    def has_another(self, settings: ProviderSettings, token: str) -> bool:
        """Tell whether, by now, the file holds another token than one that was refused."""
        try:
            lent = self._file(settings.borrow or "").credential(now=True)
        except StorageFailed:
            return False
        return lent.access_token != token and is_alive(lent, self._wall())

    def end(self, settings: ProviderSettings, token: str, words: str) -> None:
        """Give out a token no more, which an upstream refuses for good in these words."""
        message = f"the provider refuses the token in {settings.borrow} ({words})"
        self._over[settings.provider.name] = (token, message)

    def _file(self, file: str) -> Borrowed:
        borrowed = self._files.get(file)
        if borrowed is None:
            self._files[file] = borrowed = Borrowed(file, self._monotonic)
        return borrowed


def auth_failed(message: str) -> UpstreamFailed:
    """Return the failure of a token that a person alone can bring back."""
    return UpstreamFailed(Failure(kind=FailureKind.AUTH, message=message))
