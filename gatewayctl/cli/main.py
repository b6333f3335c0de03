"""The command line: which commands there are, and how an error becomes a line and an exit code.

Command groups live in files of their own and import what is heavy inside their commands, so that
``--help`` loads neither aiohttp nor rich nor tiktoken.
"""

import sys
from typing import Annotated

import typer

from gatewayctl import __version__
from gatewayctl.cli import auth, config, keys, models, streams
from gatewayctl.cli.env import env
from gatewayctl.cli.estimate import estimate
from gatewayctl.cli.explain import route_explain
from gatewayctl.cli.log import log
from gatewayctl.cli.quota import quota
from gatewayctl.cli.serve import serve
from gatewayctl.cli.status import status
from gatewayctl.cli.usage import usage
from gatewayctl.core.errors import ConfigUnreadable, GatewayctlError

app = typer.Typer(
    name="gatewayctl",
    help="One local endpoint for every LLM tool on this machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(estimate)
app.command("route-explain")(route_explain)
app.command()(env)
app.command()(log)
app.command()(status)
app.command()(usage)
app.command()(quota)
app.add_typer(auth.app, name="auth")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")
app.add_typer(models.app, name="models")


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"gatewayctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Route LLM requests on this machine, and explain every choice."""


def main() -> None:
    """Run the command line. A person never sees a traceback for an error raised on purpose."""
    streams.prepare()
    try:
        app()
    except ConfigUnreadable as error:
        typer.echo(f"gatewayctl: {error}", err=True)
        sys.exit(2)
    except GatewayctlError as error:
        typer.echo(f"gatewayctl: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        # what is read is read with a message of its own: this is where the output goes
        typer.echo(f"gatewayctl: cannot go on: {error.strerror or error}", err=True)
        streams.discard_output()
        sys.exit(1)
