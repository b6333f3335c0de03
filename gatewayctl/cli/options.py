"""Options that several commands share, and their values. Light: read by every ``--help``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Dialect(StrEnum):
    """What may be read: a body in a wire protocol, or the text of one message."""

    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    TEXT = "text"


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The config file, instead of the usual one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SourceArgument = Annotated[
    str | None,
    typer.Argument(metavar="[FILE]", help="Request body or text; - is standard input."),
]
ProtocolOption = Annotated[
    Dialect | None,
    typer.Option("--protocol", help="What the input is in; detected by default."),
]
