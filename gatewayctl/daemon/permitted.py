"""What a client may use and see of the models, routes and aliases that there are.

What a permit means is ``core.permits``' business; here it is held against the world as it is now,
and remembered, since every request asks. A key with a budget may use no model of unknown price:
nobody could say when its money is gone.
"""

from typing import Final

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.permits import Permit
from gatewayctl.core.pricing import cost
from gatewayctl.core.routing.world import World
from gatewayctl.daemon.clients import Client

_REMEMBERED: Final = 1024
_TOLD: Final = 10
"""How many of its patterns a client is told."""

_Key = tuple[Permit, str, WireProtocol]


class Permitted:
    """Answers for one world. A client of None may use everything, as the operator may."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._version: object = None
        self._behind: dict[_Key, frozenset[str]] = {}

    def barred(
        self, client: Client | None, asked: str, full_id: str, protocol: WireProtocol
    ) -> str | None:
        """Say why a client may not use a model for a request for ``asked``, None if it may."""
        if client is None:
            return None
        if client.permit.patterns and full_id not in self._models(client.permit, asked, protocol):
            return f'the client key "{client.name}" may not use it'
        if client.limits.budgets and not self._priced(full_id):
            return (
                f'its price is unknown, and the client key "{client.name}" has a budget: set '
                "prices for it in [[models]], or use a key without a budget"
            )
        return None

    def sees(self, client: Client | None, name: str) -> bool:
        """Tell whether a client may know of a model, a route or an alias."""
        if client is None or not client.permit.patterns:
            return True
        return bool(self._models(client.permit, name, WireProtocol.CHAT_COMPLETIONS))

    def forbidden(
        self, client: Client | None, asked: str, protocol: WireProtocol
    ) -> ApiError | None:
        """Refuse a name of which a client may use nothing, None where it may or there is none."""
        if client is None or not client.permit.patterns:
            return None
        if self._models(client.permit, asked, protocol):
            return None
        if not Permit().behind(asked, self._world, protocol):
            return None  # a name that means nothing: who plans says so
        patterns = client.permit.patterns
        told = ", ".join(patterns[:_TOLD]) + (", …" if len(patterns) > _TOLD else "")
        return ApiError(
            kind=ErrorKind.FORBIDDEN,
            message=f'the client key "{client.name}" may not use "{asked}"; it may use {told}',
            param="model",
            should_retry=False,
            details={"requested": asked, "client": client.name, "models": list(patterns)},
        )

    def _models(self, permit: Permit, name: str, protocol: WireProtocol) -> frozenset[str]:
        version = self._world.version
        if version is not self._version or len(self._behind) >= _REMEMBERED:
            self._version = version
            self._behind.clear()
        key = (permit, name, protocol)
        found = self._behind.get(key)
        if found is None:
            found = self._behind[key] = permit.behind(name, self._world, protocol)
        return found

    def _priced(self, full_id: str) -> bool:
        provider, _, model = full_id.partition("/")
        facts = self._world.facts(provider, model)
        return facts is not None and cost(facts.prices, 1, 1) is not None
