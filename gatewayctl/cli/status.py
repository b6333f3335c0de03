"""``gatewayctl status``: how the running daemon fares.

What is told is ``daemon.status``'s business; here it is asked for, shown, and made an exit status.
"""

from typing import TYPE_CHECKING

import typer

from gatewayctl.cli.options import NO_DAEMON, ConfigOption, JsonOption, UrlOption

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatewayctl.cli.live import Told
    from gatewayctl.daemon.status import Document, ProviderStatus

DEGRADED = 3

_KEYS = {True: "yes", False: "missing"}
_OTHER_AUTH = {"forward": "the client's", "oauth": "a login's", "none": "not needed"}
_STATES = {"open": "red", "half_open": "yellow", "probing": "yellow"}


def status(
    url: UrlOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the running daemon fares.

    Its providers with their keys, breakers and last errors, how fresh the registry is, and the
    ledger. Asks the daemon on this machine; nothing else is called.

    Exit status: 0 all is well, 1 the config is wrong, 3 the daemon is not ready, or degraded: what
    is at fault is listed, 4 no daemon answers.
    """
    import msgspec

    from gatewayctl.cli import live, render
    from gatewayctl.daemon.status import Document

    try:
        told = live.found(url, config, "/api/status")
        document = msgspec.convert(told.doc, Document)
    except (live.DaemonRefused, msgspec.ValidationError) as error:
        render.tell(f"the daemon that answers is of another version: {error}")
        raise typer.Exit(NO_DAEMON) from error
    if as_json:
        render.print_json(told.doc)
    else:
        live.compare(document.config or "", config)
        _print(document, told)
    if document.degraded or not document.ready:
        raise typer.Exit(DEGRADED)


def _print(status: "Document", told: "Told") -> None:
    from datetime import UTC, datetime

    from gatewayctl.cli import sources

    now = datetime.now(UTC)
    for line in _headlines(status, told):
        typer.echo(line)
    typer.echo()
    _print_providers(status)
    for title, lines in (
        ("breakers", list(_breakers(status))),
        ("last errors", list(_errors(status, now))),
    ):
        if lines:
            _print_title(title)
            for line in lines:
                typer.echo(line)
    _print_title("registry")
    sources.print_sources(status.registry.sources, None, now, short=True)
    if lines := list(_learned(status, now)):
        _print_title("learned from replies")
        for line in lines:
            typer.echo(line)
    _print_title("ledger")
    for line in _ledger(status, now):
        typer.echo(line)


def _headlines(status: "Document", told: "Told") -> "Iterator[str]":
    """Yield where the daemon is and whether it is well, then what is wrong with it."""
    from gatewayctl.cli import render

    well = status.ready and not status.degraded
    word = ("degraded" if status.degraded else "ready") if status.ready else "not ready"
    colour = "green" if well else "yellow" if status.ready else "red"
    version = render.printable(status.version)
    sign = render.styled(f"{'✓' if well else '!'} {word}", colour, bold=True)
    yield f"{sign}  gatewayctl {version} at {render.printable(told.url)}"
    up = render.ago(status.uptime)
    yield render.printable(
        f"pid {status.pid} · up for {render.lasted(status.uptime) if up == 'now' else up} · "
        f"{status.in_flight} under way · {status.config or 'no config file'}"
    )
    for each in status.degraded:
        yield render.styled(f"! {render.printable(each)}", colour)


def _print_title(title: str) -> None:
    from gatewayctl.cli import render

    typer.echo()
    typer.echo(render.styled(title, bold=True))


def _print_providers(status: "Document") -> None:
    """Print a line for each provider."""
    from gatewayctl.cli import render

    rows = []
    for each in status.providers:
        opened = len(each.breakers)
        rows.append(
            (
                render.printable(each.name),
                _key(each),
                f"{each.calls:,}",
                f"{each.failures:,}",
                render.styled(f"{opened} not closed", "yellow") if opened else "closed",
                render.printable(each.origin),
            )
        )
    if rows:
        titles = ("provider", "key", "calls", "failed", "breakers", "origin")
        render.table(titles, rows, right=(2, 3), spare=1, whole=False)
    else:
        typer.echo("no provider is configured; gatewayctl config init writes a config")


def _key(provider: "ProviderStatus") -> str:
    from gatewayctl.cli import render

    if provider.has_key is None:
        return render.printable(_OTHER_AUTH.get(provider.auth, provider.auth))
    return render.styled(_KEYS[provider.has_key], None if provider.has_key else "yellow")


def _breakers(status: "Document") -> "Iterator[str]":
    """Yield a line for each breaker that is not closed; an origin is shared by its providers."""
    from gatewayctl.cli import render

    breakers = dict.fromkeys(it for each in status.providers for it in each.breakers)
    for it in breakers:
        word = render.printable(it.state.replace("_", " "))
        state = render.styled(word, _STATES.get(it.state, "yellow"))
        left = f" for {render.lasted(it.remaining)} more" if it.state == "open" else ""
        said = f"{it.kind}, {it.failures} in a row"
        yield f"{render.printable(it.name)}: {state}{left} ({render.printable(said)})"


def _errors(status: "Document", now: "datetime") -> "Iterator[str]":
    """Yield each provider's last failure."""
    from gatewayctl.cli import render
    from gatewayctl.cli.facts import old

    for each in status.providers:
        if (error := each.last_error) is not None:
            said = error.said if error.kind in error.said else f"{error.kind}: {error.said}"
            yield render.printable(f"{error.model}, {old(error.at, now)}: {said}")


def _learned(status: "Document", now: "datetime") -> "Iterator[str]":
    """Yield the windows that replies gave away, then the models whose prompts were cut."""
    from gatewayctl.cli import render
    from gatewayctl.cli.facts import old

    for each in status.learned:
        window = f"a window of {each.window:,}, {old(each.at, now)}"
        yield render.printable(f"{each.model}: {window}: {each.evidence}")
    for cut in status.truncated:
        times = "1 prompt cut" if cut.count == 1 else f"{cut.count:,} prompts cut"
        last = f"{cut.last.metered:,} of at least {cut.last.low:,} tokens were read"
        said = f"{cut.model}: {times}, the last {old(cut.last.at, now)}: {last}"
        yield render.styled(render.printable(said), "yellow")
    if status.learned or status.truncated:
        yield "gatewayctl models show ID says more, models forget ID takes it back"


def _ledger(status: "Document", now: "datetime") -> "Iterator[str]":
    """Yield where the ledger is, and what it holds and lacks."""
    from gatewayctl.cli import render
    from gatewayctl.cli.facts import old

    ledger = status.ledger
    size = f"{render.size(ledger.bytes)}B"
    if not ledger.bytes:
        size = "no file is there"
    elif ledger.last_written is None and ledger.degraded:
        size += " with its journal"  # which may be all there is
    written = "nothing written yet"
    if ledger.last_written is not None:
        written = f"last written {old(ledger.last_written, now)}"
    yield render.printable(f"{ledger.path}, {size}, {written}")
    lost = f"{ledger.lost:,} lost" if ledger.lost else "none lost"
    said = f"{ledger.pending:,} records pending, {lost}"
    yield render.styled(said, "red" if ledger.lost else None)
