"""Adds up what the ledger holds: requests, tokens and money, in all or by what they have in common.

Reads alone, as ``history`` does and with its errors. Costs are integers of pico-dollars, so that
their sums are exact; what a sum looks like is the command line's business. Times are seconds since
1970. For usage it counts when a request came, whenever its attempts began; for a budget when each
of them began.
"""

import sqlite3
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.events import Usage
from gatewayctl.core.pricing import BASE_TIERS
from gatewayctl.storage import history, tables
from gatewayctl.storage.grouping import By

DIMENSIONS: Final = Usage.__struct_fields__

_DAY: Final = 86400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_NEVER: Final = 1e12

Values = Mapping[str, float | str]
"""What stands for the names in a query."""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What some requests come to.

    ``requests`` counts each once, ``failed`` those of them that were not answered, though they
    ended. ``tokens`` are what was counted, by dimension. ``known`` is the pico-dollars of the
    ``priced`` attempts; ``unpriced`` are those that had tokens, and no price is known of some.
    ``estimated``: some of the tokens are a guess.
    """

    requests: int = 0
    failed: int = 0
    tokens: Mapping[str, int] = MappingProxyType(dict.fromkeys(DIMENSIONS, 0))
    known: int = 0
    priced: int = 0
    unpriced: int = 0
    estimated: bool = False

    @property
    def cost(self) -> int | None:
        """The pico-dollars, None where there were tokens and no price of any attempt is known."""
        return None if self.unpriced and not self.priced else self.known

    def counting(self, requests: int, failed: int) -> "Sums":
        """Return these sums with so many more requests, which had no attempt."""
        return msgspec.structs.replace(
            self, requests=self.requests + requests, failed=self.failed + failed
        )


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Sums by what the requests have in common, in no order, and of all of them.

    The key is None where a request has none: no route, no client key, no session, no tier, no
    attempt. By model and tier a request counts in every group that an attempt of it is in, failed
    where none of those was answered: there the counts of the groups may be more than those of all.
    """

    groups: Mapping[str | None, Sums]
    total: Sums


def usage(
    folder: Path, by: By, *, since: float | None = None, until: float | None = None
) -> Summary:
    """Return what the requests come to that came at ``since`` or later, and before ``until``.

    Raises StorageFailed, also for a database of an older schema, which has no costs.
    """
    span = {"since": 0.0 if since is None else since, "until": _NEVER if until is None else until}
    with history.opened(folder) as connection:
        if not has_costs(connection):
            raise StorageFailed(
                f"{folder / tables.DATABASE} was written by an older gatewayctl,"
                " and cannot be brought up to date"
            )
        match by:
            case By.MODEL:
                return _by_attempt(connection, "{attempt}model", span)
            case By.TIER:
                return _by_attempt(connection, _TIER, span)
            case By.ROUTE | By.SESSION:
                return _by_request(connection, by.value, by.value, span)
            case By.KEY:
                return _by_request(connection, "client", "client", span)
            case By.DAY:
                found = _by_request(connection, _day_of("at"), _day_of("came"), span)
                days = {_date(key): sums for key, sums in found.groups.items()}
                return msgspec.structs.replace(found, groups=days)


def spent(folder: Path, client: str, since: float) -> int:
    """Return the pico-dollars of a client key's attempts that began at a time or later.

    So a budget counts them, whenever their requests came. Those under way count with what their
    last checkpoint says; what has no known cost does not count. A ledger that does not exist has
    spent nothing. Raises StorageFailed.
    """
    with history.opened(folder) as connection:
        if not has_costs(connection):
            return 0
        query = "SELECT {sum}(cost) FROM attempts WHERE client = :client AND at >= :since"
        (row,) = rows(connection, query, {"client": client, "since": since})
    return int(row[0] or 0)


def has_costs(connection: sqlite3.Connection) -> bool:
    """Tell whether the database is of a schema that has costs."""
    columns = connection.execute("SELECT name FROM pragma_table_info('attempts')")
    return ("cost",) in map(tuple, columns)


def _by_request(
    connection: sqlite3.Connection, of_request: str, of_attempt: str, span: Values
) -> Summary:
    """Group by what all attempts at a request share, in the words of either table."""
    groups: dict[str | None, Sums] = {}
    for row in rows(connection, _attempts(of_attempt), span):
        groups[row["key"]] = _sums(row, requests=0, failed=0)
    for row in rows(connection, _requests(of_request), span):
        sums = groups.get(row["key"], _NOTHING)
        groups[row["key"]] = sums.counting(row["requests"], row["failed"])
    return Summary(groups=groups, total=_together(groups.values()))


def _by_attempt(connection: sqlite3.Connection, key: str, span: Values) -> Summary:
    """Group by what each attempt at a request has for itself; ``key`` says it of ``{attempt}``."""
    again = {row["key"]: row["again"] for row in rows(connection, _again(key), span)}
    groups: dict[str | None, Sums] = {}
    for row in rows(connection, _attempts(key.format(attempt="")), span):
        requests = row["attempts"] - again.get(row["key"], 0)
        # the last attempt alone is answered or under way
        failed = requests - row["answered"] - row["running"]
        groups[row["key"]] = _sums(row, requests=requests, failed=failed)
    total = _together(groups.values())
    for row in rows(connection, _requests("NULL"), span):  # one, or none where there are none
        counted = {"requests": row["requests"], "failed": row["failed"]}
        total = msgspec.structs.replace(total, **counted)
    for row in rows(connection, _UNTRIED, span):
        if row["requests"]:
            sums = groups.get(None, _NOTHING)
            groups[None] = sums.counting(row["requests"], row["failed"])
    return Summary(groups=groups, total=total)


def _together(groups: Collection[Sums]) -> Sums:
    """Return what groups come to that have no attempt in common."""
    return Sums(
        requests=sum(each.requests for each in groups),
        failed=sum(each.failed for each in groups),
        tokens={name: sum(each.tokens[name] for each in groups) for name in DIMENSIONS},
        known=sum(each.known for each in groups),
        priced=sum(each.priced for each in groups),
        unpriced=sum(each.unpriced for each in groups),
        estimated=any(each.estimated for each in groups),
    )


def _sums(row: sqlite3.Row, *, requests: int, failed: int) -> Sums:
    return Sums(
        requests=requests,
        failed=failed,
        tokens={name: int(row[name] or 0) for name in DIMENSIONS},
        known=int(row["known"] or 0),
        priced=row["priced"],
        unpriced=row["unpriced"],
        estimated=bool(row["estimated"]),
    )


def rows(connection: sqlite3.Connection, query: str, values: Values) -> list[sqlite3.Row]:
    """Return what a query finds, its sums exact unless they are beyond 64 bits."""
    try:
        return connection.execute(query.format(sum="sum"), values).fetchall()
    except sqlite3.OperationalError as error:
        if "integer overflow" not in str(error):
            raise
        return connection.execute(query.format(sum="total"), values).fetchall()


_NOTHING: Final = Sums()

_FAILED: Final = "coalesce(outcome NOT IN ('answered'), FALSE)"
_ANY: Final = " OR ".join(f"{name} > 0" for name in DIMENSIONS)
# What is nothing is left out: most counts are, and every call of a function takes its time.
_TOKENS: Final = ", ".join(
    f"{{sum}}({name}) FILTER (WHERE {name}) AS {name}" for name in DIMENSIONS
)

_UNTRIED: Final = f"""
    SELECT count(*) AS requests, coalesce(sum({_FAILED}), 0) AS failed FROM requests
    WHERE at >= :since AND at < :until AND coalesce(attempts, 0) = 0
    AND NOT EXISTS (SELECT 1 FROM attempts AS one WHERE one.request = requests.request)
"""  # noqa: S608 - names of ours, as below


def _requests(key: str) -> str:
    return f"""
        SELECT {key} AS key, count(*) AS requests, sum({_FAILED}) AS failed
        FROM requests WHERE at >= :since AND at < :until GROUP BY 1
    """  # noqa: S608


def _attempts(key: str) -> str:
    return f"""
        SELECT {key} AS key, count(*) AS attempts, {_TOKENS},
            {{sum}}(cost) FILTER (WHERE cost) AS known, count(cost) AS priced,
            count(*) FILTER (WHERE cost IS NULL AND ({_ANY})) AS unpriced,
            count(*) FILTER (WHERE estimated) AS estimated,
            count(*) FILTER (WHERE outcome = 'answered') AS answered,
            count(*) FILTER (WHERE outcome IS NULL) AS running
        FROM attempts WHERE came >= :since AND came < :until GROUP BY 1
    """  # noqa: S608


_BASE: Final = ", ".join(f"'{name}'" for name in sorted(BASE_TIERS))
_TIER: Final = (
    f"CASE WHEN lower({{attempt}}tier) IN ({_BASE}) THEN NULL ELSE lower({{attempt}}tier) END"
)
"""The tier that an attempt was billed at, whatever its provider calls the base one."""


def _again(key: str) -> str:
    """Count attempts that are not the first of their request in their group."""
    later, first = key.format(attempt="later."), key.format(attempt="first.")
    return f"""
        SELECT {later} AS key, count(*) AS again FROM attempts AS later
        WHERE number > 1 AND came >= :since AND came < :until AND EXISTS (
            SELECT 1 FROM attempts AS first WHERE first.request = later.request
            AND first.number < later.number AND {first} IS {later}
        ) GROUP BY 1
    """  # noqa: S608


def _day_of(at: str) -> str:
    return f"CAST({at} AS INTEGER) / {_DAY}"


def _date(day: str | int | None) -> str | None:
    return None if day is None else str(date.fromordinal(_EPOCH + int(day)))
