"""What is left of each credential's quota, from the replies as they come; kept over a restart.

What headers say is read by ``upstream.quotas``, what follows from it is decided by ``core.quota``,
where it is kept is ``storage.quota``'s business. Here are the newest snapshots by label, the events
that tell of a change, and the tasks that write them and read what other processes wrote. Nothing
else waits.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol, Self, TypeVar

from multidict import MultiMapping

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.happened import Happened
from gatewayctl.core.periods import iso
from gatewayctl.core.quota import Snapshot, is_paid_beyond, newer, not_after, since, spent
from gatewayctl.storage import quota as storage
from gatewayctl.storage.quota import Kept, Record, Same
from gatewayctl.upstream import quotas as replies

log = logging.getLogger("gatewayctl.quotas")

T = TypeVar("T")

MOST_FORWARDED: Final = 1024
"""Clients' own credentials of which something is known; the one silent longest is forgotten."""

SOON: Final = 0.2
"""Seconds until a change that matters to routing is written …"""

LATER: Final = 5.0
"""… and until a figure is that merely moved, or what could not be written is tried again."""

LOOK: Final = 2.0
"""Seconds between two looks at whether another process has written something."""

Listener = Callable[[MultiMapping[str]], None]
"""Takes the headers of a reply."""


class Marks(Protocol):
    """Tells the credentials apart that one label stands for, one after another."""

    def of(self, label: str) -> str:
        """Return the mark of the credential that a label stands for now."""
        ...

    def matches(self, label: str, mark: str) -> bool:
        """Tell whether a mark, of another process perhaps, is that of this credential."""
        ...

    def fixed(self) -> Same:
        """Return ``matches`` as of now, for another thread."""
        ...


class Quotas:
    """The newest snapshot of each credential. Use within one event loop.

    Labels are ``PROVIDER``, ``PROVIDER#2`` and so on for the gateway's own credentials; one of a
    client's has a ``/`` and a keyed hash in it, and nothing of it is ever written. What was heard
    of a credential counts for that one alone: of another one, after a new login for instance,
    nothing is known. ``wall`` is seconds since 1970. ``open`` loads what an earlier process kept.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        folder: Path,
        marks: Marks,
        kept: Kept,
        degraded: str | None = None,
    ) -> None:
        self._wall = wall
        self._folder = folder
        self._marks = marks
        self._degraded = degraded
        self._own: OrderedDict[str, Record] = OrderedDict()
        self._forwarded: OrderedDict[str, Snapshot] = OrderedDict()
        self._forgotten: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._stamp: object = None
        for label, record in kept.credentials.items():
            if marks.matches(label, record.mark):
                self._own[label] = record

    @classmethod
    def open(cls, folder: Path, wall: Callable[[], float], marks: Marks) -> Self:
        """Load what a state folder keeps; blocks. What cannot be read is said, and left out."""
        degraded = None
        try:
            kept = storage.load(folder)
        except StorageFailed as error:
            degraded = f"quotas start unknown: {error}"
            log.warning("%s", degraded)
            kept = Kept()
        return cls(wall, folder, marks, kept, degraded)

    @property
    def degraded(self) -> str | None:
        """Say what is not kept and why, None when all is."""
        return self._degraded

    def hearing(self, label: str) -> Listener:
        """Return what takes in the headers of a reply to a request that is sent now.

        The label may stand for another credential by the time of the reply: nothing is heard then.
        """
        mark = self._marks.of(label)

        def heard(headers: MultiMapping[str]) -> None:
            snapshot = replies.read(headers, self._wall())
            if snapshot is not None and mark == self._marks.of(label):
                self.noted(label, snapshot)

        return heard

    def noted(self, label: str, snapshot: Snapshot) -> None:
        """Take in a snapshot; log ``quota_changed`` where the status or the gating changes."""
        if is_forwarded(label):
            before = self._forwarded.get(label)
            self._forwarded[label] = self._merged(label, before, snapshot)[0]
            _bounded(self._forwarded, label, MOST_FORWARDED)
            return
        after, changed = self._merged(label, self._known(label), snapshot)
        self._own[label] = Record(snapshot=after, mark=self._marks.of(label))
        _bounded(self._own, label, storage.MOST)
        self._changed.set()
        if changed:
            self._urgent.set()

    def spent(self, label: str) -> float | None:
        """Return until when (seconds since 1970) a credential is spent, None when it is not."""
        now = self._wall()
        if is_forwarded(label):
            return spent(self._forwarded.get(label), now)
        record = self._own.get(label)
        until = None if record is None else spent(record.snapshot, now)
        return until if until is not None and self._known(label) else None

    def is_paid_beyond(self, label: str) -> bool:
        """Tell whether its provider goes on serving a credential that is spent, for more money."""
        forwarded = self._forwarded.get(label)
        return is_paid_beyond(self._known(label) if forwarded is None else forwarded)

    def forget(self, label: str) -> bool:
        """Drop what is known of a credential, so that it is tried; tell whether there was any.

        A provider that resets early tells nobody.
        """
        if self._forwarded.pop(label, None) is not None:
            return True
        if self._own.pop(label, None) is None:
            return False
        log.info(Happened("quota_forgotten", {"credential": label}))
        self._forgotten[label] = self._wall()
        self._changed.set()
        self._urgent.set()
        return True

    def known(self) -> Mapping[str, Snapshot]:
        """Return the newest snapshot of each credential, by label."""
        own = {label: it for label in tuple(self._own) if (it := self._known(label))}
        return own | self._forwarded

    async def run(self) -> None:
        """Write what changed, soon and rarely, and read what others wrote, until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._writing(), name="writing quotas")
            both.create_task(self._reading(), name="reading quotas")

    async def look(self) -> None:
        """Take in what other processes wrote since the last look."""
        try:
            stamp = await asyncio.to_thread(storage.stamp, self._folder)
            if stamp == self._stamp:
                return
            kept = await asyncio.to_thread(storage.load, self._folder)
        except StorageFailed as error:
            log.debug("nothing is learned from other processes: %s", error)
            return
        self._stamp = stamp
        now = self._wall()
        for label, until in kept.forgotten.items():
            self._forget_until(label, min(until, now))
        for label, record in kept.credentials.items():
            # the file may be from before something was forgotten here
            told = since(not_after(record.snapshot, now), self._forgotten.get(label, 0.0))
            if told is not None and self._marks.matches(label, record.mark):
                after, _ = self._merged(label, self._known(label), told)
                self._own[label] = Record(snapshot=after, mark=self._marks.of(label))

    async def close(self) -> None:
        """Write what is not written yet; call it after ``run`` has ended."""
        if self._changed.is_set():
            await self._saved()

    def _known(self, label: str) -> Snapshot | None:
        """Return what is known of the credential that a label stands for now; drop what is not."""
        record = self._own.get(label)
        if record is None or self._marks.matches(label, record.mark):
            return None if record is None else record.snapshot
        del self._own[label]
        log.info(Happened("quota_forgotten", {"credential": label, "reason": "replaced"}))
        return None

    def _merged(
        self, label: str, before: Snapshot | None, snapshot: Snapshot
    ) -> tuple[Snapshot, bool]:
        """Return what is known with one more snapshot, and whether a change was told of."""
        now = self._wall()
        before = None if before is None else not_after(before, now)
        after = newer(before, snapshot)
        return after, _tell(label, before, after, now)

    def _forget_until(self, label: str, moment: float) -> None:
        """Drop what was said of a label until a moment, which another process forgot then."""
        if moment <= self._forgotten.get(label, 0.0):
            return
        self._forgotten[label] = moment
        record = self._own.get(label)
        if record is None or (left := since(record.snapshot, moment)) == record.snapshot:
            return
        log.info(Happened("quota_forgotten", {"credential": label, "reason": "elsewhere"}))
        del self._own[label]
        if left is not None:
            self._own[label] = Record(snapshot=left, mark=record.mark)

    async def _writing(self) -> None:
        while True:
            await self._changed.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), LATER)
            await asyncio.sleep(SOON)
            if not await self._saved():
                await asyncio.sleep(LATER)

    async def _reading(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def _saved(self) -> bool:
        """Write all that is known; tell whether that went well."""
        self._changed.clear()
        self._urgent.clear()
        self.known()  # what is of other credentials by now is dropped
        now, same = self._wall(), self._marks.fixed()
        # noted by a clock that was set back since: what is said from now on counts
        self._forgotten = {label: min(at, now) for label, at in self._forgotten.items()}
        kept = Kept(credentials=dict(self._own), forgotten=self._forgotten)
        try:
            await asyncio.to_thread(storage.save, self._folder, kept, now, same)
        except StorageFailed as error:
            self._changed.set()
            degraded: str | None = f"quotas are not kept over a restart: {error}"
        else:
            degraded = None
        if degraded is not None and degraded != self._degraded:
            log.warning("%s", degraded)
        self._degraded = degraded
        return degraded is None


def is_forwarded(label: str) -> bool:
    """Tell whether a label stands for a client's own credential."""
    return "/" in label


def _bounded(known: OrderedDict[str, T], label: str, most: int) -> None:
    """Make a label the newest, and drop the oldest beyond so many."""
    known.move_to_end(label)
    while len(known) > most:
        known.popitem(last=False)


def _tell(label: str, before: Snapshot | None, after: Snapshot, now: float) -> bool:
    """Log a change of status or of gating; tell whether there was one."""
    was = (None if before is None else before.status, spent(before, now))
    is_now = (after.status, spent(after, now))
    if was == is_now:
        return False
    log.info(
        Happened(
            "quota_changed",
            {
                "credential": label,
                "from": was[0] or "unknown",
                "to": is_now[0] or "unknown",
                "spent_until": None if is_now[1] is None else iso(is_now[1]),
            },
        )
    )
    return True
