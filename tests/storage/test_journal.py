"""Frames come back whole or not at all, and an instance's lock tells the living from the dead."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import came, ended, left, started, whole

from gatewayctl.storage import journal
from gatewayctl.storage.journal import FORMAT, Chunk, Reader, Segment, framed, unframed
from gatewayctl.storage.records import Record

INSTANCE = "0123456789abcdef"


def _read(path: Path, start: int = len(FORMAT)) -> Chunk:
    reader = Reader(path)
    try:
        return reader.read(start)
    finally:
        reader.close()


def _written(folder: Path, *calls: tuple[Record, ...]) -> Path:
    segment = Segment(folder, INSTANCE, 1)
    for records in calls:
        segment.append(framed(records), len(records))
    segment.close(remove=False)
    return segment.path


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    """Each call's records, in order, and private to the user."""
    calls = (whole("a"), (started("b", 2),), (came("c"), left("c", error="é")))
    path = _written(tmp_path, *calls)
    assert tuple(map(unframed, _read(path).contents)) == calls
    assert path.stat().st_mode & 0o777 == 0o600


@given(cut=st.integers(min_value=0, max_value=10_000))
def test_a_torn_tail_is_ignored_wherever_it_is_torn(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """What was written before it is read, and what comes after a mend begins at ``end``."""
    folder = tmp_path_factory.mktemp("torn")
    calls = [(came(f"{n}"), ended(f"{n}")) for n in range(5)]
    path = _written(folder, *calls)
    data = path.read_bytes()
    cut = len(FORMAT) + cut % (len(data) - len(FORMAT))
    path.write_bytes(data[:cut])
    chunk = _read(path)
    assert not chunk.damaged
    frames = [framed(call) for call in calls]
    kept = [n for n in range(5) if len(FORMAT) + sum(map(len, frames[: n + 1])) <= cut]
    assert [unframed(content) for content in chunk.contents] == [calls[n] for n in kept]
    assert chunk.end == len(FORMAT) + sum(len(frames[n]) for n in kept)


def test_a_changed_byte_is_told_from_a_torn_tail(tmp_path: Path) -> None:
    """The frames before it count, and that something is lost is said."""
    path = _written(tmp_path, whole("a"), whole("b"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    chunk = _read(path)
    assert ([unframed(content) for content in chunk.contents], chunk.damaged) == (
        [whole("a")],
        True,
    )


def test_zeros_after_a_power_cut_are_a_torn_tail(tmp_path: Path) -> None:
    """A file system may keep a length and not the data."""
    path = _written(tmp_path, whole("a"))
    with path.open("ab") as file:
        file.write(bytes(4096))
    chunk = _read(path)
    assert (len(chunk.contents), chunk.damaged) == (1, False)


def test_a_long_segment_is_read_in_parts(tmp_path: Path) -> None:
    """Frames that lie across the edge of a part, or are longer than one, are read whole."""
    calls = [whole(f"{n}", asked="m" * size) for n, size in enumerate([300_000, 5, 200_000] * 4)]
    path = _written(tmp_path, *calls)
    found: list[tuple[Record, ...]] = []
    chunk = _read(path)
    while chunk.contents:
        found += map(unframed, chunk.contents)
        chunk = _read(path, chunk.end)
    assert found == calls


def test_a_segment_is_read_while_it_grows_and_after_its_name_is_gone(tmp_path: Path) -> None:
    """The thread that folds it needs no other way to what the loop wrote."""
    segment = Segment(tmp_path, INSTANCE, 1)
    segment.append(framed(whole("a")), 4)
    assert segment.is_there()
    segment.position = segment.read().end
    segment.path.unlink()
    segment.append(framed(whole("b")), 4)
    assert [unframed(content) for content in segment.read().contents] == [whole("b")]
    assert not segment.is_there()
    segment.close(remove=True)


def test_segments_are_found_in_the_order_they_were_written(tmp_path: Path) -> None:
    """By number, not by name; other files of the folder are none."""
    for number in (10, 9, 1):
        (tmp_path / f"{INSTANCE}-{number}.log").touch()
    for name in ("ledger.db", "ledger.lock", "x-1.log", f"{INSTANCE}-1.log.gz"):
        (tmp_path / name).touch()
    (tmp_path / "fedcba9876543210.lock").touch()
    assert [number for number, _ in journal.segments(tmp_path, INSTANCE)] == [1, 9, 10]
    assert journal.instances(tmp_path) == {INSTANCE, "fedcba9876543210"}
    assert journal.instances(tmp_path / "none") == set()


def test_a_lock_is_held_once_and_gone_when_it_is_let_go(tmp_path: Path) -> None:
    """So an instance is recovered by one process, and only when it is dead."""
    lock = journal.hold(tmp_path, INSTANCE)
    assert lock is not None
    assert lock.is_there()
    assert journal.hold(tmp_path, INSTANCE) is None
    lock.let_go(remove=True)
    assert list(tmp_path.iterdir()) == []
    again = journal.hold(tmp_path, INSTANCE)
    assert again is not None
    again.let_go(remove=False)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_lock_whose_file_was_replaced_is_not_there(tmp_path: Path) -> None:
    """Its holder notices that others no longer see it."""
    lock = journal.hold(tmp_path, INSTANCE)
    assert lock is not None
    (tmp_path / f"{INSTANCE}.lock").unlink()
    (tmp_path / f"{INSTANCE}.lock").touch()
    assert not lock.is_there()
    lock.let_go(remove=True)
    assert len(list(tmp_path.iterdir())) == 1  # not its own to remove


def test_records_of_an_older_gatewayctl_are_read() -> None:
    """What it knew nothing of is unknown: cost, rates and the credential."""
    new = msgspec.to_builtins((started("a"), ended("a")))
    for name in ("cost", "rates"):
        del new[1]["metered"][name]
    del new[0]["credential"]
    assert unframed(msgspec.msgpack.encode(new)) == (started("a"), ended("a"))
