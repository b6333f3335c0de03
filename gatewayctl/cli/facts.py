"""Models and sources as the ``models`` commands print them: aligned text, and refreshes as JSON.

What is shown when is ``cli.models``'s business, models as JSON ``registry.told``'s; nothing here
reads or fetches.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import msgspec
import typer

from gatewayctl.cli import render
from gatewayctl.core.model import Sourced
from gatewayctl.registry.cache import Outcome
from gatewayctl.registry.freshness import Freshness, SourceStatus, age
from gatewayctl.registry.merge import Entry
from gatewayctl.registry.refresh import Refreshed
from gatewayctl.registry.table import TableSource
from gatewayctl.registry.told import LIMITS

_COLOURS = {
    Freshness.FRESH: "green",
    Freshness.STALE: "yellow",
    Freshness.NEVER: "yellow",
    Freshness.FAILED: "red",
    Freshness.QUARANTINED: "red",
}
_SHOWN_DIGITS = Context(prec=6)
_ONE_MODEL = ("field", "value", "source", "age", "others say")
_MANY_MODELS = ("model", "window", "input", "output", "$/M in", "$/M out", "source", "age")


def refreshed_json(status: SourceStatus, result: Refreshed | None) -> dict[str, object]:
    """Return a source's status after a refresh and what that refresh did, null if it was not in."""
    done = None
    if result is not None:
        done = {
            "outcome": result.outcome.value,
            "changed": result.changed,
            "models": result.models,
            "skipped": dict(result.skipped),
        }
    return {**msgspec.to_builtins(status), "refresh": done}


def print_sources(
    statuses: Sequence[SourceStatus], parts: Sequence[TableSource] | None, now: datetime
) -> None:
    """Print one line per source: its state, how much it knows, how old that is.

    ``parts`` are those of the table in use, None where that is another process's.
    """
    usual = "never fetched" if parts is None else "nothing packaged"
    packaged = {part.name: f"packaged, as of {part.fetched_at[:10]}" for part in parts or ()}
    width = max((len(status.name) for status in statuses), default=0)
    longest = max(map(len, Freshness))
    for each in statuses:
        state = render.styled(f"{each.status:<{longest}}", _COLOURS[each.status])
        told = f"{each.models:,} models, {_since(each, packaged.get(each.name, usual), now)}"
        typer.echo(f"{render.printable(each.name):<{width}}  {state}  {render.printable(told)}")


def print_models(entries: Sequence[Entry], now: datetime) -> None:
    """Print one line per model."""
    rows = [_row(entry, now) for entry in entries]
    render.table(_MANY_MODELS, rows, right=range(1, 6), spare=2)


def print_model(entry: Entry, now: datetime) -> None:
    """Print one model, a line per field."""
    typer.echo(render.styled(render.printable(entry.facts.id), bold=True))
    render.table(_ONE_MODEL, list(_fields(entry, now)), right=(1,))


def print_refreshed(result: Refreshed) -> None:
    """Print how one source's refresh ended."""
    if result.outcome is not Outcome.FETCHED:
        state = render.styled(result.outcome.value, "red")
        kept = f"{result.error}; the table from before stays"
        typer.echo(f"{result.source}: {state}: {render.printable(kept)}")
        return
    change = "" if result.changed else ", unchanged"
    skipped = ", ".join(f"{count} {reason}" for reason, count in result.skipped.items())
    left_out = f" (left out: {skipped})" if skipped else ""
    state = render.styled(result.outcome.value, "green")
    typer.echo(f"{result.source}: {state}: {result.models:,} models{change}{left_out}")


def _since(status: SourceStatus, unfetched: str, now: datetime) -> str:
    told = unfetched
    if status.fetched_at is not None:
        told = f"fetched {old(status.fetched_at, now)}"
    if status.error is not None:
        tried = f"tried {old(status.attempted_at, now)}: " if status.attempted_at else ""
        told += f"; {tried}{status.error}"
    return told


def old(since: str, now: datetime) -> str:
    """Return how long ago an ISO 8601 time was: "just now", "3 d ago"."""
    told = render.ago(age(since, now))
    return "just now" if told == "now" else f"{told} ago"


def _age(said: Sourced[Any] | None, now: datetime) -> str:
    if said is None or said.fetched_at is None:
        return render.UNKNOWN
    return render.ago(age(said.fetched_at, now))


def _row(entry: Entry, now: datetime) -> tuple[str, ...]:
    facts = entry.facts
    told = (*(getattr(facts, name) for name in LIMITS), *facts.prices.values())
    first: Sourced[Any] | None = next((said for said in told if said is not None), None)
    return (
        render.printable(facts.id),
        *(render.size(said.value if (said := getattr(facts, name)) else None) for name in LIMITS),
        *(_text(facts.prices.get(key)) for key in ("input", "output")),
        first.source if first else render.UNKNOWN,
        _age(first, now),
    )


def _fields(entry: Entry, now: datetime) -> Iterator[tuple[str, ...]]:
    facts = entry.facts
    told: dict[str, Sourced[Any] | None] = {name: getattr(facts, name) for name in LIMITS}
    told |= {f"prices.{key}": said for key, said in facts.prices.items()}
    told |= {f"capabilities.{key}": said for key, said in facts.capabilities.items()}
    told["retires_at"] = facts.retires_at
    for name, said in told.items():
        others = entry.others.get(name, ())
        yield (
            name,
            _text(said),
            said.source if said else render.UNKNOWN,
            _age(said, now),
            ", ".join(f"{other.source} {_text(other)}" for other in others),
        )


def _text(said: Sourced[Any] | None) -> str:
    match said.value if said else None:
        case None:
            return render.UNKNOWN
        case bool() as value:
            return "yes" if value else "no"
        case int() as value:
            return f"{value:,}"
        case Decimal() as value:
            # sources write prices as sums of floats: 0.060000000000000005
            return f"{value.normalize(_SHOWN_DIGITS):f}"
        case value:
            return render.printable(str(value))
