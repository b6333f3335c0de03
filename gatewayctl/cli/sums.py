"""Sums of the ledger as JSON, as CSV, and as a table with bars on a terminal.

Field names are a contract (``schema_version`` 1, docs/usage.md). How the sums are made is
``storage.usage``'s business.
"""

import csv
import sys
from collections.abc import Iterator

import typer

from gatewayctl.cli import money, render
from gatewayctl.core.routing.render import Json
from gatewayctl.storage.grouping import By
from gatewayctl.storage.usage import DIMENSIONS, Summary, Sums

_READ = ("input_cache_read",)
_SENT = ("input", "input_cache_write_5m", "input_cache_write_1h", "image", "audio")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""With what a cell begins that a spreadsheet takes for a formula."""

_NONE = {
    By.MODEL: "(never sent)",
    By.ROUTE: "(no route)",
    By.KEY: "(no key)",
    By.DAY: "(no day)",
    By.SESSION: "(no session)",
    By.TIER: "(none said)",
}
_EIGHTHS = " ▏▎▍▌▋▊▉"
_BAR = 16
_FEWEST = 4
"""The columns that a terminal always has room for; the bars and the tokens may go."""


def print_json(summary: Summary, by: By) -> None:
    """Print one document: the groups in order, and all of them together."""
    rows = [{"key": key, **_as_json(sums)} for key, sums in _ordered(summary, by)]
    render.print_json({"by": by, "rows": rows, "total": _as_json(summary.total)})


def _as_json(sums: Sums) -> Json:
    return {
        "requests": sums.requests,
        "failed": sums.failed,
        "tokens": dict(sums.tokens),
        "cost": None if sums.cost is None else money.usd(sums.cost),
        "estimated": sums.estimated,
        "unpriced": sums.unpriced,
    }


def print_csv(summary: Summary, by: By) -> None:
    """Print a line of names and one for each group; what is unknown, or no key, is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("key", "requests", "failed", *DIMENSIONS, "cost", "estimated", "unpriced"))
    for key, sums in _ordered(summary, by):
        cost = "" if sums.cost is None else f"{money.usd(sums.cost):f}"
        tokens = (sums.tokens[name] for name in DIMENSIONS)
        marks = (str(sums.estimated).lower(), sums.unpriced)
        writer.writerow((_cell(key or ""), sums.requests, sums.failed, *tokens, cost, *marks))


def _cell(text: str) -> str:
    """Return foreign text as no spreadsheet takes it for a formula."""
    safe = render.printable(text)
    return f"'{safe}" if safe.startswith(_FORMULAS) else safe


def print_table(summary: Summary, by: By) -> None:
    """Print a line for each group, on a terminal with bars, then all, and what is not exact."""
    total = summary.total
    largest = max((sums.known for sums in summary.groups.values()), default=0)
    titles = [by, "requests", "failed", "cost", "in", "cached", "out"]
    rows = [
        (*_line(_NONE[by] if key is None else render.printable(key), sums), _bar(sums, largest))
        for key, sums in _ordered(summary, by)
    ]
    rows.append((*(render.styled(cell, bold=True) for cell in _line("total", total)), ""))
    if not (largest and sys.stdout.isatty()):
        rows = [row[:-1] for row in rows]
    else:
        titles.append("")
    right = range(1, 7)
    render.table(titles, rows, right=right, spare=len(titles) - _FEWEST, whole=False)
    for note in _notes(total):
        typer.echo(render.styled(note, "yellow"))


def _line(name: str, sums: Sums) -> tuple[str, ...]:
    """Return a group's cells; ``~`` marks an estimate, ``+`` a cost of which some is unknown."""
    about = "~" if sums.estimated else ""
    cost = money.shown(sums.cost)
    if sums.cost is not None:
        cost = f"{about}{cost}{'+' if sums.unpriced else ''}"
    failed = render.styled(f"{sums.failed:,}", "red" if sums.failed else None)
    sent = sum(sums.tokens[name] for name in _SENT)
    read = sum(sums.tokens[name] for name in _READ)
    tokens = (f"{about}{count:,}" for count in (sent, read, sums.tokens["output"]))
    return (name, f"{sums.requests:,}", failed, cost, *tokens)


def _bar(sums: Sums, largest: int) -> str:
    eighths = sums.known * _BAR * 8 // largest if largest else 0
    bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return render.styled(bar, "cyan") if bar else ""


def _notes(total: Sums) -> Iterator[str]:
    if total.unpriced:
        attempts = "attempt" if total.unpriced == 1 else "attempts"
        yield (
            f"the cost of {total.unpriced:,} {attempts} is unknown and in no sum (+, or -):"
            " their models have no price, see gatewayctl models"
        )
    if total.estimated:
        yield "~ is partly estimated: upstreams did not meter all of it"


def _ordered(summary: Summary, by: By) -> list[tuple[str | None, Sums]]:
    """Return the groups, days in order and the others by cost, the dearest first."""
    if by is By.DAY:
        return sorted(summary.groups.items(), key=lambda each: each[0] or "")
    return sorted(
        summary.groups.items(),
        key=lambda each: (-each[1].known, -each[1].requests, each[0] or ""),
    )
