"""Planning: from a name and a request to the ordered attempts, every skipped model, and the tree.

The tree is judged bottom up and flattened late: each model stands once in ``attempts`` or
``skipped``, by its first fitting place, else by its first. Safe candidates come in plan order;
grey ones after them, largest ceiling first. Pure: equal inputs give equal decisions, and planning
moves no counter.
"""

from typing import assert_never

import msgspec

from gatewayctl.core.routing import leaf, refusal
from gatewayctl.core.routing.alloy import blend
from gatewayctl.core.routing.cascade import ordered
from gatewayctl.core.routing.decision import Candidate, Decision, Fit, Skipped, SkipReason
from gatewayctl.core.routing.dispatcher import pick
from gatewayctl.core.routing.graph import Alloy, Cascade, Dispatcher, Place, Policy, Route
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.tree import (
    SIZE_REASONS,
    Branch,
    Leaf,
    Placed,
    Tree,
    ceiling,
    fit_of,
    leaves,
    reason_of,
    render,
)
from gatewayctl.core.routing.world import Context, Estimator, Request, World

MAX_DEPTH = 32
"""How deep names may refer to one another; a valid config has no cycles, so this is never met."""


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
    planner = _Planner(Context(request=request, world=world, estimator=estimator))
    tree = planner.place(Place(model=name), world.graph.policy, direct=True, depth=0)
    if tree is None:
        return Decision(
            requested=name,
            route=None,
            route_kind="model",
            shape=request.shape,
            error=refusal.unknown_model(name, world.nearest(name), world.absent(name)),
        )
    attempts, skipped, kept = _flatten(leaves(tree))
    route = _route(tree)
    return Decision(
        requested=name,
        route=None if route is None else route.id,
        route_kind="model" if route is None else route.kind,
        shape=request.shape,
        attempts=attempts,
        skipped=skipped,
        tree=render(tree, kept),
        ceiling=ceiling(tree),
        notes=tuple(planner.notes),
        policy=world.graph.policy if route is None else world.graph.routes[route.id].policy,
    )


def settled(decision: Decision) -> bool:
    """Tell whether sizes played no part: no finer estimate could change this decision."""
    return all(candidate.fit is not Fit.GREY for candidate in decision.attempts) and not any(
        skipped.reason in SIZE_REASONS and skipped.reason is not SkipReason.UNKNOWN_WINDOW
        for skipped in decision.skipped
    )


class _Planner:
    """One planning: judges places recursively and collects notes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.notes: list[str] = []

    def place(self, place: Place, policy: Policy, *, direct: bool, depth: int) -> Tree | None:
        """Judge one place; None when its name means nothing (now)."""
        if depth > MAX_DEPTH:
            raise AssertionError("cycles are refused at load")
        shape = self._context.request.shape
        named = resolve(place.model, self._context.world, shape.protocol)
        match named:
            case None:
                return None
            case ExactModel():
                if named.note is not None and named.note not in self.notes:
                    self.notes.append(named.note)
                return Leaf(outcome=leaf.judge(named, place, policy, self._context, direct=direct))
            case Aliased():
                inner = msgspec.structs.replace(place, model=named.target)
                child = self.place(inner, policy, direct=direct, depth=depth + 1)
                return None if child is None else _alias(place.model, named, child)
            case Alloy() | Cascade() | Dispatcher():
                return self._route(named, depth)
            case _:
                assert_never(named)

    def _route(self, route: Route, depth: int) -> Branch:
        children = tuple(
            self.place(place, route.policy, direct=False, depth=depth + 1) or _lost(place)
            for place in route.places
        )
        match route:
            case Alloy():
                return blend(route, children, self._context.request)
            case Cascade():
                return ordered(route, children)
            case Dispatcher():
                return pick(route, children)
            case _:
                assert_never(route)


def _alias(name: str, named: Aliased, child: Tree) -> Branch:
    via = f" (matches {named.pattern})" if named.pattern else ""
    return Branch(
        id=name,
        kind="alias",
        ceiling=ceiling(child),
        children=(child,),
        fit=fit_of(child),
        reason=f"alias of {named.target}{via}: {reason_of(child)}",
    )


def _lost(place: Place) -> Leaf:
    """Return a leaf for a name that was known when the config was loaded and no longer is."""
    return Leaf(
        outcome=Skipped(
            model=place.model,
            reason=SkipReason.RETIRED,
            detail="no configured provider lists this model any more",
        )
    )


def _route(tree: Tree) -> Branch | None:
    """Return the route that a name led to, through aliases; None when it led to a model."""
    while isinstance(tree, Branch) and tree.kind == "alias":
        tree = tree.children[0]
    return tree if isinstance(tree, Branch) else None


def _flatten(
    placed: list[Placed],
) -> tuple[tuple[Candidate, ...], tuple[Skipped, ...], frozenset[int]]:
    """Return attempts in order, skipped models, and the ids of the leaves that count."""
    chosen: dict[str, Placed] = {}
    for each in placed:
        model = each.leaf.outcome.model
        known = chosen.get(model)
        if known is None or (
            isinstance(known.leaf.outcome, Skipped) and isinstance(each.leaf.outcome, Candidate)
        ):
            chosen[model] = each
    counting = [each for each in placed if chosen[each.leaf.outcome.model] is each]
    attempts: list[Candidate] = []
    grey: dict[object, list[Candidate]] = {}
    skipped: list[Skipped] = []
    for each in counting:
        outcome = each.leaf.outcome
        if isinstance(outcome, Skipped):
            skipped.append(outcome)
            continue
        if each.turns:
            outcome = msgspec.structs.replace(outcome, turns=each.turns)
        if outcome.fit is Fit.GREY:
            key = outcome.model if each.blend is None else each.blend
            grey.setdefault(key, []).append(outcome)
        else:
            attempts.append(outcome)
    for block in sorted(grey.values(), key=_largest, reverse=True):
        attempts.extend(block)
    kept = frozenset(id(each.leaf) for each in counting)
    return tuple(attempts), tuple(skipped), kept


def _largest(block: list[Candidate]) -> int:
    return max(candidate.ceiling or 0 for candidate in block)
