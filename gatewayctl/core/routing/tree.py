"""The tree of a plan while it is judged: leaves with a verdict, branches in plan order.

Only the shapes and the walks over them. What makes a leaf fit is ``leaf``'s business, in which
order a branch holds its children ``alloy``'s, ``cascade``'s and ``dispatcher``'s.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gatewayctl.core.routing.decision import Candidate, Fit, Node, Skipped, SkipReason


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one place."""

    outcome: Candidate | Skipped


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """An alias or a route, its children in plan order.

    ``ceiling`` is what it can hold, in tokens, None when unknown. ``turns`` is set on a
    round-robin alloy: attempting its first child moves its counter.
    """

    id: str
    kind: str
    children: "tuple[Tree, ...]"
    fit: Fit
    reason: str
    ceiling: int | None
    turns: bool = False


Tree = Leaf | Branch

SIZE_REASONS = frozenset({SkipReason.TOO_LARGE, SkipReason.UNKNOWN_WINDOW, SkipReason.ALLOY_UNFIT})


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf on its way out of the tree: ``blend`` numbers the outermost alloy it stands in."""

    leaf: Leaf
    blend: int | None
    turns: tuple[str, ...]


def leaves(tree: Tree) -> list[Placed]:
    """Return all leaves in plan order."""
    return list(_walk(tree, None, ()))


def _walk(tree: Tree, blend: int | None, turns: tuple[str, ...]) -> Iterator[Placed]:
    if isinstance(tree, Leaf):
        yield Placed(leaf=tree, blend=blend, turns=turns)
        return
    if tree.kind == "alloy" and blend is None:
        blend = id(tree)
    for position, child in enumerate(tree.children):
        head = (*turns, tree.id) if tree.turns and position == 0 else turns
        yield from _walk(child, blend, head)


def fit_of(tree: Tree) -> Fit:
    """Return how a subtree fits."""
    if isinstance(tree, Branch):
        return tree.fit
    return tree.outcome.fit if isinstance(tree.outcome, Candidate) else Fit.UNFIT


def reason_of(tree: Tree) -> str:
    """Return why a subtree fits or does not."""
    if isinstance(tree, Branch):
        return tree.reason
    outcome = tree.outcome
    return outcome.reason if isinstance(outcome, Candidate) else outcome.detail


def name_of(tree: Tree) -> str:
    """Return what a subtree is called."""
    return tree.id if isinstance(tree, Branch) else tree.outcome.model


def best(fits: Sequence[Fit]) -> Fit:
    """Return the best of several fits: a route of alternatives is as fit as its fittest."""
    for fit in (Fit.SAFE, Fit.UNCHECKED, Fit.GREY):
        if fit in fits:
            return fit
    return Fit.UNFIT


def worst(fits: Sequence[Fit]) -> Fit:
    """Return the worst of several fits: a blend is as fit as its least fit constituent."""
    for fit in (Fit.UNFIT, Fit.GREY, Fit.UNCHECKED):
        if fit in fits:
            return fit
    return Fit.SAFE


def too_large(tree: Tree) -> bool:
    """Tell whether a subtree is unfit by size (and not by key, protocol or capability alone)."""
    if fit_of(tree) is not Fit.UNFIT:
        return False
    return any(
        isinstance(each.leaf.outcome, Skipped) and each.leaf.outcome.reason in SIZE_REASONS
        for each in leaves(tree)
    )


def ceiling(tree: Tree) -> int | None:
    """Return what a subtree can hold, in tokens, None when unknown."""
    return tree.ceiling if isinstance(tree, Branch) else tree.outcome.ceiling


def ceilings(children: Iterable[Tree]) -> list[int]:
    """Return the known ceilings of several subtrees."""
    return [known for child in children if (known := ceiling(child)) is not None]


def condemn(tree: Tree, detail: str) -> Tree:
    """Return the subtree with every candidate skipped, because the alloy around it is unfit."""
    if isinstance(tree, Branch):
        children = tuple(condemn(child, detail) for child in tree.children)
        return msgspec.structs.replace(tree, children=children, fit=Fit.UNFIT, reason=detail)
    outcome = tree.outcome
    if isinstance(outcome, Skipped):
        return tree
    return Leaf(
        outcome=Skipped(
            model=outcome.model,
            reason=SkipReason.ALLOY_UNFIT,
            detail=detail,
            estimate=outcome.estimate,
            ceiling=outcome.ceiling,
            context_window=outcome.context_window,
            output_budget=outcome.output_budget,
            least_budget=outcome.least_budget,
        )
    )


def render(tree: Tree, kept: frozenset[int]) -> Node:
    """Return the tree as explanations show it; leaves not in ``kept`` (by id) are duplicates."""
    if isinstance(tree, Leaf):
        return Node(
            id=tree.outcome.model,
            kind="model",
            fit=fit_of(tree),
            reason=reason_of(tree),
            duplicate=id(tree) not in kept,
        )
    return Node(
        id=tree.id,
        kind=tree.kind,
        fit=tree.fit,
        reason=tree.reason,
        children=tuple(render(child, kept) for child in tree.children),
    )
