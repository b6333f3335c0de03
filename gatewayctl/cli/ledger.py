"""The ledger as commands read it: whole, whether a daemon writes it, was killed, or never ran."""

import time
from pathlib import Path

from gatewayctl.cli import render
from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import history, lag
from gatewayctl.storage.files import may_write, usual_state_folder
from gatewayctl.storage.recovery import recover

_PATIENCE = 1.5
"""Seconds to wait for what a daemon has in its journal, and not in the database yet."""
_STEP = 0.05


def folder() -> Path:
    """Return where the ledger is, with all in it that daemons have written down by now."""
    folder = usual_state_folder()
    try:
        recover(folder)
    except StorageFailed as error:
        history.latest(folder)  # where it cannot be read either, that is what is said
        render.tell(str(error))
    else:
        _catch_up(folder)
    return folder


def _catch_up(folder: Path) -> None:
    """Let daemons that live bring in what they have: a reply's request is asked for at once."""
    ends = lag.written(folder)
    until = time.monotonic() + _PATIENCE
    while lag.is_behind(folder, ends) and time.monotonic() < until:
        time.sleep(_STEP)


def tell_none(folder: Path, *, filtered: bool) -> None:
    """Say that there is nothing, and why that may be."""
    if filtered and history.requests(folder, limit=1):
        render.tell("no request in the ledger is one of these")
        return
    where = f"the daemon keeps it in {folder}"
    if not may_write(folder):
        where += ", where you may write nothing: a daemon of yours could record nothing there"
    render.tell(f"no request is in the ledger yet; {where}")
