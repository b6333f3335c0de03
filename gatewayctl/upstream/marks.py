"""Tells a credential from the one that followed it, without keeping either: by a keyed hash.

What was learned of a credential must not be believed of another that stands in its place after a
new login or a change of a variable, a file or the config. Cheap: a file is read where it changed.
What a program prints is not asked for, and marked by the program's command.
"""

import secrets
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final, assert_never

from gatewayctl.config.settings import (
    FromCommand,
    FromEnv,
    FromFile,
    Plain,
    ProviderSettings,
    Secret,
)
from gatewayctl.core.model import Auth
from gatewayctl.storage import files
from gatewayctl.upstream.at_hand import labels

_LONGEST: Final = 16 * 1024  # bytes of a credential
_SALT: Final = 8  # bytes of a hash, and of what keys it, which stands before it

Identity = Callable[[ProviderSettings], str]
"""Returns what stays the same while an OAuth credential is renewed, and no longer. Cheap."""


class Marks:
    """The marks of the credentials that are configured, by label, as they are at each call.

    Marks of one object can be compared with each other; ``matches`` takes those of others too.
    """

    def __init__(
        self,
        providers: Mapping[str, ProviderSettings],
        environ: Mapping[str, str],
        identity: Identity = lambda _: "",
    ) -> None:
        self._environ = environ
        self._identity = identity
        self._salt = secrets.token_bytes(_SALT)
        self._files: dict[str, tuple[object, bytes]] = {}
        self._made: dict[str, tuple[bytes, str]] = {}
        self._behind = {
            label: (settings, secret)
            for settings in providers.values()
            for label, secret in zip(labels(settings), settings.secrets or (None,), strict=True)
        }

    def of(self, label: str) -> str:
        """Return the mark of the credential that a label stands for now; empty for no label."""
        told = self._behind_label(label)
        if told is None:
            return ""
        made = self._made.get(label)
        if made is None or made[0] != told:  # each attempt asks several times
            made = self._made[label] = (told, _mark(told, self._salt))
        return made[1]

    def matches(self, label: str, mark: str) -> bool:
        """Tell whether a mark is that of the credential that a label stands for now."""
        own = self.of(label)
        return bool(own) and (mark == own or _is_mark(mark, self._made[label][0]))

    def fixed(self) -> Callable[[str, str], bool]:
        """Return ``matches`` as of now, which may be called in another thread."""
        told = {label: self._behind_label(label) for label in self._behind}
        return lambda label, mark: _is_mark(mark, told.get(label))

    def _behind_label(self, label: str) -> bytes | None:
        """Return what makes a credential this one, and where it is used."""
        behind = self._behind.get(label)
        if behind is None:
            return None
        settings, secret = behind
        told = b"" if secret is None else self._told(secret)
        if settings.provider.auth is Auth.OAUTH:
            told = self._identity(settings).encode()
        return f"{settings.base_url}\0".encode() + told

    def _told(self, secret: Secret) -> bytes:
        match secret:
            case FromEnv():
                found = self._environ.get(secret.name, "")
                return found.strip().encode(errors="surrogateescape")
            case FromFile():
                return self._in_file(secret.path)
            case FromCommand():
                return "\0".join(secret.argv).encode(errors="surrogateescape")
            case Plain():
                return secret.value.strip().encode(errors="surrogateescape")
            case _:
                assert_never(secret)

    def _in_file(self, name: str) -> bytes:
        path = Path(name)
        try:
            stamp = files.stamp(path)
            kept = self._files.get(name)
            if kept is None or kept[0] != stamp:
                with files.reading(path) as file:
                    kept = self._files[name] = (stamp, file.read(_LONGEST).strip())
        except OSError:
            return b""
        return kept[1]


def _mark(told: bytes, salt: bytes) -> str:
    return salt.hex() + blake2b(told, key=salt, digest_size=_SALT).hexdigest()


def _is_mark(mark: str, told: bytes | None) -> bool:
    try:
        salt = bytes.fromhex(mark[: 2 * _SALT])
    except ValueError:
        return False
    return told is not None and len(salt) == _SALT and mark == _mark(told, salt)
