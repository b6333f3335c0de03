"""Options that several commands share, and their values. Light: read by every ``--help``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewayctl.protocols.dialect import Dialect

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The config file, instead of the usual one."),
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
