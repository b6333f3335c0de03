"""The committed manual: a page for every command, and none that man would stumble over."""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gatewayctl.cli.main import app

MAN = Path(__file__).resolve().parent.parent.parent / "man"
PAGES = sorted(MAN.glob("*.1"))


def _names(command: object, name: str) -> list[str]:
    children = command.commands.items() if isinstance(command, TyperGroup) else ()
    below = [n for word, child in children for n in _names(child, f"{name}-{word}")]
    return [name, *below]


def test_every_command_has_a_page() -> None:
    """``man gatewayctl-config-validate`` finds a page, and so does every other command."""
    assert sorted(page.stem for page in PAGES) == sorted(_names(get_command(app), "gatewayctl"))


def test_every_page_renders_without_a_warning() -> None:
    """groff, with all its warnings on, has nothing to say (where it is installed)."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("needs groff")
    result = subprocess.run(
        [groff, "-ww", "-man", "-Tascii", "-P-cbou", *PAGES],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not result.stderr
    lines = result.stdout.splitlines()
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"):
        assert lines.count(section) == len(PAGES), section
