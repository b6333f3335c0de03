"""What a client may use and see of the models, routes and aliases that there are.

What a permit means is ``core.permits``' business; here it is held against the world as it is now,
and remembered, since every request asks. A key with a budget may use no model of unknown price:
nobody could say when its money is gone.
"""

from collections.abc import Sequence
from typing import Final

from gatewayctl.core.allowance import NO_LIMITS, Limits
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.permits import Permit
from gatewayctl.core.pricing import cost
from gatewayctl.core.routing.world import World

EVERYTHING: Final = Permit()

_REMEMBERED: Final = 1024
_TOLD: Final = 10
"""How many of its patterns a client is told."""


class Permitted:
    """Answers for one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._version: object = None
        self._behind: dict[tuple[Permit, str], frozenset[str]] = {}

    def models(self, permit: Permit, name: str) -> frozenset[str]:
        """Return the full ids of the models that may answer to a name, none for an unknown one."""
        version = self._world.version
        if version is not self._version or len(self._behind) >= _REMEMBERED:
            self._version = version
            self._behind.clear()
        key = (permit, name)
        found = self._behind.get(key)
        if found is None:
            found = self._behind[key] = permit.behind(name, self._world)
        return found

    def priced(self, full_id: str) -> bool:
        """Tell whether it is known what a model costs."""
        provider, _, model = full_id.partition("/")
        facts = self._world.facts(provider, model)
        return facts is not None and cost(facts.prices, 1, 1) is not None


class Client:
    """Who asks: ``name`` is its key's. The operator is this machine's own command line."""

    def __init__(
        self,
        name: str,
        permitted: Permitted,
        *,
        permit: Permit = EVERYTHING,
        limits: Limits = NO_LIMITS,
        operator: bool = False,
    ) -> None:
        self.name = name
        self.limits = limits
        self.operator = operator
        self._permit = permit
        self._permitted = permitted

    def barred(self, model: str, names: Sequence[str]) -> str | None:
        """Say why it may not use a model (full id), None if it may.

        ``names`` are what was asked for and the route that it leads to.
        """
        permit = self._permit
        if permit.patterns and not any(
            model in self._permitted.models(permit, name) for name in names
        ):
            return f'the client key "{self.name}" may not use it'
        if self.limits.budgets and not self._permitted.priced(model):
            return (
                f'its price is unknown, and the client key "{self.name}" has a budget: set prices '
                "for it in [[models]], or use a key without a budget"
            )
        return None

    def sees(self, name: str) -> bool:
        """Tell whether it may know of a model, a route or an alias: it may use some of it."""
        return self.behind(name) != frozenset()

    def behind(self, name: str) -> frozenset[str] | None:
        """Return the full ids of the models that it may use by a name, None where that is all."""
        if not self._permit.patterns and not self.limits.budgets:
            return None
        found = self._permitted.models(self._permit, name)
        if not self.limits.budgets:
            return found
        return frozenset(each for each in found if self._permitted.priced(each))

    def forbidden(self, asked: str) -> ApiError | None:
        """Refuse a name that its patterns do not allow, None where they do or there is no such."""
        patterns = self._permit.patterns
        if not patterns or self._permitted.models(self._permit, asked):
            return None
        if not self._permitted.models(EVERYTHING, asked):
            return None
        told = ", ".join(patterns[:_TOLD]) + (", …" if len(patterns) > _TOLD else "")
        return ApiError(
            kind=ErrorKind.FORBIDDEN,
            message=f'the client key "{self.name}" may not use "{asked}"; it may use {told}',
            param="model",
            should_retry=False,
            details={"requested": asked, "client": self.name, "models": list(patterns)},
        )
