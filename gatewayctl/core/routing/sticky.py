"""Dispatchers within a session: whether an earlier pick is kept, moved up, or made anew.

A pick that no longer fits by size is what ``sticky`` refuses for; one that cannot answer for
another reason (no key, retired, a capability) only lets this request move on.
"""

import msgspec

from gatewayctl.core.routing.decision import UNFIT, SkipReason
from gatewayctl.core.routing.graph import Dispatcher, Reevaluate
from gatewayctl.core.routing.session import Pick, Session
from gatewayctl.core.routing.tree import Tree, condemn, first, largest, too_large


class Target(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A dispatcher's target by its name as written; ``rule`` numbers the one that led there."""

    name: str
    tree: Tree
    rule: int = 0


class Chosen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The targets in plan order and what the session is to remember, None to leave it as it is.

    ``held``: the first target is kept from before. ``ceiling`` is what the dispatcher can hold.
    """

    targets: list[Target]
    reason: str
    ceiling: int | None
    pick: Pick | None = None
    held: bool = False


def remembered(dispatcher: Dispatcher, session: Session | None) -> Pick | None:
    """Return what the session picked before, None where this dispatcher picks anew."""
    if session is None or dispatcher.reevaluate is Reevaluate.PER_TURN:
        return None
    return session.picks.get(dispatcher.id)


def choose(
    dispatcher: Dispatcher,
    looked: list[Target],
    how: str,
    before: Pick | None,
    session: Session | None,
) -> Chosen:
    """Return the targets with the one to attempt first; ``looked`` is their order without a pick.

    ``how`` names that order. No session, or a target that is gone from the config: picked anew.
    """
    kept = None
    if before is not None:
        kept = next((target for target in looked if target.name == before.child), None)
    if before is None or kept is None or session is None:
        return _anew(dispatcher, looked, how, session)
    if kept.tree.fit is not UNFIT:
        return Chosen(
            targets=_led(kept, looked),
            reason=f"{kept.name} kept since turn {before.turn}",
            ceiling=_ceiling(looked),
            pick=before,
            held=True,
        )
    if not too_large(kept.tree):
        anew = _anew(dispatcher, looked, how, None)
        reason = f"{kept.name} is kept and cannot answer now; {anew.reason}"
        return msgspec.structs.replace(anew, reason=reason)
    return _outgrown(dispatcher, looked, how, before, session)


def _anew(
    dispatcher: Dispatcher,
    looked: list[Target],
    how: str,
    session: Session | None,
    escalations: int = 0,
) -> Chosen:
    trees = [target.tree for target in looked]
    index = first(trees)
    ceiling = largest(trees)
    if index is None:
        return Chosen(targets=looked, reason="no target can answer", ceiling=ceiling)
    found = looked[index]
    if found.rule:
        reason = f"rule {found.rule} holds: {found.name}"
    else:
        reason = f"first of {len(looked)} targets that fits ({how}): {found.name}"
    pick = None
    if session is not None and dispatcher.reevaluate is not Reevaluate.PER_TURN:
        pick = Pick(child=found.name, turn=session.turn, escalations=escalations)
    return Chosen(targets=looked, reason=reason, ceiling=ceiling, pick=pick)


def _outgrown(
    dispatcher: Dispatcher, looked: list[Target], how: str, before: Pick, session: Session
) -> Chosen:
    """Return what follows when the kept target has become too small."""
    kept = next(target for target in looked if target.name == before.child)
    if dispatcher.reevaluate is Reevaluate.WORST_CASE:
        return _anew(dispatcher, looked, how, session)
    most = dispatcher.max_escalations
    moves = dispatcher.reevaluate is Reevaluate.STICKY_ESCALATE and before.escalations < most
    larger = _larger(kept, looked) if moves else []
    index = first([target.tree for target in larger])
    if index is not None:
        found, number = larger[index], before.escalations + 1
        return Chosen(
            targets=_led(found, looked),
            reason=f"escalated ({number} of {most}): {found.name}, from {kept.name}",
            ceiling=_ceiling(looked),
            pick=Pick(child=found.name, turn=session.turn, escalations=number),
            held=True,
        )
    if session.inferred:
        return _anew(dispatcher, looked, how, session, before.escalations)
    return _refused(looked, kept, before, larger)


def _refused(looked: list[Target], kept: Target, before: Pick, larger: list[Target]) -> Chosen:
    """Keep to what was picked, though it cannot hold the request; nothing else is tried.

    Whatever the other targets lack besides, they are not tried because of the session.
    """
    note = f"the session keeps {kept.name} since turn {before.turn}, which cannot hold it any more"
    open_to_it = [kept, *larger]

    def pinned(target: Target) -> Target:
        if any(target is each for each in open_to_it):
            return target
        tree = condemn(target.tree, SkipReason.PINNED, note, whole=True)
        return Target(name=target.name, tree=tree)

    targets = [pinned(target) for target in _led(kept, looked)]
    return Chosen(targets=targets, reason=note, ceiling=_ceiling(open_to_it))


def _led(head: Target, looked: list[Target]) -> list[Target]:
    """Return the targets with this one first."""
    return [head, *(target for target in looked if target is not head)]


def _larger(kept: Target, looked: list[Target]) -> list[Target]:
    """Return the targets known to hold more than this one."""
    floor = kept.tree.ceiling
    return [
        target
        for target in looked
        if floor is not None and target.tree.ceiling is not None and target.tree.ceiling > floor
    ]


def _ceiling(targets: list[Target]) -> int | None:
    return largest([target.tree for target in targets])
