"""One planning at work: the request and what is asked about it only once.

Whoever judges a place takes this along; nothing here judges.
"""

from gatewayctl.core.model import EstimatorSettings
from gatewayctl.core.routing.decision import Barred, Estimate
from gatewayctl.core.routing.world import Context


class Planning:
    """What every judgement of one planning shares.

    ``needs_sizes`` is set by whoever made something depend on how large the request is. Where
    ``sizes_only`` is set, a model is barred by nothing but its size.
    """

    def __init__(self, context: Context, *, sizes_only: bool = False) -> None:
        self.sizes_only = sizes_only
        self.request = context.request
        self.shape = context.request.shape
        self.session = context.request.session
        self.at = context.request.at
        self.needs_sizes = False
        self._world = context.world
        self._asked = context.asked
        self._standing = context.request.standing
        self._estimator = context.estimator
        self._estimates: dict[int, Estimate] = {}
        self._keys: dict[str, bool] = {}

    def estimate(self, settings: EstimatorSettings) -> Estimate:
        """Return the size of the request; settings are told apart as objects, not by value."""
        key = id(settings)
        found = self._estimates.get(key)
        if found is None:
            found = self._estimates[key] = self._estimator(settings)
        return found

    def barred(self, provider: str, model: str) -> Barred | None:
        """Return why the client may not use a model, or nobody can, as far as credentials go."""
        if self._standing is None:
            return None
        return self._standing.barred(self._asked, provider, model)

    def has_key(self, provider: str) -> bool:
        """Tell whether a credential for the provider is at hand."""
        found = self._keys.get(provider)
        if found is None:
            found = self._keys[provider] = self._world.has_key(provider)
        return found
