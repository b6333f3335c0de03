"""``gatewayctl route-explain``: what a request would be sent to, and why, without sending it."""

from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption, ProtocolOption, SourceArgument

if TYPE_CHECKING:
    from gatewayctl.core.routing.decision import Decision

NOT_ROUTABLE = 3


def route_explain(
    model: Annotated[str, typer.Argument(help="Model, alias or route to ask for.")],
    source: SourceArgument = None,
    protocol: ProtocolOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw alloys with this seed instead of by chance.")
    ] = None,
    max_output: Annotated[
        int | None, typer.Option(min=0, help="Output budget in place of the body's own.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain how a request would be routed, and why.

    Shows every candidate, every skip and the reason. Reads the config and the registry only;
    nothing is sent anywhere.

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
    from rich.markup import escape

    from gatewayctl.cli import render
    from gatewayctl.core.routing.decision import Node

    def safe(text: str) -> str:
        return escape(render.printable(text))

    def line(node: Node) -> str:
        chosen = node.kind == "model" and node.id == decision.chosen and not node.duplicate
        mark = render.mark(node.fit.value, chosen=chosen)
        again = " [dim](stands elsewhere already)[/dim]" if node.duplicate else ""
        kind = "" if node.kind == "model" else f" [dim]{node.kind}[/dim]"
        return f"{mark} [bold]{safe(node.id)}[/bold]{kind}{again}  {safe(node.reason)}"

    def draw(node: Node, first: str, rest: str) -> None:
        console.print(first + line(node))
        for child in node.children:
            last = child is node.children[-1]
            draw(child, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   "))

    console = render.console()
    if decision.tree is not None:
        draw(decision.tree, "", "")
    for note in decision.notes:
        console.print(f"note: {safe(note)}")
    if decision.error is not None:
        told = safe(decision.error.message)
        console.print(f"[red]refused[/red] ({decision.error.kind}): {told}")
        return
    console.print("\nattempted in this order:")
    for number, each in enumerate(decision.attempts, 1):
        console.print(f"  {number}. [bold]{safe(each.model)}[/bold]  {each.fit}")
