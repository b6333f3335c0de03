"""What tests of several commands share: a state folder, and ``models`` beside a source."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.models_command import Cli
from support.tables import TableServer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the ledger is, which does not exist yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "state"))
    here = tmp_path / "state" / "gatewayctl"
    return here / "State" if sys.platform == "win32" else here


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Give a command line without config, cache or keys."""
    return Cli(tmp_path)


@pytest.fixture
def server() -> Iterator[TableServer]:
    """Run a source whose table differs from the packaged one in gpt-5."""
    running = TableServer()
    models = {
        f"m{n}": {"litellm_provider": "openai", "max_input_tokens": 100_000} for n in range(4000)
    }
    models["gpt-5"] = {
        "litellm_provider": "openai",
        "max_input_tokens": 272_000,
        "input_cost_per_token": 9e-06,
    }
    running.serve(models)
    yield running
    running.close()
