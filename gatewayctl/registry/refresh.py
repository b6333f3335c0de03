"""Bringing the tables up to date: fetch, parse, doubt, store. Who asks for it is not known here.

Fetches run side by side, each in a thread and outside any lock. A table that looks wrong is
quarantined: the old one stays and the reason is kept. How bytes come over the network is the
business of whoever implements ``Fetch``.
"""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

import msgspec

from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import SourceSettings
from gatewayctl.core.errors import SourceFailed, StorageFailed
from gatewayctl.registry.cache import Attempt, Cache, Outcome
from gatewayctl.registry.claims import Claims, SourceTable
from gatewayctl.registry.sources import PARSERS, provider_names
from gatewayctl.registry.table import Part, claims_of

SIZE_LIMIT = 64 * 1024 * 1024
"""The most bytes a source may send; ten times what the largest one is."""

_LEAST_MODELS = 0.5
_MOST_SHRUNK = 0.05
_SHRUNK_TO = 0.1


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A source's reply; ``body`` None means that it has not changed since ``etag``."""

    body: bytes | None
    etag: str | None = None


class Fetch(Protocol):
    """How a source's bytes are had. Blocks; may be called from several threads at once."""

    def __call__(self, url: str, *, etag: str | None, timeout: float, limit: int) -> Fetched:
        """Ask a URL (http, https or file), raising SourceFailed with a reason a person can use.

        ``timeout`` is the seconds until the last byte, ``limit`` the bytes that are too many.
        """
        ...


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """How one source's refresh ended. ``skipped`` counts left-out entries by reason."""

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
    on_done: Callable[[Refreshed], None] = lambda _: None,
) -> dict[str, Refreshed]:
    """Fetch the sources side by side and store each as it arrives; ``on_done`` hears of each.

    What cannot be stored has failed, like what cannot be fetched.
    """
    done: dict[str, Refreshed] = {}
    ended: SimpleQueue[Refreshed | Exception] = SimpleQueue()

    def run(name: str, settings: SourceSettings) -> None:
        try:
            ended.put(_refresh_one(name, settings, cache, fetch))
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            ended.put(error)

    # Not a pool: Ctrl-C would wait for its threads, and so for a source that hangs.
    for place in sources.items():
        Thread(target=run, args=place, name=f"refresh-{place[0]}", daemon=True).start()
    while len(done) < len(sources):
        result = ended.get()
        if isinstance(result, Exception):
            raise result
        done[result.source] = result
        on_done(result)
    return {name: done[name] for name in sources}


def load_file(path: Path, source: str | None, cache: Cache) -> Refreshed:
    """Take a source's table from disk, as if it had been fetched now.

    ``source`` None finds out by what the file holds. Raises SourceFailed when that fails.
    """
    attempted_at = _now()
    try:
        with path.open("rb") as file:
            body = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise SourceFailed(f"cannot read {path}: {error.strerror}") from error
    if len(body) > SIZE_LIMIT:
        raise SourceFailed(f"{path} is larger than {SIZE_LIMIT} bytes")
    name = source or _recognised(body, path)
    fetched = Fetched(body=body)
    return _take(name, fetched, cache, url="", attempted_at=attempted_at)


def _refresh_one(name: str, settings: SourceSettings, cache: Cache, fetch: Fetch) -> Refreshed:
    attempted_at = _now()
    known = cache.source(name)
    # An ETag belongs to its URL: another mirror's would mean nothing, or the wrong thing.
    etag = known.etag if known is not None and known.url == settings.url else None
    try:
        fetched = fetch(settings.url, etag=etag, timeout=settings.timeout, limit=SIZE_LIMIT)
    except SourceFailed as error:
        return _failed(name, error, cache, attempted_at)
    if fetched.body is None and etag is None:
        senseless = SourceFailed("it says that nothing has changed, but it was not asked that")
        return _failed(name, senseless, cache, attempted_at)
    return _take(name, fetched, cache, url=settings.url, attempted_at=attempted_at)


def _take(name: str, fetched: Fetched, cache: Cache, *, url: str, attempted_at: str) -> Refreshed:
    """Parse and doubt what arrived, then store it."""
    try:
        return _store(name, fetched, cache, url=url, attempted_at=attempted_at)
    except StorageFailed as error:
        return _failed(name, error, cache, attempted_at)


def _store(name: str, fetched: Fetched, cache: Cache, *, url: str, attempted_at: str) -> Refreshed:
    table: SourceTable | None = None
    if fetched.body is not None:
        try:
            table = PARSERS[name](fetched.body, provider_names(name, kinds()))
        except SourceFailed as error:
            return _failed(name, error, cache, attempted_at, outcome=Outcome.QUARANTINED)
    with cache.lock():
        previous = cache.part(name)
        if table is None:
            models = previous.models if previous is not None else {}
        else:
            doubt = doubtful(table.models, previous)
            if doubt is not None:
                attempt = _attempt(Outcome.QUARANTINED, attempted_at, doubt)
                cache.record(name, attempt)
                return Refreshed(
                    source=name, outcome=Outcome.QUARANTINED, error=doubt, skipped=table.skipped
                )
            models = table.models
        fetched_at = _now()
        cache.install(name, models, fetched_at=fetched_at, url=url, etag=fetched.etag)
        cache.record(
            name,
            Attempt(outcome=Outcome.FETCHED, attempted_at=attempted_at, fetched_at=fetched_at),
        )
    return Refreshed(
        source=name,
        outcome=Outcome.FETCHED,
        changed=table is not None,
        models=len(models),
        skipped=table.skipped if table is not None else {},
    )


def doubtful(new: Mapping[str, Claims], previous: Part | None) -> str | None:
    """Say why a new table is not to be believed beside the previous one; None if it is."""
    if not new:
        return "it has no model that can be read"
    if previous is None:
        return None
    before = len(previous.models)
    if len(new) < before * _LEAST_MODELS:
        return f"it has {len(new)} models, fewer than half of the {before} before"
    known = {
        model_id: size
        for model_id, cell in previous.models.items()
        if (size := _window(claims_of(cell)))
    }
    # A limit that a listed model has lost counts as one that went to 0.
    shrunk = [
        model_id
        for model_id, size in known.items()
        if model_id in new and (_window(new[model_id]) or 0) <= size * _SHRUNK_TO
    ]
    if len(shrunk) > len(known) * _MOST_SHRUNK:
        return (
            f"the windows of {len(shrunk)} models ({shrunk[0]}, …) are a tenth of what they were "
            f"or less, more than 5 % of the {len(known)} known before"
        )
    return None


def _window(claims: Claims) -> int | None:
    return claims.context_window or claims.max_input_tokens


def _failed(
    name: str,
    error: SourceFailed | StorageFailed,
    cache: Cache,
    attempted_at: str,
    outcome: Outcome = Outcome.FAILED,
) -> Refreshed:
    # where the disk takes no note of it either, the caller still hears why
    with contextlib.suppress(StorageFailed), cache.lock():
        cache.record(name, _attempt(outcome, attempted_at, str(error)))
    return Refreshed(source=name, outcome=outcome, error=str(error))


def _attempt(outcome: Outcome, attempted_at: str, error: str) -> Attempt:
    return Attempt(outcome=outcome, attempted_at=attempted_at, error=error)


def _recognised(body: bytes, path: Path) -> str:
    """Return the source whose parser finds the most models in a file."""
    found = {name: len(parse(body, {}).models) for name, parse in PARSERS.items()}
    best = max(found, key=lambda name: found[name])
    if not found[best]:
        raise SourceFailed(f"{path} is the table of no known source ({', '.join(PARSERS)})")
    return best


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
