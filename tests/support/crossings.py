"""The golden files of translation: what upstreams are sent and what clients get, to be read.

Computed by ``translating``; ``scripts/build_translation.py`` writes them. What comes out the same
for several protocols on the other side stands there once, with their names, so that a reviewer sees
at a glance where they differ. Frames of a stream are shown without the fields that are as in the
frame before, or, inside a ``response``, as in the whole reply.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from support import translating
from support.translating import PROTOCOLS, ROOT, Answered, Asked

from gatewayctl.core.model import WireProtocol

_WIDTH: Final = 110


def golden() -> dict[str, str]:
    """Return the golden files by their paths below the folder of fixtures."""
    themes: dict[str, dict[str, Any]] = {}
    for case in translating.requests():
        themes.setdefault(f"sent/{case.theme}.json", {})[case.title] = _sent(case)
    for answered in translating.replies():
        themes.setdefault(f"told/{answered.theme}.json", {})[answered.title] = _told(answered)
    return {path: _pretty(found) + "\n" for path, found in themes.items()}


def present() -> dict[str, str]:
    """Return the golden files that are there."""
    return {
        f"{folder}/{path.name}": path.read_text(encoding="utf-8")
        for folder in ("sent", "told")
        for path in sorted((ROOT / folder).glob("*.json"))
    }


def _sent(case: Asked) -> dict[str, Any]:
    """Return what each upstream is sent, and of which clients' requests."""

    def one(client: WireProtocol, upstream: WireProtocol) -> tuple[str, Any]:
        found = translating.sent(case.bodies[client], client, upstream)
        if found.refused is not None:
            return f"{client}: {found.refused}", None
        dropped = f" without {', '.join(found.dropped)}" if found.dropped else ""
        return f"{client}{dropped}", msgspec.json.decode(found.body)

    return {
        f"to {upstream}": _grouped(
            one(client, upstream) for client in case.bodies if client is not upstream
        )
        for upstream in PROTOCOLS
    }


def _told(case: Answered) -> dict[str, Any]:
    """Return what each client is told, and of which upstreams' replies."""
    return {
        f"to {client}": {
            "whole": _grouped(
                (upstream, msgspec.json.decode(_whole(case, upstream, client)))
                for upstream in case.wholes
                if client is not upstream
            ),
            "stream": _grouped(
                (upstream, _stream(case, upstream, client))
                for upstream in case.wholes
                if client is not upstream
            ),
        }
        for client in PROTOCOLS
    }


def _whole(case: Answered, upstream: WireProtocol, client: WireProtocol) -> bytes:
    return translating.whole(case.wholes[upstream], upstream, client)


def _stream(case: Answered, upstream: WireProtocol, client: WireProtocol) -> list[Any]:
    whole = msgspec.json.decode(_whole(case, upstream, client))
    told = translating.stream([case.streams[upstream]], upstream, client)
    before: dict[str, Any] = {}
    found: list[Any] = []
    for frame in translating.frames(told):
        if not frame.data.startswith(b"{"):
            found.append(frame.data.decode())
            continue
        data = msgspec.json.decode(frame.data)
        shown = _less(data, before)
        if isinstance(data.get("response"), dict):
            shown["response"] = _less(data["response"], whole)
        found.append(shown)
        before = data
    return found


def _less(value: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are not as they are known."""
    return {
        name: field for name, field in value.items() if name not in known or known[name] != field
    }


def _grouped(found: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Return the values, each once, with whom they are of."""
    groups: list[tuple[list[str], Any]] = []
    for name, value in found:
        names = next((names for names, other in groups if other == value), None)
        if names is None:
            groups.append(([name], value))
        else:
            names.append(name)
    return [
        {"refused": names} if value is None else {"from": names, "is": value}
        for names, value in groups
    ]


def _pretty(value: Any, indent: int = 0, *, framed: bool = False) -> str:
    """Return JSON with everything on one line that fits there, and each frame of a stream on one.

    ``framed``: the value is within a stream.
    """
    line = json.dumps(value, ensure_ascii=False)
    fits = len(line) + indent <= _WIDTH or (
        framed and isinstance(value, dict) and "is" not in value
    )
    if fits or not value or not isinstance(value, dict | list):
        return line
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        rows = [
            f"{pad}{json.dumps(name)}: "
            + _pretty(each, indent + 1, framed=framed or name == "stream")
            for name, each in value.items()
        ]
        opened, closed = "{", "}"
    else:
        rows = [pad + _pretty(each, indent + 1, framed=framed) for each in value]
        opened, closed = "[", "]"
    return "\n".join((opened, ",\n".join(rows), " " * indent + closed))
