"""Models as the ``models`` commands print them: aligned text, a line per model or per field.

What is shown when is ``cli.models``'s business, models as JSON ``registry.told``'s; nothing here
reads or fetches.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import typer

from gatewayctl.cli import render
from gatewayctl.core.fit import cap_of
from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.pricing import rate_key
from gatewayctl.registry.following import same_price
from gatewayctl.registry.freshness import age
from gatewayctl.registry.merge import Entry
from gatewayctl.registry.told import CAPS, LIMITS, STAGES

Others = Mapping[str, tuple[Sourced[Any], ...]]
"""What else is said, by field: see ``registry.merge.Entry``."""

_PRICED = {
    "input": "in",
    "input_cache_read": "cache read",
    "input_cache_write_5m": "write 5m",
    "input_cache_write_1h": "write 1h",
    "output": "out",
    "reasoning_output": "reasoning",
    "image": "image",
    "audio": "audio",
    "output_image": "image out",
    "output_audio": "audio out",
}
"""Dimensions as a table of prices heads its columns."""

_SHOWN_DIGITS = Context(prec=6)
_ONE_MODEL = ("field", "value", "source", "age", "others say")
_MANY_MODELS = ("model", "window", "input", "output", "$/M in", "$/M out", "source", "age")


def print_models(entries: Sequence[Entry], now: datetime) -> None:
    """Print one line per model."""
    rows = [_row(entry, now) for entry in entries]
    render.table(_MANY_MODELS, rows, right=range(1, 6), spare=2)


def print_fields(facts: ModelFacts, others: Others, now: datetime) -> None:
    """Print what is known of one model, a line per field, and what ``others`` say of each."""
    render.table(_ONE_MODEL, list(_fields(facts, others, now)), right=(1,))


def print_price_lists(facts: ModelFacts, others: Others, now: datetime) -> None:
    """Print the prices of every tier and step, a line each, and what ``others`` say else of them.

    The hours of those that go by the hour stand below. Nothing where there is none.
    """
    lists: dict[tuple[str, int], dict[str, Sourced[Decimal]]] = {}
    for key, said in facts.prices.items():
        rate = rate_key(key)
        lists.setdefault((rate.tier, rate.step), {})[rate.dimension] = said
    if lists.keys() <= {("", 0)}:
        return
    priced = {dimension for each in lists.values() for dimension in each}
    dimensions = [each for each in _PRICED if each in priced]
    rows = [
        _price_list(tier, step, [lists[tier, step].get(each) for each in dimensions], now)
        for tier, step in sorted(lists)
    ]
    typer.echo()
    titles = ("$/M at tier", "input above", *map(_PRICED.__getitem__, dimensions), "source", "age")
    render.table(titles, rows, right=range(1, len(titles) - 2), spare=2)
    if facts.off_peak is not None:
        typer.echo(render.printable(f"off_peak: {facts.off_peak.value}"))
    for key, said in facts.prices.items():
        differing = [
            f"{each.source} {_text(each)}"
            for each in others.get(f"prices.{key}", ())
            if not same_price(each.value, said.value)
        ]
        if differing and rate_key(key) != (key, "", 0):
            typer.echo(render.printable(f"others say of {key}: {', '.join(differing)}"))


def _price_list(
    tier: str, step: int, prices: Sequence[Sourced[Decimal] | None], now: datetime
) -> tuple[str, ...]:
    said = [each for each in prices if each is not None]
    ages = [it for it in said if it.fetched_at is not None]
    oldest = min(ages, key=lambda it: it.fetched_at or "", default=None)
    return (
        render.printable(tier or "base"),
        f"{step:,}" if step else render.UNKNOWN,
        *map(_text, prices),
        render.printable(", ".join(dict.fromkeys(it.source for it in said))),
        _age(oldest, now),
    )


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
    window = facts.context_window
    cap = cap_of(facts, None if window is None else window.value)
    limits = (cap or window, facts.max_input_tokens, facts.max_output_tokens)
    told = (*limits, *facts.prices.values())
    first: Sourced[Any] | None = next((said for said in told if said is not None), None)
    return (
        render.printable(facts.id),
        *(render.size(said.value if said else None) for said in limits),
        *(_text(facts.prices.get(key)) for key in ("input", "output")),
        render.printable(first.source) if first else render.UNKNOWN,
        _age(first, now),
    )


def _fields(facts: ModelFacts, others: Others, now: datetime) -> Iterator[tuple[str, ...]]:
    told: dict[str, Sourced[Any] | None] = {name: getattr(facts, name) for name in LIMITS}
    told |= {name: said for name in CAPS if (said := getattr(facts, name)) is not None}
    bases = (key for key in facts.prices if rate_key(key) == (key, "", 0))
    told |= {f"prices.{key}": facts.prices[key] for key in bases}
    told |= {f"capabilities.{key}": said for key, said in facts.capabilities.items()}
    told |= {name: getattr(facts, name) for name in STAGES}
    for name, said in told.items():
        yield (
            render.printable(name),
            _text(said),
            render.printable(said.source) if said else render.UNKNOWN,
            _age(said, now),
            ", ".join(f"{each.source} {_text(each)}" for each in others.get(name, ())),
        )


def _text(said: Sourced[Any] | None) -> str:
    return render.UNKNOWN if said is None else plain(said.value)


def plain(value: object) -> str:
    """Return a value of any field as people read it."""
    match value:
        case None:
            return render.UNKNOWN
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case Decimal():
            # sources write prices as sums of floats: 0.060000000000000005
            return f"{value.normalize(_SHOWN_DIGITS):f}"
        case _:
            return render.printable(str(value))
