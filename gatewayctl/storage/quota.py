"""What is known of credentials' quotas, in a file: a restart, and other processes, know it too.

By label, never by secret; a mark, which is a keyed hash, tells whether a label still stands for
the same credential. Everything here blocks. What a snapshot means is ``core.quota``'s business.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.quota import LONGEST, Snapshot, Time, newer, not_after, since
from gatewayctl.storage import documents, files

NAME: Final = "quota.json"
MOST: Final = 256
"""Credentials that are kept; those heard of longest ago are left out."""

SCHEMA_VERSION: Final = (
    2  # in the first, marks were keyed by a salt in the file: none fits any more
)
_PATIENCE: Final = 2.0  # seconds for the lock

T = TypeVar("T")

Same: TypeAlias = Callable[[str, str], bool]
"""Tells whether a mark is that of the credential which a label stands for in this process."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one credential; ``mark`` is empty where nothing tells it from another."""

    snapshot: Snapshot
    mark: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The file: records by label, and until when what was said of a label counts for nothing.

    The latter keeps a process that has not heard of it from bringing back what was forgotten.
    """

    schema_version: int = SCHEMA_VERSION
    credentials: Mapping[str, Record] = {}
    forgotten: Mapping[str, Time] = {}


def stamp(folder: Path) -> files.Stamp | None:
    """Return what changes with every change of the file; None when there is none."""
    return files.stamp_or_none(folder / NAME)


def load(folder: Path) -> Kept:
    """Return what is kept in a state folder; nothing where there is no file.

    Raises StorageFailed for a file that cannot be read, or that is none of ours.
    """
    path = folder / NAME
    try:
        return documents.read(path, Kept, SCHEMA_VERSION) or Kept()
    except ValueError as error:
        raise StorageFailed(f"{path} is damaged; it is written anew") from error


def save(folder: Path, ours: Kept, now: float, same: Same) -> None:
    """Write what is known beside what other processes know, of each credential the newest.

    One that is damaged is written anew, one of a newer version left alone. Raises StorageFailed.
    """
    path = folder / NAME
    with files.locked(path.with_suffix(".lock"), timeout=_PATIENCE):
        try:
            theirs = load(folder)
        except documents.WrittenByNewer:
            raise
        except StorageFailed:
            theirs = Kept()
        documents.write(path, _together(theirs, ours, now, same))


def _together(theirs: Kept, ours: Kept, now: float, same: Same) -> Kept:
    """Return both, without what was forgotten and what is too old."""
    # a time to come was noted by a clock that was set back since
    forgotten = {label: min(moment, now) for label, moment in theirs.forgotten.items()}
    for label, moment in ours.forgotten.items():
        forgotten[label] = max(moment, forgotten.get(label, moment))
    found = dict(theirs.credentials)
    for label, record in ours.credentials.items():
        other = found.get(label)
        if other is not None and same(label, other.mark):
            both = newer(not_after(other.snapshot, now), record.snapshot)
            found[label] = msgspec.structs.replace(record, snapshot=both)
        else:
            found[label] = record
    left = {
        label: msgspec.structs.replace(record, snapshot=snapshot)
        for label, record in found.items()
        if (snapshot := since(record.snapshot, forgotten.get(label, now - LONGEST))) is not None
    }
    return Kept(
        credentials=_newest(left, lambda label: left[label].snapshot.at),
        forgotten=_newest(
            {label: at for label, at in forgotten.items() if now - at <= LONGEST},
            lambda label: forgotten[label],
        ),
    )


def _newest(found: Mapping[str, T], at: Callable[[str], float]) -> dict[str, T]:
    """Return the newest of those, by name."""
    return {label: found[label] for label in sorted(sorted(found, key=at)[-MOST:])}
