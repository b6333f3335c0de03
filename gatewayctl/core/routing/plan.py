"""Planning: from a name and a request to the ordered attempts, every skipped model, and the tree.

The tree is judged bottom up and flattened late. Pure: equal inputs give equal decisions, and
planning moves no counter.
"""

from typing import assert_never

import msgspec

from gatewayctl.core.routing import leaf, refusal
from gatewayctl.core.routing.alloy import blend
from gatewayctl.core.routing.cascade import ordered
from gatewayctl.core.routing.decision import GREY, UNFIT, Decision, SkipReason
from gatewayctl.core.routing.dispatcher import pick
from gatewayctl.core.routing.flat import Shown, flatten
from gatewayctl.core.routing.graph import Alloy, Cascade, Dispatcher
from gatewayctl.core.routing.place import AliasPlace, ModelPlace, Resolved, RoutePlace
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.resolved import asked_for
from gatewayctl.core.routing.tree import SIZE_REASONS, Branch, Tree
from gatewayctl.core.routing.world import Context, Estimator, Request, World


def plan(name: str, request: Request, world: World, estimator: Estimator) -> Decision:
    """Return the decision for a request that asks for ``name``."""
    return finished(sketch(name, request, world, estimator), request, world, estimator)


def finished(decision: Decision, request: Request, world: World, estimator: Estimator) -> Decision:
    """Return a sketch with its refusal, where nothing can answer."""
    if decision.attempts or decision.error is not None:
        return decision

    def fits(other: str) -> bool:
        return bool(sketch(other, request, world, estimator).attempts)

    error = refusal.nothing_left(decision, world, fits)
    return msgspec.structs.replace(decision, error=error)


def sketch(name: str, request: Request, world: World, estimator: Estimator) -> Decision:
    """Return the decision without the words of a refusal, which cost more than the plan."""
    root = asked_for(name, request, world)
    if root is None:
        return Decision(
            requested=name,
            route=None,
            route_kind="model",
            shape=request.shape,
            at=request.at,
            error=refusal.unknown_model(name, _nearest(name, request, world), world.absent(name)),
        )
    planning = Planning(Context(request=request, world=world, estimator=estimator, asked=name))
    tree = judged(root.place, planning)
    flat = flatten(tree, planning, repeats=root.repeats)
    led = root.route
    return Decision(
        requested=name,
        route=None if led is None else led.route.id,
        route_kind="model" if led is None else led.kind,
        shape=request.shape,
        attempts=flat.attempts,
        skipped=flat.skipped,
        judged=Shown(root=tree),
        ceiling=tree.ceiling,
        notes=root.notes,
        policy=world.graph.policy if led is None else led.route.policy,
        needs_sizes=planning.needs_sizes,
        at=request.at,
    )


def _nearest(name: str, request: Request, world: World) -> list[str]:
    """Return the known names that look like this one, as far as the client may know of them."""
    standing = request.standing
    return [each for each in world.nearest(name) if standing is None or standing.sees(each)]


def settled(decision: Decision) -> bool:
    """Tell whether sizes played no part: no finer estimate could change this decision."""
    if decision.needs_sizes:
        return False
    for candidate in decision.attempts:
        if candidate.fit is GREY:
            return False
    return not any(
        skipped.reason in SIZE_REASONS and skipped.reason is not SkipReason.UNKNOWN_WINDOW
        for skipped in decision.skipped
    )


def judged(place: Resolved, planning: Planning) -> Tree:
    """Judge one place for the request at hand, and what is behind it."""
    if isinstance(place, ModelPlace):
        return leaf.judge(place, planning)
    if isinstance(place, RoutePlace):
        return _route(place, planning)
    return _alias(place, judged(place.child, planning))


def _route(place: RoutePlace, planning: Planning) -> Branch:
    route = place.route
    if isinstance(route, Dispatcher):
        return pick(route, place, planning, judged, _barred)
    children = tuple([judged(child, planning) for child in place.children])
    match route:
        case Alloy():
            return blend(route, place, children, planning)
        case Cascade():
            return ordered(place, children)
        case _:
            assert_never(route)


def _barred(place: Resolved, planning: Planning) -> Tree:
    """Return what stands behind a rule that does not hold; it is not sized."""
    match place:
        case ModelPlace():
            return leaf.unmatched(place, planning)
        case AliasPlace():
            return _alias(place, _barred(place.child, planning))
        case RoutePlace():
            return Branch(
                id=place.route.id,
                kind=place.kind,
                children=tuple(
                    _barred(child, planning) for child in (*place.children, *place.rules)
                ),
                fit=UNFIT,
                reason=leaf.UNMATCHED,
                ceiling=None,
            )
        case _:
            assert_never(place)


def _alias(place: AliasPlace, child: Tree) -> Branch:
    via = f" (matches {place.pattern})" if place.pattern else ""
    return Branch(
        id=place.id,
        kind="alias",
        children=(child,),
        fit=child.fit,
        reason=f"alias of {place.target}{via}",
        ceiling=child.ceiling,
    )
