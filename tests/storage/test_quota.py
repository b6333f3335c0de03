import json
import stat
import sys
from pathlib import Path

import pytest

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.quota import LONGEST, Snapshot, Window
from gatewayctl.storage.quota import MOST, NAME, Kept, Record, load, save

NOW = 1_795_262_400.0


def record(at: float = NOW, mark: str = "m", status: str = "rejected") -> Record:
    """Return what is kept of a credential that was rejected."""
    windows = (Window(name="5h", utilization=1.0, resets_at=at + 60),)
    snapshot = Snapshot(at=at, status=status, resets_at=at + 60, windows=windows)
    return Record(snapshot=snapshot, mark=mark)


def kept(**records: Record) -> Kept:
    """Return a file with these credentials."""
    return Kept(credentials=records)


def same(_: str, mark: str) -> bool:
    """Return whether this is the credential that a process has."""
    return mark == "m"


def test_what_was_kept_is_known_again(tmp_path: Path) -> None:
    """A snapshot comes back as it was, in a file that only its owner may read."""
    save(tmp_path, kept(a=record()), NOW, same)
    assert load(tmp_path) == kept(a=record())
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    """A first start knows of no credentials, and writes nothing."""
    assert load(tmp_path) == Kept()
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema_version":2,"forgotten":[]}',
        b'{"credentials":{}}',
        json.dumps({"credentials": {"a": {"snapshot": {"at": 1e300}}}}).encode(),
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_told_and_written_anew(tmp_path: Path, data: bytes) -> None:
    """What is no such file raises with its name, and the next writing replaces it."""
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(StorageFailed, match=NAME):
        load(tmp_path)
    save(tmp_path, kept(a=record()), NOW, same)
    assert load(tmp_path) == kept(a=record())


def test_the_file_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    """It may say what this version cannot, which must not be lost."""
    (tmp_path / NAME).write_bytes(b'{"schema_version":3}')
    for use in (lambda: load(tmp_path), lambda: save(tmp_path, kept(a=record()), NOW, same)):
        with pytest.raises(StorageFailed, match="written by a newer gatewayctl"):
            use()
    assert (tmp_path / NAME).read_bytes() == b'{"schema_version":3}'


def test_two_processes_keep_each_others_credentials(tmp_path: Path) -> None:
    """What another process wrote stays, and of one credential the newest is kept."""
    save(tmp_path, kept(a=record(NOW - 10, status="allowed"), b=record()), NOW, same)
    save(tmp_path, kept(a=record(NOW)), NOW, same)
    save(tmp_path, kept(a=record(NOW - 20, status="allowed")), NOW, same)
    assert load(tmp_path) == kept(a=record(), b=record())


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    """What was said of a label until then does not come back, whoever still knows of it."""
    save(tmp_path, kept(a=record(), b=record(), c=record()), NOW, same)
    again = record(NOW + 5, status="allowed")
    forgetting = Kept(credentials={"c": again}, forgotten={"a": NOW + 1, "c": NOW + 1})
    save(tmp_path, forgetting, NOW + 5, same)
    save(tmp_path, kept(a=record(), b=record()), NOW + 5, same)
    assert load(tmp_path).credentials == {"b": record(), "c": again}


def test_what_was_forgotten_in_the_future_hides_nothing_from_now_on(tmp_path: Path) -> None:
    """A clock that was a day ahead would keep a day of replies from being known."""
    save(tmp_path, Kept(forgotten={"a": NOW + 86_400}), NOW + 86_400, same)
    save(tmp_path, kept(a=record(NOW - 1)), NOW, same)
    assert load(tmp_path) == Kept(forgotten={"a": NOW})
    save(tmp_path, kept(a=record(NOW + 1)), NOW + 1, same)
    assert set(load(tmp_path).credentials) == {"a"}


def test_another_credential_of_the_same_label_replaces_the_first(tmp_path: Path) -> None:
    """Where the mark is another, nothing of the old one is merged into the new."""
    save(tmp_path, kept(a=record(NOW, mark="old")), NOW, same)
    new = record(NOW - 5, mark="m", status="allowed")
    save(tmp_path, kept(a=new), NOW, same)
    assert load(tmp_path) == kept(a=new)


def test_the_file_is_bounded_in_number_and_age(tmp_path: Path) -> None:
    """Only the credentials heard of last are kept, and none that was silent for a month."""
    many = {f"p{n}": record(NOW - n) for n in range(MOST + 50)}
    gone = {f"p{n}": NOW - LONGEST - n for n in range(-MOST, 1)}
    ours = Kept(credentials={**many, "old": record(NOW - LONGEST - 1)}, forgotten=gone)
    save(tmp_path, ours, NOW, same)
    assert set(load(tmp_path).credentials) == {f"p{n}" for n in range(MOST)}
    assert len(load(tmp_path).forgotten) == MOST
