"""``gatewayctl models``: what is known about models, who says so, and how fresh that is.

What a field means and who is believed is ``gatewayctl.registry``'s business.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayctl.config.settings import Settings
    from gatewayctl.registry.freshness import SourceStatus
    from gatewayctl.registry.lookup import Registry
    from gatewayctl.registry.refresh import Refreshed

SOME_FAILED = 4
NONE_FETCHED = 5

app = typer.Typer(
    name="models",
    help="Show what is known about models, and refresh it.",
    no_args_is_help=True,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The config file, instead of the usual one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(
    provider: Annotated[
        str | None, typer.Option(metavar="P", help="Only the models of this provider.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all known models: limits, prices in USD per million tokens, source and age.

    The freshness of each source stands at the top. "-" is unknown.
    """
    from gatewayctl.cli import facts, render
    from gatewayctl.registry import told

    known = _open(config)
    registry = known.registry
    entries = list(told.entries(registry, provider))
    if as_json:
        models = [told.model_json(entry, others=False) for entry in entries]
        render.print_json({"sources": known.sources, "models": models})
        return
    facts.print_sources(known.sources, registry.table.sources, known.now)
    typer.echo()
    if entries:
        facts.print_models(entries, known.now)
    else:
        typer.echo(f'no model of "{provider}" is known')


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="ID", help="PROVIDER/MODEL")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one model, field by field: value, source, age, and what other sources say.

    Exit status: 0 found, 1 not known.
    """
    from gatewayctl.cli import facts, render
    from gatewayctl.registry.told import model_json

    known = _open(config)
    name, slash, rest = model.partition("/")
    entry = known.registry.entry(name, rest) if slash else None
    if entry is None:
        near = _near(model, known.registry, known.settings)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        typer.echo(f'gatewayctl: no source knows "{model}"{hint}', err=True)
        raise typer.Exit(1)
    if as_json:
        render.print_json(model_json(entry, others=True))
    else:
        facts.print_model(entry, known.now)


@app.command()
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

    from gatewayctl.cli import facts, offline, render
    from gatewayctl.registry.cache import Outcome
    from gatewayctl.registry.sources import PARSERS

    if source is not None and source not in PARSERS:
        raise typer.BadParameter(f"{source} is no source; there are {', '.join(sorted(PARSERS))}")
    settings = offline.load_settings(config, os.environ, forgiving=True)
    results = _fetch(settings, source, quiet=as_json) if file is None else _take(file, source)
    if as_json:
        by_name = {result.source: result for result in results}
        sources = [
            facts.refreshed_json(each, by_name.get(each.name)) for each in _open(config).sources
        ]
        render.print_json({"sources": sources})
    elif file is not None:
        for result in results:
            facts.print_refreshed(result)
    good = sum(result.outcome is Outcome.FETCHED for result in results)
    if not good:
        raise typer.Exit(NONE_FETCHED)
    if good < len(results):
        raise typer.Exit(SOME_FAILED)


class _Known(NamedTuple):
    """What the commands look at, read at one moment."""

    registry: "Registry"
    settings: "Settings"
    sources: "tuple[SourceStatus, ...]"
    now: datetime


def _open(config: Path | None) -> _Known:
    import os

    from gatewayctl.cli import offline
    from gatewayctl.registry import told

    now = datetime.now(UTC)
    settings = offline.load_settings(config, os.environ, forgiving=True)
    registry = offline.registry(settings)
    sources = told.sources(settings.registry, registry.table, now)
    return _Known(registry, settings, sources, now)


def _near(model: str, registry: "Registry", settings: "Settings") -> "Sequence[str]":
    """Return ids that may be meant: a bare name at its providers, else what looks alike."""
    from gatewayctl.config.kinds import kinds

    if "/" not in model:
        listing = registry.listed_by(model, list({**settings.providers, **kinds()}))
        if listing:
            return [f"{provider}/{model}" for provider in listing]
    return registry.nearest(model)


def _fetch(settings: "Settings", source: str | None, *, quiet: bool) -> "list[Refreshed]":
    """Fetch from the network, saying how each source ended as soon as it has."""
    import contextlib
    import sys

    from gatewayctl.cli import facts, render
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
        typer.echo(f"gatewayctl: {turned_off} in [registry.sources]", err=True)
        return []
    progress: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if not quiet and sys.stderr.isatty():
        progress = render.console(stderr=True).status(f"fetching {', '.join(wanted)} …")
    with progress:
        results = refresh_all(
            wanted,
            Cache(usual_folder()),
            download,
            on_done=(lambda _: None) if quiet else facts.print_refreshed,
        )
    return list(results.values())


def _take(file: Path, source: str | None) -> "list[Refreshed]":
    """Take one source's table from disk."""
    from gatewayctl.core.errors import SourceFailed
    from gatewayctl.registry.cache import Cache, usual_folder
    from gatewayctl.registry.refresh import load_file

    try:
        result = load_file(file, source, Cache(usual_folder()))
    except SourceFailed as error:
        typer.echo(f"gatewayctl: {error}", err=True)
        return []
    return [result]
