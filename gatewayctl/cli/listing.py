"""Requests of the ledger on a terminal, a line each.

What a figure is made of is ``logged``'s business, one request's story ``story``'s. Where there is
no terminal nothing is cut, left out or coloured.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

from gatewayctl.cli import logged, money, render
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.records import Metered, Outcome

SIGNS = {
    Outcome.ANSWERED: ("✓", "green"),
    Outcome.FAILED: ("✗", "red"),
    Outcome.REFUSED: ("✗", "yellow"),
    Outcome.BROKEN: ("✗", "red"),
    Outcome.ABANDONED: ("~", "yellow"),
    Outcome.INTERRUPTED: ("!", "red"),
    None: ("…", "cyan"),
}
"""How an outcome is shown: a sign and its colour; None is still under way."""

_WORDS = {
    Outcome.ABANDONED: "abandoned by the client",
    Outcome.INTERRUPTED: "interrupted: the daemon died",
    None: "under way",
}
_LEAST_TAIL = 30
_LEAST_NAME = 8
_LEAST_REQUEST = 16
"""Columns of a request beside which figures that say less are left out."""


class _Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column: how wide it is at least where rows are to come, and ``most`` a name on a terminal.

    Where the request would have less room than ``tail``, columns are left out: those with the
    highest ``spare`` first, those with 0 never.
    """

    title: str
    cell: Callable[[LoggedRequest], str]
    least: int
    most: int | None = None
    right: bool = True
    spare: int = 0
    tail: int = _LEAST_TAIL


class Listing:
    """Lines below one title, aligned with one another; ``following``: more are to come."""

    def __init__(self, *, following: bool) -> None:
        self._following = following
        self._columns: tuple[_Column, ...] = ()
        self._widths: tuple[int, ...] = ()
        self._room: int | None = None

    def lines(self, found: Iterable[LoggedRequest]) -> Iterator[str]:
        """Yield a line for each, the titles above the first."""
        found = list(found)
        if not found:
            return
        if not self._columns:
            self._laid_out(found)
            titles = self._line([column.title for column in self._columns])
            yield render.styled(f"{titles}request", bold=True)
        for each in found:
            head = self._line([column.cell(each) for column in self._columns])
            sign, colour = SIGNS[each.outcome]
            yield f"{render.styled(sign, colour)}{head[1:]}{self._tail(each, len(head))}"

    def _laid_out(self, found: list[LoggedRequest]) -> None:
        """Decide on the columns and their widths by what there is to show at first."""
        rows = {
            column: max(
                column.least if self._following else 0,
                *(len(column.cell(each)) for each in found),
                len(column.title),
            )
            for column in _COLUMNS
            if column is not _KEY or any(each.client for each in found)
        }
        if sys.stdout.isatty():
            self._room = shutil.get_terminal_size().columns
            rows = {column: min(width, column.most or width) for column, width in rows.items()}
            for column in sorted(rows, key=lambda each: -each.spare):
                fixed = sum(rows.values()) + 2 * len(rows)
                if column.spare and self._room - fixed < column.tail:
                    del rows[column]
        self._columns, self._widths = tuple(rows), tuple(rows.values())

    def _line(self, cells: Iterable[str]) -> str:
        return "".join(
            (cell.rjust(width) if column.right else self._name(cell, column).ljust(width)) + "  "
            for column, width, cell in zip(self._columns, self._widths, cells, strict=True)
        )

    def _name(self, cell: str, column: _Column) -> str:
        return (
            cell
            if self._room is None or column.most is None
            else render.shortened(cell, column.most)
        )

    def _tail(self, request: LoggedRequest, used: int) -> str:
        """Return what was asked, who answered, and else why not, as far as there is room."""
        asked, model = names(request)
        name = render.printable(asked if model in {None, asked} else f"{asked} → {model}")
        colour = SIGNS[request.outcome][1]
        if request.outcome is not Outcome.ANSWERED:
            said = render.printable(ending(request))
        elif said := "; ".join(filter(None, map(logged.cut, request.attempts))):
            colour = "yellow"
        if self._room is not None:
            room = max(_LEAST_NAME, self._room - used)
            if said and render.width(f"{name} {said}") > room:
                name = render.printable(asked)  # why it failed says more than where
            name = render.shortened(name, room)
            said = render.shortened(said, room - render.width(name) - 1)
        return f"{name} {render.styled(said, colour)}" if said else name


def names(request: LoggedRequest) -> tuple[str, str | None]:
    """Return the name asked for, and the model that answered, or would have."""
    model = request.model
    if model is None and request.outcome not in {Outcome.FAILED, Outcome.REFUSED}:
        model = request.attempts[-1].model if request.attempts else None
    return request.asked, model


def ending(request: LoggedRequest) -> str:
    """Say how a request ended that was not answered."""
    word = _WORDS.get(request.outcome) or str(request.outcome)
    failed = logged.cause(request)
    said = request.error or ""
    match request.outcome:
        case Outcome.REFUSED:
            said = logged.refusal(request)
        case Outcome.FAILED if failed is not None:
            where = "" if failed.model in names(request) else f" ({failed.model})"
            said = f"{logged.why(failed)}{where}"
        case Outcome.BROKEN if request.attempts:
            # what failed before it was made good: this was not
            said = logged.why(request.attempts[-1]) or said
    return f"{word}: {said}" if said else word


def _time(at: float) -> str:
    when = datetime.fromtimestamp(at).astimezone()
    today = when.date() == datetime.now().astimezone().date()
    return f"{when:%H:%M:%S}" if today else f"{when:%m-%d %H:%M:%S}"


def _tokens(count: int | None, metered: Metered) -> str:
    guessed = metered.estimated and count is not None
    return f"{'~' if guessed else ''}{render.size(count)}"


def _in(request: LoggedRequest) -> str:
    metered = logged.whole(request)
    return _tokens(logged.sent(metered.usage), metered)


def _out(request: LoggedRequest) -> str:
    metered = logged.whole(request)
    return _tokens(metered.usage.output, metered)


def _cost(request: LoggedRequest) -> str:
    metered = logged.whole(request)
    guessed = metered.estimated and metered.cost is not None
    return f"{'~' if guessed else ''}{money.shown(metered.cost)}"


_KEY = _Column(
    title="key",
    cell=lambda it: render.printable(it.client or render.UNKNOWN),
    least=8,
    most=16,
    right=False,
    spare=6,
)
"""Left out where no request came with a key."""
_COLUMNS = (
    _Column(title="  time", cell=lambda it: f"  {_time(it.at)}", least=10, right=False),
    _Column(title="id", cell=lambda it: logged.short(it.request), least=8, right=False),
    _KEY,
    _Column(
        title="protocol",
        cell=lambda it: it.protocol.removesuffix("_completions"),
        least=9,
        right=False,
        spare=8,
    ),
    _Column(
        title="http",
        cell=lambda it: str(it.status or render.UNKNOWN),
        least=4,
        spare=4,
        tail=_LEAST_REQUEST,
    ),
    _Column(title="tries", cell=lambda it: str(len(it.attempts)), least=5, spare=5),
    _Column(title="in", cell=_in, least=6, spare=3, tail=_LEAST_REQUEST),
    _Column(title="out", cell=_out, least=5, spare=2, tail=_LEAST_REQUEST),
    _Column(title="cost", cell=_cost, least=8, spare=9),
    _Column(title="first", cell=lambda it: render.lasted(logged.first_token(it)), least=6, spare=7),
    _Column(
        title="took",
        cell=lambda it: render.lasted(it.duration),
        least=6,
        spare=1,
        tail=_LEAST_REQUEST,
    ),
)
