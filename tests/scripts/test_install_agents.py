"""Installing agents, as far as it needs no network: what is there already, and what is lacking."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install_agents.py"


def _run(*names: str, cache: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *names],
        env={**os.environ, "GATEWAYCTL_AGENTS": str(cache), "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "model-server"])
def test_a_machine_that_lacks_what_an_agent_needs_is_told_so(name: str, tmp_path: Path) -> None:
    """Without npm or a compiler nothing is tried, and status 3 lets the tests skip."""
    done = _run(name, cache=tmp_path)
    assert done.returncode == 3
    assert "which is not here" in done.stderr
    assert not done.stdout


def test_what_is_installed_is_found_without_any_tool(tmp_path: Path) -> None:
    """A cache that was filled before is enough: the path is printed, nothing is fetched."""
    vendor = tmp_path / "codex-0.169.0" / "node_modules" / "@openai" / "codex-linux-x64" / "vendor"
    program = vendor / "x86_64-unknown-linux-musl" / "bin" / "codex"
    program.parent.mkdir(parents=True)
    program.touch()
    done = _run("codex", cache=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, str(program))


def test_a_failed_installation_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    """When npm fails, its last words are shown, status 1 comes back and the cache stays empty."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho no such package\nexit 1\n", encoding="utf-8")
    npm.chmod(0o755)
    cache = tmp_path / "cache"
    done = _run("codex", cache=cache, path=f"{npm.parent}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "no such package" in done.stderr
    assert not list(cache.iterdir())
