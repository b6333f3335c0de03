"""``gatewayctl usage``: what the requests of the ledger come to, in tokens and money.

How the sums are made is ``storage.usage``'s business, how they look ``sums``'.
"""

from typing import Annotated

import typer

from gatewayctl.cli.options import JsonOption
from gatewayctl.storage.grouping import By

UNREADABLE = 2

ByOption = Annotated[By, typer.Option("--by", help="What requests are added up by.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="Only what came since then: a day of UTC (2026-11-01, today, yesterday), a time,"
        " or how long ago (24h, 7d).",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Only what came before then; a day is included."),
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


def usage(
    by: ByOption = By.MODEL,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show what was used: requests, tokens and what they cost.

    By model, route, client key, day, session or tier, the dearest first. Costs are those of the
    prices that held when a request came. Where no price is known they are unknown, never nothing;
    ~ marks what is partly estimated.

    Reads the ledger, whether a daemon runs or not.

    Exit status: 0 shown, also when there is nothing to show, 2 the ledger cannot be read.
    """
    import time

    from gatewayctl.cli import ledger, moments, render, sums
    from gatewayctl.core.errors import StorageFailed
    from gatewayctl.storage.usage import usage as added_up

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv: one of them")
    now = time.time()
    start = None if since is None else moments.past(since, now, "--since")
    end = None if until is None else moments.past(until, now, "--until", end=True)
    try:
        folder = ledger.folder()
        found = added_up(folder, by, since=start, until=end)
        if not found.total.requests:
            ledger.tell_none(folder, filtered=start is not None or end is not None)
        if as_json:
            sums.print_json(found, by)
        elif as_csv:
            sums.print_csv(found, by)
        elif found.total.requests:
            sums.print_table(found, by)
    except StorageFailed as error:
        render.tell(str(error))
        raise typer.Exit(UNREADABLE) from error
