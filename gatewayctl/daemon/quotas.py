"""What is left of each credential's quota, from the replies as they come; kept over a restart.

What headers say is read by ``upstream.quotas``, what follows from it is decided by ``core.quota``,
where it is kept is ``storage.quota``'s business. Here are the newest snapshots by label, the events
that tell of a change, and the task that writes. ``heard`` and ``spent`` never wait.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from multidict import MultiMapping

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.happened import Happened
from gatewayctl.core.quota import Snapshot, newer, not_after, spent
from gatewayctl.daemon.quota_told import as_document, moment
from gatewayctl.storage import quota as storage
from gatewayctl.storage.quota import Kept, Record
from gatewayctl.upstream import quotas as replies

log = logging.getLogger("gatewayctl.quotas")

MOST_FORWARDED: Final = 1024
"""Clients' own credentials of which something is known; the one silent longest is forgotten."""

SOON: Final = 0.2
"""Seconds until a change that matters to routing is written …"""

LATER: Final = 5.0
"""… and until a figure is that merely moved, or what could not be written is tried again."""

Marks = Callable[[bytes], Mapping[str, str]]
"""Returns by label the mark of each credential, keyed with these bytes; see ``upstream.marks``."""


class Quotas:
    """The newest snapshot of each credential. Use within one event loop.

    Labels are ``PROVIDER``, ``PROVIDER#2`` and so on for the gateway's own credentials; one of a
    client's has a ``/`` and a keyed hash in it, and nothing of it is ever written. ``wall`` is
    seconds since 1970. ``open`` loads what an earlier process kept.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        folder: Path,
        kept: Kept,
        marks: Mapping[str, str],
        degraded: str | None = None,
    ) -> None:
        self._wall = wall
        self._folder = folder
        self._salt = kept.salt
        self._marks = marks
        self._degraded = degraded
        self._own: OrderedDict[str, Snapshot] = OrderedDict()
        self._forwarded: OrderedDict[str, Snapshot] = OrderedDict()
        self._forgotten: set[str] = set()
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        for label, record in kept.credentials.items():
            if marks.get(label, "") == record.mark:
                self._own[label] = record.snapshot

    @classmethod
    def open(cls, folder: Path, wall: Callable[[], float], marks: Marks = lambda _: {}) -> Self:
        """Load what is kept in a state folder; blocks. What cannot be read is said, and left out.

        What was kept of a label is dropped where the credential behind it is another by now.
        """
        degraded = None
        try:
            kept = storage.load(folder)
        except StorageFailed as error:
            degraded = f"quotas start unknown: {error}"
            log.warning("%s", degraded)
            kept = storage.fresh()
        return cls(wall, folder, kept, marks(bytes.fromhex(kept.salt)), degraded)

    @property
    def degraded(self) -> str | None:
        """Say what is not kept and why, None when all is."""
        return self._degraded

    def heard(self, label: str, headers: MultiMapping[str]) -> None:
        """Take in what the headers of a reply say, whatever its status."""
        snapshot = replies.read(headers, self._wall())
        if snapshot is not None:
            self.noted(label, snapshot)

    def noted(self, label: str, snapshot: Snapshot) -> None:
        """Take in a snapshot; log ``quota_changed`` where the status or the gating changes."""
        known, most = self._own, storage.MOST
        if is_forwarded(label):
            known, most = self._forwarded, MOST_FORWARDED
        now = self._wall()
        before = known.get(label)
        if before is not None:
            before = not_after(before, now)
        after = newer(before, snapshot)
        known[label] = after
        known.move_to_end(label)
        while len(known) > most:
            known.popitem(last=False)
        changed = _tell(label, before, after, now)
        if known is self._own:
            self._changed.set()
            if changed:
                self._urgent.set()

    def spent(self, label: str) -> float | None:
        """Return until when (seconds since 1970) a credential is spent, None when it is not."""
        snapshot = self._own.get(label) or self._forwarded.get(label)
        return None if snapshot is None else spent(snapshot, self._wall())

    def forget(self, label: str) -> bool:
        """Drop what is known of a credential, so that it is tried; tell whether there was any.

        A provider that resets early, or another account behind the label, tells nobody.
        """
        if self._forwarded.pop(label, None) is not None:
            return True
        if self._own.pop(label, None) is None:
            return False
        log.info(Happened("quota_forgotten", {"credential": label}))
        self._forgotten.add(label)
        self._changed.set()
        self._urgent.set()
        return True

    def known(self) -> Mapping[str, Snapshot]:
        """Return the newest snapshot of each credential, by label."""
        return {**self._own, **self._forwarded}

    def rendered(self) -> dict[str, Any]:
        """Return all that is known as ``GET /api/quota`` tells it (docs/quotas.md)."""
        document = as_document(self.known(), self._wall(), degraded=self._degraded)
        told: dict[str, Any] = msgspec.to_builtins(document)
        return told

    async def run(self) -> None:
        """Write what changed, soon and rarely, until cancelled."""
        while True:
            await self._changed.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), LATER)
            await asyncio.sleep(SOON)
            if not await self._saved():
                await asyncio.sleep(LATER)

    async def close(self) -> None:
        """Write what is not written yet; call it after ``run`` has ended."""
        if self._changed.is_set():
            await self._saved()

    async def _saved(self) -> bool:
        """Write all that is known; tell whether that went well."""
        self._changed.clear()
        self._urgent.clear()
        records = {
            label: Record(snapshot=snapshot, mark=self._marks.get(label, ""))
            for label, snapshot in self._own.items()
        }
        kept = Kept(salt=self._salt, credentials=records)
        forgotten, self._forgotten = self._forgotten, set()
        try:
            await asyncio.to_thread(storage.save, self._folder, kept, self._wall(), forgotten)
        except StorageFailed as error:
            self._changed.set()
            self._forgotten |= forgotten
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
                "spent_until": None
                if is_now[1] is None
                else f"{moment(is_now[1]):%Y-%m-%dT%H:%M:%SZ}",
            },
        )
    )
    return True
