"""The operator's key: how the command line shows the daemon that it runs for the same user.

It lies in a private file in the state folder, made by the first daemon that needs it. Unlike client
keys it is kept as it is, since both sides have to know it.
"""

import secrets
from pathlib import Path
from typing import Final

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files

FILE: Final = "operator.key"
PREFIX: Final = "gwo-"
_LOCK: Final = ".operator.lock"
_LENGTH: Final = len(PREFIX) + 43
"""Characters: 32 random bytes in URL-safe base 64."""


def operator_key(folder: Path) -> str:
    """Return the key, made where there is none yet; raise StorageFailed."""
    found = known_operator_key(folder)
    if found is not None:
        return found
    with files.locked(folder / _LOCK):
        found = known_operator_key(folder)
        if found is None:
            found = PREFIX + secrets.token_urlsafe(32)
            files.write_atomic(folder / FILE, f"{found}\n".encode())
    return found


def known_operator_key(folder: Path) -> str | None:
    """Return the key, None where no daemon has made one; raise StorageFailed."""
    path = folder / FILE
    data = files.read_bytes(path)
    if data is None:
        return None
    key = data.strip()
    if not key.startswith(PREFIX.encode()) or len(key) != _LENGTH or not key.isascii():
        raise StorageFailed(f"{path} holds no operator's key; remove it, and restart the daemon")
    return key.decode()
