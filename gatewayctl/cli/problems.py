"""How problems of a config are shown: for people, for programs, and for GitHub's annotations.

What is a problem is ``gatewayctl.config``'s business.
"""

import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec
import typer

from gatewayctl.cli import render
from gatewayctl.config.problems import Problem, Severity

SCHEMA_VERSION = 1
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}
_FAINT = "dim"

Piece = tuple[str, str]
"""A text and its style, ``""`` for none."""


class Format(StrEnum):
    """How problems are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def show(problems: Sequence[Problem], form: Format, *, name: str, strict: bool = False) -> bool:
    """Print the problems of one file to stdout; tell whether the file is valid.

    ``strict`` makes warnings errors.
    """
    if strict:
        problems = [msgspec.structs.replace(each, severity=Severity.ERROR) for each in problems]
    valid = all(problem.severity is not Severity.ERROR for problem in problems)
    match form:
        case Format.TEXT:
            _print(_text(problems, name))
        case Format.JSON:
            typer.echo(_json(problems, valid=valid))
        case Format.GITHUB:
            for problem in problems:
                typer.echo(_annotation(problem))
    return valid


def _json(problems: Sequence[Problem], *, valid: bool) -> bytes:
    listed = [msgspec.structs.asdict(problem) for problem in problems]
    for entry in listed:
        del entry["source_line"]
        # a file's name is bytes, which need not be UTF-8
        entry["file"] = os.fsencode(entry["file"]).decode(errors="replace")
    document = {"schema_version": SCHEMA_VERSION, "valid": valid, "problems": listed}
    return msgspec.json.format(msgspec.json.encode(document))


def _annotation(problem: Problem) -> str:
    """Write one workflow command; its parts are escaped as GitHub's runner reads them."""
    where = [f"file={_property(problem.file)}"]
    if problem.line is not None and problem.column is not None:
        where += [f"line={problem.line}", f"col={problem.column}"]
    where.append(f"title={_property(problem.code)}")
    said = f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
    return f"::{problem.severity} {','.join(where)}::{_data(said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _text(problems: Sequence[Problem], name: str) -> Iterator[list[Piece]]:
    for problem in problems:
        yield from _one(problem)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    counts = [_count(errors, "error"), _count(len(problems) - errors, "warning")]
    found = ", ".join(count for count in counts if count)
    yield [(f"{name}: {'not valid' if errors else 'valid'}{f' ({found})' if found else ''}", "")]


def _count(number: int, noun: str) -> str:
    if not number:
        return ""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _one(problem: Problem) -> Iterator[list[Piece]]:
    yield [
        (f"{problem.place}: ", "bold"),
        (f"{problem.severity}: ", _STYLES[problem.severity]),
        (problem.message, ""),
        (f" [{problem.code}]", _FAINT),
    ]
    if problem.line is not None and problem.column is not None and problem.source_line:
        number = str(problem.line)
        blank = " " * len(number)
        yield [(f"  {number} | ", _FAINT), (problem.source_line, "")]
        before = "".join(map(_space, problem.source_line[: problem.column - 1]))
        yield [(f"  {blank} | ", _FAINT), (f"{before}^", _STYLES[problem.severity])]
    if problem.hint:
        yield [("  hint: ", "bold"), (problem.hint, "")]


def _space(char: str) -> str:
    """Return blanks as wide as a character, so that the caret stands below its column."""
    if char == "\t":
        return char
    if unicodedata.category(char) in {"Mn", "Me"}:
        return ""  # drawn over the character before it
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "


def _print(lines: Iterator[list[Piece]]) -> None:
    if not sys.stdout.isatty():
        for line in lines:
            typer.echo("".join(render.printable(text) for text, _ in line))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((render.printable(text), style) for text, style in line)))
