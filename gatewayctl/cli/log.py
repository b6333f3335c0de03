"""``gatewayctl log``: the requests of the ledger, the newest or one of them, or as they end.

What a line and a story say is ``listing``'s and ``story``'s business, their JSON ``logged``'s.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import JsonOption

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayctl.storage.history import LoggedRequest

    Show = Callable[[Iterable[LoggedRequest]], None]

UNKNOWN = 1
UNREADABLE = 2

_USUAL = 20
_MOST = 10_000
_POLL = 0.5
"""Seconds between two looks at the ledger, which is written at least once a second."""
_PATIENCE = 1.5
"""Seconds to wait for what a daemon has in its journal, and not in the database yet."""
_STEP = 0.05

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
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=1, metavar="N", help="So many of the newest.  [20]"),
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Only what came in the last 30m, 2h, 7d; all of it."),
]


def log(
    request: IdArgument = None,
    follow: FollowOption = False,
    failed: FailedOption = False,
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
    from gatewayctl.cli import render
    from gatewayctl.core.errors import StorageFailed

    others = follow or failed or limit is not None or since is not None
    if request is not None and others:
        raise typer.BadParameter("an ID is shown alone, without --follow and filters")
    after = None if since is None else _after(since)
    try:
        if request is not None:
            _one(request, as_json=as_json)
        else:
            limit = limit or (_USUAL if since is None else _MOST)
            _many(limit, after, failed=failed, follow=follow, as_json=as_json)
    except StorageFailed as error:
        render.tell(str(error))
        raise typer.Exit(UNREADABLE) from error
    except KeyboardInterrupt:
        raise typer.Exit from None
    except BrokenPipeError:
        render.discard_output()


def _after(since: str) -> float:
    """Return the time a duration ago; days are written like the config's durations."""
    import re
    import time

    from gatewayctl.config.figures import Duration
    from gatewayctl.config.problems import Wrong

    days = re.fullmatch("([0-9]{1,5})d", since)
    try:
        return time.time() - Duration().read(f"{int(days[1]) * 24}h" if days else since)
    except Wrong as error:
        raise typer.BadParameter(f'"{since}" is no duration like 30m, 2h or 7d') from error


def _one(given: str, *, as_json: bool) -> None:
    """Show one request's story."""
    from gatewayctl.cli import logged, render, story
    from gatewayctl.storage import history

    found = history.request(_folder(), logged.long(given))
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


def _many(limit: int, since: float | None, *, failed: bool, follow: bool, as_json: bool) -> None:
    """Show the newest requests, and with ``follow`` those that end from now on."""
    from gatewayctl.cli import render
    from gatewayctl.storage import history

    folder = _folder()
    cursor = history.latest(folder)  # first: what ends meanwhile is told by both, and shown once
    newest = history.requests(folder, limit=limit, failed=failed, since=since)
    found = [each for each in reversed(newest) if each.outcome is not None or not follow]
    show = _shown(as_json=as_json, following=follow)
    show(found)
    if not found:
        _tell_none(folder, filtered=failed or since is not None)
    elif len(newest) == _MOST == limit:
        render.tell(f"these are the newest {_MOST:,}; --limit shows more")
    if follow:
        already = {each.request for each in found}
        while not _left(_POLL):
            ended, cursor = history.newer(folder, cursor, failed=failed)
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


def _tell_none(folder: "Path", *, filtered: bool) -> None:
    """Say that there is nothing, and why that may be."""
    from gatewayctl.cli import render
    from gatewayctl.storage import history
    from gatewayctl.storage.files import may_write

    if filtered and history.requests(folder, limit=1):
        render.tell("no request in the ledger is one of these")
        return
    where = f"the daemon keeps it in {folder}"
    if not may_write(folder):
        where += ", where you may write nothing: a daemon of yours could record nothing there"
    render.tell(f"no request is in the ledger yet; {where}")


def _folder() -> "Path":
    """Return where the ledger is, with all in it that daemons have written down by now."""
    from gatewayctl.cli import render
    from gatewayctl.core.errors import StorageFailed
    from gatewayctl.storage import history
    from gatewayctl.storage.files import usual_state_folder
    from gatewayctl.storage.recovery import recover

    folder = usual_state_folder()
    try:
        recover(folder)
    except StorageFailed as error:
        history.latest(folder)  # where it cannot be read either, that is what is said
        render.tell(str(error))
    else:
        _catch_up(folder)
    return folder


def _catch_up(folder: "Path") -> None:
    """Let daemons that live bring in what they have: a reply's request is asked for at once."""
    import time

    from gatewayctl.storage import lag

    ends = lag.written(folder)
    until = time.monotonic() + _PATIENCE
    while lag.is_behind(folder, ends) and time.monotonic() < until:
        time.sleep(_STEP)


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
