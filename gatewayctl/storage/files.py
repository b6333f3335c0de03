"""Files of our own: written whole or not at all, private, and locked between processes.

Everything here blocks (fsync and waiting for a lock take milliseconds to seconds), so an event
loop calls it through a thread. What the bytes mean does not belong here.
"""

import contextlib
import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias

from platformdirs.unix import Unix

from gatewayctl.core.errors import StorageFailed

FILE_MODE = 0o600
FOLDER_MODE = 0o700
MOST_BYTES = 256 * 1024 * 1024
"""Bytes of the largest file that is read: more is none of ours."""

LOCK_TIMEOUT = 10.0
_LOCK_POLL = 0.001, 0.05
"""Seconds between two tries for a lock: the first, doubled until the last."""


Stamp: TypeAlias = tuple[int, int, int]
"""What tells one content of a file from the next: when it was changed, its size, its inode."""


def stamp(path: Path | str) -> Stamp:
    """Return what is another as soon as a file is; raise OSError where there is none. Cheap."""
    return stamp_of(os.stat(path))  # noqa: PTH116 - half the time of Path.stat


def stamp_or_none(path: Path | str) -> Stamp | None:
    """Return what is another as soon as a file is, None where none can be seen. Cheap."""
    try:
        return stamp(path)
    except OSError:
        return None


def stamp_of(found: os.stat_result) -> Stamp:
    """Return the stamp of a file that was looked at."""
    return found.st_mtime_ns, found.st_size, found.st_ino


def usual_state_folder() -> Path:
    """Return the state folder: XDG's on Linux and macOS, under %LOCALAPPDATA% on Windows."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "gatewayctl" / "State"
    return Unix("gatewayctl").user_state_path


def read_bytes(path: Path) -> bytes | None:
    """Return a file's content, None when there is no such file; StorageFailed when unreadable."""
    try:
        with reading(path) as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise StorageFailed(f"cannot read {path}: it has more than {MOST_BYTES:,} bytes")
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed("read", path, error) from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read; raise OSError, also for what is no file.

    A pipe or a device could take for ever or all memory: it is neither waited for nor read.
    """
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        yield file


def _opened(path: str, flags: int) -> int:
    """Open without waiting for somebody at the other end, should it be a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, private to the user; an existing one is left as is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    except OSError as error:
        raise _failed("make the folder", path, error) from error


def may_write(folder: Path) -> bool:
    """Tell whether this user may make files in a folder, or make the folder; disks may be full."""
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def make_private(path: Path) -> None:
    """Make an empty file, private to the user, and its folder; an existing one is left as is."""
    make_folder(path.parent)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE))
    except OSError as error:
        raise _failed("open", path, error) from error


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file by ``data`` so that a reader or a crash sees the old or the new one, whole.

    The temporary file lies in the same folder (a rename is atomic only there); the data are on the
    disk before the name is, and the name before this returns.
    """
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Replace several files, each as ``write_atomic`` does, and none where one has no room.

    They get their names in the order given, once the data of all are on the disk.
    """
    ready: dict[Path, Path] = {}
    path = Path()
    try:
        for path, data in contents.items():
            make_folder(path.parent)
            _write_beside(path, data, ready)
        for path, temporary in ready.items():
            temporary.replace(path)
        for folder in {path.parent for path in contents}:
            _sync_folder(folder)
    except OSError as error:
        raise _failed("write", path, error) from error
    finally:
        # after a failure, and after Ctrl-C
        for temporary in ready.values():
            temporary.unlink(missing_ok=True)


def _write_beside(path: Path, data: bytes, ready: dict[Path, Path]) -> None:
    """Put data into a temporary file in the path's folder, and note it in ``ready``."""
    # mkstemp makes the file with mode 0600 from its first moment on.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    ready[path] = Path(name)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def locked(path: Path, *, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold the lock file ``path`` against other processes and threads; ``timeout`` in seconds.

    The system gives the lock back when its holder dies, so a leftover file never blocks anybody.
    Raises StorageFailed when somebody else holds it for longer than ``timeout``.
    """
    make_folder(path.parent)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    except OSError as error:
        raise _failed("open the lock", path, error) from error
    try:
        deadline = time.monotonic() + timeout
        pause, longest = _LOCK_POLL
        while not _locks(handle, path):
            if time.monotonic() >= deadline:
                raise StorageFailed(
                    f"cannot lock {path}: another process has held it for {timeout:g} s"
                )
            time.sleep(pause)
            pause = min(2 * pause, longest)
        try:
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


def _locks(handle: int, path: Path) -> bool:
    """Tell whether the lock was free and is held now; StorageFailed where there is no locking."""
    try:
        return _try_lock(handle)
    except OSError as error:
        raise _failed("lock", path, error) from error


def try_hold(path: Path) -> int | None:
    """Take the lock file ``path`` for as long as this process lives, or until ``let_go``.

    Returns its handle, None when somebody else holds it. Raises StorageFailed when there is no
    locking here.
    """
    make_folder(path.parent)
    handle = -1
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        # whoever held it may have removed the file between the two steps: then the lock is of none
        if _try_lock(handle) and is_at(handle, path):
            return handle
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        raise _failed("lock", path, error) from error
    os.close(handle)
    return None


def let_go(handle: int, *, remove: Path | None = None) -> None:
    """Give back what ``try_hold`` took, and remove the lock file where its path is given."""
    if remove is None:
        os.close(handle)
        return
    # removed while it is held, so that nobody locks a file that is about to vanish
    with contextlib.suppress(OSError):
        remove.unlink()
    os.close(handle)
    if sys.platform == "win32":  # which removes no open file
        with contextlib.suppress(OSError):
            remove.unlink()


def is_at(handle: int, path: Path) -> bool:
    """Tell whether ``path`` still names the open file: nobody removed it or put another there."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

    def _sync_folder(path: Path) -> None:
        """Windows cannot open a folder; its rename is on the disk when it returns."""

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)

    def _sync_folder(path: Path) -> None:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def reason(error: Exception) -> str:
    """Return what an error says, without the number that OSError puts before it."""
    return str(getattr(error, "strerror", None) or error)


def _failed(what: str, path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"cannot {what} {path}: {error.strerror or type(error).__name__}")
