"""Reading what an upstream metered: token counts wherever servers put them, in disjoint dimensions.

Servers that are compatible differ most here, and a figure that cannot be read is no reason to
break off an answer: it is unknown. Where each protocol puts its figures is its own business.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gatewayctl.core.events import Usage

Places = Mapping[str, Sequence[Sequence[str]]]
"""For each figure the paths at which it may stand, the first that holds a number counts."""

Counts = Mapping[str, int]
"""Figures by name, as a server told them."""

_MOST = 2**53
"""No token count; larger figures are not believed."""

_LONGEST_TIER = 64


def counts(places: Places, usage: Any) -> dict[str, int]:
    """Return the figures that can be read of a usage object of any form."""
    found: dict[str, int] = {}
    if not isinstance(usage, dict):
        return found
    for name, paths in places.items():
        for path in paths:
            value = usage.get(path[0])
            if value is None:  # most are: every request comes through here
                continue
            figure = _count(_at(value, path[1:]))
            if figure is not None:
                found[name] = figure
                break
    return found


def newer(known: Counts, told: Counts) -> dict[str, int]:
    """Return the figures after another cumulative report: it replaces, and its zeros do not."""
    return {**known, **{name: count or known.get(name, 0) for name, count in told.items()}}


def inclusive(counts: Counts) -> Usage:
    """Return the usage where ``total`` input includes what was cached and what was no text.

    Each part is taken off what is left of the total, so that the parts add up to it.
    """
    left = counts.get("total")
    parts: dict[str, int | None] = {}
    for name in ("cached", "long", "written", "audio", "image"):
        part = counts.get(name)
        if name == "written" and part is not None:
            part = max(0, part - counts.get("long", 0))
        if part is not None and left is not None:
            part = min(part, left)
            left -= part
        parts[name] = part
    return Usage(
        input=left,
        input_cache_read=parts["cached"],
        input_cache_write_5m=parts["written"],
        input_cache_write_1h=parts["long"],
        image=parts["image"],
        audio=parts["audio"],
        output=counts.get("output"),
        reasoning_output=counts.get("reasoning"),
        output_image=counts.get("made_image"),
        output_audio=counts.get("made_audio"),
    )


def tier(*told: Any) -> str | None:
    """Return the first of the names of a service tier that is one."""
    names = (name for name in told if isinstance(name, str) and 0 < len(name) <= _LONGEST_TIER)
    return next((name for name in names if name.isprintable()), None)


def characters(value: Any, depth: int = 5) -> int:
    """Return how many characters a piece of content has: text, or parts that hold some."""
    if isinstance(value, str):
        return len(value)
    if depth and isinstance(value, list):
        return sum(characters(part, depth - 1) for part in value)
    if depth and isinstance(value, dict):
        return sum(characters(value.get(name), depth - 1) for name in _TEXTS)
    return 0


def arguments(value: Any) -> int:
    """Return how many characters a tool call's arguments have, as text or as JSON."""
    if isinstance(value, str):
        return len(value)
    try:
        return len(msgspec.json.encode(value)) if value else 0
    except RecursionError:
        return 0


_TEXTS = ("text", "thinking", "refusal", "content", "summary")


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _count(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= _MOST):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return int(value) if value == int(value) else None
