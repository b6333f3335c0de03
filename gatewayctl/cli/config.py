"""``gatewayctl config``: check, write, show and find the config file.

What a file means and what is wrong with it is ``gatewayctl.config``'s business.
"""

import os
import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption
from gatewayctl.cli.problems import Format
from gatewayctl.cli.problems import show as show_problems

if TYPE_CHECKING:
    from gatewayctl.config.catalog import Catalog
    from gatewayctl.config.problems import Problem

app = typer.Typer(
    name="config",
    help="Check, write, show and find the config file.",
    no_args_is_help=True,
)

_STDIN = "-"


class RegistryChoice(StrEnum):
    """Which table of models a check asks."""

    CACHE = "cache"
    SNAPSHOT = "snapshot"


def catalog_for(choice: RegistryChoice) -> "Catalog":
    """Return the table of models that checks ask."""
    from gatewayctl.cli.offline import Mode, checked_against

    return checked_against(Mode(choice))


@app.command()
def validate(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The file to check; - is standard input."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
    registry: Annotated[
        RegistryChoice,
        typer.Option(help="Check against the local cache, or the packaged snapshot alone."),
    ] = RegistryChoice.CACHE,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Today, for retirement dates."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="How problems are written.")
    ] = Format.TEXT,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find every problem of a config file in one run.

    The file is FILE, or that of --config as with the other commands; --json is --format json.

    Exit status: 0 when the file is valid, 1 when it is not, 2 when it cannot be opened.
    """
    if file is not None and config is not None:
        raise typer.BadParameter("give FILE or --config, not both")
    form = Format.JSON if as_json else form
    today = (as_of or datetime.now(UTC)).date()
    name, problems = _problems(file or config, catalog_for(registry), today)
    if not show_problems(problems, form, name=name, strict=strict):
        raise typer.Exit(1)


def _problems(
    file: Path | None, catalog: "Catalog", today: date
) -> "tuple[str, tuple[Problem, ...]]":
    """Return the name of the file that was checked, and what is wrong with it.

    The tokenizer files that it names are read too, which other commands do not take the time for.
    """
    from functools import partial

    from gatewayctl.cli import offline
    from gatewayctl.config.lint import Surroundings
    from gatewayctl.config.load import LARGEST, load, load_bytes
    from gatewayctl.config.tokenizer_files import look
    from gatewayctl.tokenizers.huggingface import problem

    thorough = partial(look, read=problem)
    if str(file) == _STDIN:
        name, data = "<stdin>", _stdin(LARGEST + 1)
        around = Surroundings(today=today, look=thorough, keyed=offline.keyed())
        loaded = load_bytes(data, name=name, environ=os.environ, catalog=catalog, around=around)
    else:
        path = _existing(file)
        name = str(path)
        loaded = load(
            path,
            environ=os.environ,
            catalog=catalog,
            today=today,
            keyed=offline.keyed(),
            look=thorough,
        )
    return name, loaded.problems


def _stdin(most: int) -> bytes:
    """Return what standard input holds; raise ``ConfigUnreadable`` where there is none."""
    from gatewayctl.core.errors import ConfigUnreadable

    try:
        if sys.stdin is not None:
            return sys.stdin.buffer.read(most)
    except OSError as error:
        raise ConfigUnreadable(f"cannot read standard input: {error.strerror}") from error
    raise ConfigUnreadable("standard input is closed; name a file, or give it there")


def _existing(named: Path | None) -> Path:
    """Return the file to read; raise ``ConfigUnreadable`` when nothing is named and none exists."""
    from gatewayctl.config.load import find_config, usual_path
    from gatewayctl.core.errors import ConfigUnreadable

    path = find_config(named, os.environ)
    if path is None:
        raise ConfigUnreadable(
            f"there is no config file at {usual_path(os.environ)}; "
            "gatewayctl config init writes one"
        )
    return path


@app.command()
def init(
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where to write it; - is standard output."),
    ] = None,
) -> None:
    """Write a commented config file from what this machine has.

    Keys are looked for in the environment, model servers on loopback; nothing else is asked.

    Exit status: 0 when the file was written, 1 when there is one already.
    """
    from gatewayctl.cli.discovery import config_text, discover
    from gatewayctl.config.load import usual_path
    from gatewayctl.storage.files import write_atomic

    named = output or os.environ.get("GATEWAYCTL_CONFIG") or usual_path(os.environ)
    if str(named) == _STDIN:
        typer.echo(config_text(discover(os.environ)), nl=False)
        return
    # Path.expanduser fails where a user is unknown
    path = Path(os.path.expanduser(named))  # noqa: PTH111
    if not force and os.access(path.parent, os.X_OK) and os.path.lexists(path):
        typer.echo(f"gatewayctl: {path} exists; --force replaces it", err=True)
        raise typer.Exit(1)
    found = discover(os.environ)
    write_atomic(path, config_text(found).encode())
    for line in found.told():
        typer.echo(line)
    typer.echo(f"wrote {path}")
    typer.echo("next: gatewayctl serve, and gatewayctl env claude|codex|gemini|openai for a tool")


@app.command()
def show(
    config: ConfigOption = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="What it means, with every default filled in.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of TOML.")] = False,
) -> None:
    """Print the config without its secrets.

    Exit status: 0 when it was printed, 1 when it is not valid, 2 when it cannot be opened.
    """
    import msgspec
    import tomli_w

    from gatewayctl.cli.shown import resolved_values, written_values

    if resolved:
        values = resolved_values(config, catalog_for(RegistryChoice.CACHE))
    else:
        values = written_values(config)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(values)).decode())
    else:
        typer.echo(tomli_w.dumps(values), nl=False)


@app.command()
def path(config: ConfigOption = None) -> None:
    """Print which config file is read, whether or not it exists."""
    from gatewayctl.config.load import find_config, usual_path

    typer.echo(find_config(config, os.environ) or usual_path(os.environ))


@app.command()
def schema() -> None:
    """Print the file format as JSON Schema, for editors."""
    import msgspec

    from gatewayctl.config.jsonschema import json_schema

    typer.echo(msgspec.json.format(msgspec.json.encode(json_schema())).decode())
