"""The journal: what the ledger was told, in the kernel's hands before it is in the database.

A segment is a file ``<instance>-<number>.log``: eight bytes that name the format, then frames of
length (4 bytes, little-endian), CRC-32 of the content (4 bytes) and content, which is the records
of one call in msgpack. Only whole frames count: what was being written when its writer was killed
is ignored. One instance, that is one run of a daemon, writes its own segments only, and holds
``<instance>.lock`` while it lives. What becomes of the records does not belong here.
"""

import errno
import os
import re
import secrets
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from gatewayctl.storage import files
from gatewayctl.storage.records import Record

FORMAT: Final = b"gwctl-1\n"
_PROBE: Final = 64 * 1024
_CHUNK: Final = 256 * 1024
_HEAD: Final = struct.Struct("<II")
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)  # Windows alone
_INSTANCE: Final = "[0-9a-f]{16}"
_SEGMENT_NAME: Final = re.compile(rf"({_INSTANCE})-(\d{{1,18}})\.log")
_LOCK_NAME: Final = re.compile(rf"({_INSTANCE})\.lock")

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[Record, ...]).decode


def framed(records: Sequence[Record]) -> bytes:
    """Return the frame that holds these records; raises what msgspec does for what it cannot."""
    content = _encode(records)
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def content_of(frame: bytes) -> bytes:
    """Return the content of a frame that ``framed`` made."""
    return frame[_HEAD.size :]


def unframed(content: bytes) -> tuple[Record, ...]:
    """Return the records of a frame's content; raises ``msgspec.MsgspecError``."""
    return _decode(content)


def new_instance() -> str:
    """Return a name that no other run of a daemon has."""
    return secrets.token_hex(8)


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some whole frames of a segment. ``end``: where they end; ``damaged``: no frame is there."""

    contents: tuple[bytes, ...]
    end: int
    damaged: bool = False


class Reader:
    """Reads a segment, also while it is written, and after its name is gone."""

    def __init__(self, path: Path) -> None:
        """Open it; raises OSError."""
        self._handle = os.open(path, os.O_RDONLY | _BINARY)

    def known(self) -> bool:
        """Tell whether it is of our format, or too short to be of any."""
        os.lseek(self._handle, 0, os.SEEK_SET)
        return FORMAT.startswith(os.read(self._handle, len(FORMAT)))

    def read(self, start: int) -> Chunk:
        """Return the whole frames from ``start`` on, up to about 256 KB of them; raises OSError."""
        data = self._at(start, _CHUNK)
        contents: list[bytes] = []
        at = 0
        while at + _HEAD.size <= len(data):
            length, check = _HEAD.unpack_from(data, at)
            stop = at + _HEAD.size + length
            if not length:  # what a file system leaves of what was never written
                break
            if stop > len(data) and not contents:
                data = self._at(start, stop)
            if stop > len(data):
                break
            content = data[at + _HEAD.size : stop]
            if zlib.crc32(content) != check:
                return Chunk(contents=tuple(contents), end=start + at, damaged=True)
            contents.append(content)
            at = stop
        return Chunk(contents=tuple(contents), end=start + at)

    def _at(self, start: int, most: int) -> bytes:
        # A damaged length must not ask for more memory than the file has bytes.
        most = min(most, max(0, os.fstat(self._handle).st_size - start))
        os.lseek(self._handle, start, os.SEEK_SET)
        return os.read(self._handle, most)

    def is_at(self, path: Path) -> bool:
        """Tell whether a path leads to the file."""
        return files.is_at(self._handle, path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class Segment:
    """A segment of one's own: ``append`` and ``finish`` are the loop's, the rest the thread's."""

    def __init__(self, folder: Path, instance: str, number: int) -> None:
        """Make it, if there is room for more than a record; raises OSError."""
        self.number = number
        self.path = folder / f"{instance}-{number}.log"
        self.written = len(FORMAT)
        self.records = 0
        self.folded = 0
        self.position = len(FORMAT)
        self.damaged = False
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _BINARY
        handle = os.open(self.path, flags, files.FILE_MODE)
        try:
            _write(handle, FORMAT + bytes(_PROBE))
            os.ftruncate(handle, len(FORMAT))
            self._reader = Reader(self.path)
        except OSError:
            os.close(handle)
            self.path.unlink(missing_ok=True)
            raise
        self._handle: int | None = handle

    def append(self, frame: bytes, records: int) -> None:
        """Hand a frame to the kernel in one call; after an OSError nothing more may be added."""
        if self._handle is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        _write(self._handle, frame)
        self.written += len(frame)
        self.records += records

    def finish(self) -> None:
        """Add nothing more."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def read(self) -> Chunk:
        """Return the frames that are not folded yet; raises OSError."""
        return self._reader.read(self.position)

    def is_there(self) -> bool:
        """Tell whether its name still leads to it."""
        return self._reader.is_at(self.path)

    def close(self, *, remove: bool) -> None:
        """Close it, and remove the file; raises OSError when it cannot be removed."""
        there = self.is_there()
        self.finish()
        self._reader.close()
        if remove and there:
            self.path.unlink(missing_ok=True)


def _write(handle: int, data: bytes) -> None:
    if os.write(handle, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def instances(folder: Path) -> set[str]:
    """Return the instances that left segments or a lock here, dead or alive; raises OSError."""
    found = set()
    for name in _names(folder):
        if match := _SEGMENT_NAME.fullmatch(name) or _LOCK_NAME.fullmatch(name):
            found.add(match[1])
    return found


def segments(folder: Path, instance: str) -> list[tuple[int, Path]]:
    """Return an instance's segments, number and path, in order; raises OSError."""
    matches = (_SEGMENT_NAME.fullmatch(name) for name in _names(folder))
    return sorted((int(m[2]), folder / m[0]) for m in matches if m and m[1] == instance)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is asked for
    except FileNotFoundError:
        return []


def _lock(folder: Path, instance: str) -> Path:
    return folder / f"{instance}.lock"


class Lock:
    """An instance's lock, held: its own, or a dead one's by whoever tidies up after it."""

    def __init__(self, folder: Path, instance: str, handle: int) -> None:
        self.instance = instance
        self._path = _lock(folder, instance)
        self._handle = handle

    def is_there(self) -> bool:
        """Tell whether its name still leads to it."""
        return files.is_at(self._handle, self._path)

    def let_go(self, *, remove: bool) -> None:
        """Give it back, and remove its file."""
        files.let_go(self._handle, remove=self._path if remove and self.is_there() else None)


def hold(folder: Path, instance: str) -> Lock | None:
    """Hold an instance's lock, None when somebody does; raises StorageFailed."""
    handle = files.try_hold(_lock(folder, instance))
    return None if handle is None else Lock(folder, instance, handle)
