"""``gatewayctl route-explain``: what a request would be sent to, and why, without sending it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.asking import Dialect

if TYPE_CHECKING:
    from gatewayctl.core.routing.decision import Decision

NOT_ROUTABLE = 3


def route_explain(
    model: Annotated[str, typer.Argument(help="Model, alias or route to ask for.")],
    source: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="Request body or text; - is standard input."),
    ] = None,
    protocol: Annotated[
        Dialect | None, typer.Option(help="What the input is in; detected by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw alloys with this seed instead of by chance.")
    ] = None,
    max_output: Annotated[
        int | None, typer.Option(min=0, help="Output budget in place of the body's own.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Config file to use.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain how a request would be routed: every candidate, every skip, and why.

    Reads the config and the registry only; nothing is sent anywhere.

    Exit status: 0 routable, 3 not routable, 2 unreadable.
    """
    import os
    import secrets
    from datetime import UTC, datetime

    import msgspec

    from gatewayctl.cli import asking, offline
    from gatewayctl.core.routing.plan import plan
    from gatewayctl.core.routing.render import rendered
    from gatewayctl.core.routing.world import Request

    try:
        question = asking.read(source, protocol)
    except asking.Unreadable as error:
        typer.echo(f"gatewayctl: {error}", err=True)
        raise typer.Exit(2) from error
    shape = question.shape
    if max_output is not None:
        shape = msgspec.structs.replace(shape, output_budget=max_output)
    settings = offline.load_settings(config, os.environ)
    request = Request(
        shape=msgspec.structs.replace(shape, model=model),
        seed=secrets.randbits(64) if seed is None else seed,
        today=datetime.now(UTC).date().isoformat(),
    )
    decision = plan(model, request, offline.directory(settings, os.environ), question.estimator)
    if as_json:
        typer.echo(msgspec.json.encode(rendered(decision)))
    else:
        _print_tree(decision)
    if decision.error is not None:
        raise typer.Exit(NOT_ROUTABLE)


def _print_tree(decision: "Decision") -> None:
    from rich.console import Console
    from rich.tree import Tree

    from gatewayctl.cli import render
    from gatewayctl.core.routing.decision import Node

    def line(node: Node) -> str:
        chosen = node.kind == "model" and node.id == decision.chosen and not node.duplicate
        mark = render.mark(node.fit.value, chosen=chosen)
        again = " [dim](again)[/dim]" if node.duplicate else ""
        return f"{mark} [bold]{node.id}[/bold] [dim]{node.kind}[/dim]{again}  {node.reason}"

    def grow(tree: Tree, node: Node) -> None:
        for child in node.children:
            grow(tree.add(line(child)), child)

    console = Console(highlight=False, soft_wrap=True)
    if decision.tree is not None:
        tree = Tree(line(decision.tree))
        grow(tree, decision.tree)
        console.print(tree)
    for note in decision.notes:
        console.print(f"note: {note}")
    if decision.error is not None:
        console.print(f"[red]refused[/red] ({decision.error.kind}): {decision.error.message}")
        return
    console.print("\nattempted in this order:")
    for number, each in enumerate(decision.attempts, 1):
        console.print(f"  {number}. {each.model}  {each.fit}: {each.reason}")
