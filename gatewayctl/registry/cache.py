"""The registry's files on disk: one per source, the merged table, and each source's last attempt.

Shared by the CLI and the daemon, written whole and under one lock. Everything here blocks for
milliseconds: an event loop calls it through a thread. Fetching is ``registry.refresh``'s business.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec
from platformdirs.unix import Unix

from gatewayctl.core.errors import StorageFailed
from gatewayctl.registry import snapshot
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.sources import PARSERS
from gatewayctl.registry.table import FORMAT, Moment, Part, Table, is_claims, join
from gatewayctl.storage import files

T = TypeVar("T")

_TABLE = "table.json"
_ATTEMPTS = "attempts.json"
_LOCK = "lock"


class Outcome(StrEnum):
    """How the last attempt to refresh a source ended."""

    FETCHED = "fetched"
    FAILED = "failed"
    QUARANTINED = "quarantined"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A source's last attempt, and its last success. Times are ISO 8601 UTC."""

    outcome: Outcome
    attempted_at: Moment
    fetched_at: Moment | None = None
    error: str | None = None


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One source's claims as last fetched, and what the next request needs to say so."""

    format: int
    fetched_at: Moment
    url: str
    etag: str | None
    models: dict[str, msgspec.Raw]


class _Attempts(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    sources: dict[str, Attempt]


_encoder = msgspec.json.Encoder(decimal_format="number")


def usual_folder() -> Path:
    """Return the cache folder: XDG's on Linux and macOS, under %LOCALAPPDATA% on Windows."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "gatewayctl" / "Cache"
    return Unix("gatewayctl").user_cache_path / "registry"


class Cache:
    """The files in one folder. Reading needs no lock, since every file is replaced whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self) -> Table:
        """Return the merged table; what was never fetched, or is damaged, is the packaged one's.

        No state of the folder makes this fail; what it cost is in the table's ``lost``.
        """
        try:
            data = files.read_bytes(self.folder / _TABLE)
            table = Table.load(data) if data is not None else None
        except StorageFailed:
            table = None
        unreadable: set[str] = set()
        # A newer package brings newer parts for the sources that were never fetched.
        if table is None or table.base != snapshot.digest():
            found = {name: self.source(name) for name in PARSERS}
            unreadable = {name for name in found if not found[name] and _exists(self._path(name))}
            table = Table.load(self._joined(found)) if any(found.values()) else snapshot.load()
        return table.without(unreadable | self._outlived(table))

    def _outlived(self, table: Table) -> set[str]:
        """Return the sources whose last success is newer than what the table has of them."""
        dates = {source.name: source.fetched_at for source in table.sources}
        return {
            name
            for name, attempt in self.attempts().items()
            if attempt.fetched_at is not None and dates.get(name, "") < attempt.fetched_at
        }

    def stamp(self) -> tuple[int, int] | None:
        """Return what changes whenever the merged table does; None when there is none."""
        try:
            status = (self.folder / _TABLE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def attempts(self) -> dict[str, Attempt]:
        """Return the last attempt of each source that was ever tried."""
        found = _read(self.folder / _ATTEMPTS, _Attempts)
        return found.sources if found is not None and found.format == FORMAT else {}

    def source(self, name: str) -> SourceFile | None:
        """Return a source as last fetched; None when it never was, or its file is damaged."""
        found = _read(self._path(name), SourceFile)
        if found is None or found.format != FORMAT:
            return None
        return found if all(map(is_claims, found.models.values())) else None

    def part(self, name: str) -> Part | None:
        """Return a source's claims: as last fetched, else the packaged ones."""
        return _part(name, self.source(name))

    def install(
        self,
        name: str,
        models: Mapping[str, Claims | msgspec.Raw],
        *,
        fetched_at: str,
        url: str,
        etag: str | None,
    ) -> None:
        """Store a source's claims and merge them anew. The caller holds the lock."""
        content = {
            "format": FORMAT,
            "fetched_at": fetched_at,
            "url": url,
            "etag": etag,
            "models": models,
        }
        found = {other: self.source(other) for other in PARSERS if other != name}
        files.write_together(
            {
                self._path(name): _encoder.encode(content),
                self.folder / _TABLE: self._joined(
                    found, {name: Part(fetched_at=fetched_at, models=models)}
                ),
            }
        )

    def record(self, name: str, attempt: Attempt) -> None:
        """Store how an attempt ended; a failed one keeps the last success. Under the lock."""
        attempts = self.attempts()
        if attempt.fetched_at is None and name in attempts:
            attempt = msgspec.structs.replace(attempt, fetched_at=attempts[name].fetched_at)
        content = _Attempts(format=FORMAT, sources={**attempts, name: attempt})
        files.write_atomic(self.folder / _ATTEMPTS, _encoder.encode(content))

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder against other writers; never around a fetch."""
        return files.locked(self.folder / _LOCK)

    def _joined(
        self, found: Mapping[str, SourceFile | None], new: Mapping[str, Part] | None = None
    ) -> bytes:
        parts = {name: part for name in found if (part := _part(name, found[name])) is not None}
        return join({**parts, **(new or {})}, base=snapshot.digest())

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _part(name: str, fetched: SourceFile | None) -> Part | None:
    if fetched is not None:
        return Part(fetched_at=fetched.fetched_at, models=fetched.models)
    return snapshot.load().part(name)


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
