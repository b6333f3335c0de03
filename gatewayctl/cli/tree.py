"""A decision on a terminal: the tree with a reason at every leaf, and the order of the attempts.

Draws what ``core.routing.explained`` says, wherever it came from: planned here or by the daemon.
Where there is no terminal each node is one line, however long.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gatewayctl.cli import render
from gatewayctl.registry.freshness import age

Doc = Mapping[str, Any]

_BRANCH, _LAST, _DOWN, _NONE = "├─ ", "└─ ", "│  ", "   "
_REASON_COLUMN = 56
"""Columns that reasons need beside the names; with less they stand below them."""

_LEAST_WRAP = 24
_LIMITS = {"context_window": "window", "max_input_tokens": "input", "max_output_tokens": "output"}


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """One node: the guides before its first and its other lines, its name, and what is said."""

    first: str
    rest: str
    name: Text
    reason: Text
    facts: Sequence[str]
    leaf: bool


def print_decision(doc: Doc, now: datetime, origin: str) -> None:
    """Print the whole decision; ``origin`` says where it was made and from what."""
    console = render.console()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    console.print(_headline(doc))
    if asked := _asked(doc["shape"]):
        console.print(Text(asked, "dim"))
    if doc["tree"] is not None:
        console.print()
        for line in drawn(doc, now, width, console):
            console.print(line)
    if doc["attempts"]:
        console.print()
        _print_attempts(doc)
    console.print()
    for line in (*_remarks(doc), Text(_safe(origin), "dim")):
        for part in line.wrap(console, width) if width else [line]:
            console.print(part)


def drawn(doc: Doc, now: datetime, width: int | None, console: Console) -> Iterator[Text]:
    """Yield the lines of the tree: reasons beside the names where there is room, else below.

    ``width`` None is no terminal: one line a node.
    """
    rows = list(_rows(doc["tree"], "", "", doc, now))
    beside = max(cell_len(row.first) + row.name.cell_len for row in rows) + 2
    for row in rows:
        if width is None or width - beside >= _REASON_COLUMN:
            yield from _beside(row, beside, width, console)
        else:
            yield from _below(row, width, console)


def _headline(doc: Doc) -> Text:
    name = Text(_safe(doc["requested"]), "bold")
    if doc["chosen"] is None:
        return Text.assemble(name, (" ✗ refused", "bold red"))
    if doc["chosen"] == doc["requested"]:
        return Text.assemble(("→ ", "bold green"), name)
    return Text.assemble(name, (" → ", "bold green"), (_safe(doc["chosen"]), "bold green"))


def _asked(shape: Doc) -> str:
    """Say in a line what is asked: protocol, size, needs, budget."""
    parts = [shape["protocol"], f"{shape['body_bytes']:,} bytes"]
    if shape["stream"]:
        parts.append("streamed")
    if shape["needs"]:
        parts.append(f"needs {', '.join(each.replace('_', ' ') for each in shape['needs'])}")
    budget = shape["output_budget"]
    parts.append("no output budget of its own" if budget is None else f"output budget {budget:,}")
    return _safe(" · ".join(parts))


def _rows(node: Doc, first: str, rest: str, doc: Doc, now: datetime) -> Iterator[_Row]:
    leaf = node["kind"] == "model"
    chosen = leaf and node["id"] == doc["chosen"] and not node["duplicate"]
    sign, colour = render.sign(node["fit"], chosen=chosen)
    name = Text.assemble((f"{sign} ", colour), (_safe(node["id"]), "bold" if chosen else ""))
    if node["kind"] not in {"model", "alias"}:
        name.append(f"  {node['kind']}", "dim")
    reason = Text(_safe(node["reason"]))
    if node["duplicate"]:
        reason = Text("counts where it stands already", "dim")
    told = doc.get("models", {}).get(node["id"]) if leaf and not node["duplicate"] else None
    children = node["children"]
    yield _Row(
        first=first,
        rest=rest + (_DOWN if children else _NONE) if not leaf else rest + "  ",
        name=name,
        reason=reason,
        facts=() if told is None else tuple(_facts(told, now)),
        leaf=leaf,
    )
    for child in children:
        last = child is children[-1]
        yield from _rows(
            child, rest + (_LAST if last else _BRANCH), rest + (_NONE if last else _DOWN), doc, now
        )


def _facts(model: Doc, now: datetime) -> Iterator[str]:
    """Yield a model's limits with their sources and ages, and what the request costs there."""
    known = [(label, said) for key, label in _LIMITS.items() if (said := model.get(key))]
    if not any(label in {"window", "input"} for label, _ in known):
        yield "window unknown"
    for index, (label, said) in enumerate(known):
        origin = _origin(said, now)
        # limits of one origin stand together, and it is named after the last of them
        again = index + 1 < len(known) and _origin(known[index + 1][1], now) == origin
        yield _safe(f"{label} {said['value']:,}{'' if again else f' ({origin})'}")
    if (price := model.get("price")) is not None:
        yield render.usd(price["low"], price["high"])


def _origin(fact: Doc, now: datetime) -> str:
    if fact["fetched_at"] is None:
        return str(fact["source"])
    since = render.ago(age(fact["fetched_at"], now))
    return f"{fact['source']}, {'just fetched' if since == 'now' else f'{since} old'}"


def _beside(row: _Row, column: int, width: int | None, console: Console) -> Iterator[Text]:
    head = Text.assemble((row.first, "dim"), row.name)
    head.pad_right(column - head.cell_len)
    said = _said(row, None if width is None else width - column, console)
    if width is None:
        said = [Text("  ").join(said)]
    for number, line in enumerate(said):
        yield Text.assemble(head if number == 0 else Text(row.rest.ljust(column), "dim"), line)


def _below(row: _Row, width: int, console: Console) -> Iterator[Text]:
    head = Text.assemble((row.first, "dim"), row.name)
    if not row.leaf and row.reason.cell_len <= width - head.cell_len - 2:
        yield Text.assemble(head, "  ", row.reason)
        return
    yield head
    for line in _said(row, max(_LEAST_WRAP, width - cell_len(row.rest) - 2), console):
        yield Text.assemble((f"{row.rest}  ", "dim"), line)


def _said(row: _Row, room: int | None, console: Console) -> list[Text]:
    """Return a node's reason, and its facts below, in lines of at most ``room`` columns."""
    lines = list(row.reason.wrap(console, room)) if room else [row.reason]
    fact = ""
    for number, each in enumerate(row.facts, 1):
        longer = f"{fact} · {each}" if fact else each
        more = 0 if number == len(row.facts) else cell_len(" ·")
        if fact and room and cell_len(longer) + more > room:
            lines.append(Text(f"{fact} ·", "dim"))
            longer = each
        fact = longer
    if fact:
        lines.append(Text(fact, "dim"))
    for line in lines:
        line.rstrip()
    return lines or [Text()]


def _print_attempts(doc: Doc) -> None:
    """Print the candidates in the order in which they are tried, with their figures."""
    rows = []
    for number, each in enumerate(doc["attempts"], 1):
        price = doc.get("models", {}).get(each["model"], {}).get("price")
        sent = each.get("send_budget")
        rows.append(
            (
                f"{number}. {_safe(each['model'])}",
                render.fit(each["fit"]),
                render.span(each["estimate"]["low"], each["estimate"]["high"]),
                f"{each['output_budget'] if sent is None else sent:,}",
                render.UNKNOWN if each["ceiling"] is None else f"{each['ceiling']:,}",
                render.UNKNOWN if price is None else render.usd(price["low"], price["high"]),
            )
        )
    titles = ("in this order", "fit", "input", "output", "ceiling", "price")
    render.table(titles, rows, right=range(2, 6), spare=2)


def _translations(doc: Doc) -> Iterator[Text]:
    """Yield what is sent in another protocol than it came in, and what is left out there."""
    for each in doc["attempts"]:
        if each["protocol"] == doc["shape"]["protocol"]:
            continue
        dropped = ", ".join(each.get("dropped", ()))
        said = f"{each['model']} is sent {each['protocol']}"
        told = f"{said} without {dropped}" if dropped else f"{said}, with nothing left out"
        yield Text.assemble(("translated: ", "bold"), _safe(told))


def _remarks(doc: Doc) -> Iterator[Text]:
    yield from _translations(doc)
    for note in doc["notes"]:
        yield Text.assemble(("note: ", "bold"), _safe(note))
    if (session := doc.get("session")) is not None:
        picks = ", ".join(f"{route} keeps {pick}" for route, pick in session["picks"].items())
        how = "inferred from the conversation" if session["inferred"] else "told by the client"
        said = f"{how}, turn {session['turn']}; {picks or 'nothing is kept yet'}"
        yield Text.assemble(("session: ", "bold"), _safe(said))
    if (error := doc["error"]) is not None:
        yield Text.assemble(
            ("refused", "bold red"), f" ({_safe(error['kind'])}): ", _safe(error["message"])
        )


def _safe(text: str) -> str:
    return render.printable(text)
