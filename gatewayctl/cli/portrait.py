"""One model in full, as ``models show`` tells it: how its effective window comes about, and why.

Puts together what the registry, the config and the replies say; pure values in, lines or JSON out.
Field by field is ``cli.facts``' business, what replies teach ``core.learning``'s.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import typer

from gatewayctl.cli import facts as listed
from gatewayctl.cli import render
from gatewayctl.core.correction import ENOUGH, Observed
from gatewayctl.core.fit import ceilings
from gatewayctl.core.learning import Cap, Truncations
from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.routing.place import ASSUMED, LEARNED
from gatewayctl.registry import told
from gatewayctl.registry.merge import LIMITS_ORDER, Entry

CONFIG = "config"
_DAY = 10


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a model.

    ``facts`` are those that routing goes by, caps included; ``others`` is what else is said.
    ``trained``: what its provider lists is how a model was trained, not how it is served.
    ``aliases`` are other names at the provider, ``asked_as`` those of the config. ``cap`` is what
    was learned, also where it holds no longer and is not in ``facts``.
    """

    facts: ModelFacts
    others: listed.Others = {}
    fraction: Decimal = Decimal(1)
    trained: bool = False
    aliases: tuple[str, ...] = ()
    asked_as: tuple[str, ...] = ()
    cap: Cap | None = None
    truncations: Truncations | None = None
    observed: Observed | None = None


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One of the windows that the effective one is the smallest of.

    ``kind`` is "declared" (by the config), "trained", "listed", "served", "assumed" or "learned".
    """

    kind: str
    value: int
    source: str
    fetched_at: str | None


def terms(known: Portrait) -> tuple[Term, ...]:
    """Return what the effective window is the smallest of; empty where nobody says anything."""
    facts = known.facts
    found = []
    if (window := facts.context_window) is not None:
        found.append(_term(_said_as(known, window), window))
    if facts.served is not None:
        found.append(_term(ASSUMED if facts.served.source == ASSUMED else "served", facts.served))
    if facts.learned is not None:
        found.append(_term(LEARNED, facts.learned))
    return tuple(found)


def _said_as(known: Portrait, window: Sourced[int]) -> str:
    """Return in what sense a source says a window."""
    if window.source == CONFIG:
        return "declared"
    if window.source in LIMITS_ORDER:
        return "listed"
    served = known.facts.served
    less = served is not None and served.source == window.source and served.value < window.value
    return "trained" if known.trained or less else "listed"


def _term(kind: str, said: Sourced[int]) -> Term:
    return Term(kind=kind, value=said.value, source=said.source, fetched_at=said.fetched_at)


def as_json(known: Portrait) -> dict[str, Any]:
    """Return the model as ``models show --json`` prints it."""
    limits = ceilings(known.facts, None, known.fraction)
    observed = known.observed
    return {
        **told.model_json(Entry(facts=known.facts, others=known.others), others=True),
        "effective_window": {"value": limits.window, "of": terms(known)},
        "capacity_fraction": known.fraction,
        "ceiling": limits.total,
        "input_ceiling": limits.input,
        "unlocked": known.facts.unlocked,
        "cap": None
        if known.cap is None
        else {**msgspec.structs.asdict(known.cap), "holds": _holds(known)},
        "truncations": known.truncations,
        "observed": None
        if observed is None
        else {
            "samples": observed.samples,
            "low": observed.low,
            "high": observed.high,
            "used": observed.enough,
        },
        "aliases": known.aliases,
        "asked_as": known.asked_as,
    }


def print_portrait(known: Portrait, now: datetime) -> None:
    """Print the model: its window with the sum that makes it, each field, and what it taught."""
    name = render.styled(render.printable(known.facts.id), bold=True)
    also = (*known.aliases, *known.asked_as)
    typer.echo(f"{name}  also {render.printable(', '.join(also))}" if also else name)
    for line in _window(known, now):
        typer.echo(line)
    typer.echo()
    listed.print_fields(known.facts, known.others, now)
    listed.print_price_lists(known.facts, known.others, now)
    lines = [*_taught(known, now)]
    if lines:
        typer.echo()
        for line in lines:
            typer.echo(line)


def _window(known: Portrait, now: datetime) -> Iterator[str]:
    """Yield how the effective window comes about, and what is taken off it."""
    limits = ceilings(known.facts, None, known.fraction)
    parts = terms(known)
    if limits.window is None:
        yield "effective window unknown: no source says it, and it is not checked"
    else:
        sum_ = [_worded(each, now, alone=len(parts) == 1) for each in parts]
        value = render.styled(f"{limits.window:,}", bold=True)
        yield from _wrapped(f"effective window {value} ", "= min(", sum_)
        if known.fraction != 1 and limits.total is not None:
            yield (
                f"ceiling          {limits.total:,} = {known.fraction} × {limits.window:,} "
                "(capacity_fraction)"
            )
    if limits.input is not None:
        beside = " of it" if limits.total is not None else ", and the output stands beside it"
        yield f"input            at most {limits.input:,}{beside}"
    for each in known.facts.unlocked:
        yield (
            f"unlocked         {each.context_window:,} for requests with the beta "
            f"{render.printable(each.beta)}"
        )


def _worded(term: Term, now: datetime, *, alone: bool) -> str:
    """Return a term with who says it: "4,096 served (ollama, 2 min ago)"."""
    kind = "" if term.kind == "listed" else f" {term.kind}"
    since = "" if term.fetched_at is None else listed.old(term.fetched_at, now)
    who = "" if term.source == term.kind else term.source
    origin = ", ".join(filter(None, (who, since)))
    said = f"{'' if alone else f'{term.value:,}'}{kind}{f' ({origin})' if origin else ''}"
    return render.printable(said.strip())


def _wrapped(head: str, opening: str, parts: Sequence[str]) -> Iterator[str]:
    """Yield a sum in a line, or one term a line where a terminal has no room for that."""
    if len(parts) == 1:
        yield f"{head}{parts[0]}"
        return
    line = f"{head}{opening}{', '.join(parts)})"
    if render.fits(line):
        yield line
        return
    indent = " " * render.width(head + opening)
    for number, part in enumerate(parts):
        start = indent if number else f"{head}{opening}"
        yield f"{start}{part}{')' if number == len(parts) - 1 else ','}"


def _taught(known: Portrait, now: datetime) -> Iterator[str]:
    """Yield what replies taught: a window, prompts that were cut, and how its tokens differ."""
    name = render.printable(known.facts.id)
    if (cap := known.cap) is not None:
        state = "" if _holds(known) else ", void by now: the sources report another window"
        over = "" if cap.over is None else f", {cap.over:,} believed then"
        day = f"{cap.at[:_DAY]}, {listed.old(cap.at, now)}"
        yield render.styled(f"learned          {cap.window:,} ({day}{over}{state})", "yellow")
        yield f"                 {render.printable(cap.evidence)}"
        yield f"                 taken back by: gatewayctl models forget {name}"
    if (cut := known.truncations) is not None:
        last = f"the last {listed.old(cut.last.at, now)}"
        counts = f"{cut.last.metered:,} of at least {cut.last.low:,} tokens counted"
        times = "1 reply" if cut.count == 1 else f"{cut.count:,} replies"
        yield render.styled(f"truncated        {times}, {last}: {counts}", "red")
    if (observed := known.observed) is not None:
        told_by = "1 reply" if observed.samples == 1 else f"{observed.samples:,} replies"
        used = "" if observed.enough else f"; from {ENOUGH} on they make the range of estimates"
        spread = f"{observed.low} to {observed.high} of the estimate"
        yield f"counted tokens   {told_by}: {spread}{used}"


def _holds(known: Portrait) -> bool:
    return known.facts.learned is not None
