"""``gatewayctl log`` where this user may not read the state folder, or not write there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.terminal import gatewayctl


@pytest.mark.parametrize("argv", [(), ("--json",), ("a1",), ("--follow",)])
def test_a_file_in_the_folders_place_exits_2(folder: Path, argv: tuple[str, ...]) -> None:
    """Nothing is known of such a ledger: it is not said to be empty."""
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"")
    ran = gatewayctl("log", *argv)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert f"cannot read {folder / 'ledger.db'}: " in ran.err


@pytest.fixture
def forbid() -> Iterator[Callable[[Path, int], None]]:
    """Return what gives a folder a mode until the end of the test, which root may not heed."""
    changed: list[Path] = []

    def change(path: Path, mode: int) -> None:
        changed.append(path)
        path.chmod(mode)
        if os.access(path, os.R_OK | os.W_OK | os.X_OK):
            pytest.skip("this user may read and write in spite of any mode")

    yield change
    for path in changed:
        path.chmod(0o700)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_a_folder_that_this_user_may_not_look_into_exits_2(
    folder: Path, forbid: Callable[[Path, int], None], mode: int
) -> None:
    """Whichever right is lacking: what is there cannot be known."""
    folder.mkdir(parents=True)
    forbid(folder, mode)
    ran = gatewayctl("log")
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert f"cannot read {folder / 'ledger.db'}: Permission denied" in ran.err


@pytest.mark.parametrize("made", [True, False])
def test_an_empty_folder_that_cannot_be_written_is_pointed_out(
    folder: Path, forbid: Callable[[Path, int], None], made: bool
) -> None:
    """Requests may have been answered, and a daemon have had no place to say so."""
    place = folder if made else folder.parent
    place.mkdir(parents=True)
    forbid(place, 0o500)
    ran = gatewayctl("log")
    assert (ran.status, ran.out) == (0, "")
    assert "no request is in the ledger yet" in ran.err
    assert "where you may write nothing" in ran.err
