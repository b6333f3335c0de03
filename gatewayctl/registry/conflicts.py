"""Where sources disagree about a model: who says what, who is believed, and why the others are not.

Explains what ``registry.merge`` has decided and decides nothing itself. Pure; how it looks on a
terminal is the command line's business.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from gatewayctl.core.fit import cap_of
from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.routing.place import ASSUMED, LEARNED
from gatewayctl.registry.following import same_price
from gatewayctl.registry.merge import (
    CAPABILITIES_ORDER,
    INPUT_MAY_BE_TOTAL,
    LIMITS_ORDER,
    OUTPUT_MAY_BE_TOTAL,
    Entry,
)

CONFIG = "config"
_TABLES = frozenset(LIMITS_ORDER)


class Why(StrEnum):
    """Why a source's value is not the one believed."""

    CONFIG = "config"
    """The config's own word stands over every source's."""
    PROVIDER = "provider"
    """The provider's own listing comes before the tables."""
    ORDER = "order"
    """Of the tables, the other one is asked first for this field."""
    WHOLE_WINDOW = "whole_window"
    """An input limit no smaller than the window, from a source that gives the whole window so."""
    REPEATS_WINDOW = "repeats_window"
    """An output limit no smaller than the window, from a source that fills in the window there."""
    LEFT_OUT = "left_out"
    """A "no" that is only an absence from a list, beside a source that says it outright."""
    SERVED = "served"
    """The server runs the model with a smaller window."""
    ASSUMED = "assumed"
    """The server may run the model with less, and has not yet said with what."""
    LEARNED = "learned"
    """The provider's own replies gave away a smaller window."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says and is not believed."""

    value: Any
    source: str
    fetched_at: str | None
    why: Why


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """One field of one model that sources disagree about.

    ``value``, ``source`` and ``fetched_at`` are of what is believed, all None when nobody is;
    ``against`` is in the order of belief.
    """

    model: str
    field: str
    value: Any
    source: str | None
    fetched_at: str | None
    against: tuple[Against, ...]


def conflicts(entries: Iterable[Entry]) -> Iterator[Conflict]:
    """Yield every disagreement, model by model. Figures that agree under another name are none."""
    for entry in entries:
        facts = entry.facts
        for field, others in entry.others.items():
            believed = said(facts, field)
            against = tuple(_against(facts, field, believed, others))
            if against:
                yield _conflict(facts.id, field, believed, against)
        yield from _capped(facts)


def said(facts: ModelFacts, field: str) -> Sourced[Any] | None:
    """Return what is believed of a field: ``"context_window"``, ``"prices.input"``, …."""
    name, _, key = field.partition(".")
    found: Any = getattr(facts, name)
    believed: Sourced[Any] | None = found.get(key) if key else found
    return believed


def _conflict(
    model: str, field: str, believed: Sourced[Any] | None, against: tuple[Against, ...]
) -> Conflict:
    return Conflict(
        model=model,
        field=field,
        value=None if believed is None else believed.value,
        source=None if believed is None else believed.source,
        fetched_at=None if believed is None else believed.fetched_at,
        against=against,
    )


def _against(
    facts: ModelFacts,
    field: str,
    believed: Sourced[Any] | None,
    others: Iterable[Sourced[Any]],
) -> Iterator[Against]:
    window = None if facts.context_window is None else facts.context_window.value
    for other in others:
        if believed is not None and _same(believed.value, other.value):
            continue
        if believed is None and other.value == window:
            continue  # the window under another name, and nobody says anything else
        yield Against(
            value=other.value,
            source=other.source,
            fetched_at=other.fetched_at,
            why=_why(field, believed, other, window),
        )


def _why(field: str, believed: Sourced[Any] | None, other: Sourced[Any], window: int | None) -> Why:
    if believed is not None and believed.source == CONFIG:
        return Why.CONFIG
    doubted = window is not None and isinstance(other.value, int) and other.value >= window
    if field == "max_input_tokens" and doubted and other.source in INPUT_MAY_BE_TOTAL:
        return Why.WHOLE_WINDOW
    if field == "max_output_tokens" and doubted and other.source in OUTPUT_MAY_BE_TOTAL:
        return Why.REPEATS_WINDOW
    if believed is not None and believed.source not in _TABLES:
        return Why.PROVIDER
    if field.startswith("capabilities.") and believed is not None and _first(other, believed):
        return Why.LEFT_OUT
    return Why.ORDER


def _first(one: Sourced[Any], other: Sourced[Any]) -> bool:
    """Tell whether ``one`` would have been believed, had it said so outright."""
    if one.source not in _TABLES:
        return True
    return CAPABILITIES_ORDER.index(one.source) < CAPABILITIES_ORDER.index(other.source)


def _capped(facts: ModelFacts) -> Iterator[Conflict]:
    """Yield the window that a smaller one caps, served or learned."""
    window = facts.context_window
    cap = None if window is None else cap_of(facts, window.value)
    if window is None or cap is None:
        return
    why = {LEARNED: Why.LEARNED, ASSUMED: Why.ASSUMED}.get(cap.source, Why.SERVED)
    over = Against(value=window.value, source=window.source, fetched_at=window.fetched_at, why=why)
    yield _conflict(facts.id, "effective_window", cap, (over,))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return same_price(one, other)
    return bool(one == other)
