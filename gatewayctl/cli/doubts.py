"""What may not hold much longer, as ``models list`` prints it: conflicts, old facts, retirements.

Which these are is ``registry.conflicts``' and ``registry.aging``'s business; here they become lines
for people.
"""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby

import typer

from gatewayctl.cli import render
from gatewayctl.cli.facts import old, plain
from gatewayctl.registry.aging import Leaving, Stage, StaleModel
from gatewayctl.registry.conflicts import Conflict, Why

_WHY = {
    Why.CONFIG: "the config comes first",
    Why.PROVIDER: "the provider's own word comes before the tables",
    Why.ORDER: "{source} comes before {other} for this field",
    Why.WHOLE_WINDOW: "no less than the window, so it may be the whole of it",
    Why.REPEATS_WINDOW: "no less than the window, which {other} repeats there",
    Why.LEFT_OUT: "only left out of a list there, said outright here",
    Why.SERVED: "the server runs it with less",
    Why.ASSUMED: "the server may run it with less, and has not said yet",
    Why.LEARNED: "the provider's replies gave away less",
}
_STAGES = {Stage.RETIRED: "red", Stage.RETIRING: "yellow", Stage.DEPRECATED: "yellow"}
_NOBODY = "nobody is believed"


def print_conflicts(found: Sequence[Conflict], now: datetime) -> None:
    """Print per model and field what is believed, then what is not and why."""
    for model, fields in groupby(found, key=lambda each: each.model):
        typer.echo(render.styled(render.printable(model), bold=True))
        for each in fields:
            typer.echo(f"  {render.printable(each.field)}")
            _print_conflict(each, now)
    models = len({each.model for each in found})
    fields_told = _count(len(found), "field")
    said = f"sources disagree about {fields_told} of {_count(models, 'model')}"
    typer.echo(f"{said}; what is marked ✓ holds" if found else "no two sources disagree")


def _print_conflict(conflict: Conflict, now: datetime) -> None:
    believed = render.UNKNOWN if conflict.source is None else plain(conflict.value)
    width = max(len(believed), *(len(plain(each.value)) for each in conflict.against))
    who = _NOBODY
    if conflict.source is not None:
        who = _who(conflict.source, conflict.fetched_at, now)
    typer.echo(f"    {render.styled('✓', 'green')} {believed:>{width}}  {who}")
    for each in conflict.against:
        told = _WHY[each.why].format(source=conflict.source or "another", other=each.source)
        mark = render.styled("✗", "red")
        by = _who(each.source, each.fetched_at, now)
        typer.echo(f"    {mark} {plain(each.value):>{width}}  {by}: {render.printable(told)}")


def _who(source: str, fetched_at: str | None, now: datetime) -> str:
    name = render.printable(source)
    return name if fetched_at is None else f"{name}, {old(fetched_at, now)}"


def print_stale(found: Sequence[StaleModel], now: datetime) -> None:
    """Print the models whose facts are too old, a line each."""
    if not found:
        typer.echo("no fact is older than its source's ttl")
        return
    rows = [
        (
            render.printable(each.id),
            render.printable(each.source),
            old(each.fetched_at, now),
            f"{len(each.fields)} of {each.known}",
        )
        for each in found
    ]
    render.table(("model", "source", "fetched", "facts too old"), rows, right=(2, 3), spare=1)
    typer.echo(f"{_count(len(found), 'model')} with facts older than their source's ttl")


def print_leaving(found: Sequence[Leaving], today: date, days: int) -> None:
    """Print the models that are on their way out: in the order of their days."""
    if not found:
        typer.echo(f"no model is deprecated, retired, or retires within {days} days of {today}")
        return
    ordered = sorted(found, key=_when)
    rows = [
        (
            render.printable(each.id),
            render.styled(each.stage.value, _STAGES[each.stage]),
            each.retires_at or render.UNKNOWN,
            _until(each.days),
            render.printable(each.source),
        )
        for each in ordered
    ]
    render.table(("model", "stage", "retires", "in days", "source"), rows, right=(3,), spare=2)
    counts = {stage: sum(each.stage is stage for each in found) for stage in _STAGES}
    told = ", ".join(f"{count:,} {stage.value}" for stage, count in counts.items() if count)
    typer.echo(f"as of {today}, {days} days ahead: {told}")


def _when(each: Leaving) -> tuple[str, str]:
    """Order by day, those without one first: what comes next stands where the eye is."""
    return each.retires_at or "", each.id


def _until(days: int | None) -> str:
    return render.UNKNOWN if days is None else f"{days:,}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
