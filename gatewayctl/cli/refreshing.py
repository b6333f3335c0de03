"""``gatewayctl models refresh``: the sources asked anew, or one table taken from a file.

How a source is asked, read, doubted and stored is ``registry.refresh``'s business.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.status import Status

    from gatewayctl.config.settings import ProviderSettings, Settings, SourceSettings
    from gatewayctl.registry.fetching import Access
    from gatewayctl.registry.freshness import SourceStatus
    from gatewayctl.registry.refresh import Refreshed

SOME_FAILED = 4
NONE_FETCHED = 5


def refresh(
    source: Annotated[
        str | None,
        typer.Option(metavar="S", help="Only this source: a table, or a provider's own listing."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Take the table from a file, not the network."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what is read of the file, and store nothing."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask every source anew: the public tables, and the listings of providers whose key is at hand.

    Says of each how many entries were taken, and how many left out for which reason. What looks
    wrong is quarantined: the figures from before stay.

    Exit status: 0 all fetched, 4 some failed, 5 none fetched.
    """
    import os

    from gatewayctl.cli import offline, render, sources
    from gatewayctl.registry.cache import Outcome

    if dry_run and file is None:
        raise typer.BadParameter("--dry-run belongs to --from")
    settings = offline.load_settings(config, os.environ, forgiving=True)
    _check_name(source, settings, of_file=file is not None)
    if file is not None:
        results = _take(file, source, dry_run=dry_run)
    else:
        results = _fetch(settings, source, quiet=as_json)
    if as_json:
        by_name = {result.source: result for result in results}
        told = _statuses(settings)
        render.print_json(
            {"sources": [sources.refreshed_json(each, by_name.get(each.name)) for each in told]}
        )
    elif file is not None:
        for result in results:
            (sources.print_checked if dry_run else sources.print_refreshed)(result)
    good = sum(result.outcome is Outcome.FETCHED for result in results)
    if not good:
        raise typer.Exit(NONE_FETCHED)
    if good < len(results):
        raise typer.Exit(SOME_FAILED)


def _check_name(source: str | None, settings: "Settings", *, of_file: bool) -> None:
    """Refuse a source that there is none of, and a file for one that is no table."""
    from gatewayctl.registry.sources import PARSERS

    known = sorted(PARSERS) if of_file else list(settings.registry.sources)
    if source is not None and source not in known:
        kind = "table" if of_file else "source"
        raise typer.BadParameter(f"{source} is no {kind}; there are {', '.join(known)}")


def _statuses(settings: "Settings") -> "tuple[SourceStatus, ...]":
    import os

    from gatewayctl.cli import offline

    return offline.sources(settings, os.environ).told(offline.table())


def _fetch(settings: "Settings", source: str | None, *, quiet: bool) -> "list[Refreshed]":
    """Ask the sources over the network, saying how each ended as soon as it has."""
    from gatewayctl.cli import sources
    from gatewayctl.registry.cache import Cache, usual_folder
    from gatewayctl.registry.refresh import refresh as refresh_all
    from gatewayctl.upstream.download import download

    wanted = _wanted(settings, source)
    if not wanted:
        return []
    access, failed = _accesses(settings, wanted)
    if not quiet:
        for result in failed:
            sources.print_refreshed(result)
    with _Progress(access, quiet=quiet) as progress:
        results = refresh_all(
            {name: each for name, each in wanted.items() if name in access},
            Cache(usual_folder()),
            download,
            access=access,
            on_done=progress.tell,
        )
    return [*failed, *results.values()]


def _wanted(settings: "Settings", source: str | None) -> "dict[str, SourceSettings]":
    """Return the sources to ask: without a name those that can be; say why there is none."""
    from gatewayctl.cli import render
    from gatewayctl.registry.freshness import UNASKED, Freshness

    status = {each.name: each.status for each in _statuses(settings)}
    if source is not None and status.get(source) in UNASKED - {Freshness.OFF}:
        provider = settings.providers[settings.registry.sources[source].provider or source].provider
        why = f" without a key: {provider.key_hint}"
        if status[source] is Freshness.PERSONAL:
            why = f': auth = "{provider.auth.value}" is for its clients\' requests alone'
        render.tell(f"{source} is not asked{why}")
        return {}
    wanted = {
        name: each
        for name, each in settings.registry.sources.items()
        if status.get(name) not in UNASKED and source in {None, name}
    }
    if not wanted:
        turned_off = f"{source} is turned off" if source else "every source is turned off"
        render.tell(f"{turned_off} in [registry.sources]")
    return wanted


def _accesses(
    settings: "Settings", wanted: "Mapping[str, SourceSettings]"
) -> "tuple[dict[str, Access], list[Refreshed]]":
    """Return what it takes to ask each source, and the failures of those whose key is not had.

    One after the other: a program that has a key may ask for a password.
    """
    import time

    from gatewayctl.core.errors import SourceFailed
    from gatewayctl.registry.cache import Cache, usual_folder
    from gatewayctl.registry.fetching import Access
    from gatewayctl.registry.refresh import note_failure

    access: dict[str, Access] = {}
    failed = []
    for name, source in wanted.items():
        if source.provider is None:
            access[name] = Access()
            continue
        try:
            access[name] = _access(settings.providers[source.provider])
        except SourceFailed as error:
            cache = Cache(usual_folder())
            failed.append(note_failure(name, source, cache, time.time, str(error)))
    return access, failed


def _access(provider: "ProviderSettings") -> "Access":
    """Return what it takes to ask a provider's own listing; SourceFailed without its key."""
    import os

    from gatewayctl.registry.fetching import Access
    from gatewayctl.upstream.listing import credential_now, headers_for

    return Access(
        headers=headers_for(provider, credential_now(provider, os.environ)),
        proxy=provider.proxy,
        ca_bundle=provider.ca_bundle,
    )


class _Progress:
    """Says how each source ended as soon as it has, and on a terminal which are waited for."""

    def __init__(self, sources: "Iterable[str]", *, quiet: bool) -> None:
        self._waiting = dict.fromkeys(sources)
        self._quiet = quiet
        self._spinner: Status | None = None

    def __enter__(self) -> Self:
        import sys

        from gatewayctl.cli import render

        if self._waiting and not self._quiet and sys.stderr.isatty():
            self._spinner = render.console(stderr=True).status(self._text())
            self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def tell(self, result: "Refreshed") -> None:
        """Print how one source ended; the line that moves makes room for it."""
        from gatewayctl.cli import sources

        self._waiting.pop(result.source, None)
        if self._spinner is not None:
            self._spinner.stop()
        if not self._quiet:
            sources.print_refreshed(result)
        if self._spinner is not None and self._waiting:
            self._spinner.update(self._text())
            self._spinner.start()

    def _text(self) -> str:
        from gatewayctl.cli import render

        return render.printable(f"asking {', '.join(self._waiting)} …")


def _take(file: Path, source: str | None, *, dry_run: bool) -> "list[Refreshed]":
    """Take one table from disk, or only say what is read of it."""
    from gatewayctl.cli import render
    from gatewayctl.core.errors import SourceFailed
    from gatewayctl.registry.cache import Cache, usual_folder
    from gatewayctl.registry.refresh import check_file, load_file

    read = check_file if dry_run else load_file
    try:
        result = read(file, source, Cache(usual_folder()))
    except SourceFailed as error:
        render.tell(str(error))
        return []
    return [result]
