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
from gatewayctl.registry.table import FORMAT, Part, Table, join
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
    attempted_at: str
    fetched_at: str | None = None
    error: str | None = None


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One source's claims as last fetched, and what the next request needs to say so."""

    format: int
    fetched_at: str
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

        Raises StorageFailed when a file is there and cannot be read.
        """
        data = files.read_bytes(self.folder / _TABLE)
        if data is None:
            return snapshot.load()
        try:
            table = Table.load(data)
        except StorageFailed:
            return Table.load(self._joined())
        # A newer package brings newer parts for the sources that were never fetched.
        return table if table.base == snapshot.digest() else Table.load(self._joined())

    def stamp(self) -> tuple[int, int] | None:
        """Return what changes whenever the merged table does; None when there is none."""
        try:
            status = (self.folder / _TABLE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def attempts(self) -> dict[str, Attempt]:
        """Return the last attempt of each source that was ever tried."""
        data = files.read_bytes(self.folder / _ATTEMPTS)
        found = _decoded(data, _Attempts)
        return found.sources if found is not None and found.format == FORMAT else {}

    def source(self, name: str) -> SourceFile | None:
        """Return a source as last fetched; None when it never was, or its file is damaged."""
        found = _decoded(files.read_bytes(self._path(name)), SourceFile)
        return found if found is not None and found.format == FORMAT else None

    def part(self, name: str) -> Part | None:
        """Return a source's claims: as last fetched, else the packaged ones."""
        fetched = self.source(name)
        if fetched is not None:
            return Part(fetched_at=fetched.fetched_at, models=fetched.models)
        return snapshot.load().part(name)

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
        files.write_atomic(self._path(name), _encoder.encode(content))
        files.write_atomic(self.folder / _TABLE, self._joined())

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

    def _joined(self) -> bytes:
        parts = {name: part for name in PARSERS if (part := self.part(name)) is not None}
        return join(parts, base=snapshot.digest())

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _decoded(data: bytes | None, kind: type[T]) -> T | None:
    """Read a file of ours; a damaged one counts as absent, since each can be made again."""
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None
