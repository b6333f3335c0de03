"""The registry's files on disk: one per source, the merged table, and each source's last attempt.

Shared by the CLI and the daemon, written whole and under one lock. Everything that writes blocks
for milliseconds: an event loop calls it through a thread. ``Cache.load`` of a table in order takes
a few milliseconds at most. Fetching is ``registry.refresh``'s business.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote, unquote

import msgspec
from platformdirs.unix import Unix

from gatewayctl.config.settings import TABLES
from gatewayctl.core.errors import StorageFailed
from gatewayctl.registry import snapshot
from gatewayctl.registry.table import FORMAT, Moment, Part, Table, are_claims, join, written
from gatewayctl.storage import files

T = TypeVar("T")

_TABLE = "table.json"
_ATTEMPTS = "attempts.json"
_LOCK = "lock"
_SOURCES = "sources"
_SUFFIX = ".json"
_KEPT = timedelta(days=90)
"""For how long a listing is kept that is not asked for any more."""


class Outcome(StrEnum):
    """How the last attempt to refresh a source ended."""

    FETCHED = "fetched"
    FAILED = "failed"
    QUARANTINED = "quarantined"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A source's last attempt, and its last success. Times are ISO 8601 UTC.

    ``changed_at`` is when the claims that are stored were first fetched, ``fetched_at`` when the
    source last said them; ``failures`` counts the attempts since; ``url`` is where it was asked.
    """

    outcome: Outcome
    attempted_at: Moment
    fetched_at: Moment | None = None
    changed_at: Moment | None = None
    failures: int = 0
    url: str = ""
    error: str | None = None


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One source's claims as last fetched, and what the next request needs to say so.

    ``provider`` is whose own listing it is, None for a public table.
    """

    format: int
    fetched_at: Moment
    url: str
    etag: str | None
    models: dict[str, msgspec.Raw]
    provider: str | None = None

    @property
    def part(self) -> Part:
        """The claims alone."""
        return Part(
            fetched_at=self.fetched_at,
            models=self.models,
            provider=self.provider,
            url=self.url,
        )


class _Attempts(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    sources: dict[str, Attempt]


class Packaged(Protocol):
    """The table that stands for what was never fetched: ``registry.snapshot``."""

    def load(self) -> Table:
        """Return it; the same object each time."""
        ...

    def digest(self) -> str:
        """Return what another one would not have."""
        ...


class _Format(msgspec.Struct, frozen=True, kw_only=True):
    format: int


_encoder = msgspec.json.Encoder(decimal_format="number")


def usual_folder() -> Path:
    """Return the cache folder: XDG's on Linux and macOS, under %LOCALAPPDATA% on Windows."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "gatewayctl" / "Cache"
    return Unix("gatewayctl").user_cache_path / "registry"


class Cache:
    """The files in one folder. Reading needs no lock, since every file is replaced whole.

    ``packaged`` answers for what was never fetched.
    """

    def __init__(self, folder: Path, packaged: Packaged = snapshot) -> None:
        self.folder = folder
        self._packaged = packaged
        self._loaded: tuple[files.Stamp, Table, frozenset[str]] | None = None

    def load(self) -> Table:
        """Return the merged table; what was never fetched, or is damaged, is the packaged one's.

        No state of the folder makes this fail; what it cost is in the table's ``lost``.
        """
        # Looked at before the table, since whoever writes both writes the table first.
        attempts = self.attempts()
        table, unreadable = self._table()
        fetched = {source.name: source.fetched_at for source in table.sources}
        outlived = {
            name
            for name, attempt in attempts.items()
            if attempt.changed_at is not None and fetched.get(name, "") < attempt.changed_at
        }
        said_again = {
            name: attempt.fetched_at
            for name, attempt in attempts.items()
            if attempt.fetched_at is not None and attempt.changed_at == fetched.get(name)
        }
        return table.but(unreadable | outlived, said_again)

    def _table(self) -> tuple[Table, frozenset[str]]:
        """Return the table as it was merged last, and the sources whose files cannot be read."""
        path = self.folder / _TABLE
        # looked at before the file: at worst it is read once too often
        stamp = files.stamp_or_none(path)
        if self._loaded is not None and self._loaded[0] == stamp:
            return self._loaded[1:]
        try:
            data = files.read_bytes(path)
            table = Table.load(data) if data is not None else None
        except StorageFailed:
            table = None
        lost: frozenset[str] = frozenset()
        # A newer package brings newer parts for the sources that were never fetched.
        if table is None or table.base != self._packaged.digest():
            looked_at = {name: self._looked_at(name) for name in self._names()}
            lost = frozenset(name for name, (_, damaged) in looked_at.items() if damaged)
            parts = {name: found.part for name, (found, _) in looked_at.items() if found}
            table = Table.load(self._joined(parts)) if parts else self._packaged.load()
        if stamp is not None:
            self._loaded = (stamp, table, lost)
        return table, lost

    def stamp(self) -> object:
        """Return what differs whenever ``load`` may give another table; None for an empty folder.

        Costs two looks at the disk, and no reading.
        """
        found = tuple(files.stamp_or_none(self.folder / name) for name in (_TABLE, _ATTEMPTS))
        return found if any(found) else None

    def is_merged(self) -> bool:
        """Tell whether the table on disk is what the sources and this package's make."""
        try:
            data = files.read_bytes(self.folder / _TABLE)
            return data is not None and Table.load(data).base == self._packaged.digest()
        except StorageFailed:
            return False

    def attempts(self) -> dict[str, Attempt]:
        """Return the last attempt of each source that was ever tried."""
        found = _read(self.folder / _ATTEMPTS, _Attempts)
        return found.sources if found is not None and found.format == FORMAT else {}

    def source(self, name: str) -> SourceFile | None:
        """Return a source as last fetched; None when it never was, or its file is damaged."""
        return self._looked_at(name)[0]

    def part(self, name: str) -> Part | None:
        """Return a source's claims: as last fetched, else the packaged ones."""
        found = self.source(name)
        return found.part if found is not None else self._packaged.load().part(name)

    def install(
        self, name: str, part: Part, *, etag: str | None, attempted_at: str | None = None
    ) -> None:
        """Store a source's claims, merge them anew, and note the success. Under the lock.

        All others' parts are as they are on the disk now, whoever has put them there.
        """
        stored = SourceFile(
            format=FORMAT,
            fetched_at=part.fetched_at,
            url=part.url,
            etag=etag,
            models={model_id: written(cell) for model_id, cell in part.models.items()},
            provider=part.provider,
        )
        attempts = self._swept(self.attempts(), part.fetched_at)
        others = {each: self.source(each) for each in self._names() if each != name}
        parts = {each: found.part for each, found in others.items() if found is not None}
        attempt = Attempt(
            outcome=Outcome.FETCHED,
            attempted_at=attempted_at or part.fetched_at,
            fetched_at=part.fetched_at,
            changed_at=part.fetched_at,
            url=part.url,
        )
        files.write_together(
            {
                self._path(name): _encoder.encode(stored),
                self.folder / _TABLE: self._joined({**parts, name: stored.part}),
                self.folder / _ATTEMPTS: _noted(attempts, name, attempt),
            }
        )

    def record(self, name: str, attempt: Attempt) -> None:
        """Store how an attempt ended that brought nothing new; the lock is held.

        The last success stays on record where this was none, and what is stored with it.
        """
        files.write_atomic(self.folder / _ATTEMPTS, _noted(self.attempts(), name, attempt))

    def _swept(self, attempts: Mapping[str, Attempt], now: str) -> dict[str, Attempt]:
        """Remove listings that nobody asks for any more, and what killed writers left behind.

        Nobody else writes under the lock. Returns the attempts at what is left.
        """
        oldest = (datetime.fromisoformat(now) - _KEPT).isoformat()
        kept = {
            name: attempt
            for name, attempt in attempts.items()
            if name in TABLES or attempt.attempted_at > oldest
        }
        left = [self._path(name) for name in attempts.keys() - kept.keys()]
        for folder in (self.folder, self.folder / _SOURCES):
            left += folder.glob(".*.tmp")
        for path in left:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return kept

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Hold the folder against other writers; never around a fetch."""
        return files.locked(self.folder / _LOCK)

    def flight(self, name: str) -> Path:
        """Return the lock file of whoever is fetching a source now."""
        return self.folder / _SOURCES / f"{_quoted(name)}.lock"

    def _joined(self, parts: Mapping[str, Part]) -> bytes:
        packaged = self._packaged.load()
        missing = {
            name: part
            for name in TABLES
            if name not in parts and (part := packaged.part(name)) is not None
        }
        return join({**missing, **parts}, base=self._packaged.digest())

    def _names(self) -> Iterator[str]:
        """Yield the tables and every listing that was ever fetched."""
        yield from TABLES
        try:
            found = sorted(each.name for each in (self.folder / _SOURCES).iterdir())
        except OSError:
            return
        names = (unquote(each.removesuffix(_SUFFIX)) for each in found if _is_source(each))
        yield from (name for name in names if name not in TABLES)

    def _looked_at(self, name: str) -> tuple[SourceFile | None, bool]:
        """Return a source's file and whether there is one that cannot be read.

        One of another version of this program is none that is damaged.
        """
        path = self._path(name)
        found = _read(path, SourceFile)
        if found is not None and found.format == FORMAT and are_claims(found.models.values()):
            return found, False
        of = _read(path, _Format)
        return None, _exists(path) and (of is None or of.format == FORMAT)

    def _path(self, name: str) -> Path:
        return self.folder / _SOURCES / f"{_quoted(name)}{_SUFFIX}"


def _noted(attempts: Mapping[str, Attempt], name: str, attempt: Attempt) -> bytes:
    """Write the attempts with one more: after a failure the last success is still the last."""
    before = attempts.get(name, attempt)
    failed = attempt.outcome is not Outcome.FETCHED
    attempt = msgspec.structs.replace(
        attempt,
        fetched_at=attempt.fetched_at or before.fetched_at,
        changed_at=attempt.changed_at or before.changed_at,
        failures=before.failures + 1 if failed else 0,
    )
    return _encoder.encode(_Attempts(format=FORMAT, sources={**attempts, name: attempt}))


def _quoted(name: str) -> str:
    """Return a source's name as a file's: a provider may be called anything that can be seen."""
    return quote(name, safe="")


def _is_source(file: str) -> bool:
    return file.endswith(_SUFFIX) and not file.startswith(".")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # behind a folder that cannot be looked into


def _read(path: Path, kind: type[T]) -> T | None:
    """Read a file of ours; a damaged one counts as absent, since each can be made again."""
    try:
        data = files.read_bytes(path)
        return None if data is None else msgspec.json.decode(data, type=kind)
    except (StorageFailed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
