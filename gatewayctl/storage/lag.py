"""Tells how far the database is behind the journals of the daemons that live.

A daemon brings its journal into the database about once a second. Who reads the ledger right after
a reply takes what was written by then, and waits for it to be there; how long is the reader's
affair. Bringing it there does not belong here: a living daemon does that by itself.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import journal, sqlite, tables

Ends = Mapping[str, tuple[int, int]]
"""Of each instance the last segment that holds anything, and its length in bytes."""


def written(folder: Path) -> Ends:
    """Return how far the journals in this state folder go now; empty where none can be seen."""
    ends: dict[str, tuple[int, int]] = {}
    with contextlib.suppress(OSError):
        for instance in journal.instances(folder):
            for number, path in journal.segments(folder, instance):
                size = _size(path)
                if size > len(journal.FORMAT):
                    ends[instance] = (number, size)
    return ends


def is_behind(folder: Path, ends: Ends) -> bool:
    """Tell whether the database lacks some of what the journals held up to ``ends``.

    A journal that is gone has been brought there. What cannot be told is not waited for: False.
    """
    try:
        there = journal.instances(folder)
        connection = sqlite.open_reading(folder / tables.DATABASE, len(tables.MIGRATIONS))
        if connection is None:
            return bool(there & ends.keys())
        with contextlib.closing(connection):
            return any(
                instance in there and tables.folded(connection, instance) < end
                for instance, end in ends.items()
            )
    except (OSError, sqlite3.Error, StorageFailed):
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # brought into the database meanwhile
        return 0
