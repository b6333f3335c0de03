"""The usage ledger: what the event loop tells it is on record, whatever happens next.

``record`` hands records to the kernel in one write and returns; a thread of the ledger's own
(``keeper``) folds them into SQLite. Neither a full disk nor a broken database ever reaches a
request: the ledger degrades, says so, and counts what it loses. What the records mean is in
``records``, reading them back in ``history``.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec

from gatewayctl.storage import journal
from gatewayctl.storage.intake import Intake
from gatewayctl.storage.keeper import Keeper, Undecided
from gatewayctl.storage.records import Record

_PATIENCE: Final = 10.0
"""Seconds that closing may take."""
_MOST_DECISIONS: Final = 200
"""How many decisions wait to be rendered: there are two rounds a second, and each takes a while."""


class LedgerState(msgspec.Struct, frozen=True, kw_only=True):
    """How the ledger fares.

    ``bytes``: of its files, as of its last round. ``pending``: records not in the database yet.
    ``lost``: records that will never be, since the daemon started. ``last_written``: seconds since
    1970. ``degraded``: what is wrong, and what that costs.
    """

    path: str
    bytes: int
    pending: int
    lost: int
    last_written: float | None
    degraded: str | None


class Ledger:
    """Use ``Ledger.open``. All but ``open`` is called from one thread, the event loop's."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._intake = Intake()
        self._decisions: deque[Undecided] = deque(maxlen=_MOST_DECISIONS)
        self._noted: list[Record] = []
        self._keeper = Keeper(folder, clock, self._intake, self._decisions)

    @classmethod
    def open(cls, folder: Path, clock: Callable[[], float]) -> Self:
        """Open the ledger of a state folder, and recover what killed daemons left there.

        Blocks, so it comes before the loop serves. ``clock`` returns seconds since 1970 (UTC). No
        state of the folder makes it fail: see ``degraded``.
        """
        ledger = cls(folder, clock)
        ledger._keeper.start()
        ledger._intake.go_on()
        return ledger

    def record(self, *records: Record) -> None:
        """Put records on record, in this order, all or none of them at a kill. Never raises.

        When it returns the kernel has them, and what was noted before, unless the ledger is
        degraded.
        """
        if self._noted:
            records = (*self._noted, *records)
            self._noted = []
        try:
            frame = journal.framed(records)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
            self._record_singly(records)
            return
        self._add(frame, len(records))

    def note(self, *records: Record) -> None:
        """Put records on record as soon as the loop has done what it is at: at once for a person.

        Every call of the kernel costs a tenth of a request, so it is given many at a time.
        """
        if not self._noted:
            asyncio.get_running_loop().call_soon(self._write_noted)
        self._noted += records

    def _write_noted(self) -> None:
        if self._noted:
            self.record()

    def _record_singly(self, records: tuple[Record, ...]) -> None:
        """Keep those that can be written, where one cannot."""
        for record in records:
            try:
                frame = journal.framed((record,))
            except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
                self._intake.records += 1
                self._intake.lost += 1
            else:
                self._add(frame, 1)

    def _add(self, frame: bytes, records: int) -> None:
        self._intake.add(frame, records)
        wake = self._keeper.wake
        if not wake.is_set():
            wake.set()

    def decided(self, request: str, render: Callable[[], bytes]) -> None:
        """Keep a request's decision as JSON; ``render`` is called later, in the ledger's thread.

        It is lost when the process is killed before, and the oldest ones are when too many wait.
        """
        self._decisions.append((request, self._clock(), render))
        self._keeper.wake.set()

    @property
    def instance(self) -> str:
        """What its records are marked with: no other run of a daemon has the same."""
        return self._keeper.instance

    @property
    def degraded(self) -> str | None:
        """What is wrong, in one line that names the file and says what that costs so far.

        None while all is well. Counts in it are rounded; exact ones are in ``state()``.
        """
        return self._keeper.degraded

    @property
    def lost(self) -> int:
        """How many records will never be in the database, since the daemon started."""
        return self._keeper.all_lost

    def state(self) -> LedgerState:
        """Return how it fares, without looking at the disk."""
        keeper, intake = self._keeper, self._intake
        return LedgerState(
            path=str(keeper.path),
            bytes=keeper.bytes,
            pending=max(0, intake.records - intake.lost - keeper.settled),
            lost=self.lost,
            last_written=keeper.last_written,
            degraded=keeper.degraded,
        )

    async def close(self) -> None:
        """Fold what is left, and remove the journal; what is recorded afterwards is lost."""
        self._write_noted()
        if self._intake.closed:
            return
        self._intake.closed = True
        await asyncio.to_thread(self._keeper.stop, _PATIENCE)
