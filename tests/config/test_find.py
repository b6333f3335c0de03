"""Where a config file is, how much of it is read, and where the paths in it lead."""

import os
import sys
import threading
from pathlib import Path

import pytest

from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.load import LARGEST, find_config, load
from gatewayctl.config.settings import FromFile
from gatewayctl.core.errors import ConfigUnreadable


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    """A daemon's own folder says nothing about where its config's keys and certificates are."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[providers.openai]\napi_key = [{ file = "keys/a" }]\nca_bundle = "ca.pem"\n'
        f'[providers.groq]\napi_key = {{ file = "{(tmp_path / "b").as_posix()}" }}\n'
        '[providers.xai]\napi_key = { file = "~/c" }\n'
    )
    loaded = load(path, environ={}, catalog=EmptyCatalog())
    assert loaded.settings is not None, loaded.problems
    found = loaded.settings.providers
    assert found["openai"].secrets == (FromFile(path=str(tmp_path / "keys" / "a")),)
    assert found["openai"].ca_bundle == str(tmp_path / "ca.pem")
    assert str(tmp_path / "keys" / "a") in found["openai"].provider.key_hint
    assert found["groq"].secrets == (FromFile(path=str(tmp_path / "b")),)
    assert found["xai"].secrets == (FromFile(path=str(Path.home() / "c")),)


def test_a_file_that_is_far_too_large_is_a_problem(tmp_path: Path) -> None:
    """It is not read to its end, which for a device would never come."""
    path = tmp_path / "config.toml"
    path.write_bytes(b"#" * (LARGEST + 1))
    (problem,) = load(path, environ={}, catalog=EmptyCatalog()).problems
    assert (problem.code, problem.place) == ("too-large", str(path))


def test_a_home_of_nobody_is_no_traceback() -> None:
    """A user that does not exist leaves the name as it was written."""
    assert find_config(Path("~no-such-user/x.toml"), {}) == Path("~no-such-user/x.toml")


def test_a_folder_that_cannot_be_looked_into_is_left_to_whoever_opens_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the file exists is unknown then, which must not pass for "no file"."""
    # a name that is too long fails for root too, whom no permission stops
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ("x" * 300)))
    path = find_config(None, {})
    assert path is not None
    with pytest.raises(ConfigUnreadable, match="name too long"):
        load(path, environ={}, catalog=EmptyCatalog())


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_a_pipe_is_read_to_its_end_and_waited_for_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a shell substitutes for a file works; a pipe that nobody writes to does not hang."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("[server]\nprot = 1\n",), daemon=True)
    writer.start()
    (problem,) = load(path, environ={}, catalog=EmptyCatalog()).problems
    writer.join()
    assert problem.code == "unknown-key"
    monkeypatch.setattr("gatewayctl.config.load.PATIENCE", 0)
    with pytest.raises(ConfigUnreadable, match="nobody wrote it"):
        load(path, environ={}, catalog=EmptyCatalog())


@pytest.mark.skipif(sys.platform == "win32", reason="needs device files and links")
def test_devices_and_loops_of_links_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device without end is too large; a link in the usual place that leads nowhere is told."""
    (problem,) = load(Path("/dev/zero"), environ={}, catalog=EmptyCatalog()).problems
    assert problem.code == "too-large"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    usual = tmp_path / "gatewayctl" / "config.toml"
    usual.parent.mkdir()
    assert find_config(None, {}) is None
    usual.symlink_to(usual)
    assert find_config(None, {}) == usual
    with pytest.raises(ConfigUnreadable, match="symbolic links"):
        load(usual, environ={}, catalog=EmptyCatalog())
