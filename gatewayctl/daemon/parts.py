"""What every request is attempted with, put together once by ``composition``."""

from collections.abc import Callable

import msgspec

from gatewayctl.config.settings import Settings
from gatewayctl.daemon.background import Background
from gatewayctl.daemon.books import Ledger
from gatewayctl.daemon.clients import Clients
from gatewayctl.daemon.health import Board
from gatewayctl.daemon.learning import Learner
from gatewayctl.daemon.outlet import SILENCE
from gatewayctl.daemon.planning import Planned, Planner
from gatewayctl.daemon.status import Degradable
from gatewayctl.daemon.trying import Tries
from gatewayctl.daemon.turns import Turns


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What every request is attempted with. ``chance`` returns 64 random bits."""

    settings: Settings
    planner: Planner
    tries: Tries
    board: Board
    ledger: Ledger
    learner: Learner
    turns: Turns
    clients: Clients
    quotas: Degradable
    logins: Degradable
    background: Background
    chance: Callable[[], int]
    silence: float = SILENCE

    def degraded(self, planning: Planned | Planner) -> str | None:
        """Say what falls short in answering a request, None when nothing does."""
        parts = (planning, self.ledger, self.learner, self.clients, self.quotas, self.logins)
        short = [said for each in parts if (said := each.degraded) is not None]
        return "; ".join(short) or None
