"""From the judged tree to the ordered attempts: each model once, by its first fitting place.

Safe candidates come in plan order; grey ones after them, largest ceiling first, the grey leaves of
one alloy as they were drawn. What a session keeps stands before its siblings even where it is grey.
"""

from collections.abc import Sequence

import msgspec

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.decision import GREY, Candidate, Node, Skipped, SkipReason
from gatewayctl.core.routing.leaf import send_budget
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.session import Pick
from gatewayctl.core.routing.tree import SIZE_REASONS, Leaf, Tree, leaves
from gatewayctl.core.translation import outgoing

Picks = tuple[tuple[str, Pick], ...]


class Flat(msgspec.Struct, frozen=True, kw_only=True):
    """What is attempted, in order, and what is skipped, in plan order."""

    attempts: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A judged tree that explanations can ask for its nodes."""

    root: Tree

    def node(self) -> Node:
        """Return the tree as explanations show it."""
        return _node(self.root, _counting(list(leaves(self.root))))


def flatten(tree: Tree, planning: Planning, *, repeats: bool) -> Flat:
    """Return attempts and skipped models; tell the planning of sizes that do not show in them.

    ``repeats``: some model may stand in several places.
    """
    counting = None
    if repeats:
        placed = list(leaves(tree))
        counting = _counting(placed)
        if any(id(leaf) not in counting and _by_size(leaf) for leaf in placed):
            planning.needs_sizes = True
    gathering = _Gathering(planning, counting)
    gathering.walk(tree, (), (), None)
    gathering.settle_grey()
    return Flat(attempts=tuple(gathering.attempts), skipped=tuple(gathering.skipped))


def _counting(placed: Sequence[Leaf]) -> set[int]:
    """Return the ids of the leaves that count: of each model the first that fits, else the first.

    Ids are of use only while the tree is there.
    """
    chosen: dict[str, Leaf] = {}
    for leaf in placed:
        model = leaf.place.model
        known = chosen.get(model)
        if known is None or (known.skip is not None and leaf.skip is None):
            chosen[model] = leaf
    return {id(leaf) for leaf in chosen.values()}


def _by_size(leaf: Leaf) -> bool:
    return leaf.fit is GREY or leaf.skip in SIZE_REASONS


class _Gathering:
    """Walks a tree in plan order and collects what counts."""

    def __init__(self, planning: Planning, counting: set[int] | None) -> None:
        self._shape = planning.shape
        self._asked = planning.shape.output_budget
        self._counting = counting
        self.attempts: list[Candidate] = []
        self.skipped: list[Skipped] = []
        self._grey: list[list[Candidate]] = []

    def walk(
        self, tree: Tree, turns: tuple[str, ...], picks: Picks, block: list[Candidate] | None
    ) -> None:
        """Collect a subtree's leaves; ``block`` takes the grey ones of an alloy around it."""
        if isinstance(tree, Leaf):
            self._leaf(tree, turns, picks, block)
            return
        own = [] if block is None and tree.kind == "alloy" else block
        held, ahead = tree.held, (*turns, tree.id) if tree.turns else turns
        remembered = picks
        for position, child in enumerate(tree.children):
            if tree.picks:
                kept = tree.picks[position : position + 1]
                remembered = (*picks, (tree.memory or tree.id, kept[0])) if kept else picks
            if held:
                self._held(child, turns, remembered)
                held = False
            elif isinstance(child, Leaf):
                self._leaf(child, ahead, remembered, own)
            else:
                self.walk(child, ahead, remembered, own)
            ahead = turns
        if own and block is None:
            self._grey.append(own)

    def settle_grey(self) -> None:
        """Put the grey candidates so far after the others, those of the largest ceiling first."""
        self._grey.sort(key=_largest, reverse=True)
        for block in self._grey:
            self.attempts += block
        self._grey = []

    def _held(self, child: Tree, turns: tuple[str, ...], picks: Picks) -> None:
        """Collect what a session keeps, its grey candidates included, before anything else."""
        later, self._grey = self._grey, []
        self.walk(child, turns, picks, None)
        self.settle_grey()
        self._grey = later

    def _leaf(
        self, leaf: Leaf, turns: tuple[str, ...], picks: Picks, block: list[Candidate] | None
    ) -> None:
        if self._counting is not None and id(leaf) not in self._counting:
            return
        estimate = leaf.estimate
        if leaf.skip is not None or estimate is None:
            self.skipped.append(_skipped(leaf, leaf.skip or SkipReason.TOO_LARGE))
            return
        protocol = self._outgoing(leaf)
        required = protocol is WireProtocol.MESSAGES
        candidate = Candidate(
            place=leaf.place,
            protocol=protocol,
            fit=leaf.fit,
            estimate=estimate,
            output_budget=leaf.wanted,
            least_budget=leaf.least,
            send_budget=send_budget(leaf, self._asked, required=required)
            if required or self._asked is not None
            else None,
            note=leaf.note,
            turns=turns,
            picks=picks,
        )
        if leaf.fit is not GREY:
            self.attempts.append(candidate)
        elif block is None:
            self._grey.append([candidate])
        else:
            block.append(candidate)

    def _outgoing(self, leaf: Leaf) -> WireProtocol:
        """Return the protocol that a leaf is sent the request in: where none can be, its own."""
        at = leaf.place.at
        return (None if at is None else outgoing(at, self._shape)) or self._shape.protocol


def _skipped(leaf: Leaf, reason: SkipReason) -> Skipped:
    sized = leaf.estimate is not None
    return Skipped(
        place=leaf.place,
        reason=reason,
        note=leaf.note,
        estimate=leaf.estimate,
        output_budget=leaf.wanted if sized else None,
        least_budget=leaf.least if sized else None,
        shortfall=leaf.shortfall,
        until=leaf.until,
    )


def _largest(block: list[Candidate]) -> int:
    return max(candidate.ceiling or 0 for candidate in block)


def _node(tree: Tree, counting: set[int]) -> Node:
    if isinstance(tree, Leaf):
        return Node(
            id=tree.place.model,
            kind="model",
            fit=tree.fit,
            reason=tree.reason,
            duplicate=id(tree) not in counting,
        )
    children = tuple(_node(child, counting) for child in tree.children)
    reason = tree.reason
    if tree.kind == "alias":
        reason += f": {children[0].reason}"
    return Node(id=tree.id, kind=tree.kind, fit=tree.fit, reason=reason, children=children)
