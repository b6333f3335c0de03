"""The command tree of ``gatewayctl`` as plain values, for the generators of completions and manual.

Reads the assembled Typer application, so that what is generated can only say what the program
does. How it is written for a shell or for ``man`` belongs in the generators.
"""

import re
from collections.abc import Iterator
from enum import Enum

import msgspec
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from gatewayctl.cli.main import app

PROGRAM = "gatewayctl"
_AnyCommand = TyperCommand | TyperGroup
_FILE_TYPES = frozenset({"file", "filename", "path", "directory"})
_NAMES_OF = {
    **dict.fromkeys(("--client", "--key", "keys KEY"), "key"),
    **dict.fromkeys(("--model", "--small-model", "route-explain MODEL", "models ID"), "model"),
    "--forget": "credential",
    "--provider": "provider",
    "auth NAME": "login",
}
"""What an option's value names, and an argument of a command or a group."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """An option (``names`` start with dashes) or an argument (no names).

    ``usage`` is how help shows it (``--port INTEGER``), ``text`` its help with default and range.
    ``choices`` are the only values there are, empty when any value goes. ``name_of`` says what it
    is a name of: a ``key`` of a client, a ``model`` or route, the ``credential`` that a quota is
    of, a ``provider``, or one that has a ``login``; None for none of these.
    """

    names: tuple[str, ...]
    usage: str
    text: str
    takes_value: bool
    takes_file: bool
    name_of: str | None
    choices: tuple[str, ...]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command: ``path`` is its words after the program's name, empty for the program itself.

    ``summary`` is the first sentence of the help without its full stop, ``paragraphs`` the rest.
    """

    path: tuple[str, ...]
    synopsis: str
    summary: str
    paragraphs: tuple[str, ...]
    options: tuple[Parameter, ...]
    arguments: tuple[Parameter, ...]
    children: tuple["Command", ...]

    @property
    def title(self) -> str:
        """The command as it is typed, program name included."""
        return " ".join((PROGRAM, *self.path))


def read_tree() -> Command:
    """Return the program's command, its children inside; hidden commands are left out."""
    root = _typed(get_command(app))
    return _command(root, _context(root, PROGRAM, None), ())


def walk(command: Command) -> Iterator[Command]:
    """Yield the command and everything below it, parents first."""
    yield command
    for child in command.children:
        yield from walk(child)


def _typed(command: object) -> _AnyCommand:
    if not isinstance(command, _AnyCommand):
        raise TypeError(f"not a Typer command: {command!r}")
    return command


def _context(command: _AnyCommand, name: str, parent: typer.Context | None) -> typer.Context:
    return typer.Context(command, info_name=name, parent=parent, **command.context_settings)


def _command(command: _AnyCommand, context: typer.Context, path: tuple[str, ...]) -> Command:
    parameters = command.get_params(context)
    below = command.commands if isinstance(command, TyperGroup) else {}
    children = {name: _typed(child) for name, child in below.items()}
    summary, paragraphs = _split_help(command.help or "")
    return Command(
        path=path,
        synopsis=" ".join(command.collect_usage_pieces(context)),
        summary=summary,
        paragraphs=paragraphs,
        options=tuple(
            _parameter(p, context, (*p.opts, *p.secondary_opts))
            for p in parameters
            if isinstance(p, TyperOption) and not p.hidden
        ),
        arguments=tuple(
            _parameter(p, context, ())
            for p in parameters
            if isinstance(p, TyperArgument) and not p.hidden
        ),
        children=tuple(
            _command(child, _context(child, name, context), (*path, name))
            for name, child in children.items()
            if not child.hidden
        ),
    )


def _parameter(
    parameter: TyperOption | TyperArgument, context: typer.Context, names: tuple[str, ...]
) -> Parameter:
    usage, text = parameter.get_help_record(context) or ("", "")
    group = context.command_path.split()[1:2]  # the first word after the program's
    argument = " ".join((*group, parameter.metavar or ""))
    choices = getattr(parameter.type, "choices", ())
    return Parameter(
        names=tuple(sorted(names, key=len)),  # click keeps the names of --help in a set
        usage=usage,
        text=_one_line(text),
        takes_value=not (isinstance(parameter, TyperOption) and parameter.is_flag),
        takes_file=parameter.type.name in _FILE_TYPES or "FILE" in (parameter.metavar or ""),
        name_of=next(filter(None, map(_NAMES_OF.get, names or (argument,))), None),
        choices=tuple(str(c.value if isinstance(c, Enum) else c) for c in choices),
    )


def _split_help(text: str) -> tuple[str, tuple[str, ...]]:
    """Split a docstring into its first sentence and its paragraphs.

    A paragraph that starts with backspace keeps its line breaks, as it does in ``--help``; a form
    feed ends what is shown.
    """
    blocks = re.split(r"\n\s*\n", text.partition("\f")[0].strip())
    first, _, rest = _one_line(blocks[0]).partition(". ")
    kept = [rest, *blocks[1:]]
    paragraphs = (
        block.removeprefix("\b").strip("\n") if block.startswith("\b") else _one_line(block)
        for block in kept
    )
    return first.removesuffix("."), tuple(paragraph for paragraph in paragraphs if paragraph)


def _one_line(text: str) -> str:
    return " ".join(text.split())
