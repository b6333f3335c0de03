"""How shells set a variable: which one runs, and one assignment in its own words.

What is assigned is ``setups``' business.
"""

import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import assert_never


class Shell(StrEnum):
    """A shell, or those that read the same assignments."""

    SH = "sh"
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"
    CMD = "cmd"


class Unquotable(ValueError):
    """No quotes make this value safe in this shell."""


_NAMES = {
    "ash": Shell.SH,
    "dash": Shell.SH,
    "ksh": Shell.SH,
    "pwsh": Shell.POWERSHELL,
    **{each.value: each for each in Shell},
}


def detected(environ: Mapping[str, str], platform: str) -> Shell:
    """Return the shell that an environment speaks of; ``platform`` is ``sys.platform``."""
    named = _NAMES.get(PurePath(environ.get("SHELL", "").replace("\\", "/")).stem)
    if environ.get("POWERSHELL_DISTRIBUTION_CHANNEL"):
        return Shell.POWERSHELL  # which runs inside whatever SHELL names
    if platform != "win32":
        return named or Shell.SH
    if environ.get("MSYSTEM"):
        return named or Shell.BASH
    # what starts cmd.exe from a desktop has the modules of the machine alone
    modules = environ.get("PSMODULEPATH", environ.get("PSModulePath", ""))
    return Shell.POWERSHELL if modules.count(";") > 1 else Shell.CMD


def assignment(shell: Shell, name: str, value: str) -> str:
    """Return the line that exports a variable; raise ``Unquotable``."""
    if not value.isprintable():
        raise Unquotable(f"{name} holds characters that no line of a shell can")
    match shell:
        case Shell.SH | Shell.BASH | Shell.ZSH:
            # with the semicolon it may even be evaluated without quotes, as one line
            return f"export {name}={shlex.quote(value)};"
        case Shell.FISH:
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"set -gx {name} '{escaped}';"
        case Shell.POWERSHELL:
            escaped = "".join(char * 2 if char in _SINGLE_QUOTES else char for char in value)
            return f"$env:{name} = '{escaped}'"
        case Shell.CMD:
            if any(char in value for char in '"%!^'):
                raise Unquotable(f'{name} holds one of " % ! ^, which cmd cannot be given')
            return f'set "{name}={value}"'
        case _:
            assert_never(shell)


_SINGLE_QUOTES = "'\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\u201a\u201b"
"""What PowerShell takes for a quote; twice, it is the character itself."""


def recipe(shell: Shell, command: str) -> str:
    """Return the line that a person types to apply what a command prints."""
    match shell:
        case Shell.SH | Shell.BASH | Shell.ZSH:
            return f'eval "$({command})"'
        case Shell.FISH:
            return f"{command} | source"
        case Shell.POWERSHELL:
            return f"{command} | Out-String | Invoke-Expression"
        case Shell.CMD:
            return f"for /f \"delims=\" %i in ('{command}') do @%i"
        case _:
            assert_never(shell)
