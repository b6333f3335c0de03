"""One request of the ledger on a terminal: what was asked, decided and tried, and how it ended.

How a decision is drawn is ``tree``'s business, what a figure is made of ``logged``'s.
"""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from rich.text import Text

from gatewayctl.cli import logged, money, render
from gatewayctl.cli.listing import SIGNS, ending, names
from gatewayctl.cli.tree import print_decision
from gatewayctl.core.routing.render import SCHEMA_VERSION
from gatewayctl.storage.history import LoggedAttempt, LoggedRequest
from gatewayctl.storage.records import Metered, Outcome

_INDENT = "     "
_AT_ONCE = 0.01
_CACHED = {
    "input_cache_read": "read from the cache",
    "input_cache_write_5m": "written to the cache for 5 min",
    "input_cache_write_1h": "written to the cache for 1 h",
}
_APART = {"image": "for images", "audio": "for audio"}


def print_story(request: LoggedRequest) -> None:
    """Print everything that is kept of a request; times are local."""
    _print(_summary(request))
    decided = logged.decision(request)
    _print([Text(), Text("the decision", "bold")])
    if decided is None or decided.get("schema_version") != SCHEMA_VERSION:
        _print([Text("it is not kept any more, or cannot be read", "dim")])
    else:
        _print([Text()])
        came = logged.moment(request.at)
        print_decision(decided, came, "planned by the daemon when the request came")
    _print([Text(), Text("what was tried" if request.attempts else "nothing was tried", "bold")])
    for attempt, waited in zip(request.attempts, logged.waits(request), strict=True):
        _print(_attempt(attempt, waited))


def _print(lines: Iterable[Text]) -> None:
    """Print lines, on a terminal wrapped within their own indent."""
    console = render.console()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        indent = len(line.plain) - len(line.plain.lstrip())
        if width is None or line.cell_len <= width:
            console.print(line)
            continue
        for part in line[indent:].wrap(console, width - indent):
            part.rstrip()
            console.print(Text.assemble(" " * indent, part))


def _summary(request: LoggedRequest) -> Iterator[Text]:
    asked, model = names(request)
    sign, colour = SIGNS[request.outcome]
    head = Text.assemble((f"{sign} ", f"bold {colour}"), (_safe(asked), "bold"))
    if model not in {None, asked}:
        head.append(f" → {_safe(str(model))}", "bold")
    yield head
    answered = request.outcome is Outcome.ANSWERED
    yield Text(_safe("answered" if answered else ending(request)), colour)
    came = datetime.fromtimestamp(request.at).astimezone()
    parts = [request.request, f"{came:%Y-%m-%d %H:%M:%S %z}", request.protocol]
    parts += ["streamed"] * request.stream
    parts += [f"client {request.client}"] * (request.client is not None)
    parts += [f"session {request.session}"] * bool(request.session)
    yield Text(_safe(" · ".join(parts)), "dim")
    parts = [f"HTTP {request.status}"] * (request.status is not None)
    if (first := logged.first_token(request)) is not None:
        parts.append(f"first content after {render.lasted(first)}")
    if request.duration is not None:
        parts.append(f"took {render.lasted(request.duration)}")
    if metered := _metered(logged.whole(request)):
        parts.append(metered)
    if parts:
        yield Text(" · ".join(parts))


def _attempt(attempt: LoggedAttempt, waited: float | None) -> Iterator[Text]:
    """Yield an attempt: what became of it, then when and what was expected and metered."""
    sign, colour = SIGNS[attempt.outcome]
    head = Text.assemble(f"{attempt.number}. ", (sign, colour), f" {_safe(attempt.model)}")
    if waited is not None:
        how = "tried again" if attempt.retry else "the next candidate"
        when = "at once" if waited < _AT_ONCE else f"after {render.lasted(waited)}"
        head.append(f"  {how}, {when}", "dim")
    yield head
    told = Text(f"{_INDENT}{_became(attempt)}", colour if attempt.failure else "")
    if attempt.retry_after is not None:
        told.append(f"; it asked to wait for {render.lasted(attempt.retry_after)}")
    yield told
    if cut := logged.cut(attempt):
        yield Text(f"{_INDENT}{cut}", "yellow")
    began = datetime.fromtimestamp(attempt.at).astimezone()
    estimate = render.span(attempt.estimate_low, attempt.estimate_high)
    protocols = list(dict.fromkeys((attempt.protocol_in, attempt.protocol_out)))
    parts = [
        f"{began:%H:%M:%S}.{began.microsecond // 1000:03}",
        " → ".join(protocols),
        f"expected {estimate} in ({attempt.estimate_method})",
        f"up to {attempt.output_budget:,} out",
    ]
    parts += [f"credential {attempt.credential}"] * (attempt.credential is not None)
    yield Text(f"{_INDENT}{_safe(' · '.join(parts))}", "dim")
    yield Text(f"{_INDENT}{_metered(attempt.metered) or 'no tokens metered'}", "dim")


def _became(attempt: LoggedAttempt) -> str:
    """Say how an attempt ended, why and when."""
    word = "under way" if attempt.outcome is None else str(attempt.outcome)
    took = "" if attempt.duration is None else f" after {render.lasted(attempt.duration)}"
    if attempt.first_token is not None:
        took += f", first content after {render.lasted(attempt.first_token)}"
    if attempt.failure is not None:
        return _safe(f"{word}{took}: {logged.why(attempt)}")
    status = f", HTTP {attempt.status}" if attempt.status is not None else ""
    return f"{word}{took}{status}"


def _metered(metered: Metered) -> str:
    """Return tokens in and out with their parts, and what they cost.

    ``~`` and a word say that they are estimated.
    """
    usage = metered.usage
    about = "~" if metered.estimated else ""
    parts = []
    if (sent := logged.sent(usage)) is not None:
        cached = ", ".join(_counted(metered, _CACHED))
        parts.append(f"{about}{sent:,} in{f' ({cached})' if cached else ''}")
    if usage.output is not None:
        reasoning = usage.reasoning_output
        thought = f" ({reasoning:,} for reasoning)" if reasoning else ""
        parts.append(f"{about}{usage.output:,} out{thought}")
    told = " + ".join((*parts, *_counted(metered, _APART)))
    if not told:
        return ""
    if metered.tier is not None:
        told += f", tier {_safe(metered.tier)}"
    if metered.estimated:
        told += ", estimated"
    cost = "cost unknown" if metered.cost is None else f"{about}{money.shown(metered.cost)}"
    return f"{told} · {cost}"


def _counted(metered: Metered, words: Mapping[str, str]) -> Iterator[str]:
    """Yield those of some dimensions that were metered at all."""
    for name, said in words.items():
        if count := getattr(metered.usage, name):
            yield f"{count:,} {said}"


def _safe(text: str) -> str:
    return render.printable(text)
