"""Files are replaced whole, private, and locked between processes."""

import multiprocessing
import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage.files import (
    MOST_BYTES,
    locked,
    make_folder,
    may_write,
    read_bytes,
    usual_state_folder,
    write_atomic,
)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_and_its_new_folders_are_private(tmp_path: Path) -> None:
    """Mode 0600 and 0700, whatever the umask; folders that were there keep theirs."""
    tmp_path.chmod(0o755)
    path = tmp_path / "a" / "b" / "file"
    write_atomic(path, b"data")
    assert path.read_bytes() == b"data"
    assert (_mode(path), _mode(path.parent), _mode(path.parent.parent)) == (0o600, 0o700, 0o700)
    assert _mode(tmp_path) == 0o755


def test_a_readable_file_becomes_private_when_it_is_replaced(tmp_path: Path) -> None:
    """The new file's mode counts, not the old one's."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_atomic(path, b"new")
    assert (path.read_bytes(), _mode(path)) == (b"new", 0o600)


def test_a_reader_sees_one_whole_version(tmp_path: Path) -> None:
    """While a writer replaces a large file, every read is one version from end to end."""
    path = tmp_path / "file"
    versions = [bytes([n]) * 200_000 for n in range(20)]
    write_atomic(path, versions[0])

    def rewrite() -> None:
        for version in versions:
            write_atomic(path, version)

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = 0
    while writer.is_alive() or not seen:
        assert path.read_bytes() in versions
        seen += 1
    writer.join()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    """The target cannot be replaced here because it is a folder."""
    target = tmp_path / "file"
    target.mkdir()
    with pytest.raises(StorageFailed, match=r"cannot write .*file"):
        write_atomic(target, b"x")
    assert list(tmp_path.iterdir()) == [target]


def test_errors_name_the_file_and_the_reason(tmp_path: Path) -> None:
    """A person can act on them without a traceback."""
    blocker = tmp_path / "blocker"
    blocker.write_bytes(b"")
    reason = r"blocker.*: \w+"
    with pytest.raises(StorageFailed, match=reason):
        make_folder(blocker / "sub")
    with pytest.raises(StorageFailed, match=reason):
        write_atomic(blocker / "file", b"")
    with pytest.raises(StorageFailed, match=reason):
        read_bytes(blocker / "file")
    with pytest.raises(StorageFailed, match="cannot open the lock"), locked(tmp_path):
        pytest.fail("a folder was locked")


@pytest.mark.skipif(sys.platform == "win32", reason="XDG is POSIX's")
def test_state_is_kept_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a folder of our own, under the home folder where it says nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert usual_state_folder() == tmp_path / "state" / "gatewayctl"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert usual_state_folder() == tmp_path / ".local" / "state" / "gatewayctl"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in its folders")
def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A pipe would be waited for, and a device read until no memory is left."""
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("device", "pipe"):
        with pytest.raises(StorageFailed, match="it is no file"):
            read_bytes(tmp_path / name)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(StorageFailed, match="more than 268,435,456 bytes"):
        read_bytes(tmp_path / "large")


def test_a_missing_file_is_no_error(tmp_path: Path) -> None:
    """Nothing stored yet is a usual state."""
    assert read_bytes(tmp_path / "none") is None


@given(data=st.binary(max_size=1000))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Bytes are kept as they are."""
    path = tmp_path_factory.getbasetemp() / "round-trip"
    write_atomic(path, data)
    assert read_bytes(path) == data


def test_a_held_lock_is_waited_for_only_so_long(tmp_path: Path) -> None:
    """A second holder, even in this process, gets an error that names the lock."""
    path = tmp_path / "lock"
    with (
        locked(path),
        pytest.raises(StorageFailed, match=r"cannot lock .*lock: another process"),
        locked(path, timeout=0.1),
    ):
        pytest.fail("two holders of one lock")
    with locked(path, timeout=0.1):
        assert path.exists()


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    """Nobody is locked out by a failure."""
    path = tmp_path / "lock"
    with pytest.raises(KeyError), locked(path):
        raise KeyError
    with locked(path, timeout=0.1):
        assert path.exists()


def _die_holding(path: Path, held: "multiprocessing.synchronize.Event") -> None:
    with locked(path):
        held.set()
        os._exit(1)


def test_a_holder_that_dies_gives_the_lock_back(tmp_path: Path) -> None:
    """A killed refresh never blocks the next one."""
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    path = tmp_path / "lock"
    holder = spawn.Process(target=_die_holding, args=(path, held))
    holder.start()
    holder.join()
    assert held.is_set()
    with locked(path, timeout=0.1):
        assert path.exists()


def _count_up(path: Path, rounds: int) -> None:
    for _ in range(rounds):
        with locked(path.with_suffix(".lock")):
            write_atomic(path, str(int(read_bytes(path) or b"0") + 1).encode())


def test_two_processes_never_hold_it_at_once(tmp_path: Path) -> None:
    """Reading, adding one and writing from two processes loses no step."""
    spawn = multiprocessing.get_context("spawn")
    path = tmp_path / "count"
    workers = [spawn.Process(target=_count_up, args=(path, 20)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert read_bytes(path) == b"40"


def test_a_folder_may_be_written_where_it_can_be_made(tmp_path: Path) -> None:
    """What is there decides: a folder, or a file in the way."""
    assert may_write(tmp_path)
    assert may_write(tmp_path / "a" / "b")
    (tmp_path / "file").write_bytes(b"")
    assert not may_write(tmp_path / "file" / "b")
