"""``gatewayctl env``: what a tool needs to use the gateway, to be evaluated by a shell.

What each tool needs is ``setups``' business, how a shell is told ``shells``'.
"""

import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption
from gatewayctl.cli.setups import Tool
from gatewayctl.cli.shells import Shell

if TYPE_CHECKING:
    from gatewayctl.cli.setups import Ground, Setup
    from gatewayctl.core.routing.room import Room
    from gatewayctl.core.routing.world import World

ToolArgument = Annotated[
    Tool,
    typer.Argument(
        metavar="TOOL",
        help="claude, codex, gemini, or openai for whatever reads OpenAI's variables.",
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", metavar="M", help="A model or route of the config.")
]
SmallOption = Annotated[
    str | None,
    typer.Option("--small-model", metavar="M", help="Another one for claude's minor tasks."),
]
ShellOption = Annotated[
    Shell | None, typer.Option("--shell", help="The shell, instead of the one that is detected.")
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The gateway's URL, instead of the config's."),
]
FileOption = Annotated[
    bool,
    typer.Option("--file", help="Print the tool's own config file: gemini's settings.json."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Give no hints.")]


class Choice(NamedTuple):
    """The model to ask for, None for the tool's own names; and why, for a person."""

    model: str | None
    why: str


def env(
    tool: ToolArgument,
    model: ModelOption = None,
    small_model: SmallOption = None,
    shell: ShellOption = None,
    url: UrlOption = None,
    config: ConfigOption = None,
    file: FileOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print what a tool needs to use the gateway: URL, key, models, context window.

    For a shell to evaluate: eval "$(gatewayctl env claude)". For codex it is a config file:
    gatewayctl env codex > ~/.codex/gatewayctl.config.toml, then codex --profile gatewayctl.
    gemini wants both: its variables, and in ~/.gemini/settings.json what --file prints.
    Hints go to standard error. No key of a provider is ever printed.

    Exit status: 0 printed, 1 an unknown model or no such config, 2 the config cannot be opened.
    """
    import os

    from gatewayctl.cli import live, offline, setups
    from gatewayctl.cli.shells import detected

    _check(tool, small_model, file=file)
    settings = offline.load_settings(config, os.environ, forgiving=True)
    world = offline.directory(settings, os.environ, offline.knowledge())
    chosen = Choice(model, "as asked") if model is not None else choose(tool, world)
    if small_model is not None:
        _room(tool, small_model, world)
    ground = setups.Ground(
        url=live.address(settings.server) if url is None else _url(url),
        model=chosen.model,
        small=small_model,
        room=_room(tool, chosen.model, world),
        keyed=bool(settings.server.keys) or offline.keyed(),
        known=_knows(tool, world),
    )
    made = setups.setup(tool, ground)
    if as_json:
        _print_json(tool, ground, chosen, made)
        return
    used = shell or detected(os.environ, sys.platform)
    if made.file is not None and (file or tool is Tool.CODEX):
        typer.echo(made.file.text, nl=False)
    else:
        _print_lines(made, used)
    if not quiet:
        _tell(tool, ground, chosen, made, used)


def _check(tool: Tool, small_model: str | None, *, file: bool) -> None:
    """Refuse options that a tool has no use for."""
    if small_model is not None and tool is not Tool.CLAUDE:
        raise typer.BadParameter("--small-model is for claude")
    if file and tool not in {Tool.CODEX, Tool.GEMINI}:
        raise typer.BadParameter("--file is for codex and gemini")


def choose(tool: Tool, world: "World") -> Choice:
    """Return the model that a tool is led to where none is named.

    What an alias makes of the tool's own names, else the first route, else the first model of the
    tool's maker that the config lists: a newer tool asks by itself for one that it does not. Else
    the tool's own names if a provider knows them, else the first model of the config.
    """
    from gatewayctl.cli.setups import ASKS_FOR
    from gatewayctl.core.routing.names import alias

    own = ASKS_FOR[tool]
    aliased = alias(own, world.graph)
    if aliased is not None:
        said = aliased.pattern or own
        return Choice(aliased.target, f"the alias {said} leads there")
    for route in world.graph.routes:
        return Choice(route, "the first route of the config")
    maker = own.partition("-")[0]
    for name in world.declared():
        if name.rpartition("/")[2].startswith(f"{maker}-"):
            return Choice(name, f"the first {maker} model of the config")
    if _knows(tool, world):
        return Choice(None, f"{tool.value}'s own names of models are known here")
    for name in world.declared():
        return Choice(name, "the first model of the config")
    return Choice(None, "the config names no model or route; --model chooses any other")


def _knows(tool: Tool, world: "World") -> bool:
    """Tell whether the names of models that a tool has of its own mean anything."""
    from gatewayctl.cli.setups import ASKS_FOR, SPEAKS
    from gatewayctl.core.routing.names import resolve

    return resolve(ASKS_FOR[tool], world, SPEAKS[tool]) is not None


def _room(tool: Tool, model: str | None, world: "World") -> "Room":
    """Return what is known behind a name; end the command where it means nothing."""
    from gatewayctl.cli import render, setups
    from gatewayctl.core.routing.refusal import unknown_model
    from gatewayctl.core.routing.room import Room, room

    if model is None:
        own = room(setups.ASKS_FOR[tool], world, setups.SPEAKS[tool])
        return Room() if own is None else Room(forwards=own.forwards)
    found = room(model, world, setups.SPEAKS[tool])
    if found is None:
        render.tell(unknown_model(model, world.nearest(model), world.absent(model)).message)
        raise typer.Exit(1)
    return found


def _url(url: str) -> str:
    """Return a URL without the paths that tools add by themselves."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        reachable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        reachable = False
    if not reachable or not url.isprintable():
        raise typer.BadParameter(f"{url} is no http:// URL")
    return url.rstrip("/").removesuffix("/v1")


def _print_json(tool: Tool, ground: "Ground", chosen: Choice, made: "Setup") -> None:
    from gatewayctl.cli import render

    file = None if made.file is None else {"path": made.file.path, "text": made.file.text}
    render.print_json(
        {
            "tool": tool.value,
            "base_url": ground.url,
            "model": chosen.model,
            "why": chosen.why,
            "context_window": ground.room.total,
            "max_input_tokens": ground.room.input,
            "max_output_tokens": ground.room.output,
            "members": ground.room.members,
            "variables": made.variables,
            "file": file,
            "hints": made.hints,
        }
    )


def _print_lines(made: "Setup", shell: Shell) -> None:
    """Print nothing but what is to be evaluated."""
    from gatewayctl.cli import render
    from gatewayctl.cli.shells import Unquotable, assignment

    try:
        lines = [assignment(shell, name, value) for name, value in made.variables.items()]
    except Unquotable as error:
        render.tell(str(error))
        raise typer.Exit(1) from error
    for line in lines:
        typer.echo(line)


def _tell(tool: Tool, ground: "Ground", chosen: Choice, made: "Setup", shell: Shell) -> None:
    """Say on standard error what was chosen, what else there is to do, and how to apply it."""
    import os

    from gatewayctl.cli import render
    from gatewayctl.cli.shells import recipe

    asked = chosen.model or f"no model set: {tool.value} asks for its own"
    render.tell(f"{asked} ({chosen.why})")
    room = ground.room
    if chosen.model is not None and room.most is None:
        render.tell("its window is unknown, so the tool is told none; models show says what is")
    elif room.most is not None:
        behind = "" if len(room.members) == 1 else f" ({len(room.members)} models behind it)"
        render.tell(f"a window of {room.most:,} tokens{behind}")
    for hint in made.hints:
        render.tell(hint)
    for name in made.variables:
        if name.endswith("_API_KEY") and os.environ.get(name):
            render.tell(f"this replaces {name}: start gatewayctl serve in another shell")
    if made.file is not None and tool is not Tool.CODEX:
        held = " ".join(made.file.text.split())
        render.tell(f"{made.file.path} has to hold this (--file prints it): {held}")
    if sys.stdout.isatty():
        render.tell(f"to apply it: {_applied(tool, made, recipe(shell, f'gatewayctl env {tool}'))}")


def _applied(tool: Tool, made: "Setup", recipe: str) -> str:
    if tool is not Tool.CODEX or made.file is None:
        return recipe
    return f"gatewayctl env codex > {made.file.path}, then codex --profile gatewayctl"
