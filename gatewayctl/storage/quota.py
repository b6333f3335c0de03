"""What is known of credentials' quotas, in a file, so that a restart still knows what is spent.

By label, never by secret; a mark, which is a keyed hash, tells whether a label still stands for
the same credential. Everything here blocks. What a snapshot means is ``core.quota``'s business.
"""

import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.quota import LONGEST, Snapshot, newer, not_after
from gatewayctl.storage.files import locked, read_bytes, write_atomic

NAME: Final = "quota.json"
MOST: Final = 256
"""Credentials that are kept; those heard of longest ago are left out."""

SCHEMA_VERSION: Final = 1
_SALT_BYTES: Final = 16
_PATIENCE: Final = 2.0  # seconds for the lock


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one credential; ``mark`` is empty where nothing tells it from another."""

    snapshot: Snapshot
    mark: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The file: ``salt`` (hexadecimal) keys the marks, ``credentials`` are records by label."""

    salt: str
    schema_version: int = SCHEMA_VERSION
    credentials: Mapping[str, Record] = {}


def fresh() -> Kept:
    """Return a file that knows nothing yet."""
    return Kept(salt=secrets.token_hex(_SALT_BYTES))


def load(folder: Path) -> Kept:
    """Return what is kept in a state folder; with a new salt and nothing else where there is none.

    Raises StorageFailed for a file that cannot be read, or that is none of ours.
    """
    path = folder / NAME
    data = read_bytes(path)
    if data is None:
        return fresh()
    try:
        kept = msgspec.json.decode(data, type=Kept)
        salted = len(bytes.fromhex(kept.salt)) == _SALT_BYTES
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise StorageFailed(f"{path} is damaged; it is written anew") from error
    if kept.schema_version != SCHEMA_VERSION or not salted:
        raise StorageFailed(f"{path} is of another version; it is written anew")
    return kept


def save(folder: Path, ours: Kept, now: float, forgotten: Collection[str] = ()) -> None:
    """Write what is known beside what other processes know, each credential's newest.

    Of the labels in ``forgotten`` nothing stays but what is ours. Raises StorageFailed.
    """
    path = folder / NAME
    with locked(path.with_suffix(".lock"), timeout=_PATIENCE):
        try:
            theirs = load(folder)
        except StorageFailed:
            theirs = ours
        there = {label: it for label, it in theirs.credentials.items() if label not in forgotten}
        theirs = msgspec.structs.replace(theirs, credentials=there)
        records = _together(theirs, ours, now)
        data = msgspec.json.encode(msgspec.structs.replace(ours, credentials=records))
        if data != read_bytes(path):
            write_atomic(path, data)


def _together(theirs: Kept, ours: Kept, now: float) -> dict[str, Record]:
    """Return both, without what is too old; marks of another salt cannot be compared."""
    found = dict(theirs.credentials) if theirs.salt == ours.salt else {}
    for label, record in ours.credentials.items():
        other = found.get(label)
        if other is not None and other.mark == record.mark:
            earlier = not_after(other.snapshot, now)
            both = newer(earlier, record.snapshot)
            found[label] = msgspec.structs.replace(record, snapshot=both)
        else:
            found[label] = record
    recent = {label: it for label, it in found.items() if now - it.snapshot.at <= LONGEST}
    newest = sorted(recent, key=lambda label: -recent[label].snapshot.at)[:MOST]
    return {label: recent[label] for label in sorted(newest)}
