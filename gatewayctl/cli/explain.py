"""``gatewayctl route-explain``: what a request would be sent to, and why, without sending it."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gatewayctl.cli.options import (
    ConfigOption,
    JsonOption,
    ProtocolOption,
    SourceArgument,
    UrlOption,
)
from gatewayctl.protocols.dialect import Dialect

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayctl.core.routing.graph import RouteGraph
    from gatewayctl.core.routing.render import Json

UNREADABLE = 2
NOT_ROUTABLE = 3

_SEEDS = 2**64

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Model, alias or route to ask for.")
]
MaxOutputOption = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Output budget in place of the body's own."),
]
SeedOption = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Draw alloys with this seed of 64 bits, not by chance."),
]
SessionOption = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="The conversation it belongs to, as clients name it."),
]
ClientOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The name of the client key that it comes with."),
]
LiveOption = Annotated[
    bool, typer.Option("--live", help="Ask the running daemon: its sessions and counters.")
]


class Asked(NamedTuple):
    """What is asked for, besides the request itself; None is not said."""

    model: str
    protocol: Dialect | None
    seed: int | None
    session: str | None
    client: str | None
    max_output: int | None


def route_explain(
    model: ModelArgument,
    source: SourceArgument = None,
    protocol: ProtocolOption = None,
    max_output: MaxOutputOption = None,
    seed: SeedOption = None,
    session: SessionOption = None,
    client: ClientOption = None,
    live: LiveOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain how a request would be routed, and why.

    Shows every candidate in the order of the attempts, everything that is skipped with the reason,
    limits with their source and age, and what the request would cost. The request is sent nowhere.

    Reads the config and the registry's cache alone; with --live the daemon on this machine answers.

    Exit status: 0 routable, 2 unreadable, 3 not routable, 4 no daemon answers (with --live).
    """
    from gatewayctl.cli import asking, render

    if seed is not None and seed >= _SEEDS:
        raise typer.BadParameter("a seed has 64 bits")
    asked = Asked(
        model=model,
        protocol=protocol,
        seed=seed,
        session=session,
        client=client,
        max_output=max_output,
    )
    try:
        data = asking.data(source)
        if live or url is not None:
            doc, origin = _by_daemon(asked, data, url, config)
        else:
            doc, origin = _here(asked, data, source, config)
    except asking.Unreadable as error:
        render.tell(str(error))
        raise typer.Exit(UNREADABLE) from error
    if as_json:
        render.print_json(doc)
    else:
        _print_decision(doc, origin)
    shut_out = _say_if_shut_out(client)
    if shut_out or doc["error"] is not None:
        raise typer.Exit(NOT_ROUTABLE)


def _say_if_shut_out(client: str | None) -> bool:
    """Say so where nobody is let in with the client key, and tell whether that is so."""
    import time

    from gatewayctl.cli import offline, render

    why = None if client is None else offline.shut_out(client, time.time())
    if why is not None:
        render.tell(why)
    return why is not None


def _here(
    asked: Asked, data: bytes, source: str | None, config: "Path | None"
) -> "tuple[Json, str]":
    """Plan in this process; return the decision and what it was made from."""
    import os
    import secrets

    from gatewayctl.cli import asking, offline, render

    given, shape = asking.read(data, asked.protocol, source)
    settings = offline.load_settings(config, os.environ)
    learned = offline.knowledge()
    if len(data) > settings.server.body_limit:
        limit = f"{settings.server.body_limit:,} bytes (server.body_limit)"
        render.tell(f"the daemon takes no request of more than {limit}")
    world = offline.directory(settings, os.environ, learned)
    doc = asking.explain(
        asked.model,
        given,
        shape,
        world,
        seed=secrets.randbits(64) if asked.seed is None else asked.seed,
        session=asked.session,
        client=None if asked.client is None else offline.client(asked.client, settings, world),
        max_output=asked.max_output,
        learned=learned,
        flags=lambda name: settings.providers[name].flags,
    )
    origin = f"planned here from {settings.path or 'no config file'} and the registry's cache"
    if doc["session"] is not None or _takes_turns(doc["tree"], settings.graph):
        origin += "; a running daemon knows whose turn it is and what sessions keep (--live)"
    return doc, origin


def _takes_turns(node: Any, graph: "RouteGraph") -> bool:
    """Tell whether a round robin stands anywhere in a tree."""
    if node is None:
        return False
    route = graph.routes.get(node["id"])
    turns = node["kind"] == "alloy" and getattr(route, "strategy", None) == "round_robin"
    return turns or any(_takes_turns(child, graph) for child in node["children"])


def _by_daemon(
    asked: Asked, data: bytes, url: str | None, config: "Path | None"
) -> "tuple[Json, str]":
    """Ask the daemon; return its decision and what it was made from."""
    from gatewayctl.cli import live
    from gatewayctl.cli.asking import Unreadable

    try:
        told = live.found(url, config, "/api/route-explain", asked._asdict(), data)
    except live.DaemonRefused as error:
        raise Unreadable(f"the daemon says: {error}") from error
    live.compare(told.config, config)
    return told.doc, f"planned by the daemon at {told.url} from {told.config or 'no config file'}"


def _print_decision(doc: "Json", origin: str) -> None:
    from datetime import UTC, datetime

    from gatewayctl.cli.tree import print_decision

    print_decision(doc, datetime.now(UTC), origin)
