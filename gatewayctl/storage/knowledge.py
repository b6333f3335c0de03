"""What the replies of upstreams taught, for routing: caps, corrections, anchors, truncations.

The event loop reads from memory alone and never waits: what it tells is written by a thread
(``knowledge_keeper``) within a second, and what other processes wrote is heard within two. Neither
a full disk nor a broken database reaches a request: what cannot be kept is known until the process
ends, and ``degraded`` says so. What the values mean is ``core.learning``'s, ``core.correction``'s
and ``core.anchors``' business.
"""

import asyncio
import contextlib
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec

from gatewayctl.core.anchors import Anchor
from gatewayctl.core.correction import Observed, Sample
from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.learning import Cap, Truncation, Truncations, closer
from gatewayctl.storage import files, sqlite
from gatewayctl.storage import knowledge_tables as tables
from gatewayctl.storage.knowledge_keeper import (
    OBSERVE_EVERY,
    Keeper,
    Told,
    What,
    reading,
)
from gatewayctl.storage.knowledge_tables import Forgotten, Learned, News

__all__ = ["Forgotten", "Knowledge", "Known", "forget", "read"]

_PATIENCE: Final = 10.0
"""Seconds that closing may take."""
_MOST_WAITING: Final = 20_000
"""How much waits for the thread; more is not told."""
_LONGEST_ID: Final = 256


class Known:
    """What is known, in memory; only ever looked up. ``read`` returns one."""

    def __init__(
        self, secret: bytes = b"", degraded: str | None = None, news: News | None = None
    ) -> None:
        self._secret = secret
        self._degraded = degraded
        self._version = object()
        self._models: dict[str, Learned] = {}
        self._anchors: OrderedDict[tuple[str, bytes], Anchor] = OrderedDict()
        self._told: dict[str, int] = {}
        """By model the number of the last that was told of it, until that is heard back."""
        if news is not None:
            self._apply(news, upto=0)

    @property
    def version(self) -> object:
        """Return an object that is another one as soon as a cap or a correction changed."""
        self._hear()
        return self._version

    @property
    def secret(self) -> bytes:
        """The 32 bytes by which digests of conversations are keyed."""
        return self._secret.ljust(tables.SECRET_BYTES, b"\0")

    @property
    def degraded(self) -> str | None:
        """What is wrong, in one line that names the file and what that costs; None if nothing."""
        return self._degraded

    def models(self) -> tuple[str, ...]:
        """Return the ids of all models that anything is known of, sorted."""
        self._hear()
        anchored = {model for model, _ in self._anchors}
        return tuple(sorted(anchored.union(self._models)))

    def cap(self, model: str) -> Cap | None:
        """Return the cap that a model's replies taught, whether or not it still holds."""
        return self._learned(model).cap

    def observed(self, model: str) -> Observed | None:
        """Return how the usual counts are corrected for a model."""
        return self._learned(model).observed

    def truncations(self, model: str) -> Truncations | None:
        """Return how many replies of a model were truncated, and the last of them."""
        return self._learned(model).truncations

    def anchor(self, model: str, digest: bytes) -> Anchor | None:
        """Return what a request of this beginning was metered as at a model."""
        self._hear()
        return self._anchors.get((model, digest))

    def largest(self, model: str) -> int:
        """Return the most input that a reply of a model was metered as, 0 if none is kept."""
        self._hear()
        return max(
            (each.tokens for key, each in self._anchors.items() if key[0] == model), default=0
        )

    def _hear(self) -> None:
        """Take in what is new, before anything is looked up."""

    def _learned(self, model: str) -> Learned:
        self._hear()
        return self._models.get(model) or Learned(model=model)

    def _apply(self, news: News, upto: int) -> None:
        """Take news in; what was told of a model after the number ``upto`` is newer than they."""
        for each in news.models:
            if each.forgotten:
                self._drop_anchors(each.model)
            if self._told.get(each.model, 0) <= upto:
                self._put(each)
        for model, observed in news.observed:
            known = self._models.get(model) or Learned(model=model)
            self._put(msgspec.structs.replace(known, observed=observed))
        for key, anchor in news.anchors:
            if self._told.get(key[0], 0) <= upto:
                self._anchor(key, anchor)

    def _put(self, known: Learned) -> None:
        """Take in what is known of a model; nothing at all is known of one that is left out."""
        earlier = self._models.pop(known.model, None) or Learned(model=known.model)
        if (earlier.cap, earlier.observed) != (known.cap, known.observed):
            self._version = object()
        if known.cap or known.truncations or known.observed:
            self._models[known.model] = known
        if len(self._models) > tables.MOST_MODELS:
            del self._models[next(iter(self._models))]

    def _anchor(self, key: tuple[str, bytes], anchor: Anchor) -> None:
        self._anchors[key] = anchor
        self._anchors.move_to_end(key)
        if len(self._anchors) > tables.MOST_ANCHORS:
            self._anchors.popitem(last=False)

    def _drop_anchors(self, model: str) -> None:
        for key in [key for key in self._anchors if key[0] == model]:
            del self._anchors[key]


class Knowledge(Known):
    """Use ``Knowledge.open``. All but ``open`` is called from one thread, the event loop's."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self._keeper = keeper
        self._number = 0

    @classmethod
    def open(
        cls, folder: Path, clock: Callable[[], float], *, observe_every: float = OBSERVE_EVERY
    ) -> Self:
        """Open the knowledge of a state folder, made where there is none.

        Blocks, so it comes before the loop serves. ``clock`` returns seconds since 1970 (UTC).
        ``observe_every``: seconds between two corrections of one model. No state of the folder
        makes it fail: see ``degraded``.
        """
        keeper = Keeper(folder, clock, observe_every)
        keeper.start()
        knowledge = cls(keeper)
        while keeper.heard:
            knowledge._hear()
        return knowledge

    @property
    def secret(self) -> bytes:
        """The 32 bytes by which digests of conversations are keyed."""
        return self._keeper.secret

    @property
    def degraded(self) -> str | None:
        """What is wrong, in one line that names the file and what that costs; None if nothing."""
        return self._keeper.degraded

    def anchor(self, model: str, digest: bytes) -> Anchor | None:
        """Return what a request of this beginning was metered as at a model, and keep it longer."""
        anchor = super().anchor(model, digest)
        if anchor is not None:
            self.anchored(model, digest, anchor)
        return anchor

    def learned(self, model: str, cap: Cap) -> None:
        """Take the cap that a reply taught of a model, unless the one there is says more."""
        earlier = self._learned(model)
        kept = closer(cap, earlier.cap)
        if kept != earlier.cap and self._tell(model, kept):
            self._put(msgspec.structs.replace(earlier, cap=kept, forgotten=False))

    def truncated(self, model: str, truncation: Truncation) -> None:
        """Count a truncated reply of a model."""
        earlier = self._learned(model)
        if self._tell(model, truncation):
            all_of_them = tables.counted(earlier.truncations, Truncations(count=1, last=truncation))
            self._put(msgspec.structs.replace(earlier, truncations=all_of_them, forgotten=False))

    def sampled(self, model: str, sample: Sample) -> None:
        """Take what a reply of a model was metered as; ``observed`` follows within seconds."""
        self._hear()
        self._tell(model, sample)

    def anchored(self, model: str, digest: bytes, anchor: Anchor) -> None:
        """Keep what a request of this beginning was metered as at a model."""
        self._hear()
        if self._tell(model, (digest, anchor)):
            self._anchor((model, digest), anchor)

    def forget(self, model: str) -> None:
        """Forget all that is known of a model, here and in every other process."""
        self._hear()
        if self._tell(model, None):
            self._drop_anchors(model)
            self._put(Learned(model=model))

    async def close(self) -> None:
        """Write what was told; what is told afterwards is lost."""
        await asyncio.to_thread(self._keeper.stop, _PATIENCE)

    def _tell(self, model: str, what: What) -> bool:
        keeper = self._keeper
        if len(keeper.told) >= _MOST_WAITING or not _is_id(model):
            return False
        self._number += 1
        if not isinstance(what, Sample | tuple):  # which change nothing that is looked up by model
            self._told[model] = self._number
        keeper.told.append(Told(self._number, model, what))
        if not keeper.wake.is_set():
            keeper.wake.set()
        return True

    def _hear(self) -> None:
        """Take in some of what the thread read, of its own writing and of others'."""
        if not self._keeper.heard:
            return
        heard = self._keeper.heard.popleft()
        self._apply(heard.news, heard.upto)
        for model in [model for model, number in self._told.items() if number <= heard.upto]:
            del self._told[model]


def read(folder: Path) -> Known:
    """Return what is known in a state folder, without writing there; for the command line.

    Blocks. A folder without a file is empty, one that cannot be read is too, and says why in
    ``degraded``.
    """
    path = folder / tables.DATABASE
    try:
        with contextlib.closing(reading(path)) as connection:
            secret = tables.secret(connection) or b""
            return Known(secret, news=tables.news(connection, 0))
    except (sqlite3.Error, OSError, StorageFailed) as error:
        reason = files.reason(error)
        return Known(degraded=reason if str(path) in reason else f"cannot read {path}: {reason}")


def forget(folder: Path, model: str) -> Forgotten:
    """Forget all that is known of a model in a state folder, and return what that was.

    Blocks. Daemons that run notice within two seconds. Raises StorageFailed with the reason where
    the file cannot be written.
    """
    path = folder / tables.DATABASE
    try:
        if not path.exists():
            return Forgotten()
        with (
            contextlib.closing(sqlite.open_alone(path, tables.MIGRATIONS)) as connection,
            sqlite.transaction(connection),
        ):
            tables.begin(connection)
            return tables.forget(connection, model)
    except (sqlite3.Error, OSError) as error:
        raise StorageFailed(f"cannot write {path}: {files.reason(error)}") from error


def _is_id(model: str) -> bool:
    return 0 < len(model) <= _LONGEST_ID and model.isprintable()
