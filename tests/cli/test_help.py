"""What ``--help`` costs: the modules it loads, seen from a fresh interpreter."""

import json
import os
import subprocess
import sys

from typer.core import TyperGroup
from typer.main import get_command

from gatewayctl.cli.main import app

HEAVY = frozenset({"aiohttp", "pydantic", "rich", "sqlite3", "ssl", "tiktoken", "uvloop"})
HEAVY_PARTS = tuple(
    f"gatewayctl.{part}" for part in ("daemon", "registry", "simulator", "tokenizers", "upstream")
)

# Runs command lines as the installed program does, and tells after each what it has loaded.
PROBE = """
import json, sys
from gatewayctl.cli.main import main
known = set()
for words in json.loads(sys.argv[1]):
    sys.argv = ["gatewayctl", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
    print(json.dumps(sorted(sys.modules.keys() - known)), file=sys.stderr)
    known |= sys.modules.keys()
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


def _loaded(lines: list[list[str]]) -> list[set[str]]:
    """Run command lines one after another; return what each loads that none before it did."""
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(lines)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert result.stdout.count("Usage: ") == sum("--help" in line for line in lines)
    return [set(json.loads(line)) for line in result.stderr.splitlines()]


def test_help_and_version_load_nothing_heavy() -> None:
    """Help of any command starts fast: no HTTP stack, no table renderer, no vocabulary."""
    lines = [["--version"], *([*path, "--help"] for path in _paths())]
    heavy = {
        " ".join(line): found
        for line, loaded in zip(lines, _loaded(lines), strict=True)
        if (found := sorted(name for name in loaded if _is_heavy(name)))
    }
    assert heavy == {}


def _is_heavy(name: str) -> bool:
    return name.partition(".")[0] in HEAVY or name.startswith(HEAVY_PARTS)
