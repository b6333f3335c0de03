"""What client keys have spent without this daemon: in earlier runs, and beside it by other daemons.

Every daemon knows its own spending before the ledger does, and that of others by the ledger alone.
So a reading returns what others' requests came to since the reading before, and never a cost of the
own ones twice. All of one reading is as of one moment. What may be spent does not belong here.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gatewayctl.storage import history
from gatewayctl.storage.usage import Values, has_costs, rows


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A key whose spending since a time is wanted, in seconds since 1970.

    ``account`` is the place, as ``News.closed`` has it, from which on the own requests count with
    the daemon itself; None for now.
    """

    client: str
    since: float
    account: int | None = None


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What the attempts of a key cost that began in one hour, in pico-dollars.

    ``hour`` is when it began, in seconds since 1970.
    """

    client: str
    hour: float
    cost: int


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What one reading found.

    ``before`` is the cost, for each wanted key, of what is over; ``ended`` that of others' requests
    which ended since the reading before, ``under_way`` that of others' which have not, as of their
    last checkpoints. ``closed`` is the place in which the last request of all ended.
    """

    before: tuple[int, ...]
    ended: tuple[Spent, ...]
    under_way: tuple[Spent, ...]
    closed: int


class Spending:
    """Reads the ledger in ``folder``; ``own`` is this daemon's instance. One thread at a time."""

    def __init__(self, folder: Path, own: str) -> None:
        self._folder = folder
        self._own = own
        self._last: history.Cursor | None = None

    def read(self, wanted: Sequence[Wanted]) -> News:
        """Return what was spent elsewhere; blocks. Raises StorageFailed, and forgets nothing then.

        A ledger that does not exist, and one that has no costs, has spent nothing.
        """
        with history.opened(self._folder) as connection:
            end = history.end(connection)
            if not has_costs(connection):
                return News(before=(0,) * len(wanted), ended=(), under_way=(), closed=end.closed)
            last = self._last or end
            after = last.closed if last.ledger == end.ledger else 0
            known: Values = {"own": self._own, "after": after}
            news = News(
                before=tuple(self._before(connection, each, end.closed) for each in wanted),
                ended=_found(connection, _ENDED, known) if after < end.closed else (),
                under_way=_found(connection, _UNDER_WAY, known),
                closed=end.closed,
            )
        self._last = end
        return news

    def _before(self, connection: sqlite3.Connection, wanted: Wanted, closed: int) -> int:
        values: Values = {
            "client": wanted.client,
            "since": wanted.since,
            "own": self._own,
            "account": closed if wanted.account is None else wanted.account,
        }
        (row,) = rows(connection, _BEFORE, values)
        return int(row[0])


def _found(connection: sqlite3.Connection, query: str, known: Values) -> tuple[Spent, ...]:
    return tuple(
        Spent(client=row["client"], hour=row["hour"], cost=int(row["cost"]))
        for row in rows(connection, query, known)
    )


_OTHERS = """
    SELECT one.client AS client, CAST(attempts.at / 3600 AS INTEGER) * 3600.0 AS hour,
        coalesce({{sum}}(cost), 0) AS cost
    FROM requests AS one JOIN attempts USING (request)
    WHERE {} AND one.client IS NOT NULL AND one.instance <> :own GROUP BY 1, 2
"""
_ENDED = _OTHERS.format("one.closed > 0 AND one.closed > :after")
_UNDER_WAY = _OTHERS.format("one.outcome IS NULL")

_COST = """
    coalesce((
        SELECT {{sum}}(cost) FROM requests AS one JOIN attempts USING (request)
        WHERE {} AND one.client = :client AND attempts.at >= :since
    ), 0)
"""
# All that the index holds, without what is under way, and without what the daemon itself counts:
# of both there is little, where to look at each one's request would take seconds.
_BEFORE = f"""
    SELECT coalesce({{sum}}(cost), 0) - {_COST.format("one.outcome IS NULL")}
        - {_COST.format("one.closed > 0 AND one.closed > :account AND one.instance = :own")}
    FROM attempts WHERE client = :client AND at >= :since
"""  # noqa: S608 - names of ours
