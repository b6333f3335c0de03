"""The committed completions, tried in the shells that read them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gatewayctl.cli.main import app
from gatewayctl.core.quota import Snapshot
from gatewayctl.storage import quota
from gatewayctl.storage.client_keys import Terms, create
from gatewayctl.storage.credentials import Credential, Vault

COMPLETIONS = Path(__file__).resolve().parent.parent.parent / "completions"
BASH = shutil.which("bash")
CONFIG = """
[providers.up]
kind = "openai-compatible"
[providers.team]  # ours
  auth = 'oauth'
[ providers."lab" ]
auth = "key"
[providers.up.headers]
[[models]]
id = "up/one"
[[models]]
  id = 'up/two:8b'  # small
[[cascades]]
id = "coding"
"""

# Asks for the completion of each word list on standard input, as bash does on TAB.
ASK = r"""
source "$1"
while IFS= read -r line; do
    IFS=$'\t' read -r -a COMP_WORDS <<< "$line"
    [[ $line == *$'\t' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _gatewayctl
    (IFS=' '; printf '%s\n' "${COMPREPLY[*]}")
done
"""


def _complete(*lines: list[str], folder: Path | None = None) -> list[set[str]]:
    """Return what bash offers for the last word of each command line."""
    if BASH is None:
        pytest.skip("needs bash")
    result = subprocess.run(
        [BASH, "--norc", "-u", "-c", ASK, "bash", COMPLETIONS / "gatewayctl.bash"],
        input="".join("\t".join(("gatewayctl", *words)) + "\n" for words in lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(folder),
            "GATEWAYCTL_CONFIG": str(folder and folder / "config.toml"),
        },
    )
    assert not result.stderr
    return [set(line.split()) for line in result.stdout.splitlines()]


def _groups() -> dict[tuple[str, ...], list[str]]:
    """Return the words of each command group with the names of its visible commands."""
    found: dict[tuple[str, ...], list[str]] = {}

    def visit(command: object, path: tuple[str, ...]) -> None:
        if isinstance(command, TyperGroup):
            found[path] = [n for n, child in command.commands.items() if not child.hidden]
            for name, child in command.commands.items():
                visit(child, (*path, name))

    visit(get_command(app), ())
    return found


def test_a_started_command_is_finished() -> None:
    """``gatewayctl conf`` and TAB gives ``config``, also after an option."""
    assert _complete(["conf"], ["--version", "conf"]) == [{"config"}, {"config"}]


def test_every_command_is_offered_where_it_belongs() -> None:
    """An empty word after a group offers that group's commands, all of them and no others."""
    groups = _groups()
    offered = _complete(*([*path, ""] for path in groups))
    assert dict(zip(groups, offered, strict=True)) == {
        path: set(names) for path, names in groups.items()
    }


def test_options_and_their_values_are_offered() -> None:
    """A dash offers the command's options; an option with choices offers them, = or not."""
    options, spaced, joined = _complete(
        ["config", "validate", "--"],
        ["config", "validate", "--format", ""],
        ["config", "validate", "--format", "=", "j"],
    )
    assert {"--strict", "--registry", "--as-of", "--format", "--help"} <= options
    assert spaced == {"text", "json", "github"}
    assert joined == {"json"}


def test_files_are_offered_where_a_file_goes(tmp_path: Path) -> None:
    """An argument or option that takes a file completes names in the current folder."""
    (tmp_path / "mine.toml").touch()
    lines = (["config", "validate", "mi"], ["serve", "--config", "mi"])
    assert _complete(*lines, folder=tmp_path) == [{"mine.toml"}, {"mine.toml"}]


def test_names_of_keys_are_offered_where_a_key_goes(tmp_path: Path) -> None:
    """Read from their file as it is written; none where there is no such file."""
    lines = [["keys", "revoke", "c"], ["keys", "rotate", ""], ["keys", "create", ""]]
    lines += [["route-explain", "--client", "b"], ["log", "--key", "=", "b"]]
    lines += [["quota", "--forget", ""], ["auth", "refresh", ""]]
    assert _complete(*lines, folder=tmp_path) == [set()] * 7
    state = tmp_path / "gatewayctl"
    for name in ("ci", "cd.2", "bot"):
        create(state, name, Terms(models=("name",)), 0.0)
    spent = quota.Record(snapshot=Snapshot(at=0.0))
    quota.save(state, quota.Kept(credentials={"up#1": spent}), 0.0, lambda *_: True)
    Vault(state).put("team", Credential(access_token="secret"))
    assert _complete(*lines, folder=tmp_path) == [
        *({"ci", "cd.2"}, {"ci", "cd.2", "bot"}, set()),
        *({"bot"}, {"bot"}),
        *({"up#1"}, {"team"}),
    ]


def test_names_of_the_config_are_offered_where_they_go(tmp_path: Path) -> None:
    """Models and routes before the file that a command also takes; logins are OAuth's alone."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "prompt.json").touch()
    lines = [["route-explain", ""], ["route-explain", "coding", "pro"], ["estimate", "-m", "c"]]
    lines += [["auth", "login", ""], ["models", "list", "--provider", ""]]
    assert _complete(*lines, folder=tmp_path) == [
        *({"coding", "up/one", "up/two:8b"}, {"prompt.json"}, {"coding"}),
        *({"team"}, {"up", "team", "lab"}),
    ]


@pytest.mark.parametrize(("shell", "script"), [("zsh", "_gatewayctl"), ("fish", "gatewayctl.fish")])
def test_the_other_shells_can_read_theirs(shell: str, script: str) -> None:
    """Zsh and fish parse their scripts (where they are installed)."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    subprocess.run([program, "-n", COMPLETIONS / script], check=True, timeout=60)
