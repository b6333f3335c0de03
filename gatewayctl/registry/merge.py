"""Whom to believe, field by field, when several sources speak of one model.

The order per field is data here: the provider's own listing, then the tables in the order of the
field; the user's own figures come over everything as an overlay. How a source is read is
``sources/``' business; what is served is passed on as its own field, since it caps whatever else is
said (see ``core.fit``), and so does what was learned at run time, which is not merged here.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from gatewayctl.core.model import Capability, ModelFacts, Sourced, layered
from gatewayctl.core.pricing import rate_key
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.following import same_price, with_hours_of_prices, with_long_writes

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
    merging = _Merging(spoken, own)
    window, max_input, max_output = merging.limits()
    facts = with_hours_of_prices(
        ModelFacts(
            id=model_id,
            provider=provider,
            context_window=window,
            max_input_tokens=max_input,
            max_output_tokens=max_output,
            served=merging.stated("served", (), lambda claims: claims.served),
            truncates=any(said.claims.truncates for said in spoken.values()),
            prices=with_long_writes(model_id, merging.prices()),
            off_peak=merging.stated("off_peak", PRICES_ORDER, lambda claims: claims.off_peak),
            capabilities=merging.capabilities(),
            lifecycle=merging.stated("lifecycle", RETIREMENT_ORDER, lambda c: c.lifecycle),
            deprecated_at=merging.stated(
                "deprecated_at", RETIREMENT_ORDER, lambda c: c.deprecated_at
            ),
            retires_at=merging.stated("retires_at", RETIREMENT_ORDER, lambda c: c.retires_at),
        )
    )
    return Entry(facts=facts, others=merging.others)


class _Merging:
    """One model's merge: field after field is chosen, and what is not chosen is kept."""

    def __init__(self, spoken: Mapping[str, Spoken], own: str | None) -> None:
        self.others: dict[str, tuple[Sourced[Any], ...]] = {}
        self._spoken = spoken
        self._first = () if own is None else (own,)

    def limits(self) -> tuple[Sourced[int] | None, Sourced[int] | None, Sourced[int] | None]:
        """Return the window, the most input and the most output."""
        windows = self._said(LIMITS_ORDER, lambda claims: claims.context_window)
        inputs = self._said(LIMITS_ORDER, lambda claims: claims.max_input_tokens)
        outputs = self._said(LIMITS_ORDER, lambda claims: claims.max_output_tokens)
        window = self._choose("context_window", windows or _totals(inputs))
        size = window.value if window is not None else None
        # Without any window nothing contradicts an output limit.
        doubtful = OUTPUT_MAY_BE_TOTAL if size is not None else frozenset[str]()
        return (
            window,
            self._choose("max_input_tokens", *_split(inputs, INPUT_MAY_BE_TOTAL, size)),
            self._choose("max_output_tokens", *_split(outputs, doubtful, size)),
        )

    def prices(self) -> dict[str, Sourced[Decimal]]:
        """Return the price of every rate that any source knows, those of tiers and steps last.

        They stand beside a base price, and are another price list's where the source's base price
        is not the one believed.
        """
        keys = {key: rate_key(key) for said in self._spoken.values() for key in said.claims.prices}
        found: dict[str, Sourced[Decimal]] = {}
        for key, rate in sorted(keys.items(), key=lambda it: (it[1].tier, it[1].step)):
            said = self._said(PRICES_ORDER, _price_of(key))
            if (rate.tier or rate.step) and (base := found.get(rate.dimension)) is not None:
                said = [each for each in said if self._agrees(each.source, rate.dimension, base)]
            if (chosen := self._choose(f"prices.{key}", said)) is not None:
                found[key] = chosen
        return found

    def _agrees(self, source: str, dimension: str, base: Sourced[Decimal]) -> bool:
        """Tell whether a source has the believed base price of a dimension, or none."""
        own = self._spoken[source].claims.prices.get(dimension)
        return own is None or same_price(own, base.value)

    def capabilities(self) -> dict[Capability, Sourced[bool]]:
        """Return what is known: explicit claims first, then the weak "no" of what is left out."""
        named = {
            capability
            for said in self._spoken.values()
            for capability in (*said.claims.capabilities, *said.claims.unlisted)
        }
        found = {}
        for capability in filter(named.__contains__, Capability):
            said = self._said(CAPABILITIES_ORDER, _explicit(capability))
            said += self._said(CAPABILITIES_ORDER, _left_out(capability))
            if (chosen := self._choose(f"capabilities.{capability}", said)) is not None:
                found[capability] = chosen
        return found

    def stated(
        self, field: str, tables: Sequence[str], of: Callable[[Claims], T | None]
    ) -> Sourced[T] | None:
        """Return a field of which everybody's first word counts, in the order of belief."""
        return self._choose(field, self._said(tables, of))

    def _said(self, tables: Sequence[str], of: Callable[[Claims], T | None]) -> list[Sourced[T]]:
        """Return what the provider, then the tables, say of one field."""
        return [
            Sourced(value=value, source=name, fetched_at=said.fetched_at)
            for name in (*self._first, *tables)
            if (said := self._spoken.get(name)) is not None
            and (value := of(said.claims)) is not None
        ]

    def _choose(
        self, field: str, believed: Sequence[Sourced[T]], doubted: Sequence[Sourced[T]] = ()
    ) -> Sourced[T] | None:
        rest = (*believed[1:], *doubted)
        if rest:
            self.others[field] = rest
        return believed[0] if believed else None


def overlay(entry: Entry | None, own: ModelFacts) -> Entry:
    """Put the user's own facts over what the sources say; unsaid fields keep the sources'."""
    if entry is None:
        return Entry(facts=with_hours_of_prices(own))
    theirs, others = _without_other_lists(entry.facts, own), dict(entry.others)
    for key in entry.facts.prices.keys() - theirs.prices.keys():
        others.pop(f"prices.{key}", None)

    def displaced(field: str, mine: object, their: Sourced[Any] | None) -> None:
        if mine is not None and their is not None:
            others[field] = (their, *others.get(field, ()))

    for field in _SINGLE:
        displaced(field, getattr(own, field), getattr(theirs, field))
    for dimension, price in theirs.prices.items():
        displaced(f"prices.{dimension}", own.prices.get(dimension), price)
    for capability, able in theirs.capabilities.items():
        displaced(f"capabilities.{capability}", own.capabilities.get(capability), able)
    return Entry(facts=with_hours_of_prices(layered(own, theirs)), others=others)


def _without_other_lists(theirs: ModelFacts, own: ModelFacts) -> ModelFacts:
    """Leave out tiers' and steps' prices beside a base price that the user says otherwise.

    They are of a price list that is not the user's. Who says that input or output is free means
    all of it: what is cached is input as well.
    """

    def stands(key: str) -> bool:
        rate = rate_key(key)
        side = own.prices.get("output" if "output" in rate.dimension else "input")
        if side is not None and not side.value:
            return False
        mine, their = own.prices.get(rate.dimension), theirs.prices.get(rate.dimension)
        if mine is None or not (rate.tier or rate.step):
            return True
        return their is not None and same_price(mine.value, their.value)

    kept = {key: it for key, it in theirs.prices.items() if key in own.prices or stands(key)}
    return msgspec.structs.replace(theirs, prices=kept)


def _price_of(key: str) -> Callable[[Claims], Decimal | None]:
    return lambda claims: claims.prices.get(key)


def _explicit(capability: Capability) -> Callable[[Claims], bool | None]:
    return lambda claims: claims.capabilities.get(capability)


def _left_out(capability: Capability) -> Callable[[Claims], bool | None]:
    return lambda claims: False if capability in claims.unlisted else None


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
