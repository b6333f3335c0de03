"""The file of client keys: who may call the gateway, what for and how much. No secret is in it.

A secret is told once, when it is made; what is kept is its SHA-256, which is enough since secrets
are 256 random bits. Changes are made under a lock and written whole, so that processes may make
them at once. Revoked keys stay, so that their names keep meaning what the ledger says of them, and
so that revoking the last one does not open the gateway to everybody.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gatewayctl.core.allowance import MOST_RATE, Limits, budget
from gatewayctl.core.errors import GatewayctlError, StorageFailed
from gatewayctl.storage import documents, files

FILE: Final = "client-keys.json"
SCHEMA_VERSION: Final = 1
PREFIX: Final = "gwk-"
HASH: Final = "sha256:"

MOST_KEYS: Final = 1000
MOST_PATTERNS: Final = 100
CONFIGURED: Final = "config:"
"""Begins the names of keys in the config, followed by digits of their hash."""

_DIGITS: Final = 8
_LOCK: Final = ".client-keys.lock"

_NAME_SHOWN: Final = 80
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
RESERVED: Final = frozenset({"operator"})


class KeyRefused(GatewayctlError):
    """A key cannot be made or changed as asked; the message says why."""


class OutOfForm(KeyRefused):
    """A name or terms that no key can have."""


HandOver = Callable[["ClientKey", str], None]
"""Shows a key's secret to its owner before it is good; what it raises leaves all as it was."""


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that another took the place of, and until when it is still good."""

    hash: str
    until: float


class ClientKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key. ``hash`` is its secret's; times are in seconds since 1970, None for never.

    ``models`` are patterns of what it may use, none for everything; ``budgets`` as they are
    written. ``replaced`` is the secret before the last rotation.
    """

    name: str
    hash: str
    created: float
    expires: float | None = None
    revoked: float | None = None
    replaced: Replaced | None = None
    models: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None

    @property
    def limits(self) -> Limits:
        """What bounds it; raise ``ValueError`` for a budget that is none."""
        return Limits(budgets=tuple(map(budget, self.budgets)), rpm=self.rpm, tpm=self.tpm)

    def state(self, now: float) -> str:
        """Return ``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a new key may do; see ``ClientKey``."""

    expires: float | None = None
    models: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int
    keys: tuple[ClientKey, ...]


def configured(said: str) -> ClientKey:
    """Return the key of which the config says ``sha256:HASH``; nothing else is known of it."""
    bare = said.removeprefix(HASH)
    return ClientKey(name=f"{CONFIGURED}{bare[:_DIGITS]}", hash=bare, created=0.0)


def digest(secret: str) -> str:
    """Return what is kept of a secret: SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def read(folder: Path) -> tuple[ClientKey, ...] | None:
    """Return all keys in the order they were made, None where there is no file of them.

    Raises StorageFailed for a file that cannot be read, or that does not say what it should: who
    may call is then unknown.
    """
    path = folder / FILE
    try:
        file = documents.read(path, _File, SCHEMA_VERSION)
        if file is None:
            return None
        _check(file.keys)
    except ValueError as error:
        raise StorageFailed(
            f"cannot read {path}: {error}; repair it, or remove it and make the keys anew"
        ) from error
    return file.keys


def create(
    folder: Path, name: str, terms: Terms, now: float, hand_over: HandOver | None = None
) -> tuple[ClientKey, str]:
    """Make a key and return it with its secret, which is nowhere else.

    Raises OutOfForm for a name or terms that cannot be, KeyRefused for a name that is taken, and
    StorageFailed.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    made = ClientKey(name=name, hash=digest(secret), created=now, **msgspec.structs.asdict(terms))
    try:
        _check((made,))
    except ValueError as error:
        raise OutOfForm(str(error)) from error

    def add(keys: Sequence[ClientKey]) -> Sequence[ClientKey]:
        there = next((each for each in keys if each.name == name), None)
        if there is not None and there.revoked is not None:
            raise KeyRefused(
                f'"{name}" is the name of a revoked key, whose usage is on record; choose another'
            )
        if there is not None:
            raise KeyRefused(
                f'there is a key called "{name}"; gatewayctl keys rotate gives it a new secret'
            )
        changed = (*_room(keys), made)
        if hand_over is not None:
            hand_over(made, secret)
        return changed

    _changed(folder, add)
    return made, secret


def rotate(
    folder: Path,
    name: str,
    now: float,
    hand_over: HandOver | None = None,
    *,
    grace: float = 0.0,
    expires: float | None = None,
) -> tuple[ClientKey, str]:
    """Give a key a new secret, and return both; the old one stays good for ``grace`` seconds.

    ``expires`` None leaves the key's own time. Raises KeyRefused and StorageFailed.
    """
    secret = PREFIX + secrets.token_urlsafe(32)

    def turn(key: ClientKey) -> ClientKey:
        until = key.expires if expires is None else expires
        if until is not None and until <= now:
            raise KeyRefused(f'"{name}" has expired; --expires gives it another time')
        changed = msgspec.structs.replace(
            key,
            hash=digest(secret),
            expires=until,
            # what is no longer good does not become so again
            replaced=Replaced(
                hash=key.hash, until=now + grace if key.state(now) == "active" else now
            ),
        )
        if hand_over is not None:
            hand_over(changed, secret)
        return changed

    return _one_changed(folder, name, turn), secret


def revoke(folder: Path, name: str, now: float) -> ClientKey:
    """End a key for good, its old secret too. Raises KeyRefused and StorageFailed."""
    return _one_changed(folder, name, lambda key: msgspec.structs.replace(key, revoked=now))


def _one_changed(folder: Path, name: str, change: Callable[[ClientKey], ClientKey]) -> ClientKey:
    changed: list[ClientKey] = []

    def turn(keys: Sequence[ClientKey]) -> Sequence[ClientKey]:
        there = next((each for each in keys if each.name == name), None)
        if there is None:
            raise KeyRefused(f'no key is called "{name}"; gatewayctl keys list shows them')
        if there.revoked is not None:
            raise KeyRefused(f'"{name}" is revoked')
        changed.append(change(there))
        return [changed[0] if each is there else each for each in keys]

    _changed(folder, turn)
    return changed[0]


def _changed(folder: Path, change: Callable[[Sequence[ClientKey]], Sequence[ClientKey]]) -> None:
    with files.locked(folder / _LOCK):
        keys = tuple(change(read(folder) or ()))
        documents.write(folder / FILE, _File(schema_version=SCHEMA_VERSION, keys=keys))


def _room(keys: Sequence[ClientKey]) -> Sequence[ClientKey]:
    """Return the keys with room for one more: who was revoked the longest ago goes."""
    if len(keys) < MOST_KEYS:
        return keys
    revoked = [each for each in keys if each.revoked is not None]
    if not revoked:
        raise KeyRefused(f"there are {MOST_KEYS} keys, and no more are kept; revoke one")
    oldest = min(revoked, key=lambda each: each.revoked or 0.0)
    return [each for each in keys if each is not oldest]


def _check(keys: Sequence[ClientKey]) -> None:
    """Raise ``ValueError`` for what no key can be, by its name."""
    names: set[str] = set()
    for key in keys:
        if not _NAME.fullmatch(key.name) or key.name in RESERVED:
            raise ValueError(
                f'"{key.name[:_NAME_SHOWN]}" is no name of a key: it has up to 64 letters, digits, '
                "dots, hyphens and underscores, and begins with a letter or digit; operator is "
                "the gateway's own"
            )
        if key.name in names:
            raise ValueError(f'two keys are called "{key.name}"')
        names.add(key.name)
        hashes = [key.hash, *([key.replaced.hash] if key.replaced else [])]
        if not all(map(_HASH.fullmatch, hashes)):
            raise ValueError(f'the key "{key.name}" has no SHA-256 of 64 hexadecimal digits')
        _check_terms(key)


def _check_terms(key: ClientKey) -> None:
    try:
        periods = [each.period for each in key.limits.budgets]
    except ValueError as error:
        raise ValueError(f'the key "{key.name}": {error}') from error
    if len(set(periods)) < len(periods):
        raise ValueError(f'the key "{key.name}" has two budgets for one period')
    for what, rate in (("rpm", key.rpm), ("tpm", key.tpm)):
        if rate is not None and not 0 < rate <= MOST_RATE:
            raise ValueError(
                f'the key "{key.name}": {what} is a whole number from 1 to {MOST_RATE:,}'
            )
    if len(key.models) > MOST_PATTERNS:
        raise ValueError(f'the key "{key.name}" lists more than {MOST_PATTERNS} models')
    if not all(each.strip() == each != "" for each in key.models):
        raise ValueError(f'the key "{key.name}" lists a model with an empty name or blanks around')
