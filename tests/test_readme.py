"""The README's promises that can be checked: its config is valid, its commands exist."""

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from gatewayctl.cli.main import app

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
CONFIGS = [block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[[" in block]
EXAMPLES = re.findall(r"^\| `([a-z -]+)` \| `gatewayctl ([^`<]+)[^`]*` \|", README, re.MULTILINE)


def _commands(command: object, path: str = "") -> dict[str, object]:
    """Return the commands that are not groups, by the words that name them."""
    if not isinstance(command, TyperGroup):
        return {path: command}
    below = [_commands(child, f"{path} {name}".strip()) for name, child in command.commands.items()]
    return {name: child for part in below for name, child in part.items()}


def test_the_example_config_is_valid() -> None:
    """What a newcomer copies from the README passes ``config validate``."""
    assert CONFIGS
    for text in CONFIGS:
        result = CliRunner().invoke(app, ["config", "validate", "-"], input=text)
        assert result.exit_code == 0, result.output


def test_every_command_has_an_example() -> None:
    """The README's table names every command there is, and none besides."""
    assert sorted(name for name, _ in EXAMPLES) == sorted(_commands(get_command(app)))


@pytest.mark.parametrize(("name", "words"), EXAMPLES)
def test_the_examples_use_options_that_exist(name: str, words: str) -> None:
    """Each example calls the command it stands for, with options that command has."""
    assert words.startswith(name)
    help_text = CliRunner().invoke(app, [*name.split(), "--help"]).output
    assert [o for o in re.findall(r"--[a-z-]+", words) if o not in help_text] == []
