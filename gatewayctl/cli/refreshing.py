"""``gatewayctl models refresh``: the sources asked anew, or one taken from a file.

How a source is read, doubted and stored is ``registry.refresh``'s business.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from gatewayctl.config.settings import Settings
    from gatewayctl.registry.freshness import SourceStatus
    from gatewayctl.registry.refresh import Refreshed

SOME_FAILED = 4
NONE_FETCHED = 5


def refresh(
    source: Annotated[
        str | None, typer.Option(metavar="S", help="Only this source: litellm or models_dev.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Take the table from a file, not the network."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the sources' tables and merge them anew.

    A table that looks wrong is quarantined: the old one stays.

    Exit status: 0 all fetched, 4 some failed, 5 none fetched.
    """
    import os

    from gatewayctl.cli import offline, render, sources
    from gatewayctl.registry.cache import Outcome
    from gatewayctl.registry.sources import PARSERS

    if source is not None and source not in PARSERS:
        raise typer.BadParameter(f"{source} is no source; there are {', '.join(sorted(PARSERS))}")
    settings = offline.load_settings(config, os.environ, forgiving=True)
    results = _fetch(settings, source, quiet=as_json) if file is None else _take(file, source)
    if as_json:
        by_name = {result.source: result for result in results}
        told = _statuses(settings)
        render.print_json(
            {"sources": [sources.refreshed_json(each, by_name.get(each.name)) for each in told]}
        )
    elif file is not None:
        for result in results:
            sources.print_refreshed(result)
    good = sum(result.outcome is Outcome.FETCHED for result in results)
    if not good:
        raise typer.Exit(NONE_FETCHED)
    if good < len(results):
        raise typer.Exit(SOME_FAILED)


def _statuses(settings: "Settings") -> "tuple[SourceStatus, ...]":
    from datetime import UTC, datetime

    from gatewayctl.cli import offline
    from gatewayctl.registry import told

    return told.sources(settings.registry, offline.registry(settings).table, datetime.now(UTC))


def _fetch(settings: "Settings", source: str | None, *, quiet: bool) -> "list[Refreshed]":
    """Fetch from the network, saying how each source ended as soon as it has."""
    import contextlib
    import sys

    from gatewayctl.cli import render, sources
    from gatewayctl.registry.cache import Cache, usual_folder
    from gatewayctl.registry.refresh import refresh as refresh_all
    from gatewayctl.upstream.download import download

    wanted = {
        name: each
        for name, each in settings.registry.sources.items()
        if each.url and source in {None, name}
    }
    if not wanted:
        turned_off = f"{source} is turned off" if source else "every source is turned off"
        render.tell(f"{turned_off} in [registry.sources]")
        return []
    progress: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if not quiet and sys.stderr.isatty():
        progress = render.console(stderr=True).status(f"fetching {', '.join(wanted)} …")
    with progress:
        results = refresh_all(
            wanted,
            Cache(usual_folder()),
            download,
            on_done=(lambda _: None) if quiet else sources.print_refreshed,
        )
    return list(results.values())


def _take(file: Path, source: str | None) -> "list[Refreshed]":
    """Take one source's table from disk."""
    from gatewayctl.cli import render
    from gatewayctl.core.errors import SourceFailed
    from gatewayctl.registry.cache import Cache, usual_folder
    from gatewayctl.registry.refresh import load_file

    try:
        result = load_file(file, source, Cache(usual_folder()))
    except SourceFailed as error:
        render.tell(str(error))
        return []
    return [result]
