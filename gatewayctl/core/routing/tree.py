"""The tree of a plan while it is judged: leaves with a verdict, branches in plan order.

Only the shapes and the walks over them. What makes a leaf fit is ``leaf``'s business, in which
order a branch holds its children ``alloy``'s, ``cascade``'s and ``dispatcher``'s, what is attempted
in the end ``flat``'s.
"""

from collections.abc import Iterator, Sequence

import msgspec

from gatewayctl.core.routing.decision import (
    GREY,
    SAFE,
    UNCHECKED,
    UNFIT,
    Estimate,
    Fit,
    SkipReason,
    why_it_does_not,
    why_it_fits,
)
from gatewayctl.core.routing.place import ModelPlace
from gatewayctl.core.routing.session import Pick


class Leaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One model at one place as it was judged; ``skip`` is None where it may be attempted.

    ``note`` explains what figures do not; the figures are None where it was not sized.
    ``ceiling`` is tokens, None when unknown or not looked at; ``until`` seconds after which what
    bars it is over, where that is known.
    """

    place: ModelPlace
    fit: Fit
    skip: SkipReason | None = None
    note: str = ""
    estimate: Estimate | None = None
    ceiling: int | None = None
    wanted: int = 0
    least: int = 0
    shortfall: int | None = None
    until: float | None = None

    @property
    def reason(self) -> str:
        """Why it may be attempted or not, for a person."""
        if self.note or self.estimate is None:
            return self.note
        words = why_it_fits if self.skip is None else why_it_does_not
        return words(self.place, self.estimate, self.wanted)


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """An alias or a route, its children in plan order.

    ``ceiling`` is what it can hold, in tokens, None when unknown. ``turns`` is set on a
    round-robin alloy: attempting its first child moves its counter. ``picks`` is what a session
    remembers of this route for each child, empty where nothing is, and ``memory`` under which
    name (``""``: the route's). ``held``: the first child was kept from an earlier request, and
    stands before the others even where it is grey.
    """

    id: str
    kind: str
    children: "tuple[Tree, ...]"
    fit: Fit
    reason: str
    ceiling: int | None
    turns: bool = False
    picks: tuple[Pick, ...] = ()
    memory: str = ""
    held: bool = False


Tree = Leaf | Branch

SIZE_REASONS = frozenset(
    {
        SkipReason.TOO_LARGE,
        SkipReason.UNKNOWN_WINDOW,
        SkipReason.ALLOY_UNFIT,
        SkipReason.PINNED,
    }
)


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Yield all leaves in plan order."""
    if isinstance(tree, Leaf):
        yield tree
    else:
        for child in tree.children:
            yield from leaves(child)


def name_of(tree: Tree) -> str:
    """Return what a subtree is called."""
    return tree.id if isinstance(tree, Branch) else tree.place.model


def best(trees: Sequence[Tree]) -> Fit:
    """Return the best fit of several subtrees: a route of alternatives is as fit as its fittest."""
    found = UNFIT
    for tree in trees:
        if tree.fit is SAFE:
            return SAFE
        if tree.fit is UNCHECKED or (tree.fit is GREY and found is UNFIT):
            found = tree.fit
    return found


def first(trees: Sequence[Tree]) -> int | None:
    """Return the index of the subtree that is attempted first, None when none can be.

    The first that surely fits (or is not checked), else the largest of those that may fit.
    """
    grey = None
    for index, tree in enumerate(trees):
        if tree.fit is GREY:
            if grey is None or (tree.ceiling or 0) > (trees[grey].ceiling or 0):
                grey = index
        elif tree.fit is not UNFIT:
            return index
    return grey


def too_large(tree: Tree) -> bool:
    """Tell whether a subtree is unfit by size (and not by key, protocol or capability alone)."""
    return tree.fit is UNFIT and any(leaf.skip in SIZE_REASONS for leaf in leaves(tree))


def largest(trees: Sequence[Tree]) -> int | None:
    """Return the largest known ceiling of several subtrees, in tokens."""
    known = _ceilings(trees)
    return max(known) if known else None


def smallest(trees: Sequence[Tree]) -> int | None:
    """Return the smallest known ceiling of several subtrees, in tokens."""
    known = _ceilings(trees)
    return min(known) if known else None


def _ceilings(trees: Sequence[Tree]) -> list[int]:
    return [tree.ceiling for tree in trees if tree.ceiling is not None]


def condemn(tree: Tree, skip: SkipReason, note: str, *, whole: bool = False) -> Tree:
    """Return the subtree with every candidate skipped, because of the route around it.

    ``whole``: what is skipped already is skipped for this reason as well.
    """
    if isinstance(tree, Leaf):
        if tree.skip is not None and not whole:
            return tree
        return msgspec.structs.replace(tree, fit=UNFIT, skip=skip, note=note)
    return Branch(
        id=tree.id,
        kind=tree.kind,
        children=tuple(condemn(child, skip, note, whole=whole) for child in tree.children),
        fit=UNFIT,
        reason=note,
        ceiling=tree.ceiling,
    )
