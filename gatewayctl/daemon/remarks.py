"""The headers by which a reply says what became of its request: what was left out, what it cost.

Who answered, and after how many attempts, every reply says: ``replies.own_headers``.
"""

from decimal import Decimal
from typing import Final

from gatewayctl.core.learning import Truncation
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.replies import header
from gatewayctl.daemon.sending import Sent

TRUNCATED: Final = "x-gatewayctl-truncated"
"""The header of a reply whose upstream counted fewer tokens than there were."""

DROPPED: Final = "x-gatewayctl-dropped"
"""The header that names what a translation left out of the request."""

TRANSLATED: Final = "x-gatewayctl-translated"
"""The header that says between which protocols a request was translated."""

COST: Final = "x-gatewayctl-cost"
"""The header that says what a whole reply cost in USD, with all attempts that led to it."""

_LONGEST_DROPPED: Final = 2048


def about(asked: Asked, sent: Sent) -> dict[str, str]:
    """Return the headers that tell of a translation, and of what was left out."""
    told = {}
    if sent.context is not None:
        told[TRANSLATED] = f"{asked.codec.protocol} to {sent.codec.protocol}"
    if sent.dropped:
        told[DROPPED] = header(", ".join(sent.dropped)[:_LONGEST_DROPPED])
    return told


def truncated(truncation: Truncation) -> dict[str, str]:
    """Return the header that warns of an upstream which cut the input."""
    return {TRUNCATED: f"{truncation.metered} of at least {truncation.low} tokens of input"}


def cost_of(cost: Decimal | None) -> dict[str, str]:
    """Return the header that says a cost in USD, none where it is unknown."""
    return {} if cost is None else {COST: f"{cost.normalize():f}"}
