"""Whom to believe, field by field, when several sources speak of one model.

The order per field is data here: the provider's own listing, then the tables in the order of the
field; the user's own figures come over everything as an overlay. How a source is read is
``sources/``' business; what is served is passed on as its own field, since it caps whatever else is
said (see ``core.fit``), and so does what was learned at run time, which is not merged here.
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


_SINGLE = (
    "context_window",
    "max_input_tokens",
    "max_output_tokens",
    "lifecycle",
    "deprecated_at",
    "retires_at",
)
"""Fields with one value that the config's own displaces."""


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


def merge(
    model_id: str, provider: str, spoken: Mapping[str, Spoken], own: str | None = None
) -> Entry:
    """Merge what the sources (by name) say of ``model_id`` by the precedence of each field.

    ``own`` names the provider's own listing among them, which comes before every table.
    """
    first = () if own is None else (own,)
    limits, stages = (*first, *LIMITS_ORDER), (*first, *RETIREMENT_ORDER)
    others: dict[str, tuple[Sourced[Any], ...]] = {}

    def choose(
        field: str, believed: Sequence[Sourced[T]], doubted: Sequence[Sourced[T]] = ()
    ) -> Sourced[T] | None:
        rest = (*believed[1:], *doubted)
        if rest:
            others[field] = rest
        return believed[0] if believed else None

    windows = _stated(limits, spoken, lambda claims: claims.context_window)
    inputs = _stated(limits, spoken, lambda claims: claims.max_input_tokens)
    window = choose("context_window", windows or _totals(inputs))
    size = window.value if window is not None else None
    max_input = choose("max_input_tokens", *_split(inputs, INPUT_MAY_BE_TOTAL, size))
    outputs = _stated(limits, spoken, lambda claims: claims.max_output_tokens)
    # Without any window nothing contradicts an output limit.
    doubtful = OUTPUT_MAY_BE_TOTAL if size is not None else frozenset[str]()
    max_output = choose("max_output_tokens", *_split(outputs, doubtful, size))
    prices = {
        dimension: chosen
        for dimension in _keys(spoken, lambda claims: claims.prices)
        if (chosen := choose(f"prices.{dimension}", _priced(first, spoken, dimension))) is not None
    }
    capabilities = {
        capability: chosen
        for capability in Capability
        if (chosen := choose(f"capabilities.{capability}", _said(first, spoken, capability)))
        is not None
    }
    return Entry(
        facts=ModelFacts(
            id=model_id,
            provider=provider,
            context_window=window,
            max_input_tokens=max_input,
            max_output_tokens=max_output,
            served=choose("served", _stated(first, spoken, lambda claims: claims.served)),
            prices=prices,
            capabilities=capabilities,
            lifecycle=choose("lifecycle", _stated(stages, spoken, lambda c: c.lifecycle)),
            deprecated_at=choose(
                "deprecated_at", _stated(stages, spoken, lambda c: c.deprecated_at)
            ),
            retires_at=choose("retires_at", _stated(stages, spoken, lambda c: c.retires_at)),
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

    for field in _SINGLE:
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


def _priced(
    first: tuple[str, ...], spoken: Mapping[str, Spoken], dimension: str
) -> list[Sourced[Any]]:
    return _stated((*first, *PRICES_ORDER), spoken, lambda claims: claims.prices.get(dimension))


def _said(
    first: tuple[str, ...], spoken: Mapping[str, Spoken], capability: Capability
) -> list[Sourced[bool]]:
    """Return explicit claims first, then the weak "no" of sources that leave it out."""
    order = (*first, *CAPABILITIES_ORDER)
    explicit = _stated(order, spoken, lambda c: c.capabilities.get(capability))
    left_out = _stated(order, spoken, lambda c: False if capability in c.unlisted else None)
    return explicit + left_out
