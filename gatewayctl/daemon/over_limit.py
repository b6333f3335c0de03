"""What a client is told that is over a limit of its key: which, and until when."""

from decimal import Decimal
from typing import Final

from gatewayctl.core.allowance import Over
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.periods import iso
from gatewayctl.core.pricing import PICO

LONG: Final = 60.0
"""Seconds from which a client is told not to wait: agents do not, and SDKs would ask too soon."""

SOON: Final = 5.0
"""Seconds after which to ask again where all that is in the way are calls under way."""


class NotAllowed(Exception):
    """A client may not do what it asks; ``error`` is what it is told.

    ``over`` is the limit that stands against it, None where it is something else.
    """

    def __init__(self, error: ApiError, over: Over | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.over = over


def limit(over: Over) -> str:
    """Return the limit as it is written."""
    return f"{over.rate} {over.limit}" if over.budget is None else f"budget {over.budget}"


def over_limit(name: str, over: Over, wall: float) -> ApiError:
    """Return what the client with the key ``name`` is told; ``wall`` is seconds since 1970."""
    ends, wait = over.retry_after, over.retry_after
    if over.under_way:
        wait = SOON if wait is None else min(wait, SOON)
    resets = None if ends is None else iso(wall + ends)
    details: dict[str, object] = {"client": name}
    if over.budget is None:
        said, why = _over_rate(over, resets)
        details |= {over.rate: over.limit}
    else:
        said, why = f"has a budget of ${over.budget}", _over_budget(over, resets)
        spent, reserved = over.spent / PICO, over.reserved / PICO
        details |= {"budget": str(over.budget), "spent": spent, "reserved": reserved}
    return ApiError(
        kind=ErrorKind.RATE_LIMITED,
        message=f'the client key "{name}" {said}: {why}',
        retry_after=wait,
        should_retry=wait is not None and wait <= LONG,
        exhausted=over.budget is not None and not over.under_way,
        details={**details, "resets_at": resets},
    )


def _over_rate(over: Over, resets: str | None) -> tuple[str, str]:
    what = "request" if over.rate == "rpm" else "token"
    said = f"may use {over.limit:,} {what}{'' if over.limit == 1 else 's'} a minute"
    if over.retry_after is None:
        return said, f"this request alone has {over.needed:,}, so that no waiting helps"
    used = f"{over.spent:,} were used in the last one"
    if over.under_way:
        return said, (
            f"{used} and {over.reserved:,} are reserved for calls under way; the next may come as"
            " soon as some of those end"
        )
    return said, f"{used}; the next may come in {over.retry_after:.1f} s, at {resets}"


def _over_budget(over: Over, resets: str | None) -> str:
    if over.needed > over.limit:
        alone = f"the input of this call alone costs up to {_usd(over.needed)}"
        return f"{alone}, so that no waiting helps: send less, or ask for a cheaper model"
    gone = f"{_usd(over.spent)} is spent"
    if over.reserved:
        gone += f" and {_usd(over.reserved)} reserved for calls under way"
    if over.under_way:
        return f"{gone}, so that this call does not fit before some of those end"
    until = "it is never reset" if resets is None else f"it is reset at {resets}"
    return f"{gone}, so that this call does not fit; {until}"


def _usd(amount: int) -> str:
    """Return pico-dollars to the hundredth of a cent, less than that to two digits."""
    exact = Decimal(amount).scaleb(-12)
    places = max(4, 1 - exact.adjusted()) if amount else 2
    return f"${exact:.{places}f}"
