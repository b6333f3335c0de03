"""What one source says about its models, field by field, before anything is decided.

Pure values and the checks that every source's figures pass. Which source is believed is
``registry.merge``'s business; how a source spells its figures is its parser's in ``sources/``.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Protocol

import msgspec

from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Capability
from gatewayctl.core.pricing import MOST_PRICE, rate_key

# Far beyond any real window; keeps a hostile 1e999999999 from becoming a huge integer.
_MAX_TOKENS = 1_000_000_000
# Tables write prices as sums of floats, 0.060000000000000005: what is more than this is noise.
_PRICE_DIGITS = Context(prec=12)


class Claims(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """One source's statements about one model at one provider; None or missing is "not said".

    Limits are tokens, prices USD per million tokens by rate key (``core.pricing``), ``retires_at``
    and ``deprecated_at`` dates. ``unlisted`` holds what a source leaves out of a list that it means
    to be complete: a weak "no", which every explicit claim outranks. ``served`` is the window that
    a server runs the model with now, which caps every other; ``alias_of`` the id, at the same
    provider, of the model that this name leads to; ``lifecycle`` the provider's word for where the
    model stands (``"active"``, ``"deprecated"``). ``truncates``: the server cuts what does not fit,
    and says nothing. ``off_peak`` are the hours at which the prices of the tier of this name hold.
    """

    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    prices: Mapping[str, Decimal] = {}
    capabilities: Mapping[Capability, bool] = {}
    unlisted: tuple[Capability, ...] = ()
    retires_at: str | None = None
    served: int | None = None
    alias_of: str | None = None
    lifecycle: str | None = None
    deprecated_at: str | None = None
    truncates: bool = False
    off_peak: Hours | None = None


class SourceTable(msgspec.Struct, frozen=True, kw_only=True):
    """A source's whole table: claims by ``provider/model``, and how many entries were left out.

    ``skipped`` counts by reason, so that parsed and skipped entries add up to all there were.
    """

    models: Mapping[str, Claims]
    skipped: Mapping[str, int] = {}


class Parse(Protocol):
    """How a source's bytes become its table.

    ``names`` maps the source's provider names to ours where they differ; an empty name leaves
    that provider out. Raises SourceFailed when the bytes are no JSON object.
    """

    def __call__(self, body: bytes, names: Mapping[str, str]) -> SourceTable:
        """Parse a whole listing."""
        ...


def tokens(value: object) -> int | None:
    """Return a limit in tokens; None where it is missing, 0, not whole or beyond belief."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if not 0 < value <= _MAX_TOKENS:
        return None
    return int(value) if value == int(value) else None


def price(value: object, *, per: int = 1_000_000) -> Decimal | None:
    """Return USD per million tokens from a price for ``per`` tokens; None where it is not a price.

    0 is a price (a free model); negative figures stand for "depends" in some tables, and what is
    more than ``MOST_PRICE`` is a slip.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if not 0 <= value <= MOST_PRICE:  # before any arithmetic: exponents may be of any size
        return None
    amount = plain(Decimal(value) * 1_000_000 / per)
    return amount if amount <= MOST_PRICE else None


def plain(amount: Decimal) -> Decimal:
    """Return a price without noise, zeros behind its point or an exponent."""
    exact = _PRICE_DIGITS.plus(amount)
    return exact.quantize(Decimal(1)) if exact == exact.to_integral_value() else exact.normalize()


def stated_prices(found: Mapping[str, Decimal | None]) -> dict[str, Decimal]:
    """Drop what is not stated: None, and zeros beside a model that is not free.

    Tables write 0 where they know no separate price for cached or audio tokens; taken as a price
    it would bill them as free. At a tier or a step input and output are free only if they are
    without.
    """
    paid = (found.get("input") or 0) > 0 or (found.get("output") or 0) > 0
    return {
        key: amount
        for key, amount in found.items()
        if amount is not None and (amount > 0 or not paid or _may_be_free(key, found))
    }


def _may_be_free(key: str, found: Mapping[str, Decimal | None]) -> bool:
    dimension = rate_key(key).dimension
    return dimension in {"input", "output"} and not found.get(dimension)
