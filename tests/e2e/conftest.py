"""Where the genuine programs are: installed on first use, skipped where a machine cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install_agents.py"
LACKING = 3
"""The script's exit status when this machine has no npm, no compiler or no network."""


def _provided(name: str) -> Path:
    done = subprocess.run(
        [sys.executable, SCRIPT, name], capture_output=True, text=True, timeout=720, check=False
    )
    if done.returncode == LACKING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def claude() -> Path:
    """Return the program of Claude Code."""
    return _provided("claude")


@pytest.fixture(scope="session")
def codex() -> Path:
    """Return the program of Codex."""
    return _provided("codex")


@pytest.fixture(scope="session")
def gemini() -> Path:
    """Return the script of Gemini CLI, which node runs."""
    return _provided("gemini")


@pytest.fixture(scope="session")
def model_server() -> Path:
    """Return the Python that has llama-cpp-python's server."""
    return _provided("model-server")


@pytest.fixture(scope="session")
def faulty_upstream() -> Path:
    """Return the Python that has llmock."""
    return _provided("faulty-upstream")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the file of a model that is tiny and random."""
    file = tmp_path_factory.mktemp("model") / "tiny.gguf"
    script = SCRIPT.parent / "make_tiny_model.py"
    subprocess.run([sys.executable, script, file], check=True, timeout=60, capture_output=True)
    return file
