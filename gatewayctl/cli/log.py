"""``gatewayctl log``: the requests of the ledger, the newest or one of them, or as they end.

What a line and a story say is ``listing``'s and ``story``'s business, their JSON ``logged``'s.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gatewayctl.cli.options import JsonOption

if TYPE_CHECKING:
    from gatewayctl.storage.history import LoggedRequest

    Show = Callable[[Iterable[LoggedRequest]], None]

UNKNOWN = 1
UNREADABLE = 2

_USUAL = 20
_MOST = 10_000
_POLL = 0.5
"""Seconds between two looks at the ledger, which is written at least once a second."""

IdArgument = Annotated[
    str | None,
    typer.Argument(metavar="[ID]", help="A request's id, or as much of it as tells it apart."),
]
FollowOption = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on with requests as they end, until Ctrl-C.")
]
FailedOption = Annotated[
    bool,
    typer.Option("--failed", help="Only requests that were not answered; rescued ones were."),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="NAME", help="Only requests with the client key of this name."),
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=1, metavar="N", help="So many of the newest.  [20]"),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="Only what came in the last 30m, 2h, 7d, or since a day like 2026-11-01; all of it.",
    ),
]


def log(
    request: IdArgument = None,
    follow: FollowOption = False,
    failed: FailedOption = False,
    key: KeyOption = None,
    limit: LimitOption = None,
    since: SinceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was asked of the gateway, what it tried, and how that ended.

    One line a request, the newest last; with an ID everything that is kept of that one: the
    decision, and every attempt with its failure, waits, tokens and times.

    Reads the ledger, whether a daemon runs or not. It holds no prompts and no answers.

    Exit status: 0 shown, also when there is nothing to show, 1 no request has this ID, or several
    have, 2 the ledger cannot be read.
    """
    import time

    from gatewayctl.cli import moments, render
    from gatewayctl.core.errors import StorageFailed

    filters = any(each is not None for each in (key, limit, since))
    if request is not None and (follow or failed or filters):
        raise typer.BadParameter("an ID is shown alone, without --follow and filters")
    after = None if since is None else moments.past(since, time.time(), "--since")
    try:
        if request is not None:
            _one(request, as_json=as_json)
        else:
            limit = limit or (_USUAL if since is None else _MOST)
            wanted = _Wanted(failed=failed, client=key, since=after)
            _many(wanted, limit, follow=follow, as_json=as_json)
    except StorageFailed as error:
        render.tell(str(error))
        raise typer.Exit(UNREADABLE) from error
    except KeyboardInterrupt:
        raise typer.Exit from None


def _one(given: str, *, as_json: bool) -> None:
    """Show one request's story."""
    from gatewayctl.cli import ledger, logged, render, story
    from gatewayctl.storage import history

    found = history.request(ledger.folder(), logged.long(given))
    match found:
        case None:
            render.tell(f'the ledger has no request "{given}"; gatewayctl log lists the newest')
            raise typer.Exit(UNKNOWN)
        case history.Ambiguous():
            render.tell(f'several ids begin with "{given}": {", ".join(found.requests)}')
            raise typer.Exit(UNKNOWN)
    if as_json:
        render.print_json({**logged.as_json(found), "decision": logged.decision(found)})
    else:
        story.print_story(found)


class _Wanted(NamedTuple):
    """Which requests are to be shown."""

    failed: bool
    client: str | None
    since: float | None

    @property
    def is_some(self) -> bool:
        """Tell whether those of some kind are, and not all."""
        return self.failed or self.client is not None or self.since is not None


def _many(wanted: _Wanted, limit: int, *, follow: bool, as_json: bool) -> None:
    """Show the newest requests, and with ``follow`` those that end from now on."""
    from gatewayctl.cli import ledger, render
    from gatewayctl.storage import history

    folder = ledger.folder()
    cursor = history.latest(folder)  # first: what ends meanwhile is told by both, and shown once
    newest = history.requests(folder, limit=limit, **wanted._asdict())
    found = [each for each in reversed(newest) if each.outcome is not None or not follow]
    show = _shown(as_json=as_json, following=follow)
    show(found)
    if not found:
        ledger.tell_none(folder, filtered=wanted.is_some)
    elif len(newest) == _MOST == limit:
        render.tell(f"these are the newest {_MOST:,}; --limit shows more")
    if follow:
        already = {each.request for each in found}
        while not _left(_POLL):
            ended, cursor = history.newer(
                folder, cursor, failed=wanted.failed, client=wanted.client
            )
            show(each for each in ended if each.request not in already)


def _shown(*, as_json: bool, following: bool) -> "Show":
    """Return what shows some requests, at once."""
    import sys

    from gatewayctl.cli import listing, logged, render

    lines = listing.Listing(following=following)

    def show(found: "Iterable[LoggedRequest]") -> None:
        if as_json:
            for each in found:
                render.print_json(logged.as_json(each))
        else:
            for line in lines.lines(found):
                typer.echo(line)
        sys.stdout.flush()

    return show


def _left(seconds: float) -> bool:
    """Wait so long, or until nobody reads what is printed; tell whether that is so."""
    import sys
    import time

    if sys.__stdout__ is None:
        return True
    if sys.platform == "win32":
        time.sleep(seconds)
        return False
    import select

    poll = select.poll()
    poll.register(sys.stdout, 0)  # a reader that is gone is told without being asked for
    return bool(poll.poll(seconds * 1000))
