"""Money of the ledger, which counts pico-dollars, as people and programs read it."""

from decimal import Decimal

from gatewayctl.cli import render


def usd(pico: int) -> Decimal:
    """Return pico-dollars as US dollars, exactly and without needless zeros."""
    exact = Decimal(pico).scaleb(-12)
    return exact.quantize(Decimal(1)) if exact == exact.to_integral_value() else exact.normalize()


def shown(pico: int | None) -> str:
    """Return pico-dollars as ``$0.0012``, to two digits that mean something."""
    return render.UNKNOWN if pico is None else f"${render.dollars(usd(pico))}"
