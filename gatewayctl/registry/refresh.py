"""Bringing the sources up to date: ask, doubt, store. Who wants it is not known here.

Sources are asked side by side, each in a thread and outside any lock; of several processes that
want the same one, one asks and the others take what came of it. A table that looks wrong is
quarantined: the old one stays and the reason is kept.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread

import msgspec

from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import SourceSettings
from gatewayctl.core.errors import SourceFailed, StorageFailed
from gatewayctl.core.periods import iso
from gatewayctl.registry.cache import Attempt, Cache, Outcome, SourceFile
from gatewayctl.registry.claims import Claims, SourceTable
from gatewayctl.registry.fetching import SIZE_LIMIT, Access, Fetch, Told, Unreadable, ask, too_late
from gatewayctl.registry.quarantine import doubtful, is_own_server
from gatewayctl.registry.sources import PARSERS, provider_names
from gatewayctl.registry.table import Part, written
from gatewayctl.storage import files

_GRACE = 2.0
"""Seconds that a source gets beyond its timeout before its thread is left behind."""

_POLL = 0.05
_USUAL_ACCESS = Access()


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """How one source's refresh ended. ``skipped`` counts left-out entries by reason.

    ``changed``: what is known of its models is not what it was.
    """

    source: str
    outcome: Outcome
    changed: bool = False
    models: int = 0
    skipped: Mapping[str, int] = {}
    error: str | None = None


def refresh(
    sources: Mapping[str, SourceSettings],
    cache: Cache,
    fetch: Fetch,
    *,
    access: Mapping[str, Access] | None = None,
    now: Callable[[], float] = time.time,
    on_done: Callable[[Refreshed], None] = lambda _: None,
) -> dict[str, Refreshed]:
    """Ask the sources side by side and store each as it arrives; ``on_done`` hears of each.

    ``access`` is what it takes to ask a source, by name, where it takes anything; ``now`` is in
    seconds since 1970. What cannot be stored has failed, like what cannot be fetched. A source is
    left behind soon after its timeout, whatever holds it up.
    """
    ended: SimpleQueue[Refreshed] = SimpleQueue()
    flights = {
        name: _Flight(name, settings, cache, fetch, now) for name, settings in sources.items()
    }

    def run(flight: _Flight) -> None:
        try:
            ended.put(flight.fly((access or {}).get(flight.name, _USUAL_ACCESS)))
        except Exception as error:  # noqa: BLE001 - one source's trouble is not the others'
            ended.put(flight.broken(error))

    # Not a pool: Ctrl-C would wait for its threads, and so for a source that hangs.
    for flight in flights.values():
        Thread(target=run, args=(flight,), name=f"refresh-{flight.name}", daemon=True).start()
    done: dict[str, Refreshed] = {}
    for result in _arriving(ended, flights):
        done[result.source] = result
        on_done(result)
    return {name: done[name] for name in sources}


def _arriving(
    ended: "SimpleQueue[Refreshed]", flights: Mapping[str, "_Flight"]
) -> Iterator[Refreshed]:
    """Yield what comes of each flight, a failure for one that is not back in time."""
    waiting = dict(flights)
    while waiting:
        first = min(waiting.values(), key=lambda flight: flight.deadline)
        try:
            result = ended.get(timeout=max(0.0, first.deadline - time.monotonic()))
        except Empty:
            late = first.given_up()
            if late is None:  # it is being stored, which takes as long as the lock at most
                first.deadline = time.monotonic() + files.LOCK_TIMEOUT
                continue
            result = late
        # one that was given up may come back all the same
        if waiting.pop(result.source, None) is not None:
            yield result


def load_file(
    path: Path, source: str | None, cache: Cache, *, now: Callable[[], float] = time.time
) -> Refreshed:
    """Take a table from disk, as if it had been fetched now.

    ``source`` None finds out by what the file holds. Raises SourceFailed when that fails.
    """
    name, body = _held(path, source)
    settings = SourceSettings(url="", ttl=0.0, timeout=0.0)
    landing = _Landing(name, settings, cache, now)
    try:
        table = PARSERS[name](body, provider_names(name, kinds()))
    except SourceFailed as error:
        return landing.failed(error, Outcome.QUARANTINED)
    return landing.take(Told(table=table, etag=None))


def check_file(path: Path, source: str | None, cache: Cache) -> Refreshed:
    """Return what ``load_file`` would make of a table, and store nothing.

    ``models`` are counted even where the table would be quarantined.
    """
    name, body = _held(path, source)
    try:
        table = PARSERS[name](body, provider_names(name, kinds()))
    except SourceFailed as error:
        return Refreshed(source=name, outcome=Outcome.QUARANTINED, error=str(error))
    doubt = doubtful(table.models, cache.part(name))
    return Refreshed(
        source=name,
        outcome=Outcome.FETCHED if doubt is None else Outcome.QUARANTINED,
        models=len(table.models),
        skipped=table.skipped,
        error=doubt,
    )


def _held(path: Path, source: str | None) -> tuple[str, bytes]:
    """Return the source that a file is a table of, and what it holds."""
    try:
        with path.open("rb") as file:
            body = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise SourceFailed(f"cannot read {path}: {error.strerror}") from error
    if len(body) > SIZE_LIMIT:
        raise SourceFailed(f"{path} is larger than {SIZE_LIMIT} bytes")
    return source or _recognised(body, path), body


def note_failure(
    name: str, settings: SourceSettings, cache: Cache, now: Callable[[], float], why: str
) -> Refreshed:
    """Note that nothing came of a refresh, of which whoever was to do it told nothing."""
    return _Landing(name, settings, cache, now).failed(SourceFailed(why))


class _Landing:
    """Where what a source said is doubted and stored, or its failure noted."""

    def __init__(
        self, name: str, settings: SourceSettings, cache: Cache, now: Callable[[], float]
    ) -> None:
        self._name = name
        self._settings = settings
        self._cache = cache
        self._now = now
        self._attempted_at = iso(now())

    def take(self, told: Told) -> Refreshed:
        """Store what a source said, unless it is doubted."""
        try:
            with self._cache.lock():
                return self._stored(told)
        except StorageFailed as error:
            return self.failed(error)

    def failed(
        self, error: SourceFailed | StorageFailed, outcome: Outcome = Outcome.FAILED
    ) -> Refreshed:
        """Note that nothing came of it."""
        # where the disk takes no note of it either, the caller still hears why
        with contextlib.suppress(StorageFailed), self._cache.lock():
            self._cache.record(self._name, self._attempt(outcome, str(error)))
        return Refreshed(source=self._name, outcome=outcome, error=str(error))

    def _stored(self, told: Told) -> Refreshed:
        known = self._of_here(self._cache.source(self._name))
        if told.table is None:
            return self._unchanged(known)
        models, skipped = told.table.models, told.table.skipped
        doubt = self._doubt(told.table, known)
        if doubt is not None:
            self._cache.record(self._name, self._attempt(Outcome.QUARANTINED, doubt))
            return Refreshed(
                source=self._name, outcome=Outcome.QUARANTINED, error=doubt, skipped=skipped
            )
        same = known is not None and _same(models, known)
        fetched_at = iso(self._now())
        if same and known is not None and known.etag == told.etag and self._cache.is_merged():
            self._cache.record(self._name, self._attempt(Outcome.FETCHED, fetched_at=fetched_at))
        else:
            part = Part(
                fetched_at=fetched_at,
                models=models,
                provider=self._settings.provider,
                url=self._settings.place,
            )
            self._cache.install(self._name, part, etag=told.etag, attempted_at=self._attempted_at)
        return Refreshed(
            source=self._name,
            outcome=Outcome.FETCHED,
            changed=not same,
            models=len(models),
            skipped=skipped,
        )

    def _unchanged(self, known: SourceFile | None) -> Refreshed:
        if known is None:  # somebody removed it meanwhile
            raise StorageFailed("what has not changed since is not there any more")
        fetched_at = iso(self._now())
        if self._cache.is_merged():
            self._cache.record(self._name, self._attempt(Outcome.FETCHED, fetched_at=fetched_at))
        else:
            part = msgspec.structs.replace(known.part, fetched_at=fetched_at)
            self._cache.install(self._name, part, etag=known.etag, attempted_at=self._attempted_at)
        return Refreshed(source=self._name, outcome=Outcome.FETCHED, models=len(known.models))

    def _doubt(self, table: SourceTable, known: SourceFile | None) -> str | None:
        if is_own_server(self._settings):
            return None
        if self._settings.provider is not None:
            return doubtful(table.models, None if known is None else known.part)
        return doubtful(table.models, self._cache.part(self._name))

    def _of_here(self, known: SourceFile | None) -> SourceFile | None:
        """Return what a source said earlier, if it was asked at the same place."""
        return known if known is not None and known.url == self._settings.place else None

    def _attempt(
        self, outcome: Outcome, error: str | None = None, fetched_at: str | None = None
    ) -> Attempt:
        return Attempt(
            outcome=outcome,
            attempted_at=self._attempted_at,
            fetched_at=fetched_at,
            url=self._settings.place,
            error=error,
        )


class _Flight:
    """One source's refresh: alone among all processes, and stored only if not given up before.

    ``deadline`` is when it is to be given up, on the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        settings: SourceSettings,
        cache: Cache,
        fetch: Fetch,
        now: Callable[[], float],
    ) -> None:
        self.name = name
        self._settings = settings
        self._cache = cache
        self._fetch = fetch
        self._landing = _Landing(name, settings, cache, now)
        self._began = time.monotonic()
        self.deadline = self._began + settings.timeout + _GRACE
        self._lock = Lock()
        self._over = False

    def fly(self, access: Access) -> Refreshed:
        """Ask the source and store what it says; wait for another process that does so already."""
        before = self._cache.attempts().get(self.name)
        try:
            handle, waited = self._taken_off()
        except StorageFailed as error:
            return self._failed(error)
        if handle is None:
            late = SourceFailed(f"another process has been asking for {self._settings.timeout:g} s")
            return Refreshed(source=self.name, outcome=Outcome.FAILED, error=str(late))
        try:
            after = self._cache.attempts().get(self.name) if waited else before
            # another config's mirror is another source under the same name
            if after is not None and after != before and after.url == self._settings.place:
                return self._adopted(after, before)
            return self._flown(access)
        finally:
            files.let_go(handle)

    def broken(self, error: Exception) -> Refreshed:
        """Return the failure of a flight that ended as none should."""
        why = SourceFailed(f"it could not be read: {type(error).__name__}")
        self._claim()
        return self._landing.failed(why)

    def given_up(self) -> Refreshed | None:
        """Return the failure of a flight that takes too long, of which nothing is stored any more.

        None for one that has what it went for.
        """
        if not self._claim():
            return None
        return self._landing.failed(too_late(self._settings.timeout))

    def _flown(self, access: Access) -> Refreshed:
        known = self._cache.source(self.name)
        # An ETag belongs to its URL: another mirror's would mean nothing, or the wrong thing.
        etag = known.etag if known is not None and known.url == self._settings.place else None
        try:
            told = ask(self.name, self._settings, self._fetch, access, etag)
        except Unreadable as error:
            return self._failed(error, Outcome.QUARANTINED)
        except SourceFailed as error:
            return self._failed(error)
        if not self._claim():
            return self._late()
        return self._landing.take(told)

    def _failed(
        self, error: SourceFailed | StorageFailed, outcome: Outcome = Outcome.FAILED
    ) -> Refreshed:
        return self._landing.failed(error, outcome) if self._claim() else self._late()

    def _claim(self) -> bool:
        """Decide once who has the last word: the flight, or whoever gives it up."""
        with self._lock:
            first, self._over = not self._over, True
        return first

    def _late(self) -> Refreshed:
        error = str(too_late(self._settings.timeout))
        return Refreshed(source=self.name, outcome=Outcome.FAILED, error=error)

    def _taken_off(self) -> tuple[int | None, bool]:
        """Return the flight's lock, None if others kept it too long, and whether it was theirs."""
        path = self._cache.flight(self.name)
        until = self._began + self._settings.timeout
        waited = False
        while (handle := files.try_hold(path)) is None:
            waited = True
            if time.monotonic() >= until:
                break
            time.sleep(_POLL)
        return handle, waited

    def _adopted(self, after: Attempt, before: Attempt | None) -> Refreshed:
        """Return what came of another process's refresh."""
        known = self._cache.source(self.name)
        changed = None if before is None else before.changed_at
        return Refreshed(
            source=self.name,
            outcome=after.outcome,
            changed=after.changed_at != changed,
            models=0 if known is None else len(known.models),
            error=after.error,
        )


def _same(models: Mapping[str, Claims], known: SourceFile) -> bool:
    """Tell whether a source says of its models exactly what it said before."""
    return models.keys() == known.models.keys() and all(
        bytes(written(claims)) == bytes(known.models[model_id])
        for model_id, claims in models.items()
    )


def _recognised(body: bytes, path: Path) -> str:
    """Return the source whose parser finds the most models in a file."""
    found = {name: len(parse(body, {}).models) for name, parse in PARSERS.items()}
    best = max(found, key=lambda name: found[name])
    if not found[best]:
        raise SourceFailed(f"{path} is the table of no known source ({', '.join(PARSERS)})")
    return best
