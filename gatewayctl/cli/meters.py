"""How quotas are drawn: a line for each credential, and a row with a bar for each of its windows.

What is known of them is ``cli.quota``'s to find out.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import typer

from gatewayctl.cli import render
from gatewayctl.daemon.quota_told import CredentialTold, Document, WindowTold

_TITLES: Final = ("window", "used", "left", "resets (UTC)", "from")
_INDENT: Final = "  "
_GAP: Final = "  "
_BAR: Final = 8
_HIGH, _FULL = 0.75, 0.95
_COLOURS: Final = {"rejected": "red", "allowed_warning": "yellow", "unavailable": "red"}
_MINUTE, _DAY = 60, 86_400
_LEAST: Final = 8  # columns for the names of windows
_CURRENCIES: Final = {"USD": "$"}


def print_document(document: Document, origin: str) -> None:
    """Print all that is known; ``origin`` is the daemon's address or the file that says it."""
    if not document.credentials:
        typer.echo(f"no quota is known yet by {render.printable(origin)}")
        typer.echo("providers tell it in the headers of replies; --probe asks those that answer")
        return
    now = datetime.now(UTC)
    rows = [[_row(each, now) for each in it.windows] for it in document.credentials]
    widths = _widths([list(_TITLES), *(row for windows in rows for row in windows)])
    typer.echo(render.styled(_line(_TITLES, widths), bold=True))
    for credential, windows in zip(document.credentials, rows, strict=True):
        typer.echo(_headline(credential, now))
        for row in windows:
            typer.echo(_line(row, widths))
    typer.echo()
    typer.echo(render.printable(f"as known by {origin}"))


def _headline(told: CredentialTold, now: datetime) -> str:
    """Return the credential and whether requests may use it."""
    name = render.styled(render.printable(told.credential), bold=True)
    if told.spent_until is not None:
        left = _ahead(_seconds(told.spent_until, now))
        sign = render.styled("✗", "red", bold=True)
        until = f"{_clock(told.spent_until, now)} UTC, for {left} more"
        said = f"spent until {until}: requests pass it over"
        return f"{sign} {name}  {render.styled(said, 'red')}"
    sign = render.styled("✓", "green", bold=True)
    notes = "; ".join(_notes(told, now))
    return f"{sign} {name}" + (f"  {render.printable(notes)}" if notes else "")


def _notes(told: CredentialTold, now: datetime) -> Iterator[str]:
    if told.status is not None:
        since = "" if told.status_at is None else f", {_age(told.status_at, now)} ago"
        yield f"{told.status.replace('_', ' ')}{since}"
    if told.overage_reason is not None:
        yield f"no overage: {told.overage_reason.replace('_', ' ')}"


def _row(window: WindowTold, now: datetime) -> list[str]:
    """Return a window's cells; figures of one that began anew since are void."""
    over = window.resets_at is not None and _seconds(window.resets_at, now) <= 0
    return [
        render.printable(window.name),
        render.UNKNOWN if over or window.used is None else bar(window.used),
        render.UNKNOWN if over else _left(window),
        _resets(window.resets_at, now),
        render.printable(f"{window.source}, {_age(window.at, now)}"),
    ]


def bar(used: float) -> str:
    """Return a bar and a percentage, which is never rounded to all or to nothing."""
    filled = min(_BAR, max(0, round(used * _BAR)))
    percent = 100 if used >= 1 else 0 if used <= 0 else min(99, max(1, round(used * 100)))
    colour = "red" if used >= _FULL else "yellow" if used >= _HIGH else "green"
    return f"{render.styled('█' * filled, colour)}{'░' * (_BAR - filled)} {percent:3}%"


def _left(window: WindowTold) -> str:
    if window.remaining is None and window.limit is None:
        if window.status is None or window.status == "allowed":
            return render.UNKNOWN
        return render.styled(
            render.printable(window.status.replace("_", " ")), _COLOURS.get(window.status)
        )
    left = _amount(window.remaining, window.unit)
    return left if window.limit is None else f"{left} of {_amount(window.limit, window.unit)}"


def _amount(figure: float | None, unit: str | None) -> str:
    if figure is None:
        return "?"
    if unit is None:
        return render.size(round(figure))
    sign = _CURRENCIES.get(unit)
    return render.printable(f"{figure:,.2f} {unit}" if sign is None else f"{sign}{figure:,.2f}")


def _resets(at: datetime | None, now: datetime) -> str:
    if at is None:
        return render.UNKNOWN
    seconds = _seconds(at, now)
    if seconds <= 0:
        return f"{_age(at, now)} ago"
    return f"in {_ahead(seconds)}, {_clock(at, now)}"


def _ahead(seconds: float) -> str:
    """Return how long something is ahead: "12 s", "6 min", "2 h", "5 d"."""
    return f"{round(seconds)} s" if seconds < _MINUTE else render.ago(seconds)


def _clock(at: datetime, now: datetime) -> str:
    """Return a time of day in UTC, or the day where that is more than one away."""
    return f"{at:%H:%M}" if _seconds(at, now) < _DAY else f"{at:%b %d}"


def _age(at: datetime, now: datetime) -> str:
    return _ahead(max(0.0, -_seconds(at, now)))


def _seconds(at: datetime, now: datetime) -> float:
    """Return in how many seconds a time is, negative where it is past."""
    return (at - now).total_seconds()


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the widths of as many columns as the terminal has room for, two at least.

    Where it is narrow long names of windows stand out of line.
    """
    first, *others = (max(map(render.width, column)) for column in zip(*rows, strict=True))
    if not sys.stdout.isatty():
        return [first, *others]
    while (left := _beside(others)) < min(first, _LEAST) and len(others) > 1:
        others.pop()
    return [min(first, max(left, _LEAST)), *others]


def _beside(others: Sequence[int]) -> int:
    """Return how many columns of the terminal are left beside some."""
    return render.columns() - len(_INDENT) - sum(others) - len(_GAP) * len(others)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - render.width(cell))
        for cell, width in zip(cells, widths, strict=False)  # the last ones may have no room
    )
    return (_INDENT + _GAP.join(padded)).rstrip()
