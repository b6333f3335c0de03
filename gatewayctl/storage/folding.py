"""Writes many records into the tables at once: few statements, whatever their number.

A statement for each record would cost the daemon as much again as all else that it does for a
request, since the interpreter changes hands at every one. So what was recorded of a request or of
an attempt is made one row first, and many rows are one statement. The tables, and what is done
with them besides, are in ``tables``.
"""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.storage.records import Came, Ended, Left, Metered, Record, Seen, Started
from gatewayctl.storage.tables import LAST_CLOSED

_Row = tuple[Any, ...]

_Rows = list[tuple[int, _Row]]
"""Rows, each with the number of records that it is made of."""

_ROWS: Final = 64
"""How many rows a statement writes; what is left over is written one by one."""

_LARGEST: Final = 2**63
_COUNTS: Final = Usage.__struct_fields__

_OF_REQUEST: Final = ("came", "route", "session", "client")
_STARTED: Final = Started.__struct_fields__[: Started.__struct_fields__.index("metered")]
_BEGUN: Final = (*_STARTED, *_OF_REQUEST, "instance")
_METERED: Final = (*_COUNTS, "estimated", "cost", "rates", "tier", "first_token")
_OVER: Final = ("outcome", "duration", "failure", "status", "said", "retry_after", "truncated")
_CAME: Final = (*Came.__struct_fields__, "instance")
_LEFT: Final = ("outcome", "ended", "attempts", "duration", "status", "error", "model", "closed")


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    """How rows get into a table: ``first`` begins them, the ``rest`` may come with it or later.

    ``kept`` says by column what becomes of it in an update, where that is not simply the new value:
    ``old`` and ``new`` are its values, ``guess`` and ``mark`` those of ``estimated``; ``over`` is
    NULL unless the update is the end.
    """

    name: str
    key: tuple[str, ...]
    first: tuple[str, ...]
    rest: tuple[str, ...]
    kept: Mapping[str, str] = {}

    def insert(self, rows: int) -> str:
        """Return the statement that begins so many rows."""
        names = (*self.first, *self.rest)
        return f"INSERT OR IGNORE INTO {self.name} ({', '.join(names)}) {_values(names, rows)}"

    def update(self, rows: int) -> str:
        """Return the statement that goes on with so many rows."""
        names = (*self.key, *self.rest)
        new = {name: f"new.column{place}" for place, name in enumerate(names, 1)}
        marks = {
            "guess": f"{self.name}.estimated",
            "mark": new.get("estimated"),
            "over": new.get("outcome"),
        }
        values = {
            name: self.kept.get(name, "{new}").format(
                old=f"{self.name}.{name}", new=new[name], **marks
            )
            for name in self.rest
        }
        changes = ", ".join(f"{name} = {value}" for name, value in values.items())
        where = " AND ".join(f"{self.name}.{name} = {new[name]}" for name in self.key)
        return (
            f"UPDATE {self.name} SET {changes} FROM ({_values(names, rows)}) AS new WHERE {where}"  # noqa: S608 - names of ours
        )


def _values(names: Sequence[str], rows: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    return f"VALUES {', '.join([row] * rows)}"


_REQUESTS: Final = _Table(
    name="requests",
    key=("request",),
    first=_CAME,
    rest=_LEFT,
    kept={"closed": "coalesce({old}, {new})"},
)
_ATTEMPTS: Final = _Table(
    name="attempts",
    key=("request", "number"),
    first=_BEGUN,
    rest=(*_METERED, *_OVER),
    kept={
        # neither a 0 nor nothing replaces a count; but any does a guess, as does the end
        **dict.fromkeys(
            _COUNTS,
            "iif({guess} AND coalesce({mark}, {over}) IS NOT NULL, {new},"
            " coalesce(nullif({new}, 0), {old}, {new}))",
        ),
        # of the counts that it was made with
        **dict.fromkeys(
            ("cost", "rates"),
            "iif({mark} IS NOT NULL OR ({guess} AND {over} IS NOT NULL), {new},"
            " coalesce({old}, {new}))",
        ),
        "estimated": "coalesce({mark}, {guess} AND {over} IS NULL)",
        **dict.fromkeys(("tier", "first_token"), "coalesce({new}, {old})"),
        # a checkpoint comes before the end, so what it leaves out is not there yet
        **dict.fromkeys(_OVER, "coalesce({new}, {old})"),
    },
)


class Batch:
    """Records of one instance, to be written together."""

    def __init__(self) -> None:
        self._requests: dict[str, tuple[Came | None, Left | None]] = {}
        self._attempts: dict[tuple[str, int], tuple[Started | None, Seen | None, Ended | None]] = {}

    def add(self, record: Record) -> bool:
        """Take a record; False when it has to wait for the next batch.

        That is when the batch holds one of its kind, or a later one, of the same request or
        attempt. Raises OverflowError for a number that no column holds.
        """
        match record:
            case Came():
                return self._requests.setdefault(record.request, (record, None))[0] is record
            case Left():
                came, left = self._requests.get(record.request, (None, None))
                self._requests[record.request] = (came, left or record)
                return left is None
            case Started():
                _check(record.number, record.estimate_low, *_numbers(record.metered))
                _check(record.estimate_likely)
                _check(record.estimate_high, record.output_budget)
                key = (record.request, record.number)
                return self._attempts.setdefault(key, (record, None, None))[0] is record
            case Seen():
                _check(record.number, *_numbers(record.metered))
                key = (record.request, record.number)
                started, seen, ended = self._attempts.get(key, (None, None, None))
                if seen is None and ended is None:
                    self._attempts[key] = (started, record, None)
                    return True
                return False
            case Ended():
                _check(record.number, *_numbers(record.metered))
                key = (record.request, record.number)
                started, seen, ended = self._attempts.get(key, (None, None, None))
                self._attempts[key] = (started, seen, ended or record)
                return ended is None

    def write(self, connection: sqlite3.Connection, instance: str) -> int:
        """Write them all, in the caller's transaction; return how many found no place.

        Those are the end of what never began, and a second beginning. Raises ``sqlite3.Error``.
        """
        (last,) = connection.execute(LAST_CLOSED).fetchone()
        ends = itertools.count(last + 1)
        begun: _Rows = []
        going: _Rows = []
        for request, (came, left) in self._requests.items():
            rest = _left(left, ends)
            if came is not None:
                row = (*msgspec.structs.astuple(came), instance, *rest)
                begun.append((1 + (left is not None), row))
            else:
                going.append((1, (request, *rest)))
        lost = _put(connection, _INTO_REQUESTS, begun) + _put(connection, _REQUESTS_ON, going)
        begun, going = [], []
        for key, (started, seen, ended) in self._attempts.items():
            records = (seen is not None) + (ended is not None)
            rest = (*_metered(started, seen, ended), *_over(ended))
            if started is not None:
                values = msgspec.structs.astuple(started)[: len(_STARTED)]
                first = (*values, *self._of_request(connection, started))
                begun.append((1 + records, (*first, instance, *rest)))
            else:
                going.append((records, (*key, *rest)))
        return (
            lost + _put(connection, _INTO_ATTEMPTS, begun) + _put(connection, _ATTEMPTS_ON, going)
        )

    def _of_request(self, connection: sqlite3.Connection, started: Started) -> _Row:
        """Return what an attempt's row has of its request, which was written before it."""
        came, _ = self._requests.get(started.request, (None, None))
        if came is not None:
            return came.at, came.route, came.session, came.client
        row: _Row | None = connection.execute(
            "SELECT at, route, session, client FROM requests WHERE request = ?", (started.request,)
        ).fetchone()
        return row or (started.at, None, None, None)


def _left(left: Left | None, ends: Iterator[int]) -> _Row:
    if left is None:
        return (None,) * len(_LEFT)
    times = (left.outcome, left.at, left.attempts, left.duration)
    return (*times, left.status, left.error, left.model, next(ends))


def _over(ended: Ended | None) -> _Row:
    if ended is None:
        return (None,) * len(_OVER)
    why = (ended.failure, ended.status, ended.said, ended.retry_after)
    return (ended.outcome, ended.duration, *why, ended.truncated)


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says of usage; the mark is None where there is nothing it is said of."""

    counts: _Row = (None,) * len(_COUNTS)
    mark: bool | None = None
    cost: int | None = None
    rates: dict[str, str] | None = None
    tier: str | None = None
    first: float | None = None


def _metered(started: Started | None, seen: Seen | None, ended: Ended | None) -> _Row:
    """Return what was metered, and when content came first, as all that is known of it has it."""
    said = _counted(started)
    if seen is not None:
        said = _newer(said, _counted(seen), over=False)
    if ended is not None:
        said = _newer(said, _counted(ended), over=True)
    rates = None if said.rates is None else msgspec.json.encode(said.rates).decode()
    mark = said.mark if started is None else bool(said.mark)
    return (*said.counts, mark, said.cost, rates, said.tier, said.first)


def _newer(old: _Counted, new: _Counted, *, over: bool) -> _Counted:
    """Return what a later record makes of an earlier one, as the table's update does.

    A later count replaces, it is never added; but neither a 0 nor nothing replaces one, unless it
    was a guess: the end replaces that whatever it says. Mark and cost stay with the counts that
    they were made with.
    """
    counts, told = new.counts, new.mark is not None or (over and bool(old.mark))
    if not (old.mark and told):
        both = zip(old.counts, new.counts, strict=True)
        counts = tuple(
            after or before or (after if before is None else 0) for before, after in both
        )
    if told:
        cost, rates = new.cost, new.rates
    else:
        cost = new.cost if old.cost is None else old.cost
        rates = old.rates or new.rates
    return _Counted(
        counts=counts,
        mark=new.mark if told else old.mark,
        cost=cost,
        rates=rates,
        tier=new.tier or old.tier,
        first=old.first if new.first is None else new.first,
    )


def _counted(record: Started | Seen | Ended | None) -> _Counted:
    if record is None:
        return _NOTHING
    metered = record.metered
    counts = msgspec.structs.astuple(metered.usage)
    return _Counted(
        counts=counts,
        mark=metered.estimated if any(counts) else None,
        cost=metered.cost,
        rates=metered.rates,
        tier=metered.tier,
        first=None if isinstance(record, Started) else record.first_token,
    )


_NOTHING: Final = _Counted()


_INTO_REQUESTS: Final = (_REQUESTS.insert(_ROWS), _REQUESTS.insert(1))
_REQUESTS_ON: Final = (_REQUESTS.update(_ROWS), _REQUESTS.update(1))
_INTO_ATTEMPTS: Final = (_ATTEMPTS.insert(_ROWS), _ATTEMPTS.insert(1))
_ATTEMPTS_ON: Final = (_ATTEMPTS.update(_ROWS), _ATTEMPTS.update(1))


def _put(connection: sqlite3.Connection, statements: tuple[str, str], rows: _Rows) -> int:
    """Write rows; return how many records found no place."""
    starts = range(0, len(rows), _ROWS)
    return sum(_write(connection, statements, rows[at : at + _ROWS]) for at in starts)


def _write(connection: sqlite3.Connection, statements: tuple[str, str], rows: _Rows) -> int:
    """Write at most ``_ROWS`` rows: all at once, or one by one where that is not to be."""
    many, one = statements
    if len(rows) == _ROWS:
        connection.execute("SAVEPOINT rows")
        values = tuple(itertools.chain.from_iterable(row for _, row in rows))
        written = connection.execute(many, values).rowcount
        if written < _ROWS:  # some found no place: which ones shows when each is written alone
            connection.execute("ROLLBACK TO rows")
        connection.execute("RELEASE rows")
        if written == _ROWS:
            return 0
    return sum(count for count, row in rows if not connection.execute(one, row).rowcount)


def _numbers(metered: Metered) -> Iterable[int]:
    numbers = (*msgspec.structs.astuple(metered.usage), metered.cost)
    return (number for number in numbers if number is not None)


def _check(*numbers: int) -> None:
    if max(numbers) >= _LARGEST or min(numbers) < -_LARGEST:
        raise OverflowError("a number is beyond 64 bits")
