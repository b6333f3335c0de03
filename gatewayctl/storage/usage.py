"""Adds up what the ledger holds: requests, tokens and money, in all or by what they have in common.

Reads alone, as ``history`` does and with its errors. Costs are integers of pico-dollars, so that
their sums are exact; what a sum looks like is the command line's business.
"""

import sqlite3
from pathlib import Path

from gatewayctl.storage import history


def spent(folder: Path, client: str, since: float) -> int:
    """Return the pico-dollars that a client key's requests have cost since a time.

    ``since`` is in seconds since 1970, and what counts is when a request came. Attempts under way
    count with what their last checkpoint says; what has no known cost does not count. A ledger that
    does not exist has spent nothing. Raises StorageFailed.
    """
    with history.opened(folder) as connection:
        if not _has_costs(connection):
            return 0
        (cost,) = connection.execute(
            "SELECT coalesce(sum(cost), 0) FROM attempts WHERE client = ? AND came >= ?",
            (client, since),
        ).fetchone()
    return int(cost)


def _has_costs(connection: sqlite3.Connection) -> bool:
    """Tell whether the database is of a schema that has costs."""
    columns = connection.execute("SELECT name FROM pragma_table_info('attempts')")
    return ("cost",) in map(tuple, columns)
