"""What a name means: an exact model, an alias, a route, or a bare model id.

``provider/id`` is exact when its first part is a configured provider. A bare name is, in this
order: an alias (exact, then the longest matching pattern), a route, a model id that exactly one
configured provider lists; listed by several, the one that speaks the client's protocol, then
declaration order.
"""

import msgspec

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.graph import Route, RouteGraph
from gatewayctl.core.routing.world import World


class ExactModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a provider; ``note`` says how a bare name became it."""

    provider: str
    model: str
    note: str | None = None


class Aliased(msgspec.Struct, frozen=True, kw_only=True):
    """Another name to look up; ``pattern`` is the wildcard that matched, if one did."""

    target: str
    pattern: str | None = None


Named = ExactModel | Aliased | Route


def resolve(name: str, world: World, protocol: WireProtocol) -> Named | None:
    """Return what the name means, None when nothing is called so."""
    first, slash, rest = name.partition("/")
    if slash and rest and world.provider(first) is not None:
        return ExactModel(provider=first, model=rest)
    return alias(name, world.graph) or world.graph.routes.get(name) or _bare(name, world, protocol)


def alias(name: str, graph: RouteGraph) -> Aliased | None:
    """Return the alias of this name: exact before patterns, which are longest first."""
    if (target := graph.aliases.get(name)) is not None:
        return Aliased(target=target)
    for pattern, target in graph.wildcards:
        if _matches(pattern, name):
            return Aliased(target=target, pattern=pattern)
    return None


def _matches(pattern: str, name: str) -> bool:
    """Tell whether a name matches; only ``*`` means anything: any run of characters, or none.

    No regular expression: names come from clients, and one with many stars could take minutes.
    """
    first, *inner, last = pattern.split("*")
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in inner:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _bare(name: str, world: World, protocol: WireProtocol) -> ExactModel | None:
    listing = world.listed_by(name)
    if not listing:
        return None
    if len(listing) == 1:
        return ExactModel(provider=listing[0], model=name)
    speaking = [
        each for each in listing if (it := world.provider(each)) and protocol in it.protocols
    ]
    chosen = (speaking or list(listing))[0]
    why = f"speaks {protocol}" if speaking else "is declared first"
    note = f"{name} is listed by {', '.join(listing)}; {chosen} {why}"
    return ExactModel(provider=chosen, model=name, note=note)
