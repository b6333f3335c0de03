"""``gatewayctl models``: what is known about models, who says so, and how fresh that is.

What a field means and who is believed is ``gatewayctl.registry``'s business; fetching anew is
``cli.refreshing``'s, forgetting ``cli.forgetting``'s.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.forgetting import forget
from gatewayctl.cli.options import ConfigOption, JsonOption
from gatewayctl.cli.refreshing import refresh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayctl.cli.known import Known
    from gatewayctl.registry.merge import Entry

app = typer.Typer(
    name="models",
    help="Show what is known about models, and refresh it.",
    no_args_is_help=True,
)

ProviderOption = Annotated[
    str | None, typer.Option(metavar="P", help="Only the models of this provider.")
]
ConflictsOption = Annotated[
    bool,
    typer.Option("--conflicts", help="Where sources disagree: who says what, who wins, and why."),
]
StaleOption = Annotated[
    bool, typer.Option("--stale", help="Sources and models with facts older than their ttl.")
]
RetiringOption = Annotated[
    bool,
    typer.Option("--retiring", help="Models that are deprecated, retired, or retire in 60 days."),
]
AsOfOption = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The day that --retiring looks from."),
]


@app.command("list")
def list_models(
    provider: ProviderOption = None,
    conflicts: ConflictsOption = False,
    stale: StaleOption = False,
    retiring: RetiringOption = False,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all known models: limits, prices in USD per million tokens, source and age.

    The freshness of the sources stands at the top. "-" is unknown.
    """
    if conflicts + stale + retiring > 1:
        raise typer.BadParameter("choose one of --conflicts, --stale and --retiring")
    if as_of is not None and not retiring:
        raise typer.BadParameter("--as-of belongs to --retiring")
    from gatewayctl.cli.known import Known

    known = Known(config)
    entries = list(known.entries(provider))
    if conflicts:
        _conflicts(entries, known, as_json=as_json)
    elif stale:
        _stale(entries, known, as_json=as_json)
    elif retiring:
        _retiring(entries, as_of or known.now, as_json=as_json)
    else:
        _all(entries, known, provider, as_json=as_json)


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="ID", help="PROVIDER/MODEL")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one model, field by field: value, source, age, and what other sources say.

    Exit status: 0 found, 1 not known.
    """
    from gatewayctl.cli import portrait, render
    from gatewayctl.cli.known import Known

    known = Known(config)
    found = known.portrait(model)
    if found is None:
        _tell_unknown(model, known)
        raise typer.Exit(1)
    if as_json:
        render.print_json(portrait.as_json(found))
    else:
        portrait.print_portrait(found, known.now)


app.command()(refresh)
app.command()(forget)


def _tell_unknown(model: str, known: "Known") -> None:
    """Say that nobody knows a model, and which ids may be meant."""
    from gatewayctl.cli import render

    near = known.near(model)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    render.tell(f'no source knows "{model}"{hint}')


def _all(
    entries: "Sequence[Entry]", known: "Known", provider: str | None, *, as_json: bool
) -> None:
    import difflib

    from gatewayctl.cli import facts, render, sources
    from gatewayctl.registry import told

    if as_json:
        models = [told.model_json(entry, others=False) for entry in entries]
        render.print_json({"sources": known.sources(), "models": models})
        return
    statuses = known.sources()
    sources.print_sources(statuses, known.registry.table.sources, known.now, short=True)
    sources.print_hint(statuses)
    typer.echo()
    if entries:
        facts.print_models(entries, known.now)
    else:
        near = difflib.get_close_matches(provider or "", known.providers(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        whose = "" if provider is None else f' of "{provider}"'
        typer.echo(render.printable(f"no model{whose} is known{hint}"))


def _conflicts(entries: "Sequence[Entry]", known: "Known", *, as_json: bool) -> None:
    from gatewayctl.cli import doubts, render
    from gatewayctl.registry.conflicts import conflicts

    found = list(conflicts(entries))
    if as_json:
        render.print_json({"conflicts": found})
    else:
        doubts.print_conflicts(found, known.now)


def _stale(entries: "Sequence[Entry]", known: "Known", *, as_json: bool) -> None:
    from gatewayctl.cli import doubts, render, sources
    from gatewayctl.cli.sources import FINE
    from gatewayctl.registry import aging

    of_sources = [each for each in known.sources() if each.status not in FINE]
    ttls = {name: each.ttl for name, each in known.settings.registry.sources.items() if each.url}
    found = list(aging.stale(entries, ttls, known.now))
    if as_json:
        render.print_json({"sources": of_sources, "models": found})
        return
    if of_sources:
        sources.print_sources(of_sources, known.registry.table.sources, known.now)
        typer.echo()
    doubts.print_stale(found, known.now)


def _retiring(entries: "Sequence[Entry]", at: datetime, *, as_json: bool) -> None:
    from gatewayctl.cli import doubts, render
    from gatewayctl.config.lint import RETIRING_DAYS
    from gatewayctl.registry import aging

    today = at.date()
    found = list(aging.leaving(entries, today, RETIRING_DAYS))
    if as_json:
        render.print_json({"as_of": today, "days": RETIRING_DAYS, "models": found})
    else:
        doubts.print_leaving(found, today, RETIRING_DAYS)
