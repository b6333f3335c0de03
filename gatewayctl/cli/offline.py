"""The CLI's wiring without the daemon: settings, registry and what routing asks of both.

Loads no HTTP client and asks no network. The daemon is wired in ``daemon.composition``.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gatewayctl.config.every import with_every_provider
from gatewayctl.config.load import default_settings, find_config, load
from gatewayctl.config.problems import Severity, did_you_mean
from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core.errors import ConfigInvalid, StorageFailed
from gatewayctl.core.model import Auth
from gatewayctl.registry import snapshot
from gatewayctl.registry.cache import Cache, usual_folder
from gatewayctl.registry.checking import CheckedAgainst
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.live import Live
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.table import Table
from gatewayctl.registry.told import Sources
from gatewayctl.storage import client_keys, files
from gatewayctl.storage.credentials import State, Vault
from gatewayctl.storage.knowledge import Known, read
from gatewayctl.upstream.at_hand import askable, available

if TYPE_CHECKING:
    from gatewayctl.daemon.permitted import Client


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


def _tell_lost(folder: Path, lost: frozenset[str]) -> None:
    names = ", ".join(sorted(lost))
    _tell(
        f"the cache in {folder} cannot be read ({names}), so the packaged table answers; "
        "gatewayctl models refresh makes it anew"
    )


def checked_against(mode: Mode) -> CheckedAgainst:
    """Return what a config is checked against; the packaged table alone knows of no reply."""
    return CheckedAgainst(Registry(table(mode)), knowledge() if mode is Mode.CACHE else None)


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
    catalog = checked_against(Mode.CACHE)
    loaded = load(path, environ=environ, catalog=catalog, reload=forgiving, keyed=keyed())
    if loaded.settings is not None:
        return loaded.settings
    errors = tuple(
        f"{problem.place}: {f'{problem.key}: ' if problem.key else ''}{problem.message}"
        for problem in loaded.problems
        if problem.severity is Severity.ERROR
    )
    raise ConfigInvalid("\n  ".join((f"{path} is not valid:", *errors)), errors)


def sources(settings: Settings, environ: Mapping[str, str]) -> Sources:
    """Return who tells how fresh the sources are."""
    return Sources(settings, Cache(usual_folder()), lambda each: askable(each, environ))


def live(settings: Settings, mode: Mode = Mode.CACHE) -> Live:
    """Return the registry that knows a config's own models, providers and sources."""
    return Live(settings, table(mode))


def registry(settings: Settings, mode: Mode = Mode.CACHE) -> Registry:
    """Return the same for a command that looks at it once."""
    return live(settings, mode).current


def directory(
    settings: Settings,
    environ: Mapping[str, str],
    learned: Known | None = None,
    *,
    every_kind: bool = False,
) -> Directory:
    """Make what routing looks things up in; ``learned`` is what replies taught.

    ``every_kind`` adds the built-in providers that are not configured, for questions about models
    that nobody is about to call.
    """
    if every_kind:
        settings = with_every_provider(settings, environ)
    return over(settings, live(settings), learned or Known(), environ)


def over(settings: Settings, known: Live, learned: Known, environ: Mapping[str, str]) -> Directory:
    """Make the same over a registry that is at hand."""
    return Directory(settings, known, lambda each: _at_hand(each, environ), learned)


def _at_hand(settings: ProviderSettings, environ: Mapping[str, str]) -> bool:
    """Tell whether a provider's credential is there; whether a token is still good is not asked."""
    if settings.provider.auth is not Auth.OAUTH:
        return available(settings, environ)
    if settings.borrow is not None:
        return Path(settings.borrow).is_file()
    try:
        there = Vault(files.usual_state_folder()).get(settings.provider.name)
    except StorageFailed:
        return False
    return there is not None and there.state is State.READY


def keyed() -> bool:
    """Tell whether there are client keys besides the config's, good ones or not.

    A file of them that cannot be read counts: the daemon lets nobody in by it.
    """
    try:
        return bool(client_keys.read(files.usual_state_folder()))
    except StorageFailed:
        return True


def client(name: str, settings: Settings, world: Directory) -> "Client":
    """Return whose client key is called so, good or not; what it has spent is not asked.

    Raises ``typer.BadParameter`` where nobody's is, and StorageFailed.
    """
    from gatewayctl.core.permits import Permit
    from gatewayctl.daemon.permitted import Client, Permitted

    keys = client_keys.read(files.usual_state_folder()) or ()
    found = next((key for key in keys if key.name == name), None)
    if found is not None:
        permit = Permit(patterns=found.models)
        return Client(name, Permitted(world), permit=permit, limits=found.limits)
    if any(client_keys.configured(each).name == name for each in settings.server.keys):
        return Client(name, Permitted(world))
    hint = did_you_mean(name, [key.name for key in keys]) or "gatewayctl keys list shows them"
    raise typer.BadParameter(f'no client key is called "{name}"; {hint}')


def shut_out(name: str, now: float) -> str | None:
    """Return why nobody is let in with a client key of this name, None if somebody is.

    Raises StorageFailed where the keys cannot be read.
    """
    for key in client_keys.read(files.usual_state_folder()) or ():
        if key.name == name and (state := key.state(now)) != "active":
            return f'the client key "{name}" is {state}: requests with it are refused (401)'
    return None


def knowledge() -> Known:
    """Return what replies taught, as the daemon wrote it down; nothing is written here.

    What cannot be read is told on standard error, once, and counts as nothing.
    """
    learned = read(files.usual_state_folder())
    if learned.degraded:
        _tell(learned.degraded)
    return learned


@cache
def _tell(what: str) -> None:
    typer.echo(f"gatewayctl: {what}", err=True)
