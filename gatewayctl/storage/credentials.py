"""OAuth credentials on disk: one private file, and a lease for whoever refreshes one of them.

Every change is a compare-and-set under a short lock: what another process stored meanwhile is never
overwritten by what came of an older token. The file is replaced whole; one that cannot be read is
said to be broken and never overwritten. Writing blocks for milliseconds, so an event loop calls it
through a thread. Who refreshes when, and what a provider says to it, is ``upstream.oauth``'s.
"""

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import documents, files

FILE: Final = "credentials.json"
SCHEMA_VERSION: Final = 1
_LOCK: Final = "credentials.lock"
_LABEL: Final = 8  # characters of a label


class Origin(StrEnum):
    """How a credential came here."""

    LOGIN = "login"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    IMPORT = "import"


class State(StrEnum):
    """Whether anything can still be had with a credential; ``message`` says what to do if not."""

    READY = "ready"
    TERMINAL = "terminal"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose credential it is, as far as the provider tells."""

    who: str | None = None
    plan: str | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A token request was made at ``at`` and nothing that came of it is stored.

    ``lost`` says how its reply got lost; None is that its process ended, or still waits for it:
    the latter only as long as the credential's lease is held.
    """

    at: float
    lost: str | None = None


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one provider's OAuth. Times are seconds since 1970.

    ``access_token`` is None once an upstream refused it; ``expires_at`` None is not known. Without
    a ``refresh_token`` it lives as long as its access token does. ``generation`` counts up with
    each new set of tokens, over all credentials of the file, so that no two sets have the same;
    ``login`` is that of the first set, and stays while others replace it, as does ``imported``: the
    label of the refresh token that was taken over from another program.
    """

    access_token: str | None = None
    refresh_token: str | None = None
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    account: Account = Account()
    state: State = State.READY
    message: str | None = None
    origin: Origin = Origin.LOGIN
    obtained_at: float = 0.0
    generation: int = 0
    login: int = 0
    imported: str = ""
    pending: Pending | None = None

    def __repr__(self) -> str:
        return f"Credential(generation={self.generation}, state={self.state.value!r}, …)"

    def __rich_repr__(self) -> Any:
        yield "generation", self.generation
        yield "state", self.state.value


class _File(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = SCHEMA_VERSION
    key: str = ""
    generation: int = 0
    credentials: dict[str, Credential] = {}

    def __repr__(self) -> str:
        return "_File(…)"


class Lease:
    """The right to refresh one credential; the system ends it with the process that holds it."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    def release(self) -> None:
        """Give it back. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            files.let_go(handle)


class Vault:
    """The credentials of a state folder, by provider name; any number of processes share them.

    Everything raises ``StorageFailed`` where the file or its lock cannot be used, or holds
    something else than what was written here.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._folder = folder
        self._own_key = secrets.token_hex(16)
        self._key = ""

    def stamp(self) -> files.Stamp | None:
        """Return what changes with every change of the file; None when there is none. Cheap."""
        return files.stamp_or_none(self.path)

    def all(self) -> Mapping[str, Credential]:
        """Return every credential by provider name."""
        return self._read().credentials

    def get(self, name: str) -> Credential | None:
        """Return a provider's credential as it is stored now."""
        return self._read().credentials.get(name)

    def put(self, name: str, credential: Credential) -> Credential:
        """Store a new login in place of whatever was there; return it with its generation."""
        with self._changing() as file:
            login = msgspec.structs.replace(credential, login=file.generation + 1)
            return self._stored(file, name, login)

    def swap(self, name: str, old: Credential, new: Credential) -> Credential | None:
        """Store the tokens that replace those of ``old``, if its refresh token is still stored.

        Returns what is stored then, with its generation; None where somebody else replaced or
        removed it, whose change stays.
        """
        with self._changing() as file:
            there = file.credentials.get(name)
            if there is None or not _is_replaced(there, old):
                return None
            return self._stored(file, name, new)

    def amend(self, name: str, old: Credential, **changes: Any) -> Credential | None:
        """Change what is said of a set of tokens, if ``old``'s set is still the stored one.

        What others changed beside the named fields stays. Returns and refuses as ``swap`` does,
        but the generation stays: the refresh token must be none of the fields.
        """
        with self._changing() as file:
            there = file.credentials.get(name)
            if there is None or there.generation != old.generation:
                return None
            amended = msgspec.structs.replace(there, **changes)
            if amended != there:
                self._write(file, {**file.credentials, name: amended}, file.generation)
            return amended

    def remove(self, name: str) -> bool:
        """Forget a provider's credential; False when there was none."""
        with self._changing() as file:
            left = {each: it for each, it in file.credentials.items() if each != name}
            if len(left) == len(file.credentials):
                return False
            self._write(file, left, file.generation)
            return True

    def lease(self, name: str) -> Lease | None:
        """Return the right to refresh a credential; None while another process, or task, has it."""
        handle = files.try_hold(self._folder / f"credentials-{quote(name, safe='')}.lease")
        return None if handle is None else Lease(handle)

    def identity(self, credential: Credential) -> str:
        """Return what stays the same while a login is renewed, and is of no other login.

        Of one that is not stored here each access token is another: nobody can tell whose it is.
        The key of labels may be another in each process then, and stays out of it.
        """
        if credential.login:
            return self.label(f"login {credential.login}")
        return hashlib.sha256((credential.access_token or "").encode()).hexdigest()

    def label(self, secret: str) -> str:
        """Return a short keyed hash, by which a log can name a credential.

        The key is in the file, so that all processes give one credential the same name.
        """
        key = self._key or self._own_key
        return hmac.new(key.encode(), secret.encode(), "sha256").hexdigest()[:_LABEL]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_File]:
        """Hold the lock, and give what the file holds meanwhile."""
        with files.locked(self._folder / _LOCK):
            yield self._read()

    def _stored(self, file: _File, name: str, credential: Credential) -> Credential:
        generation = file.generation + 1
        stored = msgspec.structs.replace(credential, generation=generation, pending=None)
        self._write(file, {**file.credentials, name: stored}, generation)
        return stored

    def _write(self, file: _File, credentials: dict[str, Credential], generation: int) -> None:
        self._key = file.key or self._own_key
        new = _File(key=self._key, generation=generation, credentials=credentials)
        documents.write(self.path, new)

    def _read(self) -> _File:
        try:
            file = documents.read(self.path, _File, SCHEMA_VERSION)
        except ValueError as error:
            # not in its words, which may repeat what is in the file
            raise StorageFailed(
                f"{self.path} is damaged and left as it is: move it away, then log in again with "
                "`gatewayctl auth login NAME`"
            ) from error
        if file is None:
            return _File()
        self._key = file.key
        return file


def _is_replaced(there: Credential, old: Credential) -> bool:
    """Tell whether what came of ``old``'s refresh token replaces what is there.

    One refresh token may have been stored twice, by an import while it was used: what came of it is
    the only living thing then.
    """
    if old.refresh_token is None:
        return there.generation == old.generation
    return there.refresh_token == old.refresh_token
