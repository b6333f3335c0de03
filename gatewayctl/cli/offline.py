"""The CLI's wiring without the daemon: settings, registry and what routing asks of both.

Loads no HTTP client and asks no network. The daemon is wired in ``daemon.composition``.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

import typer

from gatewayctl.config.every import with_every_provider
from gatewayctl.config.load import default_settings, find_config, load
from gatewayctl.config.problems import Severity
from gatewayctl.config.settings import Settings
from gatewayctl.core.errors import ConfigInvalid
from gatewayctl.registry import snapshot
from gatewayctl.registry.cache import Cache, usual_folder
from gatewayctl.registry.checking import CheckedAgainst
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.live import Live
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.table import Table
from gatewayctl.upstream.at_hand import available


class Mode(StrEnum):
    """Which table of models answers."""

    CACHE = "cache"
    SNAPSHOT = "snapshot"


def table(mode: Mode = Mode.CACHE) -> Table:
    """Load the local cache over the packaged table, or the packaged one alone.

    A cache that cannot be read is told on standard error, once.
    """
    if mode is Mode.SNAPSHOT:
        return snapshot.load()
    folder = usual_folder()
    found = Cache(folder).load()
    if found.lost:
        _tell_lost(folder, found.lost)
    return found


@cache
def _tell_lost(folder: Path, lost: frozenset[str]) -> None:
    names = ", ".join(sorted(lost))
    typer.echo(
        f"gatewayctl: the cache in {folder} cannot be read ({names}), so the packaged table "
        "answers; gatewayctl models refresh makes it anew",
        err=True,
    )


def load_settings(
    config: Path | None, environ: Mapping[str, str], *, forgiving: bool = False
) -> Settings:
    """Read the config that is named or usual; without a file, what holds without one.

    ``forgiving`` lets pass what only the registry's state makes wrong, for commands that must work
    for that very reason. Raises ConfigUnreadable, and ConfigInvalid with every error in it.
    """
    path = find_config(config, environ)
    if path is None:
        return default_settings(environ)
    catalog = CheckedAgainst(Registry(table()))
    loaded = load(path, environ=environ, catalog=catalog, reload=forgiving)
    if loaded.settings is not None:
        return loaded.settings
    errors = tuple(
        f"{problem.place}: {f'{problem.key}: ' if problem.key else ''}{problem.message}"
        for problem in loaded.problems
        if problem.severity is Severity.ERROR
    )
    raise ConfigInvalid("\n  ".join((f"{path} is not valid:", *errors)), errors)


def live(settings: Settings, mode: Mode = Mode.CACHE) -> Live:
    """Return the registry that knows a config's own models, providers and sources."""
    return Live(settings, table(mode))


def registry(settings: Settings, mode: Mode = Mode.CACHE) -> Registry:
    """Return the same for a command that looks at it once."""
    return live(settings, mode).current


def directory(
    settings: Settings, environ: Mapping[str, str], *, every_kind: bool = False
) -> Directory:
    """Make what routing looks things up in.

    ``every_kind`` adds the built-in providers that are not configured, for questions about models
    that nobody is about to call.
    """
    if every_kind:
        settings = with_every_provider(settings, environ)
    return Directory(settings, live(settings), lambda each: available(each, environ))
