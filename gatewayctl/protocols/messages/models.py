"""What Anthropic's models take, by their names: a rule of thumb for what no listing says.

Anthropic's documentation says which of its models refuse what. Others that speak this protocol take
what the oldest ones took, or leave out what they do not know. Nothing here is about sizes or
prices, which the registry knows.
"""

import re
from typing import Final

import msgspec

_CLAUDE: Final = "claude"
_VERSION: Final = re.compile(r"(?<!\d)(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")
_ALWAYS: Final = ("fable", "mythos")

_EFFORTS: Final = ("low", "medium", "high", "max")
_MORE_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said to a model.

    ``efforts`` are the words for its effort, empty where its thinking is a budget in tokens.
    ``quiet``: it does not think unless it is told to; ``always``: it cannot be told not to.
    ``thinks_first``: while it may think, a tool call that is under way must begin with a thought of
    its own. ``samples``: it takes ``temperature``, ``top_p`` and ``top_k``; ``one_sampler``: not
    both of the first two. ``strict``: it can be held to the schema of a tool.
    """

    efforts: tuple[str, ...] = ()
    quiet: bool = False
    always: bool = False
    thinks_first: bool = False
    samples: bool = True
    one_sampler: bool = False
    strict: bool = False


def traits(model: str) -> Traits:
    """Return what may be said to a model of this name, whatever its provider puts around it."""
    name = model.lower()
    at = name.find(_CLAUDE)
    if at < 0:
        return Traits()
    always = any(family in name for family in _ALWAYS)
    found = _VERSION.search(name, at)
    if found is None and not always:
        return Traits()
    version = (int(found.group(1)), int(found.group(2) or 0)) if found else (5, 0)
    if version < (4, 6) and not always:
        return Traits(
            quiet=True,
            thinks_first=True,
            one_sampler=version >= (4, 1),
            strict=version >= (4, 5),
        )
    newer = version >= (4, 7) or always
    return Traits(
        efforts=_MORE_EFFORTS if newer else _EFFORTS,
        quiet=version < (5, 0) and not always,
        always=always,
        samples=not newer,
        one_sampler=True,
        strict=True,
    )
