"""The operator's key is made once, and private."""

import stat
import sys
import threading
from pathlib import Path

import pytest

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage.operator import FILE, known_operator_key, operator_key


def test_all_who_ask_at_once_get_the_same_key(tmp_path: Path) -> None:
    """One is made, and read ever after; nobody but its user may read it."""
    folder = tmp_path / "state"
    assert known_operator_key(folder) is None
    found: list[str] = []
    asking = [threading.Thread(target=lambda: found.append(operator_key(folder))) for _ in range(8)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert len(found) == 8
    assert set(found) == {known_operator_key(folder)}
    if sys.platform != "win32":
        assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"gwo-short", b"gwk-" + b"x" * 43, b"\xff" * 47])
def test_a_file_that_holds_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    """An empty secret would let in whoever sends none."""
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StorageFailed, match="operator's key"):
        operator_key(tmp_path)
