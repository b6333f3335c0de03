"""The README's promises that can be checked: its config is valid, its commands exist."""

import json
import re
import sys
from pathlib import Path

import pytest
from support.terminal import on_terminal
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from gatewayctl.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DECISIONS = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
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


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
@pytest.mark.parametrize(
    ("page", "command", "columns"),
    [
        (README, "route-explain coding", 80),
        (DECISIONS, "route-explain coding", 80),
        (DECISIONS, "estimate", 100),
    ],
)
def test_pictures_show_what_the_program_prints(
    tmp_path: Path, page: str, command: str, columns: int
) -> None:
    """With the README's own config and forty thousand words, but for figures and ages."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIGS[0])
    turn = {"role": "user", "content": "word " * 40_000}
    prompt = json.dumps({"model": "coding", "messages": [turn]}).encode()
    keys = {"OPENAI_API_KEY": "unused", "ANTHROPIC_API_KEY": "unused", "NO_COLOR": "1"}
    argv = (*command.split(), "--config", str(config))
    drawn = on_terminal(*argv, columns=columns, stdin=prompt, HOME=str(tmp_path), **keys)
    found = re.search(rf"\$ gatewayctl {command} prompt.json\n(.*?)```", page, re.DOTALL)
    assert found is not None
    assert _words(drawn) == _words(found[1])


def _words(drawn: str) -> list[str]:
    """Return the lines without colour, figures and alignment, up to the place of the config."""
    text, _, _ = re.sub(r"\x1b\[[0-9;]*m", "", drawn).partition("planned here")
    figureless = re.sub(r" +", " ", re.sub(r"[0-9][0-9,.]*", "N", text))
    return [line.strip() for line in figureless.strip().splitlines()]
