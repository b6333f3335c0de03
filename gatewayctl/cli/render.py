"""How the commands print: aligned tables, sizes, ages and colour, on a terminal only.

Piped output is plain text. What is printed is each command's business. rich is loaded only where a
command asks for its console.
"""

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

UNKNOWN = "-"
TO = "\N{EN DASH}"
_LEAST_NAME = 24
_LEAST_CUT = 12
"""Columns that the names of a table have at least, and those that may be cut."""
_THOUSAND = 1000
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_HOUR = 3600
_SECONDS_SHORT = 99.95
"""Seconds from which tenths are left out."""

_FIT_COLOURS = {"safe": "green", "grey": "yellow", "unfit": "red", "unchecked": "yellow"}
_FIT_SIGNS = {"safe": "✓", "grey": "~", "unfit": "✗", "unchecked": "?"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PIECES = re.compile(rf"{_COLOUR.pattern}|.", re.DOTALL)


def colourful() -> bool:
    """Tell whether standard output is a terminal that wants colour (https://no-color.org)."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def columns() -> int:
    """Return how wide the terminal is."""
    return shutil.get_terminal_size().columns


def console(*, stderr: bool = False) -> "Console":
    """Make rich's console, which drops colour by itself where there is no terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_json(document: Mapping[str, object], *, schema_version: int = 1) -> None:
    """Print one JSON document on a line, its schema's version first, decimals as numbers."""
    import msgspec

    encoder = msgspec.json.Encoder(decimal_format="number")
    typer.echo(encoder.encode({"schema_version": schema_version, **document}))


def styled(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
    """Return text in a colour, or as it is where colour is not wanted."""
    if not colourful():
        return text
    return typer.style(text, fg=colour, bold=bold or None, dim=dim or None)


def printable(text: str) -> str:
    """Keep what a file or a table says from steering the terminal."""
    return "".join(
        char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def tell(text: str) -> None:
    """Say one line on standard error, whatever is quoted in it."""
    typer.echo(f"gatewayctl: {printable(text)}", err=True)


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[int] = (),
    spare: int = 0,
    whole: bool = True,
) -> Sequence[str]:
    """Print aligned columns under their titles, and return the titles that had no room.

    ``right`` are the columns with figures.

    A cell may hold colour from ``styled``; foreign text goes through ``printable`` first. On a
    terminal that is too narrow, up to ``spare`` of the last columns are left out, and the few
    longest names of the first one stand out of line instead of spreading it for all; those that
    need not be ``whole`` end in … there. Where even that is too wide, each cell has its own line.
    """
    cells = [titles, *rows]
    widths = [max(width(row[column]) for row in cells) for column in range(len(titles))]
    if sys.stdout.isatty():
        widths = _fitted(widths, [width(row[0]) for row in cells], spare, whole=whole)
        if sum(widths) + 2 * (len(widths) - 1) > columns():
            _print_stacked(titles, cells[1:], whole=whole)
            return ()
        if not whole:
            cells = [(shortened(row[0], widths[0]), *row[1:]) for row in cells]
    for number, row in enumerate(cells):
        padded = []
        for column, cell in enumerate(row[: len(widths)]):
            space = " " * (widths[column] - width(cell))
            padded.append(space + cell if column in right else cell + space)
        line = "  ".join(padded).rstrip()
        typer.echo(styled(line, bold=True) if number == 0 else line)
    return titles[len(widths) :]


def _print_stacked(titles: Sequence[str], rows: Iterable[Sequence[str]], *, whole: bool) -> None:
    """Print each row below its name, a line for every cell that is not empty."""
    room = max(map(width, titles[1:]), default=0)
    for name, *cells in rows:
        if name:
            typer.echo(styled(name if whole else shortened(name, columns()), bold=True))
        for title, cell in zip(titles[1:], cells, strict=True):
            if cell:
                typer.echo(f"  {title:<{room}}  {cell}")


def _fitted(widths: list[int], names: list[int], spare: int, *, whole: bool) -> list[int]:
    """Return the widths of as many columns as the terminal has room for."""
    room = columns()
    usual = sorted(names)[len(names) * 9 // 10]
    if not whole:
        usual = min(usual, _LEAST_NAME)  # rather cut names than leave out a column
    fixed = widths[1:]
    while spare and usual + sum(fixed) + 2 * len(fixed) > room:
        spare -= 1
        fixed = fixed[:-1]
    first = room - sum(fixed) - 2 * len(fixed)
    return [min(widths[0], max(first, min(usual, _LEAST_NAME if whole else _LEAST_CUT))), *fixed]


def size(tokens: int | None) -> str:
    """Return tokens as people say them: 200K, 1.05M, 2B; decimal, to three digits."""
    if tokens is None:
        return UNKNOWN
    if tokens < _THOUSAND:
        return str(tokens)
    figure = float(tokens)
    for unit in "KMB":
        figure /= _THOUSAND
        if figure < _THOUSAND - 0.5:
            return f"{figure:.3g}{unit}"
    return f"{figure:,.0f}B"


def ago(seconds: float) -> str:
    """Return an age in its largest unit: "3 d", "5 h", "12 min", "now"."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"


def lasted(seconds: float | None) -> str:
    """Return a duration to two or three figures: "420 ms", "2.1 s", "125 s", "1.5 h"."""
    if seconds is None:
        return UNKNOWN
    if seconds < _SECONDS_SHORT:
        thousandths = round(seconds * 1000)
        return f"{thousandths} ms" if thousandths < _THOUSAND else f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def fit(fitness: str) -> str:
    """Return how a request fits a model, in its colour."""
    return styled(fitness, _FIT_COLOURS.get(fitness))


def sign(fitness: str, *, chosen: bool) -> tuple[str, str]:
    """Return a sign of fitness and its colour; the chosen one's is an arrow."""
    colour = _FIT_COLOURS.get(fitness, "yellow")
    return ("→", f"bold {colour}") if chosen else (_FIT_SIGNS.get(fitness, "?"), colour)


def usd(low: Decimal | float, high: Decimal | float) -> str:
    """Return a range of prices in US dollars, to two digits that mean something."""
    if low == high == 0:
        return "free"
    cheap, dear = dollars(low), dollars(high)
    return f"${cheap}" if cheap == dear else f"${cheap}{TO}{dear}"


def span(low: int, high: int) -> str:
    """Return a range of tokens, or the one number that it is."""
    return f"{low:,}" if low == high else f"{low:,}{TO}{high:,}"


def dollars(price: Decimal | float) -> str:
    """Return US dollars without a sign, to two digits that mean something."""
    if not price:
        return "0"
    exact = Decimal(str(price))
    whole, _, cents = f"{exact:,.{max(2, 1 - exact.adjusted())}f}".partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}"


def width(line: str) -> int:
    """Return how many columns a line takes, colour aside."""
    plain = _COLOUR.sub("", line) if "\x1b" in line else line
    return len(plain) if plain.isascii() else sum(map(_cells, plain))


def shortened(text: str, room: int) -> str:
    """Return text in so many columns at most, … in place of what has no room; colour stays."""
    if width(text) <= room:
        return text
    kept, left = [], room - 1
    for piece in _PIECES.findall(text):
        if _COLOUR.match(piece):
            kept.append(piece)
        elif left >= 0:
            left -= _cells(piece)
            kept.append(piece if left >= 0 else "…")
    return "".join(kept)


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0  # drawn over the character before it
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fits(line: str) -> bool:
    """Tell whether a line has room on the terminal; where there is none, every line has."""
    return not sys.stdout.isatty() or width(line) <= columns()
