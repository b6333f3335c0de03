"""Which facts have grown old, and which models are on their way out.

Pure: the day and the time are arguments. What the sources say of one another is
``registry.conflicts``' business, when they are asked ``registry.refresh``'s.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.registry.freshness import age
from gatewayctl.registry.merge import Entry

_DEPRECATED = frozenset({"deprecated", "legacy", "deprecating"})
_RETIRED = frozenset({"retired", "shutdown", "sunset"})
_DATE = 10


class StaleModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of which at least one fact is older than its source's time to live.

    ``source`` and ``fetched_at`` are those of its oldest fact; ``fields`` are all that are too old,
    of ``known`` that have a date at all.
    """

    id: str
    source: str
    fetched_at: str
    fields: tuple[str, ...]
    known: int


class Stage(StrEnum):
    """How far a model is on its way out."""

    DEPRECATED = "deprecated"
    RETIRING = "retiring"
    RETIRED = "retired"


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is deprecated, retires soon, or is retired.

    Dates are ISO 8601, None where unknown; ``days`` are those until ``retires_at``, negative
    afterwards; ``source`` is who says so.
    """

    id: str
    stage: Stage
    deprecated_at: str | None
    retires_at: str | None
    days: int | None
    source: str


def stale(
    entries: Iterable[Entry], ttls: Mapping[str, float], now: datetime
) -> Iterator[StaleModel]:
    """Yield the models with facts older than ``ttls`` (seconds, by source) allow.

    What has no date (the config) and sources without a time to live are never stale.
    """
    ages: dict[str, float] = {}
    for entry in entries:
        dated: list[tuple[str, str, str]] = []
        known = 0
        for field, said in told(entry.facts):
            ttl = ttls.get(said.source)
            if said.fetched_at is None or ttl is None:
                continue
            known += 1
            if said.fetched_at not in ages:
                ages[said.fetched_at] = age(said.fetched_at, now)
            if ages[said.fetched_at] > ttl:
                dated.append((said.fetched_at, said.source, field))
        if dated:
            fetched_at, source, _ = min(dated)
            fields = tuple(field for _, _, field in dated)
            yield StaleModel(
                id=entry.facts.id, source=source, fetched_at=fetched_at, fields=fields, known=known
            )


def leaving(entries: Iterable[Entry], today: date, days: int) -> Iterator[Leaving]:
    """Yield the models that are deprecated, retire within ``days`` of ``today``, or are retired."""
    soon = today + timedelta(days=days)
    for entry in entries:
        facts = entry.facts
        retires = _day(facts.retires_at)
        deprecated = _day(facts.deprecated_at)
        word = facts.lifecycle.value.lower() if facts.lifecycle is not None else ""
        if (retires is not None and retires <= today) or word in _RETIRED:
            stage = Stage.RETIRED
        elif retires is not None and retires <= soon:
            stage = Stage.RETIRING
        elif (deprecated is not None and deprecated <= today) or word in _DEPRECATED:
            stage = Stage.DEPRECATED
        else:
            continue
        said = facts.retires_at or facts.deprecated_at or facts.lifecycle
        yield Leaving(
            id=facts.id,
            stage=stage,
            deprecated_at=None if deprecated is None else deprecated.isoformat(),
            retires_at=None if retires is None else retires.isoformat(),
            days=None if retires is None else (retires - today).days,
            source="" if said is None else said.source,
        )


def told(facts: ModelFacts) -> Iterator[tuple[str, Sourced[Any]]]:
    """Yield every fact that is known of a model under its field's name."""
    for name in ("context_window", "max_input_tokens", "max_output_tokens", "served"):
        if (limit := getattr(facts, name)) is not None:
            yield name, limit
    for key, price in facts.prices.items():
        yield f"prices.{key}", price
    for capability, able in facts.capabilities.items():
        yield f"capabilities.{capability}", able
    for name in ("off_peak", "lifecycle", "deprecated_at", "retires_at"):
        if (dated := getattr(facts, name)) is not None:
            yield name, dated


def _day(said: Sourced[str] | None) -> date | None:
    """Return a date that a source gives, as a date or as a time; None where it is neither."""
    if said is None:
        return None
    try:
        return date.fromisoformat(said.value[:_DATE])
    except ValueError:
        return None
