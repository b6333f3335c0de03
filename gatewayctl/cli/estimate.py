"""``gatewayctl estimate``: how large a request is at each model, and whether it fits there."""

from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption, ProtocolOption, SourceArgument

if TYPE_CHECKING:
    from gatewayctl.cli.asking import Question
    from gatewayctl.core.routing.sizing import SizedModel

FITS_NOWHERE = 3


def estimate(
    source: SourceArgument = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Model or route to size for; may be given again."),
    ] = None,
    protocol: ProtocolOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate a request's input tokens, and whether it fits.

    Without --model the body's own model counts, which may be a route.

    Exit status: 0 it fits at least one, 3 it fits none of the models named, 2 unreadable.
    """
    import os

    from gatewayctl.cli import asking, offline
    from gatewayctl.core.routing.decision import Fit
    from gatewayctl.core.routing.sizing import sized
    from gatewayctl.core.routing.world import Context, Request

    try:
        question = asking.read(source, protocol)
    except asking.Unreadable as error:
        typer.echo(f"gatewayctl: {error}", err=True)
        raise typer.Exit(2) from error
    names = model or ([question.model] if question.model else [])
    if not names:
        typer.echo("gatewayctl: no model: the input names none, so give one with --model", err=True)
        raise typer.Exit(2)
    settings = offline.load_settings(config, os.environ)
    world = offline.directory(settings, os.environ, every_kind=True)
    context = Context(
        request=Request(shape=question.shape), world=world, estimator=question.estimator
    )
    found: dict[str, SizedModel] = {}
    for name in names:
        models = sized(name, context)
        if not models:
            near = " or ".join(world.nearest(name))
            hint = f"; did you mean {near}?" if near else ""
            typer.echo(f'gatewayctl: no model or route is called "{name}"{hint}', err=True)
            raise typer.Exit(FITS_NOWHERE)
        for each in models:
            found.setdefault(each.model, each)
    if as_json:
        _print_json(question, list(found.values()))
    else:
        _print_table(question, list(found.values()))
    if all(each.fit is Fit.UNFIT for each in found.values()):
        raise typer.Exit(FITS_NOWHERE)


def _print_json(question: "Question", found: "list[SizedModel]") -> None:
    from gatewayctl.cli import render

    entries = [_entry(question, each) for each in found]
    render.print_json({"protocol": question.dialect.value, "estimates": entries})


def _entry(question: "Question", each: "SizedModel") -> dict[str, object]:
    from gatewayctl.core.estimate import breakdown, tokenizer_name
    from gatewayctl.core.routing.decision import Fit

    figures = each.sized
    return {
        "model": each.model,
        "method": figures.estimate.method.value,
        "tokenizer": tokenizer_name(figures.estimator),
        "low": figures.estimate.low,
        "likely": figures.estimate.likely,
        "high": figures.estimate.high,
        "output_budget": figures.output.wanted,
        "context_window": figures.limits.window,
        "ceiling": figures.ceiling,
        "capacity_fraction": figures.capacity_fraction,
        "safety_margin": figures.estimator.safety_margin,
        "fits": each.fit is not Fit.UNFIT,
        "fit": each.fit.value,
        "shortfall": figures.verdict.shortfall,
        "breakdown": breakdown(question.measured, figures.estimator),
    }


def _print_table(question: "Question", found: "list[SizedModel]") -> None:
    from gatewayctl.cli import render
    from gatewayctl.core.estimate import breakdown, tokenizer_name

    rows = [
        (
            each.model,
            f"{each.sized.estimate.low:,}",
            f"{each.sized.estimate.likely:,}",
            f"{each.sized.estimate.high:,}",
            f"{each.sized.output.wanted:,}",
            "unknown" if each.sized.ceiling is None else f"{each.sized.ceiling:,}",
            render.fit(each.fit.value, each.sized.verdict.shortfall),
            tokenizer_name(each.sized.estimator),
        )
        for each in found
    ]
    titles = ("model", "low", "likely", "high", "output", "ceiling", "fit", "tokenizer")
    render.table(titles, rows, right=range(1, 6), spare=1)
    parts = breakdown(question.measured, found[0].sized.estimator)
    told = ", ".join(f"{name} {count:,}" for name, count in parts.items() if count)
    typer.echo(f"\nLikely tokens by part: {told or 'none'}")
