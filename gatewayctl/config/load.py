"""Finds a config file, reads it, and makes settings and problems of it.

The only place in ``config`` that opens the user's file; those that it names are ``look``'s.
"""

import os
import re
import select
import stat
import sys
import time
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import BinaryIO

import msgspec
from platformdirs.unix import Unix

from gatewayctl.config import tokenizer_files
from gatewayctl.config.catalog import Catalog, EmptyCatalog
from gatewayctl.config.lint import Surroundings
from gatewayctl.config.positions import Position, index
from gatewayctl.config.problems import Problem, Report
from gatewayctl.config.references import REGISTRY_CODES
from gatewayctl.config.resolve import no_file, resolve
from gatewayctl.config.schema import Document
from gatewayctl.config.settings import Settings
from gatewayctl.config.tokenizer_files import Look
from gatewayctl.config.walk import read_struct
from gatewayctl.core.errors import ConfigUnreadable

VARIABLE = "GATEWAYCTL_CONFIG"
_FILE = "config.toml"
_APP = "gatewayctl"
_OTHERS = 0o044
LARGEST = 4 * 1024 * 1024
"""The most bytes of a file that are read: checking them takes about a second."""
_TOML = "strings stand in quotes, a key stands once, each in a line of its own"
PATIENCE = 10
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read: ``settings`` is None when a problem is an error."""

    settings: Settings | None
    problems: tuple[Problem, ...]


def usual_path(environ: Mapping[str, str]) -> Path:
    """Return where the file is when nobody says otherwise."""
    if sys.platform == "win32":
        base = environ.get("APPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Roaming") / _APP / _FILE
    # macOS too: people keep the configuration of command-line tools under ~/.config
    return Unix(_APP).user_config_path / _FILE


def find_config(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one named, else the variable's, else the usual if it exists."""
    named = explicit or environ.get(VARIABLE)
    if named:
        # Path.expanduser fails where a user is unknown
        return Path(os.path.expanduser(named))  # noqa: PTH111
    usual = usual_path(environ)
    try:
        # not its target: a link that leads nowhere is there, and whoever opens it says so
        usual.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return usual  # behind a folder that cannot be looked into
    return usual


def load(  # noqa: PLR0913 - what is known of a file besides its text
    path: Path,
    *,
    environ: Mapping[str, str],
    catalog: Catalog,
    today: date | None = None,
    reload: bool = False,
    keyed: bool = False,
    look: Look = tokenizer_files.look,
) -> Loaded:
    """Read a file; raise ``ConfigUnreadable`` when it cannot be opened.

    ``today``, ``reload``, ``keyed`` and ``look`` are ``Surroundings``'.
    """
    data, mode = read(path)
    others = sys.platform != "win32" and bool(mode & _OTHERS)
    around = Surroundings(
        path=str(path),
        folder=str(path.absolute().parent),
        readable_by_others=others,
        today=today,
        reload=reload,
        keyed=keyed,
        look=look,
    )
    return load_bytes(data, name=str(path), environ=environ, catalog=catalog, around=around)


def read(path: Path) -> tuple[bytes, int]:
    """Return a file's bytes and mode; raise ``ConfigUnreadable``.

    A pipe (``<(…)`` in a shell) is waited for, ``PATIENCE`` seconds at most.
    """
    try:
        with open(path, "rb", opener=_opened) as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISFIFO(mode):
                return _from_pipe(file), mode
            if sys.platform != "win32":
                os.set_blocking(file.fileno(), True)
            return file.read(LARGEST + 1), mode
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigUnreadable(f"cannot open {path}: {why}") from error


def _opened(path: str, flags: int) -> int:
    """Open without waiting: a pipe that nobody writes to would otherwise never be open."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _from_pipe(file: BinaryIO) -> bytes:
    """Read a pipe to its end; nobody writing to it, or not ending, is a ``TimeoutError``."""
    data = bytearray()
    until = time.monotonic() + PATIENCE
    while len(data) <= LARGEST:
        ready, _, _ = select.select([file], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise TimeoutError(None, f"nobody wrote it to its end within {PATIENCE} s")
        part = os.read(file.fileno(), 1 << 16)
        if not part:
            break
        data += part
    return bytes(data)


def load_text(text: str, *, name: str, environ: Mapping[str, str], catalog: Catalog) -> Loaded:
    """Read a config that is at hand; ``name`` is what problems call its file."""
    around = Surroundings(path=name)
    return _load_text(text, name, environ, catalog, around)


def load_bytes(
    data: bytes,
    *,
    name: str,
    environ: Mapping[str, str],
    catalog: Catalog,
    around: Surroundings,
) -> Loaded:
    """Read a config's bytes; ``name`` is what problems call its file."""
    text = decode(data, name)
    if isinstance(text, Problem):
        return Loaded(settings=None, problems=(text,))
    return _load_text(text, name, environ, catalog, around)


def decode(data: bytes, name: str) -> str | Problem:
    """Return a file's text; one that is too large, or not UTF-8, is a problem where it is."""
    if len(data) > LARGEST:
        report = Report(name, "")
        report.at(None, "too-large", f"larger than {LARGEST} bytes", "this is no config file")
        return report.problems()[0]
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        where = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
        report = Report(name, before)
        report.at(where, "not-utf8", "not UTF-8 from here on", "save the file as UTF-8")
        return report.problems()[0]


def default_settings(environ: Mapping[str, str]) -> Settings:
    """Return what holds without a file: the built-in providers whose key variable is set."""
    return no_file(environ, EmptyCatalog())


def _load_text(
    text: str, name: str, environ: Mapping[str, str], catalog: Catalog, around: Surroundings
) -> Loaded:
    text = normal(text)
    raw = parse(text, name)
    if isinstance(raw, Problem):
        return Loaded(settings=None, problems=(raw,))
    forgiven = REGISTRY_CODES | {tokenizer_files.UNUSABLE} if around.reload else frozenset()
    report = Report(name, text, index(text), forgiven=forgiven)
    doc = read_struct(Document, raw, (), report)
    settings = resolve(doc, raw, environ=environ, catalog=catalog, around=around, report=report)
    return Loaded(settings=None if report.failed else settings, problems=report.problems())


def normal(text: str) -> str:
    """Return a text without BOM, its line ends one character each: what positions count."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def parse(text: str, name: str) -> dict[str, object] | Problem:
    """Return TOML values, numbers with a point as decimals; text that is not TOML is a problem."""
    report = Report(name, text)
    try:
        return tomllib.loads(text, parse_float=_decimal)
    except RecursionError:
        report.at(None, "syntax", "nested too deeply", "use fewer brackets in brackets")
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _AT.search(message)
        lines = text.split("\n")
        where = Position(len(lines), len(lines[-1]) + 1)
        if found and found[1]:
            where = Position(int(found[1]), int(found[2]))
        report.at(where, "syntax", f"not TOML: {_AT.sub('', message)}", _TOML)
    except ValueError:
        # Python refuses to read integers of thousands of digits, and does not say where
        report.at(None, "syntax", "a number has too many digits", "write fewer digits")
    return report.problems()[0]


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except DecimalException:
        # an exponent beyond what decimals hold: no figure of ours is near it
        return Decimal("Infinity")
