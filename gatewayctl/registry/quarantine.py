"""Whether a source's new table is believed beside the one before. Pure.

A server of the user's own is believed whatever it lists: models come and go there, and another
window is what somebody set.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from gatewayctl.config.hosts import is_near
from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import SourceSettings
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.table import Part, claims_of

_LEAST_MODELS = 0.5
_MOST_SHRUNK = 0.05
_SHRUNK_TO = 0.1


_COMPATIBLE = "compatible"


def is_own_server(settings: SourceSettings) -> bool:
    """Tell whether a source is the listing of a server of the user's own.

    By the API it speaks; of one that many servers speak, by where it runs: on this machine or in a
    private network.
    """
    if settings.listing == _COMPATIBLE:
        return is_near(urlsplit(settings.url).hostname or "")
    kind = kinds().get(settings.listing)
    return kind is not None and kind.local


def doubtful(new: Mapping[str, Claims], previous: Part | None) -> str | None:
    """Say why a new table is not to be believed beside the previous one; None if it is."""
    if not new:
        return "it has no model that can be read"
    if previous is None:
        return None
    before = len(previous.models)
    if len(new) < before * _LEAST_MODELS:
        return f"it has {len(new)} models, fewer than half of the {before} before"
    known = {
        model_id: size
        for model_id, cell in previous.models.items()
        if (size := _window(claims_of(cell)))
    }
    # A limit that a listed model has lost counts as one that went to 0.
    shrunk = [
        model_id
        for model_id, size in known.items()
        if model_id in new and (_window(new[model_id]) or 0) <= size * _SHRUNK_TO
    ]
    if len(shrunk) > len(known) * _MOST_SHRUNK:
        return (
            f"the windows of {len(shrunk)} models ({shrunk[0]}, …) are a tenth of what they were "
            f"or less, more than 5 % of the {len(known)} known before"
        )
    return None


def _window(claims: Claims) -> int | None:
    return claims.context_window or claims.max_input_tokens
