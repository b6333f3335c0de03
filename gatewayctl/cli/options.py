"""Options that several commands share, and their values. Light: read by every ``--help``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewayctl.protocols.dialect import Dialect

NO_DAEMON = 4
"""The exit status of a command that asks the daemon, and none answers."""

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The config file, instead of the usual one."),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Ask the daemon at this address, not where the config says it is."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]",
        help="A request body as JSON, or plain text; - or none is standard input.",
    ),
]
ProtocolOption = Annotated[
    Dialect | None,
    typer.Option("--protocol", help="What the input is in; seen from its keys by default."),
]
