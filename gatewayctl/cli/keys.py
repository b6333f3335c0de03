"""``gatewayctl keys``: make, list, renew and end the keys that clients show the gateway.

How the list looks is ``cli.holders``' business, the file ``storage.client_keys``'. A key is printed
once, when it is made.
"""

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayctl.config.settings import Settings
    from gatewayctl.storage.client_keys import ClientKey

app = typer.Typer(
    name="keys",
    help="Make, list, renew and end the keys that clients show the gateway.",
    no_args_is_help=True,
)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What it is called: in lists, rules and usage.")
]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The name of a key.")]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="What it may use, by commas: models (openai/*), routes, aliases; else everything.",
    ),
]
BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="USD/PERIOD",
        help="What it may spend: 20/day, also hour, week, month; 50 in all. May be repeated.",
    ),
]
ExpiresOption = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="When it ends: 30d, 12h, or as 2026-12-31 begins (UTC)."),
]


@app.command()
def create(
    name: NameArgument,
    models: ModelsOption = None,
    budget: BudgetOption = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests per minute.")] = None,
    tpm: Annotated[
        int | None, typer.Option(min=1, help="Tokens per minute, input and output.")
    ] = None,
    expires: ExpiresOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a client key and print it, once; only its hash is kept.

    As soon as there is any key, the gateway asks everybody for one. Clients send it as their API
    key, as a Bearer token or as x-gatewayctl-key. A running daemon knows it at once.

    Exit status: 0 made, 1 the name is taken or the file of keys cannot be written, 2 the name or
    an option is out of form.
    """
    from gatewayctl.cli import moments, render
    from gatewayctl.storage import client_keys
    from gatewayctl.storage.files import usual_state_folder

    folder, now = usual_state_folder(), time.time()
    terms = client_keys.Terms(
        expires=None if expires is None else moments.ahead(expires, now, "--expires"),
        models=_names(models or ()),
        budgets=_budgets(budget or ()),
        rpm=rpm,
        tpm=tpm,
    )
    settings = _settings(config)
    hints = list(_doubts(terms.models, settings))
    first = not (client_keys.read(folder) or (settings and settings.server.keys))
    try:
        key, _ = client_keys.create(folder, name, terms, now, partial(_hand_over, as_json=as_json))
    except client_keys.OutOfForm as error:
        raise typer.BadParameter(render.printable(str(error))) from error
    _tell(key)
    for hint in hints:
        render.tell(hint)
    if first:
        render.tell("it is the first one: from now on the gateway asks every client for a key")


@app.command("list")
def list_keys(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List all keys with what each has spent of its budgets, and what is left.

    Spent is what the ledger says: calls under way count when they are over. Keys of which the
    config has the hash are listed as config: and the first digits of it.

    Exit status: 0 listed, 1 the file of keys cannot be read.
    """
    from gatewayctl.cli import holders, render
    from gatewayctl.storage import client_keys
    from gatewayctl.storage.files import usual_state_folder

    folder, now = usual_state_folder(), time.time()
    settings = _settings(config)
    keys = list(client_keys.read(folder) or ())
    made = {key.hash for key in keys}
    named = map(client_keys.configured, settings.server.keys if settings else ())
    keys += [key for key in named if key.hash not in made]
    found = holders.holders(keys, folder, now)
    if as_json:
        render.print_json(holders.document(found, now))
    else:
        holders.print_table(found, folder, now)


@app.command()
def rotate(
    name: KeyArgument,
    grace: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long the old one stays good: 1h; else not."),
    ] = None,
    expires: ExpiresOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a key a new secret and print it, once; the old one is no longer good.

    What the key may use and has spent stays.

    Exit status: 0 done, 1 there is no such key, or the file of keys cannot be written, 2 an option
    is out of form.
    """
    from gatewayctl.cli import moments, render
    from gatewayctl.storage import client_keys
    from gatewayctl.storage.files import usual_state_folder

    now = time.time()
    until = None if expires is None else moments.ahead(expires, now, "--expires")
    seconds = 0.0 if grace is None else moments.duration(grace, "--grace")
    folder, hand_over = usual_state_folder(), partial(_hand_over, as_json=as_json)
    before = {each.name: each.replaced for each in client_keys.read(folder) or ()}.get(name)
    key, _ = client_keys.rotate(folder, name, now, hand_over, grace=seconds, expires=until)
    _tell(key)
    if before is not None and before.until > now:
        ended = moments.written(before.until)
        render.tell(f"the secret before the old one, good until {ended}, is no longer good")
    if grace is not None and key.replaced is not None:
        good = min(key.replaced.until, math.inf if key.expires is None else key.expires)
        until_then = f"is good until {moments.written(good)}"
        render.tell(f"the old secret {until_then if good > now else 'had expired, and stays so'}")


@app.command()
def revoke(name: KeyArgument) -> None:
    """End a key for good. Its name stays taken, since the ledger speaks of it.

    Exit status: 0 done, 1 there is no such key, or the file of keys cannot be written.
    """
    from gatewayctl.cli import holders, render
    from gatewayctl.storage import client_keys
    from gatewayctl.storage.files import usual_state_folder

    folder, now = usual_state_folder(), time.time()
    client_keys.revoke(folder, name, now)
    render.tell(f'"{name}" is revoked; a running daemon refuses it within a second')
    for line in holders.shut(client_keys.read(folder) or (), folder, now):
        render.tell(line)


def _names(said: "Sequence[str]") -> tuple[str, ...]:
    """Return names that were given by commas, by repeating the option, or both."""
    names = [name.strip() for each in said for name in each.split(",")]
    if not all(names):
        raise typer.BadParameter("a name is empty", param_hint="'--models'")
    return tuple(dict.fromkeys(names))


def _budgets(said: "Sequence[str]") -> tuple[str, ...]:
    from gatewayctl.core.allowance import budget

    try:
        return tuple(str(budget(each)) for each in said)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--budget'") from error


def _hand_over(key: "ClientKey", secret: str, *, as_json: bool) -> None:
    """Print a secret alone on standard output, so that a script can take it."""
    from gatewayctl.cli import holders, render, streams

    with streams.must_be_taken():
        if as_json:
            terms = {**holders.told(key), "budgets": key.budgets}
            render.print_json({**terms, "key": secret})
        else:
            typer.echo(secret)


def _tell(key: "ClientKey") -> None:
    """Say what a key that was printed may do."""
    from gatewayctl.cli import render

    render.tell(f'this is the key "{key.name}", which is shown this once')
    render.tell(f"it may use {', '.join(key.models) or 'everything'}{_bounds(key)}")


def _bounds(key: "ClientKey") -> str:
    from gatewayctl.cli import holders, moments

    bounds = [holders.written(each) for each in key.limits.budgets]
    bounds += [
        f"{rate:,} {what}{'s' * (rate != 1)} a minute"
        for rate, what in ((key.rpm, "request"), (key.tpm, "token"))
        if rate is not None
    ]
    bounds += [f"until {moments.written(key.expires)}"] if key.expires is not None else []
    return f", {', '.join(bounds)}" if bounds else ""


def _settings(config: "Path | None") -> "Settings | None":
    """Return what the config says; where it cannot be read, say so."""
    import os

    from gatewayctl.cli import offline, render
    from gatewayctl.core.errors import ConfigInvalid, ConfigUnreadable

    try:
        return offline.load_settings(config, os.environ, forgiving=True)
    except (ConfigInvalid, ConfigUnreadable) as error:
        for line in f"what the config says of keys and models is not known: {error}".splitlines():
            render.tell(line.strip())
        return None


def _doubts(patterns: "Sequence[str]", settings: "Settings | None") -> "Iterator[str]":
    """Yield which patterns mean nothing by the config: a key that can use nothing is of no use."""
    import os
    from fnmatch import fnmatchcase

    from gatewayctl.cli import offline
    from gatewayctl.config.every import with_every_provider
    from gatewayctl.core.permits import Permit

    if not patterns or settings is None:
        return
    every = with_every_provider(settings, os.environ)
    live = offline.live(every)
    world = offline.over(every, live, offline.knowledge(), os.environ)
    graph = world.graph
    own = {*graph.routes, *graph.aliases, *(pattern for pattern, _ in graph.wildcards)}
    listed = {f"{provider}/{model}" for provider, model in live.current.ids()}
    known = own | listed | set(world.declared())
    for each in patterns:
        if each in known or any(fnmatchcase(name, each) for name in known):
            continue
        if means := sorted(Permit().behind(each, world)):
            yield f'"{each}" may be asked for by this name alone; it is {means[0]} in full'
        else:
            yield f'no model, route or alias that is known here is called "{each}"'
