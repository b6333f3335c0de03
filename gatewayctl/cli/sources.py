"""The registry's sources as the commands print them: how fresh each is, and how a refresh ended.

How fresh a source is, is ``registry.freshness``' business. Nothing here reads or fetches.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
import typer

from gatewayctl.cli import render
from gatewayctl.cli.facts import old
from gatewayctl.registry.cache import Outcome
from gatewayctl.registry.freshness import Freshness, SourceStatus
from gatewayctl.registry.refresh import Refreshed
from gatewayctl.registry.table import TableSource

_MARKS = {
    Freshness.FRESH: ("✓", "green"),
    Freshness.STALE: ("~", "yellow"),
    Freshness.NEVER: ("·", "yellow"),
    Freshness.FAILED: ("✗", "red"),
    Freshness.QUARANTINED: ("✗", "red"),
    Freshness.NO_KEY: ("-", None),
    Freshness.PERSONAL: ("-", None),
    Freshness.OFF: ("-", None),
}
_UNASKED = {
    Freshness.NO_KEY: "no key",
    Freshness.PERSONAL: "personal",
    Freshness.OFF: "off",
}
"""What is not asked, so that nothing is wrong with it."""
FINE = frozenset({Freshness.FRESH, *_UNASKED})
_REFRESHABLE = frozenset({Freshness.STALE, Freshness.NEVER})


def refreshed_json(status: SourceStatus, result: Refreshed | None) -> dict[str, object]:
    """Return a source's status after a refresh and what that refresh did, null if it was not in."""
    return {
        **msgspec.to_builtins(status),
        "refresh": None if result is None else done_json(result),
    }


def done_json(result: Refreshed) -> dict[str, object]:
    """Return what a refresh did."""
    return {
        "outcome": result.outcome.value,
        "changed": result.changed,
        "models": result.models,
        "skipped": dict(result.skipped),
        "error": result.error,
    }


def print_sources(
    statuses: Sequence[SourceStatus],
    parts: Sequence[TableSource] | None,
    now: datetime,
    *,
    short: bool = False,
) -> None:
    """Print one line per source: its state, how much it knows, how old that is, what is wrong.

    ``parts`` are those of the table in use, None where that is another process's. ``short``: one
    line for all where nothing is wrong with any.
    """
    asked = [each for each in statuses if each.status not in _UNASKED]
    if short and all(each.status is Freshness.FRESH for each in asked):
        all_of_them = _all_fresh(asked, now) if asked else "no source is asked"
        typer.echo(all_of_them + _unasked(statuses))
        return
    packaged = {part.name: f"packaged, as of {part.fetched_at[:10]}" for part in parts or ()}
    width = max((len(status.name) for status in statuses), default=0)
    longest = max(len(_word(each)) for each in Freshness)
    for each in statuses:
        mark, colour = _MARKS[each.status]
        name = f"{render.printable(each.name):<{width}}"
        state = render.styled(f"{_word(each.status):<{longest}}", colour)
        head = f"{render.styled(mark, colour)} {name}  {state}  "
        unfetched = packaged.get(each.name, "never fetched")
        told = tuple(map(render.printable, _told(each, unfetched, now)))
        typer.echo(head + _joined(told, len(f"{mark} {name}  {longest * ' '}  ")))


def print_hint(statuses: Sequence[SourceStatus]) -> None:
    """Say what to do about sources that are old."""
    if any(each.status in _REFRESHABLE for each in statuses):
        typer.echo("gatewayctl models refresh asks them now; a running daemon does so by itself")


def _all_fresh(statuses: Sequence[SourceStatus], now: datetime) -> str:
    oldest = min(each.fetched_at or "" for each in statuses)
    since = f"; the oldest was fetched {old(oldest, now)}" if oldest else ""
    which = "the source is" if len(statuses) == 1 else f"all {len(statuses)} sources are"
    return f"{render.styled('✓', 'green')} {which} {render.styled('fresh', 'green')}{since}"


def _unasked(statuses: Sequence[SourceStatus]) -> str:
    """Say which sources are not asked, and why."""
    parts = []
    for status, why in _UNASKED.items():
        names = ", ".join(each.name for each in statuses if each.status is status)
        parts += [f"{why}: {names}"] if names else []
    return render.printable(f" ({'; '.join(parts)})") if parts else ""


def _word(status: Freshness) -> str:
    return status.value.replace("_", " ")


def _told(status: SourceStatus, unfetched: str, now: datetime) -> Iterator[str]:
    """Yield what there is to say of a source: how much and how old, then what is wrong."""
    if status.status in _UNASKED and not status.models:
        yield "not asked"
        return
    since = unfetched if status.fetched_at is None else f"fetched {old(status.fetched_at, now)}"
    next_ = "" if status.next_at is None else f", {_due(status.next_at, now)}"
    yield f"{_models(status.models)}, {since}{next_}"
    if status.error is not None:
        tried = f"tried {old(status.attempted_at, now)}: " if status.attempted_at else ""
        yield tried + status.error


def _models(number: int) -> str:
    return f"{number:,} model{'' if number == 1 else 's'}"


def _due(at: str, now: datetime) -> str:
    seconds = (datetime.fromisoformat(at) - now).total_seconds()
    if seconds < 1:
        return "due now"
    said = render.ago(seconds)
    return f"due in {f'{seconds:.0f} s' if said == 'now' else said}"


def _joined(told: Sequence[str], indent: int) -> str:
    """Join what is said in a line, or below one another where a terminal has no room for it."""
    line = "; ".join(told)
    if render.fits(" " * indent + line):
        return line
    return f"\n{' ' * indent}".join(told)


def print_refreshed(result: Refreshed) -> None:
    """Print how one source's refresh ended, and what was left out for which reason."""
    name = render.printable(result.source)
    if result.outcome is Outcome.FETCHED:
        state = render.styled(result.outcome.value, "green")
        change = "" if result.changed else ", unchanged"
        typer.echo(f"{name}: {state}: {_models(result.models)}{change}")
    else:
        state = render.styled(result.outcome.value, "red")
        kept = f"{result.error}; what was known before stays"
        typer.echo(f"{name}: {state}: {render.printable(kept)}")
    _print_skipped(result.skipped)
    if result.outcome is Outcome.FETCHED and result.skipped:
        _print_entries(result)


def print_checked(result: Refreshed) -> None:
    """Print what would be made of a file."""
    name = render.printable(result.source)
    state = render.styled("readable", "green")
    if result.error is not None:
        state = render.styled(f"would be {result.outcome.value}", "red")
        state += f": {render.printable(result.error)}"
    typer.echo(f"{name}: {state}: {_models(result.models)}; nothing was stored")
    _print_skipped(result.skipped)
    _print_entries(result)


def _print_entries(result: Refreshed) -> None:
    entries = result.models + sum(result.skipped.values())
    typer.echo(f"  {entries:,} entries in all, each a model or left out")


def _print_skipped(skipped: Mapping[str, int]) -> None:
    """Print how many entries were left out, by reason, the most frequent first."""
    width = max((len(f"{count:,}") for count in skipped.values()), default=0)
    for reason, count in sorted(skipped.items(), key=lambda each: (-each[1], each[0])):
        typer.echo(f"  {count:>{width},} left out: {render.printable(reason)}")
