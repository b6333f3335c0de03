"""Assignments as real shells read them."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.cli.shells import Shell, Unquotable, assignment, detected, recipe

ODD = "a 'b' \"c\" $HOME `id` $(id) \\ \\' ; & | # * ~ ! % é"
CURLY = "\N{LEFT SINGLE QUOTATION MARK}"
HERE = [each for each in ("sh", "bash", "dash", "zsh", "fish") if shutil.which(each)]


@pytest.mark.parametrize("name", HERE)
def test_a_shell_reads_back_what_was_assigned_whatever_it_holds(name: str) -> None:
    """Quotes, expansions and comments mean nothing inside a value; the variable is exported."""
    shell = Shell.SH if name == "dash" else Shell(name)
    lines = [assignment(shell, "ONE", ODD), assignment(shell, "TWO", "plain")]
    script = "\n".join([*lines, "printenv ONE TWO"])
    done = subprocess.run([name, "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == f"{ODD}\nplain\n"


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]), min_size=1))
@settings(max_examples=20)
def test_whatever_is_printable_is_one_line(value: str) -> None:
    """No value adds a line, in a shell that can quote all of them."""
    for shell in (Shell.SH, Shell.FISH, Shell.POWERSHELL):
        assert "\n" not in assignment(shell, "NAME", value)


def test_powershell_and_cmd_have_quotes_of_their_own() -> None:
    """PowerShell takes typographic quotes for quotes; in cmd the quotes stand around it all."""
    assert assignment(Shell.POWERSHELL, "A", f"it's {CURLY}so") == f"$env:A = 'it''s {CURLY * 2}so'"
    assert assignment(Shell.CMD, "A", "x & y") == 'set "A=x & y"'


@pytest.mark.parametrize(
    ("shell", "value"),
    [(Shell.CMD, 'a"b'), (Shell.CMD, "50%"), (Shell.SH, "two\nlines"), (Shell.FISH, "\x1b[2J")],
)
def test_what_cannot_be_quoted_is_refused(shell: Shell, value: str) -> None:
    """Nothing is printed that would mean something else, or steer the terminal."""
    with pytest.raises(Unquotable, match="NAME"):
        assignment(shell, "NAME", value)


@pytest.mark.parametrize(
    ("environ", "platform", "shell"),
    [
        ({"SHELL": "/bin/bash"}, "linux", Shell.BASH),
        ({"SHELL": "/usr/bin/fish"}, "darwin", Shell.FISH),
        ({"SHELL": "/bin/dash"}, "linux", Shell.SH),
        ({"SHELL": "/opt/nushell/nu"}, "linux", Shell.SH),
        ({}, "linux", Shell.SH),
        (
            {"SHELL": "/bin/bash", "POWERSHELL_DISTRIBUTION_CHANNEL": "PSDocker"},
            "linux",
            Shell.POWERSHELL,
        ),
        ({"PSMODULEPATH": r"C:\Users\a\Modules;C:\b;C:\c"}, "win32", Shell.POWERSHELL),
        ({"PSMODULEPATH": r"C:\b;C:\c"}, "win32", Shell.CMD),
        ({"MSYSTEM": "MINGW64", "SHELL": r"C:\Git\usr\bin\bash.exe"}, "win32", Shell.BASH),
    ],
)
def test_the_shell_is_seen_from_the_environment(
    environ: dict[str, str], platform: str, shell: Shell
) -> None:
    """By SHELL, and where that says nothing by what only one of them sets."""
    assert detected(environ, platform) is shell


def test_each_shell_has_a_line_that_applies_it() -> None:
    """The command's name is in all of them."""
    assert recipe(Shell.ZSH, "gatewayctl env claude") == 'eval "$(gatewayctl env claude)"'
    assert all("gatewayctl env x" in recipe(shell, "gatewayctl env x") for shell in Shell)
