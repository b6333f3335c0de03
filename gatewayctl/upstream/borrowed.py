"""Reads the credentials file of another program, and never writes it.

Claude Code's form is understood: ``{"claudeAiOauth": {"accessToken", "refreshToken", "expiresAt",
"scopes", "subscriptionType"}}``, times in milliseconds. An import takes all of it over; borrowing
(``credential = { borrow = FILE }``) uses the access token alone, for as long as that program keeps
it fresh.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files
from gatewayctl.storage.credentials import Account, Credential, Origin
from gatewayctl.upstream.token_reply import sendable

WRAPPER: Final = "claudeAiOauth"
_LIMIT: Final = 256 * 1024  # bytes
_LOOK: Final = 1.0
"""Seconds between two looks at whether a file has changed."""
_EARLIEST: Final = 10**11
"""Milliseconds since 1970, in 1973: a smaller time was written in seconds."""
_LATEST: Final = 253_402_300_799_000
"""Milliseconds since 1970 until the year 10000."""


class Borrowed:
    """The access token in another program's file, read again when the file changes."""

    def __init__(self, file: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.file = file
        self._path = Path(file).expanduser()
        self._monotonic = monotonic
        self._looked = -math.inf
        self._stamp: object = None
        self._credential: Credential | None = None
        self.trouble: str | None = None
        """What is wrong with the file as of the last look, while what it held before serves on."""

    def credential(self, *, now: bool = False) -> Credential:
        """Return what the file holds, without its refresh token; StorageFailed where it does not.

        Looked at once a second at most, unless ``now``. While the file cannot be read, half written
        for instance, what it held before goes on serving.
        """
        moment = self._monotonic()
        if now or moment - self._looked >= _LOOK:
            self._looked = moment
            self._look()
        if self._credential is None:
            raise StorageFailed(self.trouble or f"cannot read {self.file}")
        return self._credential

    def _look(self) -> None:
        try:
            stamp = files.stamp(self._path)
        except OSError as error:
            self.trouble = f"cannot read {self.file}: {error.strerror}"
            self._credential = self._stamp = None
            return
        if stamp == self._stamp:
            return
        try:
            read = read_file(self._path, self.file)
        except StorageFailed as error:
            # looked at again next time, changed or not: whoever writes it may be in the middle
            self.trouble, self._stamp = str(error), None
            return
        self._stamp, self.trouble = stamp, None
        self._credential = msgspec.structs.replace(read, refresh_token=None)


def read_file(path: Path, name: str | None = None) -> Credential:
    """Return the credential in another program's file; StorageFailed says what is wrong with it.

    ``name`` is what the message calls the file.
    """
    name = name or str(path)
    try:
        with files.reading(path) as file:
            raw = file.read(_LIMIT + 1)
    except OSError as error:
        raise StorageFailed(f"cannot read {name}: {error.strerror}") from error
    if len(raw) > _LIMIT:
        raise StorageFailed(f"{name} has more than {_LIMIT:,} bytes, too many for credentials")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StorageFailed(f"{name} is not JSON") from error
    inner = value.get(WRAPPER) if isinstance(value, dict) else None
    if not isinstance(inner, dict):
        raise StorageFailed(f"{name} holds no {WRAPPER}")
    return _credential(inner, name)


def _credential(inner: dict[str, Any], name: str) -> Credential:
    refresh, plan, scopes = (inner.get(it) for it in ("refreshToken", "subscriptionType", "scopes"))
    return Credential(
        access_token=_token(inner.get("accessToken"), f"{WRAPPER}.accessToken", name),
        refresh_token=_token(refresh, f"{WRAPPER}.refreshToken", name) if refresh else None,
        expires_at=_expiry(inner.get("expiresAt"), name),
        scopes=tuple(it for it in scopes if isinstance(it, str)) if type(scopes) is list else (),
        account=Account(plan=plan if isinstance(plan, str) and plan.isprintable() else None),
        origin=Origin.IMPORT,
    )


def _token(value: Any, what: str, name: str) -> str:
    if not value:
        raise StorageFailed(f"{name} has no {what}")
    if (token := sendable(value)) is None:
        raise StorageFailed(f"{what} of {name} is nothing that can be sent as a token")
    return token


def _expiry(value: Any, name: str) -> float | None:
    """Return seconds since 1970 from milliseconds."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise StorageFailed(f"{WRAPPER}.expiresAt of {name} is no number of milliseconds")
    if 0 < value < _EARLIEST:
        raise StorageFailed(
            f"{WRAPPER}.expiresAt of {name} is in seconds where milliseconds are expected"
        )
    if not 0 < value <= _LATEST:
        raise StorageFailed(f"{WRAPPER}.expiresAt of {name} is no time")
    return value / 1000
