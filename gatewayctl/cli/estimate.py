"""``gatewayctl estimate``: how large a request is at each model, and whether it fits there."""

from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption, ProtocolOption, SourceArgument

if TYPE_CHECKING:
    from gatewayctl.core.routing.estimates import Estimates
    from gatewayctl.core.routing.world import World

UNREADABLE = 2
FITS_NOWHERE = 3

ModelsOption = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", metavar="M", help="A model or route; may be given again."),
]
ExactOption = Annotated[
    bool,
    typer.Option("--exact", help="Count with the model's own vocabulary, where it is known."),
]


def estimate(
    source: SourceArgument = None,
    model: ModelsOption = None,
    protocol: ProtocolOption = None,
    exact: ExactOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate a request's input tokens, and whether it fits.

    Reads a request body of Chat Completions, Responses, Messages or Gemini, or plain text. Without
    --model the body's own model counts, which may be a route: then each of its models.

    Characters are counted, and where that leaves open whether the request fits, its tokens.

    Exit status: 0 it fits at least one, 2 unreadable, 3 it fits none of the models named.
    """
    import os

    from gatewayctl.cli import asking, offline, render
    from gatewayctl.core.routing.estimates import rendered_estimates

    try:
        asked, shape = asking.read(asking.data(source), protocol, source)
    except asking.Unreadable as error:
        render.tell(str(error))
        raise typer.Exit(UNREADABLE) from error
    names = model or ([asked.model] if asked.model else [])
    if not names:
        render.tell("no model: the input names none, so give one with --model")
        raise typer.Exit(UNREADABLE)
    settings = offline.load_settings(config, os.environ)
    learned = offline.knowledge()
    world = offline.directory(settings, os.environ, learned, every_kind=True)
    found = asking.estimate(names, asked, shape, world, exact=exact, learned=learned)
    if found.unknown:
        _tell_unknown(found.unknown, world)
        raise typer.Exit(FITS_NOWHERE)
    if as_json:
        render.print_json(rendered_estimates(asked.dialect.value, found))
    else:
        _print_table(found)
    if exact:
        _tell_uncounted(found)
    if not found.fits:
        raise typer.Exit(FITS_NOWHERE)


def _tell_unknown(names: tuple[str, ...], world: "World") -> None:
    from gatewayctl.cli import render
    from gatewayctl.core.routing.refusal import unknown_model

    for name in names:
        error = unknown_model(name, world.nearest(name), world.absent(name))
        render.tell(error.message)


def _tell_uncounted(found: "Estimates") -> None:
    from gatewayctl.cli import render
    from gatewayctl.core.routing.estimates import uncounted

    if models := uncounted(found):
        why = "could not be counted" if found.missing else "no vocabulary is known"
        render.tell(f"by ratio, since {why}: {', '.join(models)}")


def _print_table(found: "Estimates") -> None:
    from gatewayctl.cli import render
    from gatewayctl.core.routing.decision import Method
    from gatewayctl.core.routing.estimates import parts, tokenizer

    rows = [
        (
            render.printable(each.model),
            render.fit(each.fit.value),
            render.span(each.sized.estimate.low, each.sized.estimate.high),
            f"{each.sized.output.wanted:,}",
            "unknown" if each.sized.ceiling is None else f"{each.sized.ceiling:,}",
            f"{each.sized.verdict.shortfall:,}" if each.sized.verdict.shortfall else "",
            f"{each.sized.estimate.likely:,}",
            tokenizer(each),
        )
        for each in found.models
    ]
    titles = ("model", "fit", "input", "output", "ceiling", "too many", "likely", "counted by")
    render.table(titles, rows, right=range(2, 7), spare=2)
    counted = [each for each in found.models if each.sized.estimate.method is Method.EXACT]
    best = (counted or found.models)[0]
    told = [f"{name} {count:,}" for name, count in parts(best, found.sizes).items() if count]
    where = f" at {render.printable(best.model)}" if len(found.models) > 1 else ""
    typer.echo(f"\nlikely tokens by part{where}: {', '.join(told) or 'none'}")
