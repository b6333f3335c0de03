"""Cascades: ordered fallback. Steps stand in declaration order; what cannot answer is skipped."""

from gatewayctl.core.routing.decision import UNFIT
from gatewayctl.core.routing.place import RoutePlace
from gatewayctl.core.routing.tree import Branch, Tree, best, largest


def ordered(place: RoutePlace, children: tuple[Tree, ...]) -> Branch:
    """Return the cascade with its steps as declared."""
    able = len([child for child in children if child.fit is not UNFIT])
    return Branch(
        id=place.route.id,
        kind=place.kind,
        children=children,
        fit=best(children),
        reason=f"{able} of {len(children)} steps can answer" if able else "no step can answer",
        ceiling=largest(children),
    )
