"""The knowledge's thread: writes what replies taught, and reads what other processes wrote.

It owns the database's connection and shares nothing with the event loop but two queues. Where the
file cannot be written what is told waits, bounded, and teaches in memory; that is said in one
sentence, logged once, and tried again at the next round. What the event loop does is in
``knowledge``, the statements are in ``knowledge_tables``.
"""

import contextlib
import itertools
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gatewayctl.core.anchors import Anchor
from gatewayctl.core.correction import Sample
from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.learning import Cap, Truncation
from gatewayctl.core.observed import observe
from gatewayctl.storage import knowledge_tables as tables
from gatewayctl.storage import sqlite
from gatewayctl.storage.database import Database
from gatewayctl.storage.knowledge_tables import Batch, News
from gatewayctl.storage.worker import Worker

log = logging.getLogger("gatewayctl.knowledge")

OBSERVE_EVERY: Final = 5.0
"""Seconds after which what replies taught of a model is looked at again."""
_PAUSE: Final = 0.5
"""Seconds that what is told waits at most for more of it, to be written together."""
_IDLE: Final = 1.0
"""Seconds between two looks at whether another process wrote."""
_MOST_NEWS: Final = 64
"""How much news wait for the loop before others' are left unread: it hears when it looks."""
_AT_ONCE: Final = 500
"""How many anchors the loop takes in at once."""


What = Cap | Truncation | Sample | tuple[bytes, Anchor] | None
"""What is told of a model: None is to forget it."""


class Told(msgspec.Struct, frozen=True):
    """One thing that the loop tells, numbered from 1."""

    number: int
    model: str
    what: What


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """News for the loop; what it told up to the number ``upto`` is in them."""

    upto: int
    news: News


class Keeper:
    """Owns the connection, and what waits to be written."""

    def __init__(self, folder: Path, clock: Callable[[], float], observe_every: float) -> None:
        path = folder / tables.DATABASE
        self.told: deque[Told] = deque()
        self.heard: deque[Heard] = deque()
        self.degraded: str | None = None
        self.secret = b""
        self._observe_every = observe_every
        self._batch = Batch()
        self._upto = 0
        self._database = Database(path, tables.MIGRATIONS, clock, self._begin)
        self._seen = 0
        self._version = -1
        self._sampled: set[str] = set()
        self._observed_at: dict[str, float] = {}
        self._logged: str | None = None
        self._worker = Worker("gatewayctl-knowledge", self._run, self._finish)
        self.path = path
        self.wake = self._worker.wake

    def start(self) -> None:
        """Read what is known in the caller's thread; then go on in one's own."""
        self._round()
        self.secret = self.secret or tables.new_secret()
        if (why := self._worker.start()) is not None:
            self._report(f"nothing is kept in {self.path} before the end: no thread: {why}")

    def stop(self, patience: float) -> None:
        """Write what is left and end; blocks, at most about ``patience`` seconds."""
        if not self._worker.stop(patience):
            log.error("%s was not written within %g s", self.path, patience)

    def _run(self) -> None:
        stopping = self._worker.stopping
        while not stopping.is_set():
            if self.wake.wait(_IDLE):
                self.wake.clear()
                stopping.wait(_PAUSE)
            self._round()

    def _finish(self) -> None:
        self._round()
        self._database.close()

    def _round(self) -> None:
        while self.told:
            told = self.told.popleft()
            self._upto = told.number
            if told.what is None:
                self._batch.forget(told.model)
                self._sampled.discard(told.model)
            else:
                self._batch.add(told.model, told.what)
        try:
            trouble = self._database.use(self._serve)
            if trouble is not None:
                self._go_on_without()
                trouble += "; what is learned now is lost at the end"
        except Exception:
            trouble = f"{self.path} failed in itself: see the log"
            if self.degraded != trouble:
                log.exception("the knowledge failed in itself")
            self._database.close()
        self._report(trouble or self._database.set_aside)

    def _report(self, trouble: str | None) -> None:
        self.degraded = trouble
        if trouble == self._logged:
            return
        if trouble:
            log.error("knowledge degraded: %s", trouble)
        else:
            log.info("%s can be written again", self.path)
        self._logged = trouble

    def _serve(self, connection: sqlite3.Connection) -> None:
        """Write what waits, and read what others wrote."""
        self._exchange(connection)
        self._observe(connection)

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Share the secret of a database just opened; of another file all is news."""
        with sqlite.transaction(connection):
            self.secret = tables.begin(connection, self.secret)
        if not self._database.is_there():
            self._seen = 0
        self._version = -1

    def _go_on_without(self) -> None:
        """Do in memory what can be done: what waits goes on waiting, and teaches nevertheless."""
        now = time.monotonic()
        due = {model for model, _ in self._batch.samples if self._is_due(model, now)}
        samples: dict[str, list[Sample]] = {model: [] for model in due}
        if due or not self._seen:
            with (
                contextlib.suppress(sqlite3.Error, OSError, StorageFailed),
                contextlib.closing(reading(self.path)) as connection,
            ):
                self._read_alone(connection)
                samples = {model: tables.samples(connection, model) for model in due}
            self._seen = self._seen or 1
        for model, sample in self._batch.samples:
            if model in due:
                samples[model].append(sample)
        for model in due:
            self._note_observed(model, now)
        if due:
            observed = tuple((model, observe(told)) for model, told in samples.items())
            self._let_hear(News(revision=self._seen, observed=observed))

    def _read_alone(self, connection: sqlite3.Connection) -> None:
        """Let the loop hear what is known, once."""
        if self._seen:
            return
        self.secret = tables.secret(connection) or self.secret
        news = tables.news(connection, 0)
        self._seen = news.revision
        self._let_hear(news)

    def _exchange(self, connection: sqlite3.Connection) -> None:
        """Write what waits, and let the loop hear what changed since the last time."""
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        if self._batch:
            with sqlite.transaction(connection):
                if self._seen:  # what was learned before forgetting was noticed is void as well
                    for model in tables.forgotten_since(connection, self._seen):
                        self._batch.drop(model)
                own = tables.write(connection, self._batch)
                news = tables.news(connection, self._seen, own)
            self._sampled.update(model for model, _ in self._batch.samples)
            self._batch = Batch()
        elif version != self._version and len(self.heard) < _MOST_NEWS:
            connection.execute("BEGIN")
            news = tables.news(connection, self._seen)
            connection.execute("COMMIT")
        else:
            return
        if not self._seen:
            self._sampled.update(each.model for each in news.models if each.observed is None)
        self._seen, self._version = news.revision, version
        self._let_hear(news)

    def _let_hear(self, news: News) -> None:
        """Hand news to the loop, no more at once than it takes in without a stop."""
        anchors, first = news.anchors, msgspec.structs.replace(news, anchors=())
        self.heard.append(Heard(upto=self._upto, news=first))
        for start in range(0, len(anchors), _AT_ONCE):
            part = News(revision=news.revision, anchors=anchors[start : start + _AT_ONCE])
            self.heard.append(Heard(upto=self._upto, news=part))

    def _observe(self, connection: sqlite3.Connection) -> None:
        """Look again at the models that there are new samples of, each once in a while."""
        now = time.monotonic()
        due = {model for model in self._sampled if self._is_due(model, now)}
        for model in due:
            observed = observe(tables.samples(connection, model))
            if observed is not None:
                self._batch.observed[model] = observed
            self._note_observed(model, now)
        self._sampled -= due
        if self._batch:
            self._exchange(connection)

    def _note_observed(self, model: str, now: float) -> None:
        self._observed_at.pop(model, None)
        self._observed_at[model] = now
        if len(self._observed_at) > tables.MOST_MODELS:
            del self._observed_at[next(iter(self._observed_at))]

    def _is_due(self, model: str, now: float) -> bool:
        last = self._observed_at.get(model)
        return last is None or now - last >= self._observe_every or self._worker.stopping.is_set()


def reading(path: Path) -> sqlite3.Connection:
    """Open what there is, to read alone, and an empty database in memory where there is none.

    Raises ``sqlite3.Error``, OSError and StorageFailed.
    """
    connection = sqlite.open_reading(path, len(tables.MIGRATIONS))
    if connection is None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in itertools.chain.from_iterable(tables.MIGRATIONS):
            connection.execute(statement)
    return connection
