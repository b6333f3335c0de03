"""Whom to believe, field by field, when several sources speak of one model.

The order per field is data here; the user's own figures come over everything as an overlay. How a
source is read is ``sources/``' business; limits served or learned at run time are not merged here
(they cap, see ``core.fit``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from gatewayctl.core.model import Capability, ModelFacts, Sourced, layered
from gatewayctl.registry.claims import Claims

T = TypeVar("T")

LIMITS_ORDER = ("models_dev", "litellm")
PRICES_ORDER = ("litellm", "models_dev")  # LiteLLM's tiers and steps are richer
CAPABILITIES_ORDER = ("models_dev", "litellm")
RETIREMENT_ORDER = ("models_dev", "litellm")

INPUT_MAY_BE_TOTAL = frozenset({"litellm"})
"""Sources whose input limit is the whole window for some models."""

OUTPUT_MAY_BE_TOTAL = frozenset({"models_dev"})
"""Sources that repeat the whole window as the output limit where they do not know it."""


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One source's claims about one model, and since when (ISO 8601 UTC)."""

    claims: Claims
    fetched_at: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A model's merged facts, and what the other sources say.

    ``others`` is keyed by field: ``"context_window"``, ``"prices.input"``,
    ``"capabilities.tools"``, …; its values stand in the order of belief, doubted ones last.
    """

    facts: ModelFacts
    others: Mapping[str, tuple[Sourced[Any], ...]] = {}


def merge(model_id: str, provider: str, spoken: Mapping[str, Spoken]) -> Entry:
    """Merge what the sources (by name) say of ``model_id`` by the precedence of each field."""
    others: dict[str, tuple[Sourced[Any], ...]] = {}

    def choose(
        field: str, believed: Sequence[Sourced[T]], doubted: Sequence[Sourced[T]] = ()
    ) -> Sourced[T] | None:
        rest = (*believed[1:], *doubted)
        if rest:
            others[field] = rest
        return believed[0] if believed else None

    windows = _stated(LIMITS_ORDER, spoken, lambda claims: claims.context_window)
    inputs = _stated(LIMITS_ORDER, spoken, lambda claims: claims.max_input_tokens)
    window = choose("context_window", windows or _totals(inputs))
    size = window.value if window is not None else None
    max_input = choose("max_input_tokens", *_split(inputs, INPUT_MAY_BE_TOTAL, size))
    outputs = _stated(LIMITS_ORDER, spoken, lambda claims: claims.max_output_tokens)
    # Without any window nothing contradicts an output limit.
    doubtful = OUTPUT_MAY_BE_TOTAL if size is not None else frozenset[str]()
    max_output = choose("max_output_tokens", *_split(outputs, doubtful, size))
    prices = {
        dimension: chosen
        for dimension in _keys(spoken, lambda claims: claims.prices)
        if (chosen := choose(f"prices.{dimension}", _priced(spoken, dimension))) is not None
    }
    capabilities = {
        capability: chosen
        for capability in Capability
        if (chosen := choose(f"capabilities.{capability}", _said(spoken, capability))) is not None
    }
    return Entry(
        facts=ModelFacts(
            id=model_id,
            provider=provider,
            context_window=window,
            max_input_tokens=max_input,
            max_output_tokens=max_output,
            prices=prices,
            capabilities=capabilities,
            retires_at=choose(
                "retires_at",
                _stated(RETIREMENT_ORDER, spoken, lambda claims: claims.retires_at),
            ),
        ),
        others=others,
    )


def overlay(entry: Entry | None, own: ModelFacts) -> Entry:
    """Put the user's own facts over what the sources say; unsaid fields keep the sources'."""
    if entry is None:
        return Entry(facts=own)
    theirs, others = entry.facts, dict(entry.others)

    def displaced(field: str, mine: object, their: Sourced[Any] | None) -> None:
        if mine is not None and their is not None:
            others[field] = (their, *others.get(field, ()))

    for field in ("context_window", "max_input_tokens", "max_output_tokens", "retires_at"):
        displaced(field, getattr(own, field), getattr(theirs, field))
    for dimension, price in theirs.prices.items():
        displaced(f"prices.{dimension}", own.prices.get(dimension), price)
    for capability, able in theirs.capabilities.items():
        displaced(f"capabilities.{capability}", own.capabilities.get(capability), able)
    return Entry(facts=layered(own, theirs), others=others)


def _stated(
    order: Sequence[str], spoken: Mapping[str, Spoken], field: Callable[[Claims], T | None]
) -> list[Sourced[T]]:
    """Return what the sources say of one field, in the order of belief."""
    return [
        Sourced(value=value, source=name, fetched_at=spoken[name].fetched_at)
        for name in order
        if name in spoken and (value := field(spoken[name].claims)) is not None
    ]


def _totals(inputs: Sequence[Sourced[int]]) -> list[Sourced[int]]:
    """Return the input limits that stand for the whole window where nobody knows it."""
    return [limit for limit in inputs if limit.source in INPUT_MAY_BE_TOTAL]


def _split(
    limits: Sequence[Sourced[int]], doubtful: frozenset[str], window: int | None
) -> tuple[list[Sourced[int]], list[Sourced[int]]]:
    """Part limits into believed and doubted: a doubtful source must stay below the window."""
    believed: list[Sourced[int]] = []
    doubted: list[Sourced[int]] = []
    for limit in limits:
        sure = limit.source not in doubtful or (window is not None and limit.value < window)
        (believed if sure else doubted).append(limit)
    return believed, doubted


def _keys(spoken: Mapping[str, Spoken], field: Callable[[Claims], Mapping[str, Any]]) -> list[str]:
    return list({key: None for said in spoken.values() for key in field(said.claims)})


def _priced(spoken: Mapping[str, Spoken], dimension: str) -> list[Sourced[Any]]:
    return _stated(PRICES_ORDER, spoken, lambda claims: claims.prices.get(dimension))


def _said(spoken: Mapping[str, Spoken], capability: Capability) -> list[Sourced[bool]]:
    """Return explicit claims first, then the weak "no" of sources that leave it out."""
    explicit = _stated(CAPABILITIES_ORDER, spoken, lambda c: c.capabilities.get(capability))
    left_out = _stated(
        CAPABILITIES_ORDER, spoken, lambda c: False if capability in c.unlisted else None
    )
    return explicit + left_out
