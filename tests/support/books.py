"""What a gateway's ledger says, once it is written down."""

from pathlib import Path

from support.waiting import until

from gatewayctl.storage import history
from gatewayctl.storage.history import LoggedRequest


async def logged(state: Path, request_id: str) -> LoggedRequest:
    """Return a request of the ledger in ``state``, once it and its decision are written down."""
    found: list[LoggedRequest] = []

    def ended() -> bool:
        read = history.request(state, request_id)
        if isinstance(read, LoggedRequest) and read.outcome is not None and read.decision:
            found.append(read)
        return bool(found)

    await until(ended)
    return found[0]
