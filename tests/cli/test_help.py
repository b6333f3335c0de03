"""What ``--help`` costs: the modules it loads, seen from a fresh interpreter."""

import json
import os
import subprocess
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gatewayctl.cli.main import app

HEAVY = frozenset({"aiohttp", "pydantic", "rich", "sqlite3", "ssl", "tiktoken", "uvloop"})
HEAVY_PARTS = tuple(
    f"gatewayctl.{part}" for part in ("daemon", "registry", "simulator", "tokenizers", "upstream")
)

# Runs one command line as the installed program does, and tells afterwards what was loaded.
PROBE = """
import json, sys
from gatewayctl.cli.main import main
sys.argv = ["gatewayctl", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def _paths() -> list[tuple[str, ...]]:
    """Return the words of every command there is, the program's own (none) first."""
    found: list[tuple[str, ...]] = []

    def visit(command: object, path: tuple[str, ...]) -> None:
        found.append(path)
        if isinstance(command, TyperGroup):
            for name, child in command.commands.items():
                visit(child, (*path, name))

    visit(get_command(app), ())
    return found


def _loaded(*arguments: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert result.stdout.strip()
    return set(json.loads(result.stderr))


@pytest.mark.parametrize("path", _paths(), ids=lambda path: " ".join(path) or "gatewayctl")
def test_help_loads_nothing_heavy(path: tuple[str, ...]) -> None:
    """Help of any command starts fast: no HTTP stack, no table renderer, no vocabulary."""
    loaded = _loaded(*path, "--help")
    heavy = {name for name in loaded if name.partition(".")[0] in HEAVY}
    heavy |= {name for name in loaded if name.startswith(HEAVY_PARTS)}
    assert sorted(heavy) == []


def test_version_is_as_light_as_help() -> None:
    """``--version`` answers without loading what answering does not need."""
    assert not {name.partition(".")[0] for name in _loaded("--version")} & HEAVY
