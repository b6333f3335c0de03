"""``gatewayctl quota``: what is left of each credential's quota, by the daemon or by its file.

What is known is ``daemon.quotas``' business and how it is shown ``cli.meters``'; here it is asked
for, and made an exit status.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gatewayctl.cli.options import NO_DAEMON, ConfigOption, JsonOption, UrlOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayctl.cli.live import Told
    from gatewayctl.config.settings import ProviderSettings, Settings
    from gatewayctl.daemon.quota_told import Document
    from gatewayctl.upstream.marks import Marks
    from gatewayctl.upstream.probes import Answer

SPENT = 3
NOT_ANSWERED = 1

_PATH = "/api/quota"
_FORGET = "'--forget'"


def quota(
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="First ask every provider that tells what a key has left: over the net."
        ),
    ] = False,
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="CREDENTIAL", help="First forget what is known of one, so that it is tried."
        ),
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is left of each credential's quota, and until when one that is spent is skipped.

    Figures come from the headers of replies, each with its age. Asks the daemon on this machine;
    where none runs, its file. Nothing is asked of a provider but with --probe.

    Exit status: 0 no credential is spent, 1 the config is wrong, the file cannot be read or a
    provider did not answer, 2 nothing is known of the credential to forget, 3 a credential is
    spent, 4 no daemon answers at --url.
    """
    from gatewayctl.cli import meters, render

    if probe and forget is not None:
        raise typer.BadParameter("--probe and --forget are two commands")
    document, origin = _known(url, config, _Wish(probe=probe, forget=forget))
    if forget is not None:
        render.tell(f"{forget} is forgotten, and tried again with the next request")
    if as_json:
        import msgspec

        render.print_json({"origin": origin, **msgspec.to_builtins(document)})
    else:
        meters.print_document(document, origin)
    failed = [each for each in document.probes if each.error is not None]
    for each in failed:
        render.tell(f"{each.credential}: {each.url} could not be asked: {each.error}")
    if probe and not document.probes:
        render.tell("no provider with a key that is at hand tells what it has left")
    if document.degraded is not None:
        render.tell(document.degraded)
    if any(each.spent_until is not None for each in document.credentials):
        raise typer.Exit(SPENT)
    if failed or (document.degraded is not None and not document.credentials):
        raise typer.Exit(NOT_ANSWERED)


class _Wish(NamedTuple):
    """What is to be done before it is shown."""

    probe: bool
    forget: str | None


def _known(url: str | None, config: Path | None, wish: _Wish) -> "tuple[Document, str]":
    """Return what is known, and by whom: the daemon's address or the file."""
    from gatewayctl.cli import live, offline, render

    query = {"forget": wish.forget}
    body = b"" if wish.probe or wish.forget is not None else None
    try:
        if url is not None:
            told = live.found(url, config, _PATH, query, body)
            return _document(told), told.url
        settings = offline.load_settings(config, os.environ, forgiving=True)
        told = live.ask(live.address(settings.server), _PATH, query, body)
        return _document(told), told.url
    except live.DaemonRefused as error:
        if wish.forget is not None:
            raise typer.BadParameter(str(error), param_hint=_FORGET) from error
        render.tell(f"the daemon that answers does not tell of quotas: {error}")
        raise typer.Exit(NO_DAEMON) from error
    except live.DaemonUnreachable as error:
        render.tell(str(error).partition(";")[0])
    return _from_file(settings, wish)


def _document(told: "Told") -> "Document":
    import msgspec

    from gatewayctl.cli import render
    from gatewayctl.daemon.quota_told import Document

    try:
        return msgspec.convert(told.doc, Document)
    except msgspec.ValidationError as error:
        render.tell(f"the daemon that answers is of another version: {error}")
        raise typer.Exit(NO_DAEMON) from error


def _from_file(settings: "Settings", wish: _Wish) -> "tuple[Document, str]":
    """Return what the last daemon wrote, and what providers add to it where they are asked."""
    import time

    from gatewayctl.core.errors import StorageFailed
    from gatewayctl.core.quota import newer
    from gatewayctl.daemon.quota_told import Probed, as_document
    from gatewayctl.storage import quota as storage
    from gatewayctl.storage.files import usual_state_folder

    folder, degraded = usual_state_folder(), None
    marks = _marks(settings)
    try:
        kept = storage.load(folder)
    except StorageFailed as error:
        kept, degraded = storage.Kept(), str(error)
    known = {
        label: record.snapshot
        for label, record in kept.credentials.items()
        if not _is_replaced(settings, marks, label, record.mark)
    }
    if wish.forget is not None and known.pop(wish.forget, None) is None:
        raise typer.BadParameter(_unknown(wish.forget, known), param_hint=_FORGET)
    told, forgotten = {}, {} if wish.forget is None else {wish.forget: time.time()}
    answers = _asked(settings) if wish.probe else ()
    for each in answers:
        if each.snapshot is not None:
            before = kept.credentials.get(each.label)
            same = before is not None and marks.matches(each.label, before.mark)
            known[each.label] = newer(before.snapshot if before and same else None, each.snapshot)
            told[each.label] = storage.Record(snapshot=each.snapshot, mark=marks.of(each.label))
    if forgotten or told:
        try:
            ours = storage.Kept(credentials=told, forgotten=forgotten)
            storage.save(folder, ours, time.time(), marks.matches)
        except StorageFailed as error:
            degraded = f"it is not kept: {error}"
    probes = tuple(
        Probed(credential=each.label, url=each.url, error=each.error) for each in answers
    )
    document = as_document(known, time.time(), probes=probes, degraded=degraded)
    return document, str(folder / storage.NAME)


def _unknown(label: str, known: "Mapping[str, object]") -> str:
    """Say that there is nothing to forget, and of what there would be."""
    if not known:
        return "nothing is known of any credential"
    return f'nothing is known of a credential "{label}", but of these: {", ".join(known)}'


def _marks(settings: "Settings") -> "Marks":
    """Return what tells whether what is kept is of the credentials that there are now."""
    from gatewayctl.core.errors import StorageFailed
    from gatewayctl.storage.credentials import Vault
    from gatewayctl.storage.files import usual_state_folder
    from gatewayctl.upstream.borrowed import Borrowed
    from gatewayctl.upstream.marks import Marks

    vault = Vault(usual_state_folder())

    def identity(each: "ProviderSettings") -> str:
        try:
            there = vault.get(each.provider.name)
            if each.borrow is not None:
                there = Borrowed(each.borrow).credential()
        except StorageFailed:
            return ""
        return "" if there is None else vault.identity(there)

    return Marks(settings.providers, os.environ, identity)


def _is_replaced(settings: "Settings", marks: "Marks", label: str, mark: str) -> bool:
    """Tell whether what is kept of a label is of another login than there is now.

    Keys cannot be compared here: those in the daemon's environment need not be in this one's.
    """
    from gatewayctl.core.model import Auth

    found = settings.providers.get(label)
    is_login = found is not None and found.provider.auth is Auth.OAUTH
    return is_login and not marks.matches(label, mark)


def _asked(settings: "Settings") -> "tuple[Answer, ...]":
    """Ask the providers from here, and say so first."""
    import asyncio
    import time

    from gatewayctl.cli import render
    from gatewayctl.upstream.credentials import Credentials
    from gatewayctl.upstream.probes import address, ask

    providers = [each for each in settings.providers.values() if address(each) is not None]

    async def asked() -> "tuple[Answer, ...]":
        credentials = Credentials(os.environ)
        try:
            for each in providers:
                if credentials.usable(each):
                    render.tell(f"asking {address(each)} over the network, with its key")
            return await ask(providers, credentials, time.time)
        finally:
            await credentials.close()

    return asyncio.run(asked())
