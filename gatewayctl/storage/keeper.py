"""The ledger's thread: folds what was taken in into the database, in batches, and mends itself.

Whatever is wrong with the folder or the database, it says so in one sentence, logs it once, and
tries again at its next round. What the event loop does is in ``intake``; recovering what others
left is in ``recovery``.
"""

import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files, journal, losses, recovery, sqlite, tables
from gatewayctl.storage.database import Database
from gatewayctl.storage.intake import Intake, Memory, Source, frames_of
from gatewayctl.storage.journal import Chunk, Lock, Segment
from gatewayctl.storage.worker import Worker

log = logging.getLogger("gatewayctl.ledger")

Undecided = tuple[str, float, Callable[[], bytes]]
"""A request, when it was decided on, and what renders the decision."""

DECISIONS_KEPT: Final = 30 * 86400.0
"""Seconds after which a decision is deleted."""
MOST_DECISIONS: Final = 50_000
"""How many decisions are kept: one takes 1 to 7 KB, and they are to explain what was just done."""
_PRUNED_AT_ONCE: Final = 500
_PRUNE_EVERY: Final = 60.0
_DECIDED_AT_ONCE: Final = 200
_PAUSE: Final = 0.5
"""Seconds between two rounds while records come in; they wait no longer for the database."""
_IDLE: Final = 5.0
"""Seconds between two rounds while none do: to see that the folder is still there."""
_IN_A_ROW: Final = 64
"""How many frames are read without a breath: they take some 0.2 ms."""
_BREATH: Final = 0.00005
"""Seconds for which the event loop may have the interpreter for itself."""
_SEGMENT_BYTES: Final = 1024 * 1024


class Keeper:
    """Owns the database connection, the instance's lock and the segments' files."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float],
        intake: Intake,
        decisions: deque[Undecided],
    ) -> None:
        path = folder / tables.DATABASE
        self.settled = 0
        """How many records are in the tables or given up."""
        self.lost = 0
        self.bytes = 0
        self.last_written: float | None = None
        self._folder = folder
        self._clock = clock
        self._intake = intake
        self._decisions = decisions
        self._rendered: list[tuple[str, float, bytes]] = []
        self.instance = journal.new_instance()
        self._number = 0
        self._lock: Lock | None = None
        self._database = Database(path, tables.MIGRATIONS, clock, self._recover)
        self._next_prune = 0.0
        self._database_trouble: str | None = None
        self._journal_trouble: str | None = None
        self._recovery_trouble: str | None = None
        self._logged: str | None = None
        self._worker = Worker("gatewayctl-ledger", self._run, self._finish)
        self.path = path
        self.wake = self._worker.wake

    @property
    def degraded(self) -> str | None:
        """What is wrong, and about how many records it may cost; None while all is well."""
        trouble = self._trouble
        return trouble and losses.shown(trouble, self._intake.in_memory, self.all_lost)

    @property
    def all_lost(self) -> int:
        """How many records will never be in the database, since the daemon started."""
        return self.lost + self._intake.lost

    @property
    def _trouble(self) -> str | None:
        """What is wrong, in words that stay the same while it is."""
        return (
            self._database_trouble
            or self._journal_trouble
            or self._recovery_trouble
            or self._database.set_aside
        )

    def start(self) -> None:
        """Do a first round in the caller's thread, so that what can be ready is; then go on."""
        self._round()
        if (why := self._worker.start()) is not None:
            self._database_trouble = f"the ledger in {self._folder} has no thread: {why}"
            self._report()

    def stop(self, patience: float) -> None:
        """Fold what is left and end; blocks, at most about ``patience`` seconds."""
        if not self._worker.stop(patience):
            log.error(
                "the ledger did not end within %g s: its journal is kept,"
                " and up to %d record(s) in memory are lost",
                patience,
                self._intake.in_memory,
            )

    def _run(self) -> None:
        stopping = self._worker.stopping
        while not stopping.is_set():
            self.wake.wait(_PAUSE if self._database_trouble or self._journal_trouble else _IDLE)
            self.wake.clear()
            self._round()
            stopping.wait(_PAUSE)
        self._round()

    def _round(self) -> None:
        try:
            self._keep_journal()
            self._database_trouble = self._database.use(self._serve)
            self.bytes = sqlite.size(self.path) + sum(
                source.written
                for source in self._intake.sources.copy()
                if isinstance(source, Segment) and source.is_there()
            )
        except Exception:
            # Records of money must not end with a mistake of ours; the next round may do better.
            trouble = f"the ledger in {self._folder} failed in itself: see the log"
            if self._database_trouble != trouble:
                log.exception("the ledger failed in itself")
            self._database_trouble = trouble
        self._report()

    def _report(self) -> None:
        trouble = self._trouble
        if trouble == self._logged:
            return
        if trouble:
            log.error("ledger degraded: %s", trouble)
        else:
            lost = self.all_lost
            log.info("ledger works again in %s; %d record(s) lost so far", self._folder, lost)
        self._logged = trouble

    def _keep_journal(self) -> None:
        """Have a segment ready where the loop needs a new one."""
        intake = self._intake
        try:
            self._keep_lock()
            with contextlib.suppress(IndexError):  # none is ready, or the loop took it just now
                if not intake.ready[0].is_there():
                    intake.ready.popleft().close(remove=False)
            if not intake.ready and _is_used_up(intake.sources[-1]):
                self._number += 1
                intake.ready.append(Segment(self._folder, self.instance, self._number))
        except (OSError, StorageFailed) as error:
            self._journal_trouble = (
                f"cannot write the journal in {self._folder}: {files.reason(error)};"
                " a kill would lose records"
            )
        else:
            self._journal_trouble = None

    def _keep_lock(self) -> None:
        """Hold the lock that says this instance lives; others may have removed it."""
        if self._lock is not None and self._lock.is_there():
            return
        if self._lock is not None:
            self._lock.let_go(remove=False)
        self._lock = journal.hold(self._folder, self.instance)
        if self._lock is None:
            raise StorageFailed("another process holds the lock of this daemon")

    def _serve(self, connection: sqlite3.Connection) -> None:
        """Put into the database what waits for it."""
        self._fold(connection)
        self._decide(connection)
        self._prune(connection)

    def _recover(self, connection: sqlite3.Connection) -> None:
        """Bring into a database just opened what daemons that have ended left in their journals."""
        recovered = recovery.Recovered()
        try:
            recovery.recover_into(connection, self._folder, recovered, own=self.instance)
        finally:
            self.lost += recovered.lost
        self._recovery_trouble = recovered.trouble or self._recovery_trouble

    def _fold(self, connection: sqlite3.Connection) -> None:
        sources = self._intake.sources
        while True:
            source = sources[0]
            # asked before it is read: nothing is added to a source that has a successor
            finished = len(sources) > 1
            contents, chunk = frames_of(source)
            if contents:
                self._fold_some(connection, source, contents, chunk)
            elif finished:
                sources.popleft()
                self._retire(source)
            else:
                if isinstance(source, Segment) and chunk is not None:
                    source.damaged = chunk.damaged
                return

    def _fold_some(
        self,
        connection: sqlite3.Connection,
        source: Source,
        contents: list[bytes],
        chunk: Chunk | None,
    ) -> None:
        with sqlite.transaction(connection):
            count, lost = recovery.fold(connection, self.instance, self._yielding(contents))
            if isinstance(source, Segment) and chunk is not None:
                tables.set_folded(connection, self.instance, source.number, chunk.end)
        self.last_written = self._clock()
        self.settled += count
        self.lost += lost
        if isinstance(source, Memory):
            self._intake.from_memory += count
            self._intake.folded += source.drop()
        elif chunk is not None:
            self._intake.folded += chunk.end - source.position
            source.position = chunk.end
            source.folded += count

    def _yielding(self, contents: list[bytes]) -> Iterator[bytes]:
        """Return the frames, and let the event loop run between some and the next.

        Python alone would let the loop wait for milliseconds: only a sleep lets it in at once.
        """
        for number, content in enumerate(contents, 1):
            yield content
            if number % _IN_A_ROW == 0 and not self._worker.stopping.is_set():
                time.sleep(_BREATH)

    def _retire(self, source: Source) -> None:
        """Remove a segment that is folded as far as it can be read."""
        if isinstance(source, Memory):
            return
        unread = source.records - source.folded
        if unread:
            log.warning("%s is damaged: %d record(s) lost", source.path, unread)
            self._give_up(unread)
        self._intake.folded += source.written - source.position
        with contextlib.suppress(OSError):  # the tables know that it is folded
            source.close(remove=True)

    def _decide(self, connection: sqlite3.Connection) -> None:
        while self._decisions or self._rendered:
            while self._decisions and len(self._rendered) < _DECIDED_AT_ONCE:
                request, at, render = self._decisions.popleft()
                try:
                    self._rendered.append((request, at, render()))
                except Exception:
                    log.exception("the decision of %s cannot be rendered", request)
            with sqlite.transaction(connection):
                for request, at, body in self._rendered:
                    tables.decide(connection, request, at, body)
            self._rendered = []

    def _prune(self, connection: sqlite3.Connection) -> None:
        now = self._clock()
        if now < self._next_prune:
            return
        with sqlite.transaction(connection):
            before = now - DECISIONS_KEPT
            pruned = tables.prune_decisions(connection, before, MOST_DECISIONS, _PRUNED_AT_ONCE)
        if pruned < _PRUNED_AT_ONCE:
            self._next_prune = now + _PRUNE_EVERY

    def _finish(self) -> None:
        """Leave nothing behind but the database; what it did not take stays in the journal."""
        sources = [*self._intake.sources, *self._intake.ready]
        connection = self._database.connection
        done = self._database_trouble is None and connection is not None
        try:
            if done and connection is not None:
                for source in sources:
                    self._retire(source)
                sources = []
                with sqlite.transaction(connection):
                    tables.interrupt(connection, self.instance)
                    tables.forget_folded(connection, self.instance)
        except sqlite3.Error as error:
            self._database_trouble = self._database.said("cannot write", error)
            log.warning("the ledger's end is left to its next start: %s", error)
            done = False
        before, kept = self.all_lost, 0
        for source in sources:
            kept += self._leave(source)
        if self._lock is not None:
            self._lock.let_go(remove=done)
        self._database.close()
        self._report_end(before, kept)

    def _leave(self, source: Source) -> int:
        """Let go of a source; return how many records of it the next start will find."""
        if isinstance(source, Memory):
            while frames := source.read():
                self._give_up(sum(records for _, records in frames))
                source.drop()
            return 0
        left = source.records - source.folded
        there = source.is_there()
        with contextlib.suppress(OSError):
            source.close(remove=False)
        if not there:
            self._give_up(left)
        return left if there else 0

    def _give_up(self, records: int) -> None:
        self.lost += records
        self.settled += records

    def _report_end(self, before: int, kept: int) -> None:
        """Log what is lost, of which so much was ``before`` the end, and what is ``kept``."""
        if self.all_lost or kept:
            level = logging.ERROR if self.all_lost else logging.WARNING
            now, trouble = self.all_lost - before, self._trouble
            log.log(level, "%s", losses.at_the_end(self._folder, trouble, now, before, kept))


def _is_used_up(source: Source) -> bool:
    if isinstance(source, Memory):
        return True
    return source.damaged or source.written > _SEGMENT_BYTES or not source.is_there()
